"""What goes over the wire: the models that validate requests, and describe requests and answers in the OpenAPI document."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from app.domain.claims import MAX_CODE_LENGTH
from app.domain.orders import MAX_CUSTOMER_ID_LENGTH, MAX_PAYMENT_METHOD_LENGTH
from app.domain.redemption import MAX_TILL_ID_LENGTH
from app.domain.sale import (
    MAX_EXPECTED_CROWD,
    MAX_LIMIT_PER_CUSTOMER,
    MAX_SHARD_COUNT,
    MAX_STOCK_UNITS,
    MAX_UNIT_PRICE_MINOR,
    MAX_WAITLIST_ORDERS,
)

SALE_ID_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$"

Name = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$", description="No control characters.")
]
Stock = Annotated[int, Field(ge=0, le=MAX_STOCK_UNITS)]
Price = Annotated[
    int, Field(ge=0, le=MAX_UNIT_PRICE_MINOR, description="Minor units of the currency; 0 is a giveaway.")
]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT_PER_CUSTOMER, description="Units over all live orders of a customer.")]
WaitlistLimit = Annotated[int, Field(ge=0, le=MAX_WAITLIST_ORDERS, description="Orders that may wait.")]
HoldSeconds = Annotated[int, Field(ge=10, le=7 * 24 * 3600, description="How long units are kept for a payment.")]
CancelWindow = Annotated[int, Field(ge=0, le=30 * 24 * 3600, description="How long the customer may cancel.")]


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be from year 1 to year 9999 in UTC") from None


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]


class _Request(BaseModel):
    """Strict: a number is a number, an unknown field is an error."""

    model_config = ConfigDict(strict=True, extra="forbid")


class PlaceOrder(_Request):
    """An order. A client never gives a time, a price or a position."""

    units: int = Field(ge=1, le=MAX_LIMIT_PER_CUSTOMER)
    payment_method: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_PAYMENT_METHOD_LENGTH,
        pattern=r"^[\x21-\x7e]+$",
        description="The payment gateway's token of a payment method; needed when the sale has a price.",
    )


class NewSale(_Request):
    """A sale to create. What is left out gets a default computed from the stock."""

    sale_id: str = Field(pattern=SALE_ID_PATTERN, description="Chosen by the seller; part of every address.")
    name: Name
    policy: Literal["fcfs", "lottery"] = Field(
        "fcfs", description="Who gets the stock: first come, first served, or a draw among all who enter."
    )
    unit_price_minor: Price
    currency: str = Field(pattern=r"^[A-Z]{3}$", description="ISO 4217.")
    stock: Stock
    limit_per_customer: Limit = 1
    waitlist_limit: WaitlistLimit | None = None
    expected_crowd: int | None = Field(None, ge=1, le=MAX_EXPECTED_CROWD, description="Customers expected.")
    shard_count: int | None = Field(None, ge=1, le=MAX_SHARD_COUNT)
    opens_at: Moment
    closes_at: Moment
    hold_seconds: HoldSeconds = 600
    cancel_window_seconds: CancelWindow = 1800


class ChangeSale(_Request):
    """What to change; the rest stays. Once the sale has opened: only while paused, and only some of it."""

    name: Name | None = None
    unit_price_minor: Price | None = None
    currency: str | None = Field(None, pattern=r"^[A-Z]{3}$")
    stock: Stock | None = None
    limit_per_customer: Limit | None = None
    waitlist_limit: WaitlistLimit | None = None
    expected_crowd: int | None = Field(None, ge=1, le=MAX_EXPECTED_CROWD)
    opens_at: Moment | None = None
    closes_at: Moment | None = None
    hold_seconds: HoldSeconds | None = None
    cancel_window_seconds: CancelWindow | None = None


class Restock(_Request):
    """Units to add; the waitlist is served first."""

    units: int = Field(ge=1, le=MAX_STOCK_UNITS)


class RedeemClaim(_Request):
    """A claim code that a customer shows at a till."""

    code: str = Field(min_length=1, max_length=MAX_CODE_LENGTH, description="As scanned or typed.")
    till_id: str = Field(
        min_length=1,
        max_length=MAX_TILL_ID_LENGTH,
        pattern=r"^[\x21-\x7e]+$",
        description="Names the till; chosen by the seller.",
    )


class RedemptionView(BaseModel):
    """What was handed over: once, and for good."""

    sale_id: str
    order_id: str
    units: int
    till_id: str
    redeemed_at: AwareDatetime = Field(description="By the database's clock.")


class ClaimKey(BaseModel):
    """A public key (Ed25519), in hex."""

    key_id: str = Field(description="The first four bytes of the key's SHA-256, as they stand in a code.")
    public_key: str


class ClaimKeyList(BaseModel):
    """The keys whose codes hold, the one that signs now first."""

    keys: list[ClaimKey]


class TokenRequest(_Request):
    """Whom a development token is for."""

    subject: str = Field(
        min_length=1, max_length=MAX_CUSTOMER_ID_LENGTH, pattern=r"^[^\x00-\x1f\x7f]+$", description="A customer's id."
    )
    seller: bool = Field(False, description="Whether it has the seller's role.")


class IssuedToken(BaseModel):
    """A token of the local issuer."""

    token: str


class Position(BaseModel):
    """The place in the line: a total order that agrees with real time. Compare placed_at, then shard_id, then seq."""

    placed_at: AwareDatetime = Field(description="The commit timestamp of the transaction that recorded the order.")
    shard_id: int
    seq: int


class OrderView(BaseModel):
    """An order as it stands."""

    order_id: str
    sale_id: str
    status: str
    units: int
    unit_price_minor: int
    currency: str
    position: Position
    draw_place: int | None = Field(
        description="The place that the lottery's draw gave, 1 the first; null before, and in any other sale."
    )
    due_at: AwareDatetime | None = Field(
        description="Until when the units are kept for the payment; null if they are not, or it is authorized."
    )
    cancellable: bool = Field(description="Whether the order's state takes a cancel.")
    cancellable_until: AwareDatetime | None = Field(
        description="Until when, by the database's clock, once the payment is authorized; null otherwise."
    )
    event_seq: int = Field(description="Grows by one with every change: names the state, to wait for the next one.")
    is_final: bool = Field(description="Whether the status will never change again.")
    claim_code: str | None = Field(
        description="What the customer shows at a till; null unless the order is PLACED in a giveaway."
    )


class OrderPage(BaseModel):
    """Some of the customer's orders, by sale and order id."""

    orders: list[OrderView]
    next_page_token: str | None


class DrawView(BaseModel):
    """A lottery's draw, as everybody may know it. `fairdrop verify-draw` checks it all."""

    state: Literal["COMMITTED", "SEALED", "DRAWING", "DRAWN"]
    commitment: str = Field(description="SHA-256 of the seed, hexadecimal: fixed before the first entry.")
    sealed_at: AwareDatetime | None = Field(description="Since when no entry comes or goes; null while some may.")
    digest: str | None = Field(description="SHA-256 of all entries, hexadecimal; fixed before the first is drawn.")
    entries: int | None = Field(description="How many entries take part; null until all are counted.")
    done_entries: int = Field(description="How many of them have their result.")
    won_orders: int
    won_units: int
    seed: str | None = Field(description="Hexadecimal; null until every entry has its result.")
    drawn_at: AwareDatetime | None


class PublicSale(BaseModel):
    """What everybody may know of a sale; a second old at the most."""

    sale_id: str
    name: str
    phase: Literal["scheduled", "open", "paused", "closed"]
    opens_at: AwareDatetime
    closes_at: AwareDatetime
    server_time: AwareDatetime = Field(description="The database's clock: count down to opens_at from here.")
    unit_price_minor: int
    currency: str
    limit_per_customer: int
    stock_left: Literal["plenty", "some", "few", "none"]
    waitlist_open: bool
    policy: Literal["fcfs", "lottery"]
    draw: DrawView | None = Field(description="Of a lottery; null for any other sale.")


class Shard(BaseModel):
    """One row of the counter."""

    shard_id: int
    allocated: int
    available: int
    waiting: int


class SaleTerms(BaseModel):
    """The terms of a sale, as they are stored."""

    sale_id: str
    name: str
    state: Literal["SCHEDULED", "PAUSED", "CLOSED"] = Field(
        description="What the seller decided; a scheduled sale opens and closes by the clock."
    )
    policy: str
    unit_price_minor: int
    currency: str
    stock: int
    limit_per_customer: int
    waitlist_limit: int
    expected_crowd: int
    shard_count: int
    opens_at: AwareDatetime
    closes_at: AwareDatetime
    hold_seconds: int
    cancel_window_seconds: int


class SaleDetails(SaleTerms):
    """Everything a seller sees of a sale, at one database timestamp."""

    phase: Literal["scheduled", "open", "paused", "closed"]
    as_of: AwareDatetime
    available: int
    waiting: int
    shards: list[Shard]
    draw: DrawView | None = Field(description="Of a lottery; null for any other sale.")


class OrderCounts(BaseModel):
    """A sale's orders, counted from its events."""

    is_complete: bool = Field(
        description="Whether all events have been read; until then the counts grow towards the truth."
    )
    orders: int = Field(description="Orders taken, those on the waitlist included.")
    commits: int = Field(description="Transactions that took them.")
    by_status: dict[str, int] | None = Field(description="Orders by status now; null when too many are live to tell.")
    events: dict[str, int] = Field(description="Events by type.")
    payments_failed: int
    expired: int


class SecondOfSale(BaseModel):
    """What was committed in one second of the database's clock."""

    at: int = Field(description="Seconds of the epoch.")
    taken: int
    waitlisted: int
    commits: int


class SecondOfServer(BaseModel):
    """What this server answered to requests for orders in about a second, of all sales."""

    at: int = Field(description="Seconds of the epoch, by the server's clock.")
    taken: float = Field(description="A second.")
    refused: float = Field(description="A second.")
    p50_ms: float | None
    p99_ms: float | None


class SaleLive(SaleDetails):
    """A sale as it was a second ago, in numbers."""

    counts: OrderCounts
    seconds: list[SecondOfSale]
    server: list[SecondOfServer]
    lane_depth: int = Field(description="Orders that wait for the next commit on this server, of all sales.")
    unpublished_events: int = Field(
        description="Events in the outbox that no relay has published, of all sales; 1000: or more."
    )
    oldest_unpublished_at: AwareDatetime | None
    overdue_orders: int = Field(description="Orders whose deadline passed and was not dealt with yet; 1000: or more.")


class OrderStep(BaseModel):
    """One step of an order's history."""

    event_seq: int
    status: str
    trigger: str
    actor: str
    reason: str | None
    committed_at: AwareDatetime


class FoundOrder(OrderView):
    """An order as a seller finds it."""

    customer_id: str
    events: list[OrderStep]


class FoundOrders(BaseModel):
    """What a search has found; at most 100 orders, the latest first."""

    orders: list[FoundOrder]


class AuditVerdictView(BaseModel):
    """What an audit of a sale came to."""

    made_at: AwareDatetime = Field(description="When it was kept, by the database's clock.")
    as_of: AwareDatetime = Field(description="What was judged is the sale as it was then.")
    clean: bool
    verdict: str = Field(description="One line: CLEAN, or BROKEN and what.")
    orders: int
    seconds: float = Field(description="How long it took.")
    made_by: str
    command: str
    with_answers: bool = Field(description="Whether a rush's answers were held against it.")
    with_payments: bool
    with_book: bool = Field(description="Whether the gateway's own book was compared.")
    at_rest: bool = Field(description="Whether nothing was allowed to be under way.")


class FairnessReportView(BaseModel):
    """A fairness report without its page."""

    made_at: AwareDatetime = Field(description="When it was kept, by the database's clock.")
    as_of: AwareDatetime
    verdict: str
    orders: int
    made_by: str
    command: str
    with_answers: bool


class SaleReportsView(BaseModel):
    """What was found of a sale by those who checked it; the newest of each, kept for 90 days."""

    audit: AuditVerdictView | None = Field(description="Null: no verdict is kept.")
    fairness: FairnessReportView | None = Field(description="Null: no report is kept.")
    fairness_orders_at_most: int = Field(description="Of a sale whose report is made by this interface.")


class DeadLetterView(BaseModel):
    """A message that no consumer can deal with. What it says is shown by `fairdrop dead-letters` alone."""

    message_id: str
    published_at: AwareDatetime
    event_type: str
    reason: str


class DeadLettersOfTopic(BaseModel):
    """The dead letters of one kind of event."""

    topic: str
    count: int = Field(description="100: or more.")
    newest: list[DeadLetterView] = Field(description="Five at most, the newest first.")


class DeadLettersView(BaseModel):
    """The dead letters of all sales."""

    looked_at: AwareDatetime = Field(description="By the server's clock; a look serves all who ask for 15 seconds.")
    topics: list[DeadLettersOfTopic]


class RestockResult(BaseModel):
    """The sale after a restock."""

    promoted_orders: int = Field(description="Waiting orders that this call gave units to.")
    sale: SaleDetails


class SaleList(BaseModel):
    """Some sales, by id."""

    sales: list[SaleTerms]
    next_page_token: str | None


class Health(BaseModel):
    """How the process is."""

    status: Literal["alive", "ready"]


class Problem(BaseModel):
    """RFC 9457. `type` is stable and the one thing to program against; docs/errors.md lists them with their members."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str

"""What buyers, sellers and tills are answered, as the OpenAPI document describes it."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field


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

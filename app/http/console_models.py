"""What the seller's console is answered, as the OpenAPI document describes it."""

from pydantic import AwareDatetime, BaseModel, Field

from app.http.answer_models import OrderView, SaleDetails


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

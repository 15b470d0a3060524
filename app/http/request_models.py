"""What clients send: the models that validate requests, and describe them in the OpenAPI document."""

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


class TokenRequest(_Request):
    """Whom a development token is for."""

    subject: str = Field(
        min_length=1, max_length=MAX_CUSTOMER_ID_LENGTH, pattern=r"^[^\x00-\x1f\x7f]+$", description="A customer's id."
    )
    seller: bool = Field(False, description="Whether it has the seller's role.")

"""What the order service's events ask of a payment. Anything else about them is none of this service's business."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.payments.payment import Terms, Wish
from app.payments.states import Wanted

WANTED_BY: Mapping[str, Wanted] = {
    "order.reserved": Wanted.AUTHORIZE,
    "order.confirmed": Wanted.CAPTURE,
    "order.released": Wanted.VOID,
}
"""Every event type that concerns a payment."""

MAX_AMOUNT_MINOR = 10**15
"""The dearest order that a sale may have (its price and limit have bounds), and far below what INT64 holds."""


class OrderEventRefused(Exception):
    """The event can never be handled: it has not the shape or the terms that it must have."""


class _OrderData(BaseModel):
    """The part of an order event's data that a payment needs; lengths as the columns take them."""

    model_config = ConfigDict(strict=True, extra="ignore")

    order_id: Annotated[str, Field(min_length=1, max_length=36)]
    sale_id: Annotated[str, Field(min_length=1, max_length=64)]
    customer_id: Annotated[str, Field(min_length=1, max_length=128)]
    amount_minor: Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    payment_method: Annotated[str | None, Field(min_length=1, max_length=256)] = None


def wish_of(event_type: str, order_id: str, data: Mapping[str, Any]) -> Wish | None:
    """What the event asks for; None when it concerns no payment. Raises OrderEventRefused."""
    wanted = WANTED_BY.get(event_type)
    if wanted is None:
        return None
    try:
        order = _OrderData.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise OrderEventRefused(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    if order.order_id != order_id:
        raise OrderEventRefused("order_id: is not the order that the event is about")
    if order.amount_minor == 0:
        return None
    if order.payment_method is None and wanted is not Wanted.VOID:
        raise OrderEventRefused("payment_method: is missing")
    return Wish(Terms(**order.model_dump()), wanted)

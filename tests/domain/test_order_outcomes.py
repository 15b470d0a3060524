"""What ends an order's life, and what can be the id of one."""

import pytest

from app.domain.ids import is_order_id, order_id
from app.domain.states import FINAL, TRANSITIONS, Status


def test_a_final_status_is_one_that_nothing_leads_out_of() -> None:
    ended = {Status.PLACED, Status.PAYMENT_FAILED, Status.EXPIRED, Status.CANCELLED, Status.LAPSED}
    assert ended == FINAL
    for (before, _), after in TRANSITIONS.items():
        assert before not in FINAL or after.status is before


def test_an_order_s_id_has_the_form_of_one() -> None:
    assert is_order_id(order_id("phone", "ann", "key"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        order_id("phone", "ann", "key").upper(),
        order_id("phone", "ann", "key") + "\n",
        order_id("phone", "ann", "key").replace("-", ""),
        "{" + order_id("phone", "ann", "key") + "}",
        "g" + order_id("phone", "ann", "key")[1:],
    ],
)
def test_anything_else_is_no_order_s_id(text: str) -> None:
    assert not is_order_id(text)

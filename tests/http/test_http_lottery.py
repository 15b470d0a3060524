"""A lottery over HTTP: what everybody sees, what a buyer is told, and how the seller has it drawn."""

from datetime import UTC, datetime

from http_samples import Shop, problem

from app.domain.draw import commitment_of
from app.http.answer_models import DrawView, OrderView
from app.services import sales
from app.services.draw import draw


def test_an_entry_is_answered_as_entered_and_a_retry_finds_it(shop: Shop) -> None:
    sale, buyer = shop.put_up(policy="lottery"), shop.buyer()
    first, again = buyer.order(sale), buyer.order(sale)
    OrderView.model_validate_json(first.data)
    assert (first.status_code, first.json["status"], first.json["draw_place"]) == (201, "ENTERED", None)
    assert (first.json["cancellable"], first.json["due_at"], first.json["is_final"]) == (True, None, False)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    refused = problem(buyer.order(sale, key="another"), 409, "already-entered")
    assert refused["order_id"] == first.json["order_id"]


def test_a_lottery_takes_entries_however_many_there_are(shop: Shop) -> None:
    sale = shop.put_up(policy="lottery", stock=1)
    assert [shop.buyer().order(sale).json["status"] for _ in range(5)] == ["ENTERED"] * 5


def test_everybody_sees_the_commitment_before_the_first_entry_and_the_seed_after_the_draw(shop: Shop) -> None:
    sale = shop.put_up(policy="lottery", stock=1)
    path = f"/v1/sales/{sale.sale_id}"
    before = shop.passer_by.get(path).json
    DrawView.model_validate(before["draw"])
    assert (before["policy"], before["draw"]["state"], before["draw"]["seed"]) == ("lottery", "COMMITTED", None)
    for _ in range(3):
        shop.buyer().order(sale)
    sales.close(shop.database, sale.sale_id, "seller")
    draw(shop.database, sale.sale_id, "drawer")
    shown = shop.seller.get(f"/v1/admin/sales/{sale.sale_id}").json["draw"]
    assert (shown["state"], shown["entries"], shown["done_entries"], shown["won_orders"]) == ("DRAWN", 3, 3, 1)
    assert shown["commitment"] == before["draw"]["commitment"] == commitment_of(bytes.fromhex(shown["seed"]))


def test_no_answer_has_the_seed_before_the_draw(shop: Shop) -> None:
    sale, buyer = shop.put_up(policy="lottery"), shop.buyer()
    seed = next(row for row in shop.contents()["DrawSeeds"] if sale.sale_id in row)
    (secret,) = [value for value in seed if value != sale.sale_id]
    entered = buyer.order(sale)
    own = f"/v1/sales/{sale.sale_id}/orders/{entered.json['order_id']}"
    answers = [
        entered,
        buyer.get(own),
        shop.passer_by.get(f"/v1/sales/{sale.sale_id}"),
        shop.seller.get(f"/v1/admin/sales/{sale.sale_id}"),
        shop.seller.post(f"/v1/admin/sales/{sale.sale_id}/close"),
        shop.seller.post(f"/v1/admin/sales/{sale.sale_id}/draw"),
    ]
    assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 200, 202]
    assert not any(secret in answer.text for answer in answers)


def test_the_seller_has_it_drawn_once_it_is_over(shop: Shop) -> None:
    sale = shop.put_up(policy="lottery", stock=1)
    path = f"/v1/admin/sales/{sale.sale_id}/draw"
    shop.buyer().order(sale)
    assert problem(shop.seller.post(path), 409, "sale-state-refused")["phase"] == "open"
    problem(shop.buyer().post(path), 403, "forbidden")
    problem(shop.passer_by.post(path), 401, "unauthenticated")
    sales.close(shop.database, sale.sale_id, "seller")
    begun = shop.seller.post(path)
    DrawView.model_validate_json(begun.data)
    assert (begun.status_code, begun.json["state"]) == (202, "SEALED")
    assert datetime.fromisoformat(begun.json["sealed_at"]) <= datetime.now(UTC)
    draw(shop.database, sale.sale_id, "drawer")
    done = shop.seller.post(path)
    assert (done.status_code, done.json["state"], done.json["won_orders"]) == (200, "DRAWN", 1)


def test_only_a_lottery_is_drawn(shop: Shop) -> None:
    sale = shop.put_up()
    sales.close(shop.database, sale.sale_id, "seller")
    problem(shop.seller.post(f"/v1/admin/sales/{sale.sale_id}/draw"), 409, "not-a-lottery")
    problem(shop.seller.post("/v1/admin/sales/nothing/draw"), 404, "sale-not-found")
    shown = shop.passer_by.get(f"/v1/sales/{sale.sale_id}").json
    assert (shown["policy"], shown["draw"]) == ("fcfs", None)


def test_an_entry_is_withdrawn_until_the_close(shop: Shop) -> None:
    sale, early, late = shop.put_up(policy="lottery", stock=1), shop.buyer(), shop.buyer()
    paths = [f"/v1/sales/{sale.sale_id}/orders/{buyer.order(sale).json['order_id']}/cancel" for buyer in (early, late)]
    assert early.post(paths[0]).json["status"] == "CANCELLED"
    sales.close(shop.database, sale.sale_id, "seller")
    problem(late.post(paths[1]), 409, "withdrawal-closed")
    draw(shop.database, sale.sale_id, "drawer")
    own = late.get(paths[1].removesuffix("/cancel")).json
    assert (own["status"], own["draw_place"]) == ("PLACED", 1)


def test_a_seller_creates_a_lottery_and_the_very_same_again_is_no_other(shop: Shop) -> None:
    terms = {**shop.terms(), "policy": "lottery"}
    body = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in terms.items()}
    first, again = (shop.seller.post("/v1/admin/sales", json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json["draw"]["commitment"] == again.json["draw"]["commitment"]
    assert problem(shop.seller.post("/v1/admin/sales", json={**body, "policy": "auction"}), 400, "invalid-request")

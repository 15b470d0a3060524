"""Nothing that a customer pays or signs in with is in any log: every process, payments that fail, requests that are broken."""

from pathlib import Path

from crowd_samples import SALE, put_up_phones
from raw_requests import exchange
from shop import OpenShop
from system_service import Service, until

from app.http.local_issuer import LocalIssuer
from app.local.settling import standing

STOCK = 6
BUYERS = 18
CARD_NUMBER = "4242424242424242"
EVERY_PROCESS = ("api", "gateway", "relay", "payments-relay", "payments", "settlement", "deadlines")


def payment_method(number: int) -> str:
    """The gateway's token of a payment method, known to nobody else."""
    return f"pm_CanaryOfPayment{number:04d}"


def test_no_token_payment_method_or_body_is_in_any_process_s_log(open_shop: OpenShop, tmp_path: Path) -> None:
    secrets = [CARD_NUMBER, *map(payment_method, range(BUYERS))]
    with open_shop(*EVERY_PROCESS) as shop:
        put_up_phones(shop.database, STOCK, BUYERS)
        issuer = LocalIssuer.load(shop.settings)
        service = Service(shop.team.addresses.api, shop.team.members["api"], shop.settings, {})
        orders = f"/v1/sales/{SALE}/orders"
        for number in range(BUYERS):
            token = issuer.token(f"buyer-{number}")
            secrets += token.split(".")[1:]
            who = {"Authorization": f"Bearer {token}", "Idempotency-Key": "one"}
            placed = service.call("POST", orders, {"units": 1, "payment_method": payment_method(number)}, **who)
            assert placed.status == 201
            # What is broken, refused or not there, with all of it in the request.
            for path, body in (
                (orders, {"units": 1, "payment_method": CARD_NUMBER}),
                (orders, {"units": 0, "payment_method": payment_method(number)}),
                (orders, {"units": 1, "card": CARD_NUMBER}),
                (f"/v1/sales/none/{number}", {"card": CARD_NUMBER}),
                ("/v1/admin/sales", {"name": CARD_NUMBER}),
            ):
                assert 400 <= service.call("POST", path, body, **who).status < 500
            head = f"Authorization: Bearer {token}\r\nX-Payment: {payment_method(number)}"
            for line in ("GET /v1/orders HTTP/1.1", f"GET /{token} HTTP/9.9", f"{token}"):
                for end in ("\r\nno header\r\n\r\n", "\r\nContent-Length: x\r\n\r\n", "\r\nX: \x00\r\n\r\n"):
                    assert 400 <= exchange(service, f"{line}\r\n{head}{end}".encode())[0].status < 500
        # Some are declined, some time out, and those who wait are charged in their place.
        until(lambda: standing(shop.database, SALE).placed_units > 0)
        shop.team.check()
    logs = [path for path in tmp_path.rglob("*") if path.is_file() and ".log" in path.suffixes]
    assert {path.name for path in logs} >= {f"{name}.log" for name in EVERY_PROCESS}
    for path in logs:
        text = path.read_bytes()
        assert [secret for secret in (*secrets, "Bearer ", "eyJ") if secret.encode() in text] == [], path.name

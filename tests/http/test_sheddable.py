"""What the porter may refuse unread: nothing but a whole order whose end is beyond doubt."""

import pytest

from app.http.porter import sheddable

BODY = b'{"units": 1}'
ORDER = (
    b"POST /v1/sales/spring-1/orders HTTP/1.1\r\nHost: fairdrop\r\nAuthorization: Bearer abc.def\r\n"
    b"Idempotency-Key: key\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n" + BODY
)


@pytest.mark.parametrize("spelt", [b"content-length: 12", b"CONTENT-LENGTH:12", b"Content-Length: 00012"])
def test_a_length_may_be_spelt_as_http_allows(spelt: bytes) -> None:
    order = ORDER.replace(b"Content-Length: 12", spelt)
    assert sheddable(order) == len(order)


def test_a_whole_order_is_as_long_as_it_says_and_what_follows_is_not_its() -> None:
    assert sheddable(ORDER) == len(ORDER)
    assert sheddable(ORDER + ORDER[:40]) == len(ORDER)


@pytest.mark.parametrize("cut", [1, 30, 60, len(ORDER) - len(BODY), len(ORDER) - 1])
def test_half_an_order_is_for_the_parser(cut: int) -> None:
    assert sheddable(ORDER[:cut]) == 0


@pytest.mark.parametrize(
    ("usual", "unusual"),
    [
        (b"POST", b"GET"),
        (b"/orders ", b"/orders/cancel "),
        (b"/orders ", b"/orders?wait=1 "),
        (b"spring-1", b"spring/1"),
        (b"spring-1", b"%73pring"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"Content-Length: 12\r\n", b""),
        (b"Content-Length: 12", b"Content-Length: +12"),
        (b"Content-Length: 12", b"Content-Length : 12"),
        (b"Content-Length: 12", b"Content-Length: 12, 12"),
        (b"Content-Length: 12", b"Content-Length: 12\r\ncontent-length: 0"),
        (b"Content-Length: 12", b"X: y\r\n Content-Length: 12"),
        (b"Content-Length: 12", b"Content-Length: 12\r\nTransfer-Encoding: chunked"),
        (b"Content-Length: 12", b"Content-Length: 12\r\nTransfer-Encoding : chunked"),
        (b"Content-Length: 12", b"Content-Length: 12\nTransfer-Encoding: chunked"),
        (b"Host: fairdrop", b"Host: fair\rdrop"),
        (b"Host: fairdrop", b"Host: fair\0drop"),
        (b"Host: fairdrop", b"Host: fairdrop\r\nExpect: 100-continue"),
        (b"Host: fairdrop", b"Host: fairdrop\r\nConnection: close"),
        (b"Host: fairdrop", b"Host: fairdrop\r\nUpgrade: h2c"),
        (b"Host: fairdrop", b"Host: fairdrop\r\nupgrade-insecure-requests: 1"),
        (b"Host: fairdrop", b"Host: fair\xe9drop"),
        (b"Host: fairdrop", b"Host_: fairdrop"),
        (b"Host: fairdrop", b": fairdrop"),
        (b"Host: fairdrop", b"Host"),
        (b"\r\nHost: fairdrop", b"\nHost: fairdrop"),
    ],
)
def test_anything_unusual_is_for_the_parser(usual: bytes, unusual: bytes) -> None:
    assert ORDER.count(usual) == 1
    assert sheddable(ORDER.replace(usual, unusual)) == 0

"""A claim code says what its order says, has one spelling, and cannot be changed in any letter without being refused."""

from datetime import UTC, datetime

import pytest
from domain_samples import a_request, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.audit.redemptions import redemption_breaks
from app.domain.audit.rows import Redeemed
from app.domain.claims import MAX_CODE_LENGTH, MAX_NUMBER, PREFIX, Claim
from app.domain.errors import AlreadyRedeemed, ClaimCodeInvalid, ClaimNotRedeemable, IdempotencyKeyReused
from app.domain.ids import order_id, redemption_request_id
from app.domain.redemption import Redemption, RedemptionRequest, check_redeemable, claim_of, earlier_answer
from app.domain.sale import MAX_LIMIT_PER_CUSTOMER, MAX_SHARD_COUNT
from app.domain.states import Status
from app.services.claim_keys import DEVELOPMENT_KEY, ClaimKeyRefused, ClaimKeys, ClaimVerifier
from app.settings import Settings

NOW = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=UTC)
KEYS = ClaimKeys(DEVELOPMENT_KEY)
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.*!é"
SAME = {"O": "0", "I": "1", "L": "1"}
NUMBERS = st.integers(0, MAX_NUMBER)

claims = st.builds(
    Claim,
    sale_id=st.from_regex(r"[a-z0-9][a-z0-9-]{0,61}[a-z0-9]", fullmatch=True),
    order_id=st.text(max_size=20).map(lambda name: order_id("sale", name, "key")),
    units=NUMBERS,
    placed_at=st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),
    shard_id=NUMBERS,
    seq=NUMBERS,
)


@given(claims)
def test_a_code_says_what_was_signed(claim: Claim) -> None:
    code = KEYS.sign(claim)
    assert KEYS.verify(code) == claim
    assert code.isalnum()
    assert code == code.upper()
    assert len(code) <= MAX_CODE_LENGTH // 3


@settings(max_examples=300)
@given(claims, st.data())
def test_no_letter_can_be_changed(claim: Claim, data: st.DataObject) -> None:
    code = KEYS.sign(claim)
    place = data.draw(st.integers(0, len(code) - 1))
    letter = data.draw(st.sampled_from([c for c in LETTERS if SAME.get(c, c) != code[place]]))
    with pytest.raises(ClaimCodeInvalid):
        KEYS.verify(code[:place] + letter + code[place + 1 :])


def test_no_letter_of_a_code_can_be_changed_to_any_other() -> None:
    code = KEYS.sign(Claim("burger", order_id("burger", "ann", "key"), 1, NOW, 3, 7))
    for place, there in enumerate(code):
        for letter in LETTERS:
            if SAME.get(letter, letter) != there:
                with pytest.raises(ClaimCodeInvalid):
                    KEYS.verify(code[:place] + letter + code[place + 1 :])


@given(claims, st.data())
def test_letters_cannot_be_left_out_added_or_swapped(claim: Claim, data: st.DataObject) -> None:
    code = KEYS.sign(claim)
    place = data.draw(st.integers(0, len(code) - 2))
    wrong = [code[:place], code[:place] + code[place + 1 :], code[:place] + code[place] + code[place:], code + "0"]
    if code[place] != code[place + 1]:
        wrong.append(code[:place] + code[place + 1] + code[place] + code[place + 2 :])
    for text in wrong:
        with pytest.raises(ClaimCodeInvalid):
            KEYS.verify(text)


@given(st.text(max_size=400))
def test_what_is_no_code_is_refused_and_nothing_breaks(text: str) -> None:
    for wrong in (text, PREFIX + text, "0" * (MAX_CODE_LENGTH + 1)):
        with pytest.raises(ClaimCodeInvalid):
            KEYS.verify(wrong)


@given(claims)
def test_a_code_may_be_typed_as_people_type(claim: Claim) -> None:
    code = KEYS.sign(claim)
    typed = "-".join(code[i : i + 5] for i in range(0, len(code), 5)).lower().replace("0", "o").replace("1", "l")
    assert KEYS.verify(f" {typed[:40]}\n{typed[40:]}\n") == claim


def test_a_code_of_a_short_sale_fits_the_qr_code_that_the_page_names() -> None:
    assert len(KEYS.sign(Claim("burger-1234", order_id("x", "ann", "key"), 1, NOW, 0, 0))) <= 178


def test_every_number_of_an_order_fits_a_code() -> None:
    assert (
        max(MAX_LIMIT_PER_CUSTOMER, MAX_SHARD_COUNT, Settings.model_fields["batch_limit"].metadata[1].le) <= MAX_NUMBER
    )


def test_a_code_has_nothing_of_the_customer() -> None:
    order = stored(a_request("ann@example.org"))
    assert "ann" not in repr(claim_of(order))
    assert KEYS.code_of(order) == KEYS.code_of(order)


def test_only_an_order_of_a_giveaway_that_is_placed_has_a_code() -> None:
    request = a_request("ann")
    for status in Status:
        order = stored(request, status)
        assert (KEYS.code_of(order) is not None) == (status is Status.PLACED)


def test_a_till_verifies_with_the_public_key_alone_and_another_key_s_codes_are_refused() -> None:
    claim = claim_of(stored(a_request("ann")))
    other = ClaimKeys(bytes(32))
    assert ClaimVerifier(KEYS.public_keys.values()).verify(KEYS.sign(claim)) == claim
    with pytest.raises(ClaimCodeInvalid):
        KEYS.verify(other.sign(claim))


def test_codes_of_an_earlier_key_hold_as_long_as_it_is_listed() -> None:
    old, claim = ClaimKeys(bytes(32)), claim_of(stored(a_request("ann")))
    listed = ",".join(key.hex() for key in old.public_keys.values())
    new = ClaimKeys.load(Settings(claim_key="11" * 32, claim_public_keys=listed))
    assert new.verify(old.sign(claim)) == new.verify(new.sign(claim)) == claim
    assert next(iter(new.public_keys)) == new.key_id


@pytest.mark.parametrize("key", ["", DEVELOPMENT_KEY.hex(), f" {DEVELOPMENT_KEY.hex()} "])
def test_production_refuses_the_development_key(key: str) -> None:
    production = Settings(environment="production", auth_jwks_url="https://issuer.example/keys", claim_key=key)
    with pytest.raises(ClaimKeyRefused, match="FAIRDROP_CLAIM_KEY"):
        ClaimKeys.load(production)


@pytest.mark.parametrize("field", ["claim_key", "claim_public_keys"])
@pytest.mark.parametrize("value", ["hidden", "ab" * 31, "zz" * 32, " ".join(["a"] * 32) + "0"])
def test_a_key_that_is_none_is_refused_without_being_told(field: str, value: str) -> None:
    with pytest.raises(ClaimKeyRefused) as refused:
        ClaimKeys.load(Settings(**{field: value}))
    assert value not in str(refused.value)
    assert value not in repr(Settings(claim_key=value))


def request_of(claim: Claim, till: str = "till-1", key: str = "key") -> RedemptionRequest:
    return RedemptionRequest(claim, till, redemption_request_id(till, key), "staff")


def redemption_of(request: RedemptionRequest) -> Redemption:
    claim = request.claim
    return Redemption(claim.sale_id, claim.order_id, claim.units, request.till_id, request.request_id, NOW)


def test_a_retry_gets_its_redemption_and_anybody_else_is_told_when_it_was() -> None:
    request = request_of(claim_of(stored(a_request("ann"))))
    done = redemption_of(request)
    assert earlier_answer(request, None, None) is None
    assert earlier_answer(request, done, done) == done
    for other in (request_of(request.claim, till="till-2"), request_of(request.claim, key="other")):
        with pytest.raises(AlreadyRedeemed) as refused:
            earlier_answer(other, None, done)
        assert refused.value.redeemed_at == NOW
    another = request_of(claim_of(stored(a_request("ben"))))
    with pytest.raises(IdempotencyKeyReused):
        earlier_answer(another, done, None)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PLACED])
def test_only_an_order_that_is_placed_is_redeemed(status: Status) -> None:
    claim = claim_of(stored(a_request("ann")))
    check_redeemable(claim, stored(a_request("ann")))
    with pytest.raises(ClaimNotRedeemable) as refused:
        check_redeemable(claim, stored(a_request("ann"), status))
    assert refused.value.status == status.value
    for other in (None, stored(a_request("ben")), stored(a_request("ann", units=2))):
        with pytest.raises(ClaimNotRedeemable):
            check_redeemable(claim, other)


GOOD = Redeemed("a", 1, "till", 20, "PLACED", 1, 0, 10)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([GOOD], []),
        ([GOOD, GOOD], ["the order was redeemed before"]),
        ([GOOD._replace(order_status="CANCELLED")], ["the order is CANCELLED"]),
        ([Redeemed("a", 1, "till", 20, None, None, None, None)], ["there is no such order in this sale"]),
        ([GOOD._replace(units=2)], ["2 units were handed over, and the order has 1"]),
        ([GOOD._replace(unit_price_minor=5)], ["the order has a price, and no claim code"]),
        ([GOOD._replace(redeemed_at=10)], ["it was redeemed before it was placed"]),
    ],
)
def test_the_audit_holds_each_redemption_against_its_order(rows: list[Redeemed], said: list[str]) -> None:
    assert [violation.says for violation in redemption_breaks(rows)] == said


def test_a_till_and_a_key_cannot_spell_another_pair() -> None:
    assert redemption_request_id("till", "1:key") != redemption_request_id("till\n1:", "key")

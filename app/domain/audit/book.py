"""Invariant 7, of the gateway's own book: what it holds of a sale's customers is what the payments say, to the cent.

The book is read after the payments. So whatever a payment says for good the book must show, and only what a payment has under way
may have gone further there.
"""

from collections.abc import Iterator

from app.domain.audit.accounts import Account, BookEntry, Patience, Standing, Standings, money
from app.domain.audit.findings import Violation
from app.domain.audit.payments import LIVE_UNPAID

_PROPER = {
    "declined": (False, False),
    "authorized": (False, False),
    "voided": (False, False),
    "captured": (True, False),
    "refunded": (True, True),
}
"""Of each state of an authorization: whether the amount was captured, and whether it was given back."""


class BookJudge:
    """Judges what the book has of a sale's accounts, and adds up: what was captured and not given back, in minor units.

    `under_way_minor` is the part of it which a payment under way explains, though its order is not PLACED.
    """

    def __init__(self, standings: Standings, patience: Patience, sale_id: str) -> None:
        """Nothing is added up yet."""
        self._standings = standings
        self._patience = patience
        self._sale_id = sale_id
        self.placed_minor = 0
        self.captured_minor = 0
        self.under_way_minor = 0
        self.entries = 0

    def breaks(self, account: Account) -> Iterator[Violation]:
        """What is wrong between the book's entries and the order's payment."""
        self.placed_minor += account.due_minor if account.is_placed else 0
        if account.payment is None and account.entries and account.sale_of_payment is not None:
            yield from self._paid_since(account)
            return
        if account.payment is None:
            for entry in account.entries:
                yield Violation(f"authorization {entry.authorization_id}", _unknown(account, entry))
            if account.order is None:
                # Nothing tells whose it is, so it is in no sale's sum.
                return
        self.entries += len(account.entries)
        kept = sum(entry.kept_minor for entry in account.entries)
        self.captured_minor += kept
        if not account.is_placed and self._may_move(account):
            self.under_way_minor += kept
        for entry in account.entries:
            for says in _entry_breaks(account, entry):
                yield Violation(f"authorization {entry.authorization_id} of {account.name}", says)
        if account.payment is not None:
            for says in self._payment_breaks(account):
                yield Violation(account.name, says)

    def total_breaks(self, currency: str) -> Iterator[Violation]:
        """Whether what the book holds is what the PLACED orders cost. Once every account was judged."""
        explained = self.placed_minor + (0 if self._patience.is_settled else self.under_way_minor)
        if self.captured_minor != explained:
            under_way = f", and {self.under_way_minor:,} are under way" if self.under_way_minor else ""
            yield Violation(
                "the sale",
                f"the book has {money(self.captured_minor, currency)} captured, "
                f"its PLACED orders cost {self.placed_minor:,}{under_way}",
            )

    def _paid_since(self, account: Account) -> Iterator[Violation]:
        """A payment that a later read found: of another sale, or made after the payments were read."""
        if account.sale_of_payment != self._sale_id:
            if account.order is not None:
                yield Violation(account.name, f"its payment is of sale {account.sale_of_payment}")
        elif self._patience.is_settled:
            yield Violation(account.name, "its payment was made after the audit had begun")

    def _may_move(self, account: Account) -> bool:
        """Whether a capture of an order that is not PLACED may be one that is still to be told, or to be given back."""
        if account.order is None:
            return account.payment is not None and self._patience.is_new(account.payment.created_at)
        return account.order.status in LIVE_UNPAID or self._patience.allows(
            account.changed_at or account.order.placed_at
        )

    def _payment_breaks(self, account: Account) -> Iterator[str]:
        payment, entries = account.payment, account.entries
        if payment is None:
            return
        standing = self._standings.get(payment.state)
        captured = [entry for entry in entries if entry.kept_minor]
        held = [entry for entry in entries if entry.is_open or entry.kept_minor]
        if len(captured) > 1:
            yield f"was charged {len(captured)} times: {_ids(captured)}"
        elif len(held) > 1:
            yield f"has {len(held)} authorizations that hold money: {_ids(held)}"
        if payment.reference is not None and all(entry.authorization_id != payment.reference for entry in entries):
            yield f"its payment is of the authorization {payment.reference}, which the book does not know"
        elif account.is_placed:
            if account.due_minor and not captured:
                yield f"is PLACED, and nothing of it is captured in the book ({_states(entries)})"
        elif standing is Standing.TAKEN and not any(entry.captured_minor for entry in entries):
            yield f"its payment is {payment.state}, and nothing of it was captured in the book ({_states(entries)})"
        elif standing in (Standing.REFUSED, Standing.RETURNED) and held:
            yield f"its payment is {payment.state}, and the book holds its money: {_ids(held)}"
        elif standing is Standing.LOOSE and captured:
            yield f"its payment is {payment.state}, and the book has captured it: {_ids(captured)}"
        elif standing is Standing.HELD and not any(entry.state != "declined" for entry in entries):
            yield f"its payment is {payment.state}, and the book has no authorization ({_states(entries)})"


def _unknown(account: Account, entry: BookEntry) -> str:
    what = "the amount is captured" if entry.kept_minor else f"it is {entry.state}"
    return f"is of order {account.order_id}, of which there is no payment: {what}, {money(entry.amount_minor, entry.currency)}"


def _entry_breaks(account: Account, entry: BookEntry) -> Iterator[str]:
    payment = account.payment
    if payment is not None and (entry.amount_minor, entry.currency) != (payment.amount_minor, payment.currency):
        yield (
            f"is of {money(entry.amount_minor, entry.currency)}, "
            f"its payment of {money(payment.amount_minor, payment.currency)}"
        )
    proper = _PROPER.get(entry.state)
    expected = (entry.amount_minor * proper[0], entry.amount_minor * proper[1]) if proper is not None else None
    if (entry.captured_minor, entry.refunded_minor) != expected:
        yield f"is {entry.state}, with {entry.captured_minor:,} captured and {entry.refunded_minor:,} given back"


def _ids(entries: list[BookEntry]) -> str:
    return ", ".join(f"{entry.authorization_id} {entry.state}" for entry in entries[:5])


def _states(entries: list[BookEntry]) -> str:
    return _ids(entries) or "it has no authorization"

"""docs/fairness.md has the bounds of the code, and docs/cli.md's exit codes stand beside it."""

import hashlib
import hmac
from pathlib import Path

from app.domain.audit.stock import LEDGER_KEEPS
from app.domain.draw import SEED_BYTES, Entry, commitment_of, digest_of, rank_of
from app.domain.fairness_statistics import LEAST_EXPECTED, LEAST_RANKED
from app.domain.sale import Policy
from app.services.fairness_report import UNLIKELY
from app.storage.fairness import TAIL_HALF

TEXT = " ".join((Path(__file__).resolve().parents[2] / "docs" / "fairness.md").read_text().split())


def test_the_page_has_the_bounds_of_the_code() -> None:
    assert f"(at most {TAIL_HALF:,})" in TEXT
    assert f"(fewer than {LEAST_EXPECTED:.0f} expected)" in TEXT
    assert f"from {LEAST_RANKED} of each on" in TEXT
    assert f"Below {UNLIKELY} the report says to look into it" in TEXT
    assert f"dropped it after {LEDGER_KEEPS.days} days" in TEXT


def test_the_page_says_which_policies_there_are() -> None:
    assert [policy.value for policy in Policy] == ["fcfs", "lottery"]
    assert "one of two policies: `fcfs`, *first come, first served*, or `lottery`" in TEXT


def test_the_page_has_the_rule_of_the_draw() -> None:
    entries = [Entry("a" * 36, 2), Entry("b" * 36, 1)]
    lines = "".join(f"{order_id} {units}\n" for order_id, units in entries)
    digest = hashlib.sha256(lines.encode()).hexdigest()
    assert "SHA-256 over the lines `order id`, space, `units`, line feed" in TEXT
    assert digest_of(entries).hex == digest
    seed = bytes(range(SEED_BYTES))
    assert "HMAC-SHA256, key: the seed, message: the digest's 32 bytes and the order id" in TEXT
    message = bytes.fromhex(digest) + entries[0].order_id.encode()
    assert rank_of(seed, digest, entries[0].order_id) == hmac.new(seed, message, "sha256").digest()
    assert f"a *seed*, {SEED_BYTES} random bytes; its SHA-256 is the *commitment*" in TEXT
    assert commitment_of(seed) == hashlib.sha256(seed).hexdigest()

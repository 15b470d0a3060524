"""Faults to be planted into a copy of the running code, and the rules that must be found broken by each.

An edit replaces a text that must stand in the file exactly once: a mutant that no longer applies fails its test, and is to be
planted anew. `docs/reliability.md` has the same table.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import history_money as money
import history_orders as orders
import history_replay as replay

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Edit:
    """One text of one file of `app`, and what takes its place."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A planted fault: what it does, by which workload it shows, and which rule's violation must be named."""

    name: str
    workload: str
    rule: str
    edits: Sequence[Edit]


_MUTANTS = (
    Mutant(
        "stock is taken without the guard of the shard's version",
        "one shard",
        replay.STOCK_CONSERVED,
        [
            Edit(
                "storage/stock.py",
                '    insert(transaction, "StockLedger", _LEDGER, [(*row, *tail) for row in rows])',
                "    from app.storage.rows import _buffer, _fill, _MutationPb\n"
                "    mutation = _MutationPb()\n"
                '    _fill(mutation.insert_or_update, "StockLedger", _LEDGER, [(*row, *tail) for row in rows])\n'
                "    _buffer(transaction, mutation)",
            )
        ],
    ),
    Mutant(
        "freed units are promoted in a transaction of their own, after the one that frees them",
        "one shard",
        replay.NONE_WAITS_BESIDE_STOCK,
        [
            Edit(
                "storage/settlement.py",
                "    if applied.freed and waiting_keys(transaction, sale.sale_id, 1):",
                "    if False:",
            ),
            Edit(
                "storage/settlement.py",
                "def waiting_keys(",
                "def promote_later(transaction, sale_id, database_time, writer):\n"
                "    sale, shards = find_sale(transaction, sale_id), read_shards(transaction, sale_id)\n"
                "    waiting = StoredWaitlist(transaction, sale, shards, sum(shard.available for shard in shards))\n"
                "    book = StockBook(shards)\n"
                "    promotion = share_out(sale, book, Applied(), waiting)\n"
                "    write_shards(transaction, sale_id, book.changes(), Cause.SETTLED, writer)\n"
                '    write_promotion(transaction, sale, promotion, database_time, "settlement")\n'
                "\n\ndef waiting_keys(",
            ),
            Edit(
                "services/settlement.py",
                "            clock.observe(committed)\n            return outcomes",
                "            from app.storage.settlement import promote_later\n"
                '            transact(database, "promote", promote_later, sale_id, clock.estimate, writer)\n'
                "            clock.observe(committed)\n            return outcomes",
            ),
        ],
    ),
    Mutant(
        "a cancel that is repeated releases the units again",
        "one shard",
        replay.STOCK_CONSERVED,
        [
            Edit(
                "domain/states.py",
                "    # Money that comes too late is sent back:",
                "    (Status.CANCELLED, Trigger.CANCEL): Transition(Status.CANCELLED, StockEffect.RELEASE, _RELEASED),\n"
                "    # Money that comes too late is sent back:",
            ),
            Edit(
                "domain/settlement.py",
                "        if order.status is Status.CANCELLED:\n            return None\n",
                "",
            ),
        ],
    ),
    Mutant(
        "a cancelled order's unit is not put back",
        "one shard",
        replay.STOCK_CONSERVED,
        [
            Edit(
                "domain/settlement.py",
                "        applied.freed[before.shard_id] += before.units",
                "        applied.freed[before.shard_id] += before.units - (step.trigger is Trigger.CANCEL)",
            )
        ],
    ),
    Mutant(
        "an order that is stored is not looked for before it is taken again",
        "one shard",
        orders.ONE_ORDER,
        [
            Edit(
                "domain/placement.py",
                "        for order in self.existing.get(request.customer_id, ()):\n            if order.order_id",
                "        for order in ():\n            if order.order_id",
            ),
            *(
                Edit(
                    "storage/orders.py",
                    f'        insert(transaction, "{table}", {columns}, {rows})',
                    "        from app.storage import rows as r\n"
                    "        mutation = r._MutationPb()\n"
                    f'        r._fill(mutation.insert_or_update, "{table}", {columns}, {rows})\n'
                    "        r._buffer(transaction, mutation)",
                )
                for table, columns, rows in (
                    ("Orders", "_ORDERS", "order_rows"),
                    ("OrderEvents", "EVENTS", "event_rows"),
                )
            ),
        ],
    ),
    Mutant(
        "a retry gets an order of its own",
        "one shard",
        orders.ONE_ORDER,
        [
            Edit(
                "domain/ids.py",
                '    return _uuid5(f"{sale_id}\\n{len(customer_id)}:{customer_id}\\n{idempotency_key}")',
                '    return _uuid5(f"{sale_id}\\n{len(customer_id)}:{customer_id}\\n{idempotency_key}\\n{uuid.uuid4()}")',
            )
        ],
    ),
    Mutant(
        "a key is taken with another body",
        "one shard",
        orders.OTHER_BODY,
        [
            Edit(
                "domain/placement.py",
                "                if order.fingerprint != request.fingerprint:",
                "                if False:",
            )
        ],
    ),
    Mutant(
        "the limit per customer is checked before the transaction begins",
        "many shards",
        replay.LIMIT,
        [
            Edit(
                "storage/placement.py",
                "    existing = orders_of_customers(transaction, sale_id, {request.customer_id for request in batch})",
                "    existing = SEEN[sale_id]",
            ),
            Edit("storage/placement.py", "\n\ndef place_batch(", "\n\nSEEN = {}\n\n\ndef place_batch("),
            Edit(
                "services/lane.py",
                "        conflicts = unavailable = 0\n",
                "        conflicts = unavailable = 0\n"
                "        from app.storage import placement as storage\n"
                "        from app.storage.database import snapshot\n"
                "        with snapshot(self._database) as reads:\n"
                "            customers = {request.customer_id for request in requests}\n"
                "            seen = storage.orders_of_customers(reads, self._sale_id, customers)\n"
                "        storage.SEEN[self._sale_id] = seen\n"
                "        time.sleep(0.05)\n",
            ),
        ],
    ),
    Mutant(
        "the opening is judged by the server's own clock",
        "many shards",
        replay.OPENING,
        [
            Edit(
                "domain/sale.py",
                "        if proven_time < self.opens_at:",
                "        import time\n"
                "        from datetime import UTC\n"
                "        if datetime.fromtimestamp(time.time(), UTC) < self.opens_at:",
            )
        ],
    ),
    Mutant(
        "an order's place is the server's time",
        "one server late",
        orders.REAL_TIME,
        [
            Edit(
                "storage/orders.py",
                "                number(new.seq),\n                COMMIT_TIMESTAMP,",
                "                number(new.seq),\n"
                "                moment(datetime.fromtimestamp(__import__('time').time(), request.received_at.tzinfo)),",
            )
        ],
    ),
    Mutant(
        "a shard that is short does not take stock over from the others",
        "many shards",
        replay.NONE_WAITS_BESIDE_STOCK,
        [
            Edit(
                "domain/placement.py",
                "            self.sees_all and self.book.gather(self.home, request.units)",
                "            False",
            )
        ],
    ),
    Mutant(
        "the waitlist moves up from its end",
        "one shard",
        replay.QUEUE_ORDER,
        [
            Edit(
                "storage/promotion.py",
                "    return heapq.merge(*lines, key=lambda order: order.position)",
                "    line = heapq.merge(*lines, key=lambda order: order.position)\n"
                "    return iter(sorted(line, key=lambda order: order.position, reverse=True))",
            )
        ],
    ),
    Mutant(
        "a promotion has no outbox row",
        "one shard",
        replay.OUTBOX_ROW,
        [Edit("storage/promotion.py", "    append_outbox(transaction, outbox_rows)\n", "")],
    ),
    Mutant(
        "sold out is said from a memory that never grows old",
        "sold out",
        orders.REFUSAL_RIGHT,
        [
            Edit(
                "services/placement.py",
                "        if age_ms > self._settings.sold_out_memory_ms or not isinstance(refusal, SoldOut):",
                "        if not isinstance(refusal, SoldOut):",
            ),
            Edit(
                "services/placement.py",
                "        if age_ms > self._settings.sold_out_memory_ms * LOOK_AHEAD_SHARE:\n"
                "            counter.watch.look_soon()\n",
                "",
            ),
            Edit(
                "services/watch.py",
                "            return SoldOut(as_of=self.as_of, age_ms=self.age_ms(time.monotonic()))",
                "            return SoldOut(as_of=self.as_of, age_ms=0.0)",
            ),
        ],
    ),
    Mutant(
        "an order is confirmed before it is committed",
        "killed",
        orders.NOT_LOST,
        [
            Edit(
                "services/lane.py",
                "                placement, committed = transact(\n                    self._database,",
                "                placement, committed = _answer_first(\n                    self._database,",
            ),
            Edit(
                "services/lane.py",
                "\n\ndef as_order(",
                "\n\ndef _answer_first(database, tag, work, *args):\n"
                "    import threading\n"
                "    from app.storage.database import snapshot\n"
                "    class Nothing:\n"
                "        _mutations = []\n"
                "    with snapshot(database) as reads:\n"
                "        nothing = Nothing()\n"
                "        nothing.read = reads.read\n"
                "        found = work(nothing, *args)\n"
                "        committed = args[5]\n"
                "    def later():\n"
                "        time.sleep(1.5)\n"
                "        transact(database, tag, work, *args)\n"
                "    threading.Thread(target=later, daemon=True).start()\n"
                "    return found, committed\n"
                "\n\ndef as_order(",
            ),
        ],
    ),
    Mutant(
        "the relay's cursor moves before the broker has the events",
        "broker away",
        money.EVENT_ARRIVES,
        [
            Edit(
                "services/relay.py",
                '        with event_spans(self._traces, "publish", SpanKind.PRODUCER, events, _details) as (continued, _):\n'
                "            self._sink.publish([*continued, *again])\n",
                "",
            ),
            Edit(
                "services/relay.py",
                "                del self._cursors[shard]\n            self._leases.lost()\n",
                "                del self._cursors[shard]\n            self._leases.lost()\n"
                "        self._sink.publish(events + again)\n",
            ),
        ],
    ),
    Mutant(
        "an authorization that comes after the hold's end is taken all the same",
        "late money",
        replay.TRANSITION_ALLOWED,
        [
            Edit(
                "domain/states.py",
                "    (Status.EXPIRED, Trigger.AUTHORIZE): Transition(Status.EXPIRED, StockEffect.NONE, _RELEASED),",
                "    (Status.EXPIRED, Trigger.AUTHORIZE): "
                'Transition(Status.AUTHORIZED, StockEffect.KEEP, "order.authorized"),',
            )
        ],
    ),
    Mutant(
        "an authorization of an order that has ended is not voided",
        "late money",
        money.NOT_FORGOTTEN,
        [Edit("payments/states.py", "    (State.AUTHORIZED, Wanted.VOID): Transition(State.VOIDING),\n", "")],
    ),
    Mutant(
        "the gateway is asked again under another key",
        "late money",
        money.ONE_AUTHORIZATION,
        [
            Edit(
                "payments/asking.py",
                "            outcome = self._ask_once(operation, request, key)",
                '            outcome = self._ask_once(operation, request, f"{key}:{attempt}")',
            )
        ],
    ),
)

MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in _MUTANTS}

SKEW = """\
import os
import time

_ahead = float(os.environ.get("HISTORY_CLOCK_AHEAD_SECONDS", "0"))
if _ahead:
    _time = time.time
    time.time = lambda: _time() + _ahead
"""
"""Read by every process of a copy at its start: some servers' clocks are wrong, of the mutants and of the true code alike."""


def plant(mutant: Mutant | None, folder: Path) -> None:
    """A copy of `app` in the folder, with the fault in it; every process that runs the copy says so on stderr."""
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "sitecustomize.py").write_text(SKEW)
    for edit in mutant.edits if mutant is not None else ():
        file = folder / "app" / edit.file
        text = file.read_text()
        if text.count(edit.before) != 1:
            raise AssertionError(
                f"the mutant no longer applies: {edit.file} has {text.count(edit.before)} times {edit.before!r}"
            )
        file.write_text(text.replace(edit.before, edit.after))
    name = mutant.name if mutant is not None else "nothing"
    with (folder / "app" / "__init__.py").open("a") as package:
        package.write(f"\nimport sys\n\nprint({marker(name)!r}, file=sys.stderr, flush=True)\n")


def marker(name: str) -> str:
    """What a process that runs a copy says."""
    return f"planted: {name}"

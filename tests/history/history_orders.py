"""What the clients were told, against each other and against what is stored: order taking as one line that all agree on."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence

from history_clock import Clocks
from history_records import Call, History, Violation, micros
from history_replay import Line, Replay

NOT_LOST = "a confirmed order is not lost"
ONE_ORDER = "one key has one order"
OTHER_BODY = "a key with another body is refused"
RETRY_FINDS = "a retry finds its order"
ASKED_FOR = "every order was asked for"
REFUSED_IS_REFUSED = "what was refused is not stored"
REAL_TIME = "the line agrees with real time"
UNDER_WAY = "an order is placed while it is under way"
REFUSAL_RIGHT = "nobody is refused while a unit is left"
LIMIT_RIGHT = "nobody is refused for a limit that is not reached"
OPENING_RIGHT = "the opening is judged by the database's clock"
NEVER_BACK = "what was told of an order is never taken back"

MEMORY_MS = 250
"""A refusal from memory speaks for a moment at most so long ago."""

Key = tuple[str, str]


def order_violations(history: History, replay: Replay, clock: Clocks | None) -> Iterator[Violation]:
    """Every rule about the answers."""
    by_key: dict[Key, list[Call]] = defaultdict(list)
    for call in history.places():
        by_key[call.customer, call.key].append(call)
    for calls in by_key.values():
        yield from _confirmed(calls, replay)
        yield from _one_key(calls)
        yield from _bodies(calls)
        yield from _retries(calls, clock)
        if clock is not None:
            yield from _under_way(calls, clock)
    yield from _asked_for(by_key, replay)
    yield from _real_time(by_key, replay)
    yield from _never_back(history.calls, replay)
    if clock is not None:
        yield from _refusals(history, replay, clock)


def _confirmed(calls: Sequence[Call], replay: Replay) -> Iterator[Violation]:
    for call in calls:
        if not call.is_yes:
            continue
        line = replay.orders.get(call.told_id)
        if line is None or line.row["CustomerId"] != call.customer:
            yield Violation(NOT_LOST, f"{call} was told order {call.told_id}, which is not stored")
            continue
        told = (call.told_position, call.body["units"], call.body["unit_price_minor"])
        stored = (line.position, line.units, line.row["UnitPriceMinor"])
        if told != stored:
            yield Violation(NOT_LOST, f"{call} was told {told}, and {stored} is stored")
        if call.body["units"] != call.units:
            yield Violation(NOT_LOST, f"{call} was given {call.body['units']} units")


def _one_key(calls: Sequence[Call]) -> Iterator[Violation]:
    yes = [call for call in calls if call.is_yes]
    ids = {call.told_id for call in yes}
    if len(ids) > 1:
        yield Violation(ONE_ORDER, f"{calls[0].customer} with key {calls[0].key} was told orders {sorted(ids)}")
    if sum(call.status == 201 for call in yes) > 1:
        yield Violation(ONE_ORDER, f"{calls[0].customer} with key {calls[0].key} was told twice that the order is new")


def _bodies(calls: Sequence[Call]) -> Iterator[Violation]:
    if len({call.wish for call in calls if call.is_yes}) > 1:
        yield Violation(OTHER_BODY, f"{calls[0].customer}, key {calls[0].key}: two bodies were both taken")
    for call in calls:
        is_alone = all(other.wish == call.wish for other in calls)
        if call.problem == "idempotency-key-reused" and is_alone:
            yield Violation(OTHER_BODY, f"{call} was refused for another body, and never had one")


def _retries(calls: Sequence[Call], clock: Clocks | None) -> Iterator[Violation]:
    first = min((call for call in calls if call.is_yes), key=lambda call: call.answered_ns or 0, default=None)
    if first is None or first.answered_ns is None:
        return
    for call in calls:
        is_later = call.sent_ns > first.answered_ns and call.is_known and not _is_early_memory(call, first, clock)
        if is_later and call.wish == first.wish and not call.is_yes:
            yield Violation(
                RETRY_FINDS, f"{call} was answered {call.status} {call.problem}, after {first.number} had its order"
            )
        elif is_later and call.wish != first.wish and call.problem != "idempotency-key-reused":
            yield Violation(
                OTHER_BODY, f"{call} was answered {call.status} {call.problem}, after {first.number} of another body"
            )


def _is_early_memory(call: Call, first: Call, clock: Clocks | None) -> bool:
    """Whether a "sold out" speaks for a moment before the order was placed, and may: another process may still remember it so."""
    placed_at = first.told_position[0]
    return (
        call.problem == "sold-out"
        and micros(call.body.get("as_of") or "9999-01-01T00:00:00+00:00") < placed_at
        and clock is not None
        and clock.earliest(call.sent_ns) - MEMORY_MS * 1000 <= placed_at
    )


def _under_way(calls: Sequence[Call], clock: Clocks) -> Iterator[Violation]:
    """An order's place is a moment between the first sending of its request and its first answer."""
    yes = [call for call in calls if call.is_yes and call.answered_ns is not None]
    if not yes:
        return
    placed_at = yes[0].told_position[0]
    sent = clock.earliest(min(call.sent_ns for call in calls))
    answered = clock.latest(min(call.answered_ns or 0 for call in yes))
    if not sent <= placed_at <= answered:
        yield Violation(UNDER_WAY, f"{yes[0]} was placed at {placed_at}, and was under way from {sent} to {answered}")


def _asked_for(by_key: dict[Key, list[Call]], replay: Replay) -> Iterator[Violation]:
    """Each stored order of our customers is a confirmed one, or one of a key of which the outcome is unknown."""
    told = {call.told_id for calls in by_key.values() for call in calls if call.is_yes}
    stored: dict[str, list[Line]] = defaultdict(list)
    for order_id, line in replay.orders.items():
        if order_id not in told:
            stored[line.row["CustomerId"]].append(line)
    keys: dict[str, list[list[Call]]] = defaultdict(list)
    for (customer, _), calls in by_key.items():
        keys[customer].append(calls)
    for customer in keys.keys() & stored.keys():
        open_keys = [calls for calls in keys[customer] if not any(call.is_yes for call in calls)]
        for line in stored[customer]:
            match = next((calls for calls in open_keys if _may_have_made(calls, line)), None)
            if match is not None:
                open_keys.remove(match)
            elif any(call.units == line.units for calls in open_keys for call in calls):
                yield Violation(
                    REFUSED_IS_REFUSED, f"{line} is stored, and every call that could have made it was refused"
                )
            else:
                yield Violation(ASKED_FOR, f"{line} is stored, and nobody asked for it, or not twice")


def _may_have_made(calls: Sequence[Call], line: Line) -> bool:
    return any(call.may_have_acted and call.units == line.units for call in calls)


def _real_time(by_key: dict[Key, list[Call]], replay: Replay) -> Iterator[Violation]:
    """An order that was confirmed before another was first sent stands before it."""
    answered: list[tuple[int, Line]] = []
    sent: list[tuple[int, Line]] = []
    for calls in by_key.values():
        yes = [call for call in calls if call.is_yes and call.told_id in replay.orders]
        if yes:
            line = replay.orders[yes[0].told_id]
            sent.append((min(call.sent_ns for call in calls), line))
            answered.append((min(call.answered_ns or 0 for call in yes), line))
    answered.sort(key=lambda pair: pair[0])
    furthest: list[Line] = []
    for _, line in answered:
        furthest.append(max(line, furthest[-1], key=lambda each: each.position) if furthest else line)
    times = [moment for moment, _ in answered]
    for moment, line in sent:
        place = bisect_right(times, moment - 1)
        if place and furthest[place - 1].position > line.position:
            yield Violation(REAL_TIME, f"{line} stands before {furthest[place - 1]}, confirmed before it was sent")


def _never_back(calls: Sequence[Call], replay: Replay) -> Iterator[Violation]:
    """What was told of an order was so at that event; later calls are not told of an earlier one; a cancel that was done is."""
    told: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.is_yes:
            told[call.told_id].append(call)
    for order_id, own in told.items():
        line = replay.orders.get(order_id)
        if line is None:
            continue
        for call in own:
            seq = call.body["event_seq"]
            if seq > len(line.history) or line.history[seq - 1][1] != call.body["status"]:
                yield Violation(
                    NEVER_BACK, f"{call}: told {call.body['status']} at event {seq}, which {line} never was"
                )
            if call.op == "cancel" and call.body["status"] != "CANCELLED":
                yield Violation(NEVER_BACK, f"{call} was answered {call.status}, and {line} is {call.body['status']}")
        own.sort(key=lambda call: call.answered_ns or 0)
        times = [call.answered_ns or 0 for call in own]
        highest: list[int] = []
        for call in own:
            highest.append(max(call.body["event_seq"], highest[-1] if highest else 0))
        for call in own:
            place = bisect_right(times, call.sent_ns - 1)
            # A new order's own answer tells its first event, however late it comes.
            if place and call.status != 201 and call.body["event_seq"] < highest[place - 1]:
                yield Violation(NEVER_BACK, f"{call}: told event {call.body['event_seq']} after {highest[place - 1]}")


def _refusals(history: History, replay: Replay, clock: Clocks) -> Iterator[Violation]:
    sale = history.sale
    times = [moment.at for moment in replay.moments]
    for call in history.places():
        if call.answered_ns is None:
            continue
        begin, end = clock.earliest(call.sent_ns), clock.latest(call.answered_ns)
        if call.is_yes and end < sale["OpensAt"]:
            yield Violation(OPENING_RIGHT, f"{call} was taken {sale['OpensAt'] - end} µs before the opening")
        elif call.problem == "sale-not-open" and begin > sale["OpensAt"] + MEMORY_MS * 1000:
            yield Violation(OPENING_RIGHT, f"{call} was refused {begin - sale['OpensAt']} µs after the opening")
        elif call.problem == "sold-out":
            if call.body["age_ms"] > MEMORY_MS:
                yield Violation(REFUSAL_RIGHT, f"{call} was told sold out from a memory {call.body['age_ms']} ms old")
            first = max(0, bisect_right(times, begin - MEMORY_MS * 1000) - 1)
            seen = replay.moments[first : bisect_right(times, end)]
            if not any(m.available < call.units and m.waiting >= sale["WaitlistLimit"] for m in seen):
                at_most = min((m.available for m in seen), default=None)
                yield Violation(
                    REFUSAL_RIGHT,
                    f"{call} was told sold out, and at no moment that it may speak of were fewer than {at_most} left",
                )
        elif call.problem == "limit-exceeded":
            spans = replay.live_units.get(call.customer, [])
            first = max(0, bisect_right([at for at, _ in spans], begin) - 1)
            seen_units = [units for at, units in spans[first:] if at <= end]
            if not any(units + call.units > sale["LimitPerCustomer"] for units in seen_units or [0]):
                yield Violation(
                    LIMIT_RIGHT, f"{call} was refused, and {call.customer} had {max(seen_units, default=0)} live units"
                )

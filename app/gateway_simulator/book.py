"""The simulator's book: every authorization and every answer, in one SQLite file that outlives a `kill -9`."""

import hashlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

PAGE_ROWS = 500
BUSY_SECONDS = 10.0

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS authorizations (
        authorization_id TEXT PRIMARY KEY, order_id TEXT NOT NULL, payment_method TEXT NOT NULL, state TEXT NOT NULL,
        amount_minor INTEGER NOT NULL CHECK (amount_minor > 0), currency TEXT NOT NULL,
        captured_minor INTEGER NOT NULL DEFAULT 0 CHECK (captured_minor IN (0, amount_minor)),
        refunded_minor INTEGER NOT NULL DEFAULT 0 CHECK (refunded_minor IN (0, captured_minor)), reason TEXT);
    CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY, request BLOB NOT NULL, status INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS tries (key TEXT PRIMARY KEY, tries INTEGER NOT NULL);
"""
_COLUMNS = (
    "authorization_id",
    "order_id",
    "payment_method",
    "state",
    "amount_minor",
    "currency",
    "captured_minor",
    "refunded_minor",
    "reason",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP status and a body."""

    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One request: the operation, the authorization (empty: a new one) and the body's fields."""

    operation: str
    authorization_id: str
    fields: Mapping[str, Any]

    @property
    def fingerprint(self) -> bytes:
        """The same for the same request only."""
        whole = [self.operation, self.authorization_id, dict(self.fields)]
        return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).digest()


class Book:
    """Thread-safe; several processes may share a file."""

    def __init__(self, path: str) -> None:
        """Open the file, or make it."""
        self._path = path
        self._lock = threading.Lock()
        self._connection = _open(path)
        self._connection.executescript(_SCHEMA)

    def count_try(self, key: str) -> int:
        """The number of this try of the key, from 1."""
        sql = "INSERT INTO tries VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET tries = tries + 1 RETURNING tries"
        with self._lock:
            count: int = self._connection.execute(sql, [key]).fetchone()[0]
            return count

    def perform(self, key: str, instruction: Instruction, declined: Callable[[str], str | None]) -> Reply:
        """Do what is asked, once a key; a key that was used for something else is refused (409).

        `declined` says of a payment method why the operation is declined. All in one transaction.
        """
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                reply = self._answered(key, instruction)
                if reply is None:
                    reply = self._apply(key, instruction, declined)
                    self._keep(key, instruction, reply)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
            return reply

    def entries(self) -> Iterator[dict[str, Any]]:
        """Every authorization there is or was asked for, by id, in pages: a reader holds up nobody."""
        sql = (
            f"SELECT {', '.join(_COLUMNS)} FROM authorizations WHERE authorization_id > ? ORDER BY 1 LIMIT {PAGE_ROWS}"  # noqa: S608  # constants
        )
        last = ""
        while True:
            with self._lock:
                rows = self._connection.execute(sql, [last]).fetchall()
            for row in rows:
                yield dict(zip(_COLUMNS, row, strict=True))
            if len(rows) < PAGE_ROWS:
                return
            last = rows[-1][0]

    def _answered(self, key: str, instruction: Instruction) -> Reply | None:
        row = self._connection.execute("SELECT request, status, body FROM answers WHERE key = ?", [key]).fetchone()
        if row is None:
            return None
        if row[0] != instruction.fingerprint:
            return Reply(409, {"reason": "key_reused"})
        return Reply(row[1], orjson.loads(row[2]))

    def _keep(self, key: str, instruction: Instruction, reply: Reply) -> None:
        values = [key, instruction.fingerprint, reply.status, orjson.dumps(reply.body).decode()]
        self._connection.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", values)

    def _apply(self, key: str, instruction: Instruction, declined: Callable[[str], str | None]) -> Reply:
        if instruction.operation == "authorize":
            return self._authorize(key, instruction.fields, declined)
        sql = "SELECT payment_method, state, amount_minor, currency FROM authorizations WHERE authorization_id = ?"
        row = self._connection.execute(sql, [instruction.authorization_id]).fetchone()
        if row is None:
            return Reply(404, {"reason": "no_such_authorization"})
        payment_method, state, amount_minor, currency = row
        if (instruction.fields["amount_minor"], instruction.fields["currency"]) != (amount_minor, currency):
            return Reply(422, {"reason": "amount_differs"})
        return self._operate(instruction, state, declined(payment_method))

    def _authorize(self, key: str, fields: Mapping[str, Any], declined: Callable[[str], str | None]) -> Reply:
        authorization_id = "auth_" + hashlib.sha256(key.encode()).hexdigest()[:24]
        reason = declined(fields["payment_method"])
        state = "declined" if reason else "authorized"
        names = ("order_id", "payment_method", "amount_minor", "currency")
        self._connection.execute(
            "INSERT INTO authorizations (authorization_id, state, reason, order_id, payment_method, amount_minor, currency)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            [authorization_id, state, reason, *(fields[name] for name in names)],
        )
        return Reply(402, {"reason": reason}) if reason else Reply(201, {"authorization_id": authorization_id})

    def _operate(self, instruction: Instruction, state: str, declined: str | None) -> Reply:
        done, changes = {
            "capture": ("captured", "captured_minor = amount_minor"),
            "void": ("voided", ""),
            "refund": ("refunded", "refunded_minor = captured_minor"),
        }[instruction.operation]
        takes = "captured" if instruction.operation == "refund" else "authorized"
        if state not in (takes, done):
            return Reply(402, {"reason": f"is_{state}"})
        if declined is not None:
            return Reply(402, {"reason": declined})
        if state == takes:
            self._connection.execute(
                f"UPDATE authorizations SET state = ?{', ' + changes if changes else ''} WHERE authorization_id = ?",  # noqa: S608  # constants
                [done, instruction.authorization_id],
            )
        return Reply(201, {"authorization_id": instruction.authorization_id})


def _open(path: str) -> sqlite3.Connection:
    """A connection whose commits the process cannot lose by dying: with a write-ahead log they are the operating system's."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection

"""People who call the service, sales for them to call about, and what the tests read off answers and the database."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from flask.testing import FlaskClient
from google.cloud.spanner_v1 import KeySet
from sale_samples import put_up, sale_terms
from werkzeug.test import TestResponse

from app.domain.sale import Sale
from app.http.local_issuer import LocalIssuer
from app.http.problems import TYPE_PREFIX
from app.storage.database import FairdropDatabase, snapshot

CARD = "tok_visa"


LIFETIME_SECONDS = 30 * 24 * 3600
"""Tokens are judged by the database's clock, which some tests put forward."""


@dataclass
class Caller:
    """Somebody who calls the service with one token (or with none)."""

    client: FlaskClient
    token: str | None
    headers: dict[str, str] = field(default_factory=dict)

    def call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> TestResponse:
        """One request; `key` is its Idempotency-Key."""
        headers = {**self.headers, **options.pop("headers", {})}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """Read something."""
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        """Do something."""
        return self.call("POST", path, **options)

    def order(self, sale: Sale, key: str = "key", units: Any = 1, **fields: Any) -> TestResponse:
        """Place an order."""
        return self.post(f"/v1/sales/{sale.sale_id}/orders", key=key, json={"units": units, **fields})


@dataclass
class Shop:
    """The service in this process, its issuer and its database."""

    client: FlaskClient
    issuer: LocalIssuer
    database: FairdropDatabase

    @cached_property
    def tables(self) -> list[tuple[str, list[str]]]:
        """Every table with its columns."""
        query = (
            "SELECT TABLE_NAME, ARRAY_AGG(COLUMN_NAME) FROM INFORMATION_SCHEMA.COLUMNS "
            "WHERE TABLE_SCHEMA = '' GROUP BY TABLE_NAME"
        )
        with snapshot(self.database) as reads:
            return [(name, columns) for name, columns in reads.execute_sql(query)]

    def buyer(self, customer_id: str = "") -> Caller:
        """A customer; a new one, unless an id is given."""
        return Caller(
            self.client,
            self.issuer.token(customer_id or f"customer-{uuid.uuid4().hex[:12]}", lifetime_seconds=LIFETIME_SECONDS),
        )

    @property
    def seller(self) -> Caller:
        """A seller."""
        return Caller(self.client, self.issuer.token("seller", ("seller",), LIFETIME_SECONDS))

    @property
    def passer_by(self) -> Caller:
        """Somebody without a token."""
        return Caller(self.client, None)

    def put_up(self, **terms: Any) -> Sale:
        """A sale in the database: free, open since an hour ago, no waitlist, unless the terms say otherwise."""
        return put_up(self.database, **{**self.terms(), **terms})

    @staticmethod
    def terms() -> dict[str, Any]:
        """Terms of a sale of its own id, as `put_up` takes them."""
        return sale_terms(shard_count=2)

    def contents(self) -> Mapping[str, list[Any]]:
        """Every row of every table."""
        with snapshot(self.database) as reads:
            return {name: list(reads.read(name, columns, KeySet(all_=True))) for name, columns in self.tables}

    @contextmanager
    def nothing_written(self) -> Iterator[None]:
        """The block must leave every table as it was."""
        before = self.contents()
        assert len(before) > 5
        yield
        assert self.contents() == before


def problem(response: TestResponse, status: int, name: str) -> dict[str, Any]:
    """The members of a problem, which the answer must be."""
    assert response.content_type == "application/problem+json", (response.status, response.text)
    body: dict[str, Any] = response.json
    assert (response.status_code, body["type"]) == (status, TYPE_PREFIX + name), body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert response.headers["Cache-Control"] == "no-store"
    return body


def broken_rule(response: TestResponse) -> tuple[str, str]:
    """The field and the rule of an invalid-request problem."""
    body = problem(response, 400, "invalid-request")
    return body["field"], body["rule"]

"""The same order as others would take it: Flask on PostgreSQL, and Flask on Redis; loaded by gunicorn in the same worker.

Both check the same token, key and body and give the same answer, keep the limit and find a retry's order, and write the order, its
first event and its outbox row. Each is written as a good engineer would: on PostgreSQL a transaction an order in one round trip
(a stored function), the counter in shards, a pool of connections; on Redis one Lua script and an append-only file. What they do
not have is said in docs/reliability.md.
"""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import redis
from flask import Flask, Response
from gevent.queue import Queue

from app.bench.contenders import app_with_sale, asked_for
from app.domain.errors import FairdropError, IdempotencyKeyReused, LimitExceeded, SoldOut
from app.domain.orders import Order, OrderRequest
from app.domain.states import Status
from app.http.orders import order_body
from app.http.problems import error_response
from app.http.responses import json_response
from app.http.tokens import TokenVerifier
from app.services.claim_keys import DEVELOPMENT_KEY, ClaimKeys
from app.settings import load_settings

ADDRESS_VARIABLE = "FAIRDROP_BENCH_PEER"

STOCK_SHARDS = 64
STOCK_PER_SHARD = 10**6
LIMIT_PER_CUSTOMER = 1_000
"""The bench asks the same buyers again."""

CONNECTIONS = 32
"""Of a worker to PostgreSQL: past some tens a second core has nothing more to give (8, 16, 32 and 64 were tried)."""

HOLD = timedelta(seconds=3600)
PRICE_MINOR = 49_900
CURRENCY = "EUR"

POSTGRES_SCHEMA = f"""
CREATE TABLE stock_shards (shard_id int PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0)) WITH (fillfactor = 10);
INSERT INTO stock_shards SELECT s, {STOCK_PER_SHARD} FROM generate_series(0, {STOCK_SHARDS - 1}) s;
CREATE TABLE orders (
  customer_id text, order_id uuid, status text NOT NULL, units int NOT NULL, unit_price_minor bigint NOT NULL,
  currency text NOT NULL, shard_id int NOT NULL, seq bigint GENERATED ALWAYS AS IDENTITY, placed_at timestamptz NOT NULL,
  received_at timestamptz NOT NULL, fingerprint text NOT NULL, payment_method text, due_at timestamptz,
  event_seq int NOT NULL, PRIMARY KEY (customer_id, order_id));
CREATE TABLE order_events (
  order_id uuid, event_seq int, status text NOT NULL, trigger text NOT NULL, committed_at timestamptz NOT NULL,
  PRIMARY KEY (order_id, event_seq));
CREATE TABLE outbox (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id uuid NOT NULL, event_seq int NOT NULL,
  event_type text NOT NULL, payload text NOT NULL);
CREATE FUNCTION place_order(
  customer text, id uuid, wanted int, print text, method text, received timestamptz, shard int,
  OUT place bigint, OUT at timestamptz, OUT earlier text) AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(customer, 0));
  SELECT seq, placed_at, fingerprint INTO place, at, earlier FROM orders WHERE customer_id = customer AND order_id = id;
  IF FOUND THEN RETURN; END IF;
  IF (SELECT coalesce(sum(units), 0) FROM orders WHERE customer_id = customer AND status IN ('PENDING', 'AUTHORIZED', 'PLACED'))
     + wanted > {LIMIT_PER_CUSTOMER} THEN place := -1; RETURN; END IF;
  INSERT INTO orders (customer_id, order_id, status, units, unit_price_minor, currency, shard_id, placed_at, received_at,
                      fingerprint, payment_method, due_at, event_seq)
  VALUES (customer, id, 'PENDING', wanted, {PRICE_MINOR}, '{CURRENCY}', shard, clock_timestamp(), received, print, method,
          clock_timestamp() + interval '1 hour', 1) RETURNING seq, placed_at INTO place, at;
  INSERT INTO order_events VALUES (id, 1, 'PENDING', 'reserve', at);
  INSERT INTO outbox (order_id, event_seq, event_type, payload) VALUES (id, 1, 'order.reserved',
    json_build_object('customer', customer, 'units', wanted, 'payment_method', method)::text);
  -- Last, so that the shard's row is locked for no longer than the commit takes.
  UPDATE stock_shards SET available = available - wanted WHERE shard_id = shard AND available >= wanted;
  IF NOT FOUND THEN RAISE EXCEPTION 'sold out'; END IF;
END $$ LANGUAGE plpgsql;
"""  # noqa: S608  # of constants only

REDIS_SCRIPT = f"""
local order, customer, shard = 'order:' .. ARGV[2], 'customer:' .. ARGV[1], ARGV[7]
local earlier = redis.call('HMGET', order, 'seq', 'at', 'fingerprint')
if earlier[1] then return earlier end
local units = tonumber(ARGV[3])
if tonumber(redis.call('GET', customer) or '0') + units > {LIMIT_PER_CUSTOMER} then return {{-1}} end
local left = tonumber(redis.call('HGET', 'stock', shard) or '{STOCK_PER_SHARD}')
if left < units then return {{-2}} end
local seq, now = redis.call('INCR', 'seq'), redis.call('TIME')
local at = now[1] .. string.format('%06d', now[2])
redis.call('HSET', 'stock', shard, left - units)
redis.call('INCRBY', customer, units)
redis.call('HSET', order, 'seq', seq, 'at', at, 'fingerprint', ARGV[4], 'customer', ARGV[1], 'status', 'PENDING',
  'units', units, 'price', {PRICE_MINOR}, 'currency', '{CURRENCY}', 'shard', shard, 'received', ARGV[6], 'method', ARGV[5],
  'event_seq', 1)
redis.call('RPUSH', 'events:' .. ARGV[2], 'PENDING|reserve|' .. at)
redis.call('XADD', 'outbox', '*', 'order', ARGV[2], 'seq', 1, 'type', 'order.reserved', 'payload',
  cjson.encode({{customer = ARGV[1], units = units, payment_method = ARGV[5]}}))
return {{seq, at, false}}
"""

Place = Callable[[OrderRequest, int], tuple[int, datetime, bool]]
"""From a request and a stock shard to the place in line, when, and whether it was there already."""


def postgres() -> Flask:
    """A transaction an order on PostgreSQL."""
    pool: Queue[psycopg.Connection[Any]] = Queue()
    for _ in range(CONNECTIONS):
        pool.put(psycopg.connect(os.environ[ADDRESS_VARIABLE], autocommit=True))

    def place(wanted: OrderRequest, shard: int) -> tuple[int, datetime, bool]:
        connection = pool.get()
        try:
            row = connection.execute(
                "SELECT place, at, earlier FROM place_order(%s, %s, %s, %s, %s, %s, %s)",
                (
                    wanted.customer_id,
                    wanted.order_id,
                    wanted.units,
                    wanted.fingerprint,
                    wanted.payment_method,
                    wanted.received_at,
                    shard,
                ),
            ).fetchone()
        except psycopg.errors.RaiseException as error:
            raise SoldOut(as_of=datetime.now(UTC), age_ms=0.0) from error
        finally:
            pool.put(connection)
        if row is None:
            raise AssertionError("a function answered with no row")
        return _judged(wanted, row[0], row[1], row[2])

    return _app("postgres", place)


def redis_lua() -> Flask:
    """One script an order on Redis."""
    client = redis.Redis.from_url(os.environ[ADDRESS_VARIABLE], max_connections=CONNECTIONS * 16)
    script = client.register_script(REDIS_SCRIPT)

    def place(wanted: OrderRequest, shard: int) -> tuple[int, datetime, bool]:
        answer: Any = script(
            args=[
                wanted.customer_id,
                wanted.order_id,
                wanted.units,
                wanted.fingerprint,
                wanted.payment_method or "",
                wanted.received_at.isoformat(),
                shard,
            ]
        )
        if int(answer[0]) == -2:  # noqa: PLR2004 - the script's word for it
            raise SoldOut(as_of=datetime.now(UTC), age_ms=0.0)
        at = datetime.fromtimestamp(int(answer[1]) / 1e6, UTC) if len(answer) > 1 else datetime.now(UTC)
        earlier = answer[2].decode() if len(answer) > 2 and answer[2] else None  # noqa: PLR2004 - third: the fingerprint
        return _judged(wanted, int(answer[0]), at, earlier)

    return _app("redis", place)


def _judged(wanted: OrderRequest, place: int, at: datetime, earlier: str | None) -> tuple[int, datetime, bool]:
    if place == -1:
        raise LimitExceeded(limit=LIMIT_PER_CUSTOMER, live_units=LIMIT_PER_CUSTOMER, units=wanted.units)
    if earlier is not None and earlier != wanted.fingerprint:
        raise IdempotencyKeyReused(order_id=wanted.order_id)
    return place, at, earlier is not None


def _app(name: str, place: Place) -> Flask:
    verifier = TokenVerifier(load_settings())
    app, claims = app_with_sale(name), ClaimKeys(DEVELOPMENT_KEY)

    @app.post("/v1/sales/<sale_id>/orders")
    def order(sale_id: str) -> Response:
        wanted = asked_for(verifier, sale_id)
        shard = int(wanted.order_id[:4], 16) % STOCK_SHARDS
        try:
            seq, at, replayed = place(wanted, shard)
        except FairdropError as error:
            return error_response(error)
        taken = Order(
            wanted.customer_id,
            sale_id,
            wanted.order_id,
            Status.PENDING,
            wanted.units,
            PRICE_MINOR,
            CURRENCY,
            shard,
            seq,
            at,
            wanted.fingerprint,
            at + HOLD,
        )
        location = ("Location", f"/v1/sales/{sale_id}/orders/{wanted.order_id}")
        return json_response(order_body(taken, claims), 200 if replayed else 201, location)

    return app

-- Payments, and the outbox, cursors and leases of the payment service. The order service never reads these tables.

CREATE TABLE Payments (
  OrderId          STRING(36) NOT NULL,
  SaleId           STRING(64) NOT NULL,
  CustomerId       STRING(128) NOT NULL,
  AmountMinor      INT64 NOT NULL,
  Currency         STRING(3) NOT NULL,
  -- The gateway's token; NULL when only a release has been heard of.
  PaymentMethod    STRING(256),
  -- The furthest that the order service has asked for: AUTHORIZE, CAPTURE or VOID. It only grows.
  Wanted           STRING(16) NOT NULL,
  State            STRING(16) NOT NULL,
  -- The gateway's name of the authorization.
  GatewayReference STRING(128),
  -- Why the gateway last said no.
  Reason           STRING(200),
  OutboxShard      INT64 NOT NULL,
  -- The number of the payment's newest row in Outbox; 0 before the first.
  EventSeq         INT64 NOT NULL,
  -- Since when the gateway owes an answer, or a person must look; NULL when neither is so.
  OpenSince        TIMESTAMP OPTIONS (allow_commit_timestamp = true),
  CreatedAt        TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  UpdatedAt        TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  CONSTRAINT AmountIsPositive CHECK (AmountMinor > 0),
) PRIMARY KEY (OrderId);

CREATE NULL_FILTERED INDEX PaymentsByOpenSince ON Payments (OutboxShard, OpenSince);

-- A log, not a queue: relays read it by cursor and never delete.
CREATE TABLE Outbox (
  OutboxShard INT64 NOT NULL,
  CreatedAt   TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  OrderId     STRING(36) NOT NULL,
  EventSeq    INT64 NOT NULL,
  EventType   STRING(40) NOT NULL,
  -- JSON text.
  Payload     STRING(MAX) NOT NULL,
) PRIMARY KEY (OutboxShard, CreatedAt, OrderId, EventSeq),
  ROW DELETION POLICY (OLDER_THAN(CreatedAt, INTERVAL 7 DAY));

-- The last row that was published, a shard.
CREATE TABLE OutboxCursors (
  OutboxShard INT64 NOT NULL,
  CreatedAt   TIMESTAMP,
  OrderId     STRING(36),
  EventSeq    INT64,
  Published   INT64 NOT NULL,
  UpdatedAt   TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (OutboxShard);

-- Who does what only one process may do; times by the database's clock.
CREATE TABLE Leases (
  Name      STRING(100) NOT NULL,
  Holder    STRING(80) NOT NULL,
  Until     TIMESTAMP NOT NULL,
  UpdatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (Name);

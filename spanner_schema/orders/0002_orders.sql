-- Orders, the history of each, and the outbox.

CREATE TABLE Orders (
  CustomerId     STRING(128) NOT NULL,
  SaleId         STRING(64) NOT NULL,
  -- UUIDv5 of sale, customer and idempotency key: a retry meets its own row.
  OrderId        STRING(36) NOT NULL,
  Status         STRING(16) NOT NULL,
  Units          INT64 NOT NULL,
  UnitPriceMinor INT64 NOT NULL,
  Currency       STRING(3) NOT NULL,
  -- (PlacedAt, ShardId, Seq) is the queue position; it never changes.
  ShardId        INT64 NOT NULL,
  Seq            INT64 NOT NULL,
  PlacedAt       TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  -- The server's clock, only to report on.
  ReceivedAt     TIMESTAMP NOT NULL,
  Fingerprint    STRING(64) NOT NULL,
  PaymentMethod  STRING(256),
  -- When the next timed step is due (the hold's deadline, the capture); NULL when none is.
  DueAt          TIMESTAMP,
  -- Equal to PlacedAt while the order waits, else NULL.
  WaitlistedAt   TIMESTAMP OPTIONS (allow_commit_timestamp = true),
  -- The number of the order's newest row in OrderEvents.
  EventSeq       INT64 NOT NULL,
  UpdatedAt      TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (CustomerId, SaleId, OrderId);

CREATE NULL_FILTERED INDEX OrdersByDueAt ON Orders (SaleId, ShardId, DueAt);

CREATE NULL_FILTERED INDEX OrdersByWaitlistedAt ON Orders (SaleId, ShardId, WaitlistedAt, Seq) STORING (Units);

CREATE INDEX OrdersByPlacedAt ON Orders (SaleId, ShardId, PlacedAt, Seq);

CREATE TABLE OrderEvents (
  CustomerId  STRING(128) NOT NULL,
  SaleId      STRING(64) NOT NULL,
  OrderId     STRING(36) NOT NULL,
  EventSeq    INT64 NOT NULL,
  -- The status the order has from this event on.
  Status      STRING(16) NOT NULL,
  Trigger     STRING(24) NOT NULL,
  Actor       STRING(140) NOT NULL,
  Reason      STRING(200),
  CommittedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (CustomerId, SaleId, OrderId, EventSeq),
  INTERLEAVE IN PARENT Orders ON DELETE CASCADE;

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

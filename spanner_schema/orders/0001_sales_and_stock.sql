-- A sale, its policy and its sharded stock counter.

CREATE TABLE Sales (
  SaleId              STRING(64) NOT NULL,
  Name                STRING(200) NOT NULL,
  -- SCHEDULED (takes orders between OpensAt and ClosesAt), PAUSED, CLOSED.
  State               STRING(16) NOT NULL,
  Policy              STRING(16) NOT NULL,
  UnitPriceMinor      INT64 NOT NULL,
  Currency            STRING(3) NOT NULL,
  Stock               INT64 NOT NULL,
  ShardCount          INT64 NOT NULL,
  LimitPerCustomer    INT64 NOT NULL,
  WaitlistLimit       INT64 NOT NULL,
  ExpectedCrowd       INT64 NOT NULL,
  OpensAt             TIMESTAMP NOT NULL,
  ClosesAt            TIMESTAMP NOT NULL,
  HoldSeconds         INT64 NOT NULL,
  CancelWindowSeconds INT64 NOT NULL,
  CreatedAt           TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  UpdatedAt           TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  CONSTRAINT SaleStockIsNotNegative CHECK (Stock >= 0),
  CONSTRAINT SaleOpensBeforeItCloses CHECK (OpensAt < ClosesAt),
) PRIMARY KEY (SaleId);

-- The counter. Whoever changes a row also inserts the StockLedger row of the next Version.
CREATE TABLE StockShards (
  SaleId    STRING(64) NOT NULL,
  ShardId   INT64 NOT NULL,
  Version   INT64 NOT NULL,
  Allocated INT64 NOT NULL,
  Available INT64 NOT NULL,
  -- Waitlisted orders homed on this shard.
  Waiting   INT64 NOT NULL,
  CONSTRAINT AvailableIsWithinAllocated CHECK (Available >= 0 AND Available <= Allocated),
  CONSTRAINT WaitingIsNotNegative CHECK (Waiting >= 0),
) PRIMARY KEY (SaleId, ShardId),
  INTERLEAVE IN PARENT Sales ON DELETE CASCADE;

-- Every state a shard was ever in, one row a commit. Its primary key is the guard of the hot path: a commit computed from
-- Version v inserts row v + 1, and so fails, whole, when somebody else changed the shard first.
CREATE TABLE StockLedger (
  SaleId      STRING(64) NOT NULL,
  ShardId     INT64 NOT NULL,
  Version     INT64 NOT NULL,
  Allocated   INT64 NOT NULL,
  Available   INT64 NOT NULL,
  Waiting     INT64 NOT NULL,
  -- created, placed, moved (stock taken over by another shard), restocked, sale_changed.
  Cause       STRING(16) NOT NULL,
  WrittenBy   STRING(64) NOT NULL,
  CommittedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (SaleId, ShardId, Version),
  ROW DELETION POLICY (OLDER_THAN(CommittedAt, INTERVAL 90 DAY));

-- A restock is applied in bounded steps; DoneUnits says how far it came, so that a retry goes on and never adds twice.
CREATE TABLE Restocks (
  SaleId    STRING(64) NOT NULL,
  RestockId STRING(36) NOT NULL,
  Units     INT64 NOT NULL,
  DoneUnits INT64 NOT NULL,
  CreatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  UpdatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  CONSTRAINT RestockIsWithinItsUnits CHECK (DoneUnits >= 0 AND DoneUnits <= Units),
) PRIMARY KEY (SaleId, RestockId),
  INTERLEAVE IN PARENT Sales ON DELETE CASCADE;

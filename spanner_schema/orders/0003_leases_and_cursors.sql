-- How far the relay has published each shard of the outbox, and who does what only one process may do.

-- The last row that was published, a shard. Kept by the relay, which never deletes from the outbox.
CREATE TABLE OutboxCursors (
  OutboxShard INT64 NOT NULL,
  CreatedAt   TIMESTAMP,
  OrderId     STRING(36),
  EventSeq    INT64,
  -- Rows published so far, repeats not counted.
  Published   INT64 NOT NULL,
  UpdatedAt   TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (OutboxShard);

-- Times by the database's clock.
CREATE TABLE Leases (
  Name      STRING(100) NOT NULL,
  Holder    STRING(80) NOT NULL,
  Until     TIMESTAMP NOT NULL,
  UpdatedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (Name);

-- The lottery: what a sale commits itself to before the first entry, the seed that nobody may know before the draw, and the place
-- that the draw gives each entry.

CREATE TABLE Draws (
  SaleId        STRING(64) NOT NULL,
  -- COMMITTED (entries may come), SEALED (none come or go any more), DRAWING, DRAWN.
  State         STRING(16) NOT NULL,
  -- SHA-256 of the seed, hexadecimal; public from the sale's creation on.
  Commitment    STRING(64) NOT NULL,
  CreatedAt     TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
  -- What the draw is of: set when it is sealed, and never changed.
  SealedAt      TIMESTAMP OPTIONS (allow_commit_timestamp = true),
  Stock         INT64,
  WaitlistLimit INT64,
  -- Of all entries; set before the first is drawn.
  Digest        STRING(64),
  Entries       INT64,
  -- How far the draw has come: winners first, then those who wait, then the rest, each by their place.
  DoneEntries   INT64 NOT NULL,
  WonOrders     INT64 NOT NULL,
  WonUnits      INT64 NOT NULL,
  -- Revealed when all are drawn; NULL before.
  Seed          STRING(64),
  DrawnAt       TIMESTAMP OPTIONS (allow_commit_timestamp = true),
  CONSTRAINT DoneEntriesAreEntries CHECK (DoneEntries >= 0 AND DoneEntries <= COALESCE(Entries, 0)),
) PRIMARY KEY (SaleId),
  INTERLEAVE IN PARENT Sales ON DELETE CASCADE;

-- A table of its own, so that access to it can be granted apart: creating sales needs INSERT here, the draw SELECT, nobody else
-- anything.
CREATE TABLE DrawSeeds (
  SaleId STRING(64) NOT NULL,
  -- 32 random bytes, hexadecimal.
  Seed   STRING(64) NOT NULL,
) PRIMARY KEY (SaleId),
  INTERLEAVE IN PARENT Sales ON DELETE CASCADE;

-- The place that the draw gave, from 1; NULL before, and in every other sale. DrawResult: what the draw
-- itself made of it (won, waitlisted, lapsed), whatever came later.
ALTER TABLE Orders ADD COLUMN DrawPlace INT64;
ALTER TABLE Orders ADD COLUMN DrawResult STRING(10);

-- NULL in either column keeps an order out: so this has only those of a drawn line who still wait, and costs no other sale anything.
CREATE NULL_FILTERED INDEX OrdersByDrawPlace ON Orders (SaleId, ShardId, DrawPlace, WaitlistedAt) STORING (Units, Seq);

-- No column for it: the stock ledger's Cause may now also be drawn (the draw took units, or gave places in the line).

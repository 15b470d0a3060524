-- Who of those that wait would be content with what is left: each shard's line, apart by how many units the orders want, in queue order
-- (DrawPlace is NULL, and so of no consequence, but in a drawn lottery).

CREATE INDEX OrdersByWaitingUnits ON Orders (SaleId, ShardId, Units, DrawPlace, WaitlistedAt, Seq) WHERE WaitlistedAt IS NOT NULL;

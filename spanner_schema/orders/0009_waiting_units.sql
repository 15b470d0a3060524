-- Who of those that wait would be content with what is left: each shard's line, apart by how many units the orders want, in queue order
-- (DrawPlace is NULL, and so of no consequence, but in a drawn lottery: hence WHERE, as NULL_FILTERED would ask for it, too). One index
-- for both, for each costs the emulator some 7 % of settlement.

CREATE INDEX OrdersByWaitingUnits ON Orders (SaleId, ShardId, Units, DrawPlace, WaitlistedAt, Seq) WHERE WaitlistedAt IS NOT NULL;

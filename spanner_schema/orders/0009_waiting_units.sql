-- Who of those that wait would be content with what is left: each shard's line, apart by how many units the orders want, in queue order.

CREATE NULL_FILTERED INDEX OrdersByWaitingUnits ON Orders (SaleId, ShardId, Units, WaitlistedAt, Seq);

-- The same of a drawn lottery, in the order of the draw; costs no other sale anything.
CREATE NULL_FILTERED INDEX OrdersByDrawnUnits ON Orders (SaleId, ShardId, Units, DrawPlace, WaitlistedAt) STORING (Seq);

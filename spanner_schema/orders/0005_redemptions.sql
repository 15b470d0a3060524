-- What was handed over: one row an order, written when its claim code is redeemed. Orders that are not redeemed have none.

CREATE TABLE Redemptions (
  SaleId     STRING(64) NOT NULL,
  OrderId    STRING(36) NOT NULL,
  Units      INT64 NOT NULL,
  TillId     STRING(64) NOT NULL,
  -- UUIDv5 of till and idempotency key: a retry meets its own row.
  RequestId  STRING(36) NOT NULL,
  -- The subject of the token.
  RedeemedBy STRING(140) NOT NULL,
  RedeemedAt TIMESTAMP NOT NULL OPTIONS (allow_commit_timestamp = true),
) PRIMARY KEY (SaleId, OrderId);

CREATE UNIQUE INDEX RedemptionsByRequest ON Redemptions (RequestId);

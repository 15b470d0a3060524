-- The span that an order's events continue (W3C traceparent); NULL, and not written, for all orders that are not traced.

ALTER TABLE Orders ADD COLUMN Traceparent STRING(55);

ALTER TABLE Outbox ADD COLUMN Traceparent STRING(55);

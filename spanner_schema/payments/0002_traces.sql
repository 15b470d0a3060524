-- The span that a payment's event continues (W3C traceparent); NULL, and not written, for all that are not traced.

ALTER TABLE Outbox ADD COLUMN Traceparent STRING(55);

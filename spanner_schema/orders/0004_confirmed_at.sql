-- When the capture was asked for: from then on the customer can no longer cancel. NULL before.
ALTER TABLE Orders ADD COLUMN ConfirmedAt TIMESTAMP;

-- No column for it: the stock ledger's Cause may now also be settled (units came free, were given on, or places in the line).

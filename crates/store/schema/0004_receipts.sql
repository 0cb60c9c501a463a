-- What a host signed of a rental, as JSON: the newest receipt, and the first that contradicts it.
-- Both together are evidence against the host, so neither is written over then.

ALTER TABLE rentals ADD COLUMN receipt TEXT;
ALTER TABLE rentals ADD COLUMN contradiction TEXT;

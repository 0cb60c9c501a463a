-- A nonce may carry several intents: flights come between intents and attempts. Lanes get a lease.
--
-- Runs with foreign keys off, since tables others refer to are rebuilt; they are checked at the end.

CREATE TABLE flights (
    -- AUTOINCREMENT: an id is never given twice.
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    chain_id            INTEGER NOT NULL,
    sender              BLOB    NOT NULL CHECK (length(sender) = 20),
    nonce               INTEGER NOT NULL CHECK (nonce >= 0),
    -- 'lost': another transaction used the nonce up for good.
    state               TEXT    NOT NULL DEFAULT 'in_flight'
        CHECK (state IN ('in_flight', 'included', 'final', 'lost')),
    items               INTEGER NOT NULL CHECK (items > 0),
    tx_hash             BLOB    CHECK (length(tx_hash) = 32),
    block_number        INTEGER,
    block_hash          BLOB    CHECK (length(block_hash) = 32),
    gas_used            INTEGER,
    effective_gas_price BLOB    CHECK (length(effective_gas_price) = 32),
    rollup_fee          BLOB    CHECK (length(rollup_fee) = 32),
    success             INTEGER CHECK (success IN (0, 1)),
    updated_at          INTEGER NOT NULL DEFAULT (unixepoch()),
    CHECK ((state IN ('included', 'final')) = (block_hash IS NOT NULL))
) STRICT;

-- A nonce belongs to one flight, whatever the code above believes.
CREATE UNIQUE INDEX flights_by_nonce ON flights (chain_id, sender, nonce) WHERE state <> 'lost';
-- What a lane loads when it starts.
CREATE INDEX flights_open ON flights (chain_id, sender, nonce)
    WHERE state IN ('in_flight', 'included');

-- Which intents a flight carries, in the order of its call; those of lost flights are kept.
CREATE TABLE flight_items (
    flight_id INTEGER NOT NULL REFERENCES flights (id),
    position  INTEGER NOT NULL CHECK (position >= 0),
    intent_id INTEGER NOT NULL REFERENCES intents (id),
    PRIMARY KEY (flight_id, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX flight_items_by_intent ON flight_items (intent_id);

CREATE TABLE new_intents (
    -- AUTOINCREMENT: an id is never given twice, even if its row were deleted by hand.
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    idempotency_key TEXT    NOT NULL UNIQUE,
    chain_id        INTEGER NOT NULL,
    sender          BLOB    NOT NULL CHECK (length(sender) = 20),
    recipient       BLOB    NOT NULL CHECK (length(recipient) = 20),
    value           BLOB    NOT NULL CHECK (length(value) = 32),
    data            BLOB    NOT NULL,
    gas_limit       INTEGER,
    max_cost        BLOB    CHECK (length(max_cost) = 32),
    -- Wei the effect is worth to its owner; NULL: it is wanted whatever it costs.
    worth           BLOB    CHECK (length(worth) = 32),
    -- The chain itself refuses, or ignores, to do it twice.
    repeat_safe     INTEGER NOT NULL DEFAULT 0 CHECK (repeat_safe IN (0, 1)),
    not_before      INTEGER,
    deadline        INTEGER,
    -- Code the sender runs from then on (EIP-7702).
    own_code        BLOB    CHECK (length(own_code) = 20),
    label           TEXT    NOT NULL,
    -- 'included' is told by the flight.
    state           TEXT    NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'in_flight', 'final', 'failed')),
    flight_id       INTEGER REFERENCES flights (id),
    -- Of this intent: a batch may succeed around an item that fails.
    success         INTEGER CHECK (success IN (0, 1)),
    failure_code    TEXT,
    failure_detail  TEXT,
    -- Wei its shares of transactions cost that are final and did not do it: `max_cost` counts them.
    spent           BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(spent) = 32),
    created_at      INTEGER NOT NULL DEFAULT (unixepoch()),
    updated_at      INTEGER NOT NULL DEFAULT (unixepoch()),
    CHECK ((state IN ('in_flight', 'final')) = (flight_id IS NOT NULL)),
    CHECK ((state = 'final') = (success IS NOT NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL))
) STRICT;

CREATE TABLE new_attempts (
    id           INTEGER PRIMARY KEY,
    flight_id    INTEGER NOT NULL REFERENCES flights (id),
    number       INTEGER NOT NULL CHECK (number >= 0),
    tx_hash      BLOB    NOT NULL CHECK (length(tx_hash) = 32),
    raw          BLOB    NOT NULL,
    -- An empty transaction that only uses the nonce up, where nodes take no other.
    voids        INTEGER NOT NULL DEFAULT 0 CHECK (voids IN (0, 1)),
    gas_limit    INTEGER NOT NULL,
    max_fee      BLOB    NOT NULL CHECK (length(max_fee) = 32),
    -- NULL marks a legacy transaction, whose gas price is max_fee.
    priority_fee BLOB    CHECK (length(priority_fee) = 32),
    -- Most wei a rollup may charge besides.
    rollup_fee   BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(rollup_fee) = 32),
    broadcast    TEXT    NOT NULL DEFAULT 'signed'
        CHECK (broadcast IN ('signed', 'accepted', 'refused', 'unknown')),
    broadcast_detail TEXT,
    signed_at    INTEGER NOT NULL,
    UNIQUE (flight_id, number),
    -- Not of the hash alone: what used a nonce may be reorganised away, and the same intent be signed
    -- for the same nonce again.
    UNIQUE (tx_hash, flight_id)
) STRICT;

-- What there is: every nonce an attempt was made at becomes a flight of one intent.
CREATE TABLE moving AS
    SELECT row_number() OVER (ORDER BY intent_id, nonce) AS flight_id, intent_id, nonce
    FROM (SELECT DISTINCT intent_id, nonce FROM attempts);

INSERT INTO flights (id, chain_id, sender, nonce, state, items, tx_hash, block_number, block_hash,
                     gas_used, effective_gas_price, rollup_fee, success, updated_at)
    SELECT moving.flight_id, intents.chain_id, intents.sender, moving.nonce,
           CASE WHEN intents.nonce = moving.nonce THEN intents.state ELSE 'lost' END,
           1,
           iif(intents.nonce = moving.nonce, tx_hash, NULL),
           iif(intents.nonce = moving.nonce, block_number, NULL),
           iif(intents.nonce = moving.nonce, block_hash, NULL),
           iif(intents.nonce = moving.nonce, gas_used, NULL),
           iif(intents.nonce = moving.nonce, effective_gas_price, NULL),
           iif(intents.nonce = moving.nonce AND block_hash IS NOT NULL, zeroblob(32), NULL),
           iif(intents.nonce = moving.nonce, success, NULL),
           updated_at
    FROM moving JOIN intents ON intents.id = moving.intent_id
    ORDER BY moving.flight_id;

INSERT INTO flight_items (flight_id, position, intent_id)
    SELECT flight_id, 0, intent_id FROM moving;

INSERT INTO new_intents (id, idempotency_key, chain_id, sender, recipient, value, data, gas_limit,
                         max_cost, not_before, deadline, label, state, flight_id, success,
                         failure_code, failure_detail, created_at, updated_at)
    SELECT id, idempotency_key, chain_id, sender, recipient, value, data, gas_limit,
           max_cost, not_before, deadline, label,
           iif(state = 'included', 'in_flight', state),
           (SELECT flight_id FROM moving WHERE intent_id = id AND moving.nonce = intents.nonce),
           iif(state = 'final', success, NULL),
           failure_code, failure_detail, created_at, updated_at
    FROM intents;

INSERT INTO new_attempts (id, flight_id, number, tx_hash, raw, gas_limit, max_fee, priority_fee,
                          broadcast, broadcast_detail, signed_at)
    SELECT id, flight_id, attempt, tx_hash, raw, gas_limit, max_fee, priority_fee,
           broadcast, broadcast_detail, signed_at
    FROM attempts JOIN moving USING (intent_id, nonce);

DROP TABLE moving;
DROP TABLE attempts;
DROP TABLE intents;
ALTER TABLE new_intents RENAME TO intents;
ALTER TABLE new_attempts RENAME TO attempts;

CREATE INDEX intents_queued ON intents (chain_id, sender, id) WHERE state = 'queued';
-- Few at any time, however long the table.
CREATE INDEX intents_in_flight ON intents (chain_id, sender, id) WHERE state = 'in_flight';

-- An intent as callers see it: with the nonce and the block of the flight that carries it.
CREATE VIEW intents_seen AS
    SELECT intents.*,
           iif(intents.state = 'in_flight', flights.state, intents.state) AS stands,
           flights.nonce, flights.items, flights.tx_hash, flights.block_number, flights.block_hash,
           flights.gas_used, flights.effective_gas_price, flights.rollup_fee,
           flights.success AS flight_success
    FROM intents LEFT JOIN flights ON flights.id = intents.flight_id;

-- Who may act for a lane: whoever holds the lease, as long as the epoch is still theirs.
ALTER TABLE lanes ADD COLUMN owner TEXT;
ALTER TABLE lanes ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
-- Unix milliseconds; NULL: free.
ALTER TABLE lanes ADD COLUMN lease_until INTEGER;

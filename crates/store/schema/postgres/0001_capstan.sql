-- Lanes, intents, flights, attempts, history and sessions: the shape of SQLite's newest schema.
--
-- Conventions of every table: an id, hash or address is a BYTEA; an amount that may exceed 63 bits
-- is a 32-byte big-endian BYTEA, which PostgreSQL compares byte by byte and therefore in numeric
-- order; a time is a BIGINT of seconds since the Unix epoch; a state is TEXT that a CHECK spells out.

-- The database's clock, which runs on within a transaction: what waited for a lock is judged by the
-- time it got it. now() would be the time the transaction began.
CREATE FUNCTION unix_millis() RETURNS BIGINT LANGUAGE sql VOLATILE
    AS $$ SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT $$;
CREATE FUNCTION unix_seconds() RETURNS BIGINT LANGUAGE sql VOLATILE
    AS $$ SELECT floor(extract(epoch FROM clock_timestamp()))::BIGINT $$;

-- Who may act for a lane: whoever holds the lease, as long as the epoch is still theirs. The next
-- nonce is no column here: it is one above the highest flight's, so that storing an attempt need
-- not write this row, which every writer of the lane locks at once.
CREATE TABLE lanes (
    chain_id    BIGINT NOT NULL,
    sender      BYTEA  NOT NULL CHECK (octet_length(sender) = 20),
    owner       TEXT,
    epoch       BIGINT NOT NULL DEFAULT 0,
    -- Unix milliseconds; NULL: free.
    lease_until BIGINT,
    PRIMARY KEY (chain_id, sender)
);

CREATE TABLE flights (
    id                  BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    chain_id            BIGINT NOT NULL,
    sender              BYTEA  NOT NULL CHECK (octet_length(sender) = 20),
    nonce               BIGINT NOT NULL CHECK (nonce >= 0),
    -- 'lost': another transaction used the nonce up for good.
    state               TEXT   NOT NULL DEFAULT 'in_flight'
        CHECK (state IN ('in_flight', 'included', 'final', 'lost')),
    items               BIGINT NOT NULL CHECK (items > 0),
    tx_hash             BYTEA  CHECK (octet_length(tx_hash) = 32),
    block_number        BIGINT,
    block_hash          BYTEA  CHECK (octet_length(block_hash) = 32),
    gas_used            BIGINT,
    effective_gas_price BYTEA  CHECK (octet_length(effective_gas_price) = 32),
    rollup_fee          BYTEA  CHECK (octet_length(rollup_fee) = 32),
    success             BOOLEAN,
    updated_at          BIGINT NOT NULL DEFAULT unix_seconds(),
    CHECK ((state IN ('included', 'final')) = (block_hash IS NOT NULL))
);

-- A nonce belongs to one flight, whatever the code above believes.
CREATE UNIQUE INDEX flights_by_nonce ON flights (chain_id, sender, nonce) WHERE state <> 'lost';
-- What a lane loads when it starts.
CREATE INDEX flights_open ON flights (chain_id, sender, nonce)
    WHERE state IN ('in_flight', 'included');
-- The highest nonce ever signed for, lost ones included; and the highest final one.
CREATE INDEX flights_highest ON flights (chain_id, sender, nonce);
CREATE INDEX flights_final ON flights (chain_id, sender, nonce) WHERE state = 'final';

CREATE TABLE intents (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    idempotency_key TEXT   NOT NULL UNIQUE,
    chain_id        BIGINT NOT NULL,
    sender          BYTEA  NOT NULL CHECK (octet_length(sender) = 20),
    recipient       BYTEA  NOT NULL CHECK (octet_length(recipient) = 20),
    value           BYTEA  NOT NULL CHECK (octet_length(value) = 32),
    data            BYTEA  NOT NULL,
    gas_limit       BIGINT,
    max_cost        BYTEA  CHECK (octet_length(max_cost) = 32),
    -- Wei the effect is worth to its owner; NULL: it is wanted whatever it costs.
    worth           BYTEA  CHECK (octet_length(worth) = 32),
    -- The chain itself refuses, or ignores, to do it twice.
    repeat_safe     BOOLEAN NOT NULL DEFAULT FALSE,
    not_before      BIGINT,
    deadline        BIGINT,
    -- Code the sender runs from then on (EIP-7702).
    own_code        BYTEA  CHECK (octet_length(own_code) = 20),
    label           TEXT   NOT NULL,
    -- 'included' is told by the flight.
    state           TEXT   NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'in_flight', 'final', 'failed')),
    flight_id       BIGINT REFERENCES flights (id),
    -- Of this intent: a batch may succeed around an item that fails.
    success         BOOLEAN,
    failure_code    TEXT,
    failure_detail  TEXT,
    -- Wei its shares of transactions cost that are final and did not do it: `max_cost` counts them.
    spent           BYTEA  NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
        CHECK (octet_length(spent) = 32),
    created_at      BIGINT NOT NULL DEFAULT unix_seconds(),
    updated_at      BIGINT NOT NULL DEFAULT unix_seconds(),
    CHECK ((state IN ('in_flight', 'final')) = (flight_id IS NOT NULL)),
    CHECK ((state = 'final') = (success IS NOT NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL))
);

CREATE INDEX intents_queued ON intents (chain_id, sender, id) WHERE state = 'queued';
CREATE INDEX intents_in_flight ON intents (chain_id, sender, id) WHERE state = 'in_flight';

-- Which intents a flight carries, in the order of its call; those of lost flights are kept.
CREATE TABLE flight_items (
    flight_id BIGINT NOT NULL REFERENCES flights (id),
    position  BIGINT NOT NULL CHECK (position >= 0),
    intent_id BIGINT NOT NULL REFERENCES intents (id),
    PRIMARY KEY (flight_id, position)
);

CREATE INDEX flight_items_by_intent ON flight_items (intent_id);

CREATE TABLE attempts (
    id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flight_id    BIGINT NOT NULL REFERENCES flights (id),
    number       BIGINT NOT NULL CHECK (number >= 0),
    tx_hash      BYTEA  NOT NULL CHECK (octet_length(tx_hash) = 32),
    raw          BYTEA  NOT NULL,
    -- An empty transaction that only uses the nonce up, where nodes take no other.
    voids        BOOLEAN NOT NULL,
    gas_limit    BIGINT NOT NULL,
    max_fee      BYTEA  NOT NULL CHECK (octet_length(max_fee) = 32),
    -- NULL marks a legacy transaction, whose gas price is max_fee.
    priority_fee BYTEA  CHECK (octet_length(priority_fee) = 32),
    -- Most wei a rollup may charge besides.
    rollup_fee   BYTEA  NOT NULL CHECK (octet_length(rollup_fee) = 32),
    broadcast    TEXT   NOT NULL DEFAULT 'signed'
        CHECK (broadcast IN ('signed', 'accepted', 'refused', 'unknown')),
    broadcast_detail TEXT,
    signed_at    BIGINT NOT NULL,
    UNIQUE (flight_id, number),
    -- Not of the hash alone: what used a nonce may be reorganised away, and the same intent be signed
    -- for the same nonce again.
    UNIQUE (tx_hash, flight_id)
);

CREATE TABLE history (
    id        BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    intent_id BIGINT NOT NULL REFERENCES intents (id),
    at        BIGINT NOT NULL DEFAULT unix_seconds(),
    what      TEXT   NOT NULL,
    detail    TEXT   NOT NULL
);

CREATE INDEX history_by_intent ON history (intent_id);

-- An intent as callers see it: with the nonce and the block of the flight that carries it.
CREATE VIEW intents_seen AS
    SELECT intents.*,
           CASE WHEN intents.state = 'in_flight' THEN flights.state ELSE intents.state END AS stands,
           flights.nonce, flights.items, flights.tx_hash, flights.block_number, flights.block_hash,
           flights.gas_used, flights.effective_gas_price, flights.rollup_fee,
           flights.success AS flight_success
    FROM intents LEFT JOIN flights ON flights.id = intents.flight_id;

CREATE TABLE sessions (
    chain_id       BIGINT NOT NULL,
    marketplace    BYTEA  NOT NULL CHECK (octet_length(marketplace) = 20),
    session_id     BYTEA  NOT NULL CHECK (octet_length(session_id) = 32),
    terms          TEXT   NOT NULL,
    price_input    BYTEA  NOT NULL CHECK (octet_length(price_input) = 32),
    price_output   BYTEA  NOT NULL CHECK (octet_length(price_output) = 32),
    state          TEXT   NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'detached', 'settling', 'settled', 'abandoned')),
    -- The machine whose memory has the session's meter: no other may store vouchers or end it.
    served_by      TEXT   NOT NULL,
    -- Newest signed voucher as JSON; its amount again, for the guard that never lets it fall.
    voucher        TEXT,
    voucher_amount BYTEA  NOT NULL DEFAULT decode(repeat('00', 32), 'hex')
        CHECK (octet_length(voucher_amount) = 32),
    -- Tally at that voucher as JSON, and its size.
    tally          TEXT   NOT NULL,
    tally_tokens   BIGINT NOT NULL DEFAULT 0,
    end_reason     TEXT,
    opened_at      BIGINT NOT NULL,
    -- Head of the chain at admission: the closing event can lie no earlier.
    admitted_block BIGINT NOT NULL,
    detached_at    BIGINT,
    updated_at     BIGINT NOT NULL DEFAULT unix_seconds(),
    settle_intent  BIGINT REFERENCES intents (id),
    paid           BYTEA  CHECK (octet_length(paid) = 32),
    fee            BYTEA  CHECK (octet_length(fee) = 32),
    refund         BYTEA  CHECK (octet_length(refund) = 32),
    close_tx       BYTEA  CHECK (octet_length(close_tx) = 32),
    PRIMARY KEY (chain_id, marketplace, session_id),
    CHECK (state <> 'settling' OR settle_intent IS NOT NULL),
    CHECK ((state = 'settled') = (close_tx IS NOT NULL))
);

CREATE INDEX sessions_by_chain ON sessions (chain_id, state);
CREATE INDEX sessions_by_state ON sessions (state, chain_id, opened_at);

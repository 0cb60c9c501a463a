-- Intents, their attempts and their history, and the lanes whose nonces they use.
--
-- Conventions of every table: an id, hash or address is a BLOB; an amount that may exceed 63 bits is
-- a 32-byte big-endian BLOB, which SQLite compares byte by byte and therefore in numeric order;
-- a time is an INTEGER of seconds since the Unix epoch; a state is TEXT that a CHECK spells out.

CREATE TABLE lanes (
    chain_id   INTEGER NOT NULL,
    sender     BLOB    NOT NULL CHECK (length(sender) = 20),
    -- One above the highest nonce an attempt was ever signed for.
    next_nonce INTEGER NOT NULL CHECK (next_nonce >= 0),
    PRIMARY KEY (chain_id, sender)
) STRICT, WITHOUT ROWID;

CREATE TABLE intents (
    -- AUTOINCREMENT: an id is never given twice, even if its row were deleted by hand.
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    idempotency_key     TEXT    NOT NULL UNIQUE,
    chain_id            INTEGER NOT NULL,
    sender              BLOB    NOT NULL CHECK (length(sender) = 20),
    recipient           BLOB    NOT NULL CHECK (length(recipient) = 20),
    value               BLOB    NOT NULL CHECK (length(value) = 32),
    data                BLOB    NOT NULL,
    gas_limit           INTEGER,
    max_cost            BLOB    CHECK (length(max_cost) = 32),
    not_before          INTEGER,
    deadline            INTEGER,
    label               TEXT    NOT NULL,
    state               TEXT    NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'in_flight', 'included', 'final', 'failed')),
    -- The nonce this intent is bound to, from its first stored attempt on.
    nonce               INTEGER CHECK (nonce >= 0),
    tx_hash             BLOB    CHECK (length(tx_hash) = 32),
    block_number        INTEGER,
    block_hash          BLOB    CHECK (length(block_hash) = 32),
    gas_used            INTEGER,
    effective_gas_price BLOB    CHECK (length(effective_gas_price) = 32),
    success             INTEGER CHECK (success IN (0, 1)),
    failure_code        TEXT,
    failure_detail      TEXT,
    created_at          INTEGER NOT NULL DEFAULT (unixepoch()),
    updated_at          INTEGER NOT NULL DEFAULT (unixepoch()),
    CHECK ((state IN ('in_flight', 'included', 'final')) = (nonce IS NOT NULL)),
    CHECK ((state IN ('included', 'final')) = (block_hash IS NOT NULL)),
    CHECK ((state = 'failed') = (failure_code IS NOT NULL))
) STRICT;

-- A nonce belongs to one intent, whatever the code above believes.
CREATE UNIQUE INDEX intents_by_nonce ON intents (chain_id, sender, nonce) WHERE nonce IS NOT NULL;
-- What a lane loads when it starts, and what it looks for when it is woken.
CREATE INDEX intents_open ON intents (chain_id, sender, id)
    WHERE state IN ('queued', 'in_flight', 'included');

CREATE TABLE attempts (
    id           INTEGER PRIMARY KEY,
    intent_id    INTEGER NOT NULL REFERENCES intents (id),
    chain_id     INTEGER NOT NULL,
    sender       BLOB    NOT NULL CHECK (length(sender) = 20),
    nonce        INTEGER NOT NULL CHECK (nonce >= 0),
    attempt      INTEGER NOT NULL CHECK (attempt >= 0),
    tx_hash      BLOB    NOT NULL UNIQUE CHECK (length(tx_hash) = 32),
    raw          BLOB    NOT NULL,
    gas_limit    INTEGER NOT NULL,
    max_fee      BLOB    NOT NULL CHECK (length(max_fee) = 32),
    -- NULL marks a legacy transaction, whose gas price is max_fee.
    priority_fee BLOB    CHECK (length(priority_fee) = 32),
    broadcast    TEXT    NOT NULL DEFAULT 'signed'
        CHECK (broadcast IN ('signed', 'accepted', 'refused', 'unknown')),
    broadcast_detail TEXT,
    signed_at    INTEGER NOT NULL,
    UNIQUE (chain_id, sender, nonce, attempt)
) STRICT;

CREATE INDEX attempts_by_intent ON attempts (intent_id);

CREATE TABLE history (
    id        INTEGER PRIMARY KEY,
    intent_id INTEGER NOT NULL REFERENCES intents (id),
    at        INTEGER NOT NULL DEFAULT (unixepoch()),
    what      TEXT    NOT NULL,
    detail    TEXT    NOT NULL
) STRICT;

CREATE INDEX history_by_intent ON history (intent_id);

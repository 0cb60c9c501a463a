-- Sessions a host serves, and rentals a renter pays for.

CREATE TABLE sessions (
    chain_id       INTEGER NOT NULL,
    marketplace    BLOB    NOT NULL CHECK (length(marketplace) = 20),
    session_id     BLOB    NOT NULL CHECK (length(session_id) = 32),
    terms          TEXT    NOT NULL,
    price_input    BLOB    NOT NULL CHECK (length(price_input) = 32),
    price_output   BLOB    NOT NULL CHECK (length(price_output) = 32),
    state          TEXT    NOT NULL DEFAULT 'open'
        CHECK (state IN ('open', 'detached', 'settling', 'settled', 'abandoned')),
    -- Newest signed voucher as JSON; its amount again, for the guard that never lets it fall.
    voucher        TEXT,
    voucher_amount BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(voucher_amount) = 32),
    -- Tally at that voucher as JSON, and its size.
    tally          TEXT    NOT NULL,
    tally_tokens   INTEGER NOT NULL DEFAULT 0,
    end_reason     TEXT,
    opened_at      INTEGER NOT NULL,
    -- Head of the chain at admission: the closing event can lie no earlier.
    admitted_block INTEGER NOT NULL,
    detached_at    INTEGER,
    updated_at     INTEGER NOT NULL DEFAULT (unixepoch()),
    settle_intent  INTEGER REFERENCES intents (id),
    paid           BLOB    CHECK (length(paid) = 32),
    fee            BLOB    CHECK (length(fee) = 32),
    refund         BLOB    CHECK (length(refund) = 32),
    close_tx       BLOB    CHECK (length(close_tx) = 32),
    PRIMARY KEY (chain_id, marketplace, session_id),
    CHECK (state <> 'settling' OR settle_intent IS NOT NULL),
    CHECK ((state = 'settled') = (close_tx IS NOT NULL))
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_chain ON sessions (chain_id, state);
CREATE INDEX sessions_by_state ON sessions (state);

CREATE TABLE rentals (
    chain_id       INTEGER NOT NULL,
    marketplace    BLOB    NOT NULL CHECK (length(marketplace) = 20),
    session_id     BLOB    NOT NULL CHECK (length(session_id) = 32),
    terms          TEXT    NOT NULL,
    host_url       TEXT    NOT NULL,
    price_input    BLOB    NOT NULL CHECK (length(price_input) = 32),
    price_output   BLOB    NOT NULL CHECK (length(price_output) = 32),
    state          TEXT    NOT NULL DEFAULT 'opening'
        CHECK (state IN ('opening', 'open', 'closing', 'closed')),
    voucher        TEXT,
    voucher_amount BLOB    NOT NULL DEFAULT (zeroblob(32)) CHECK (length(voucher_amount) = 32),
    tally          TEXT    NOT NULL,
    tally_tokens   INTEGER NOT NULL DEFAULT 0,
    end_reason     TEXT,
    created_at     INTEGER NOT NULL DEFAULT (unixepoch()),
    updated_at     INTEGER NOT NULL DEFAULT (unixepoch()),
    open_intent    INTEGER REFERENCES intents (id),
    open_tx        BLOB    CHECK (length(open_tx) = 32),
    close_intent   INTEGER REFERENCES intents (id),
    paid           BLOB    CHECK (length(paid) = 32),
    fee            BLOB    CHECK (length(fee) = 32),
    refund         BLOB    CHECK (length(refund) = 32),
    close_tx       BLOB    CHECK (length(close_tx) = 32),
    PRIMARY KEY (chain_id, marketplace, session_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX rentals_by_state ON rentals (state);

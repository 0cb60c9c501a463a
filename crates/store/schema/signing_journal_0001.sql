-- What one member of a committee has signed, and whom it signs with no more. A file of its own.
CREATE TABLE signed (
    request_id  BLOB    NOT NULL CHECK (length(request_id) = 32),
    -- Place of the action in its output.
    action      INTEGER NOT NULL CHECK (action >= 0),
    -- Everything of the transaction but its fees: replacements share it.
    call        BLOB    NOT NULL CHECK (length(call) = 32),
    -- What was signed: keccak of the preimage.
    digest      BLOB    NOT NULL CHECK (length(digest) = 32),
    agent       BLOB    NOT NULL CHECK (length(agent) = 32),
    chain_id    INTEGER NOT NULL CHECK (chain_id > 0),
    value       BLOB    NOT NULL CHECK (length(value) = 32),
    at          INTEGER NOT NULL CHECK (at >= 0),
    PRIMARY KEY (request_id, action, digest)
) STRICT;

CREATE INDEX signed_lately ON signed (agent, at);

CREATE TABLE banned (
    member INTEGER PRIMARY KEY CHECK (member BETWEEN 1 AND 255),
    reason TEXT    NOT NULL,
    at     INTEGER NOT NULL CHECK (at >= 0)
) STRICT;

-- One row: whether everything that this member ever signed is known to stand here.
CREATE TABLE standing (
    only     INTEGER PRIMARY KEY CHECK (only = 1),
    is_whole INTEGER NOT NULL CHECK (is_whole IN (0, 1))
) STRICT;

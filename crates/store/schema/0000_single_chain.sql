-- Before the first migration, where a node for a single chain has left its sessions, and after its
-- table has a chain_id: it makes room.
CREATE INDEX IF NOT EXISTS idx_sessions_chain ON sessions (chain_id);
ALTER TABLE sessions RENAME TO single_chain_sessions;

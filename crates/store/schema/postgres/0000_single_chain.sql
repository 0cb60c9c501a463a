-- Before the first migration, where a node for a single chain has left its sessions: they get the
-- chain they are of, which was always Base Sepolia, and make room.
ALTER TABLE sessions ADD COLUMN IF NOT EXISTS chain_id BIGINT DEFAULT 84532;
CREATE INDEX IF NOT EXISTS idx_sessions_chain ON sessions (chain_id);
ALTER TABLE sessions RENAME TO single_chain_sessions;

//! Tests of what only PostgreSQL has: locks, words, lost connections.

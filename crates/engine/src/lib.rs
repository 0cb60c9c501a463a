//! Transaction lifecycle.

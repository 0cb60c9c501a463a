//! GGUF models.

//! Whole-product scenarios.

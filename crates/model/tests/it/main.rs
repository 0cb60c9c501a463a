//! The crate from outside, on the project's own model; one file per subject.

mod audit;
mod engine;
mod files;
mod fixture;
mod templates;
mod tokens;

//! Runtime habits.

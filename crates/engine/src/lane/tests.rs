//! The lane's task on the fake chain and a real store: every rule, then every schedule.

mod rig;
mod rules;
mod schedules;

//! The threshold protocol, without IO: what a member computes between messages.
//!
//! Threshold ECDSA over secp256k1 after DKLs23 (ePrint 2023/765), by the crate `dkls23`, which nobody
//! has audited; no type of it leaves this module. A ceremony goes in rounds. In each, every member sends one message to every other
//! one, and goes on once it has one of each. Whoever carries the messages may lose, repeat, delay and
//! reorder them: a ceremony takes each once, keeps those that are early, and refuses two different ones
//! in the place of one.
//!
//! What a member broadcasts must be the same for all. Every message therefore carries a digest of all
//! broadcasts of the round before as its sender received them: with two versions about, somebody's
//! digest differs, and the ceremony ends.

mod ceremony;
mod dkg;
mod echo;
mod fault;
mod member;
mod refresh;
mod repair;
mod setup;
mod share;
mod sign;

pub use ceremony::{Ceremony, Incoming, Outgoing, Progress};
pub use dkg::KeyGeneration;
pub use fault::{Blame, Fault};
pub use member::{Committee, CommitteeError, MemberIndex};
pub use refresh::Refresh;
pub use repair::{RepairTerm, assemble, repair_term};
pub use share::{ChildPath, KeyShare, PublicKey, ShareError};
pub use sign::{Signing, SigningError};

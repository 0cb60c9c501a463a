//! Values that every room shares: ids, amounts, prices, session terms, vouchers, transcripts,
//! transactions, agent actions.
//!
//! Nothing here does IO, reads a clock or is async; every value is checked once, at construction,
//! and is trusted from then on.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

pub mod action;
pub mod amount;
pub mod attach;
pub mod id;
pub mod output;
pub mod price;
pub mod receipt;
pub mod signature;
mod sol;
pub mod tally;
pub mod terms;
pub mod time;
pub mod transaction;
pub mod transcript;
pub mod voucher;

pub use action::{Action, ActionError};
pub use alloy_primitives::{Address, B256, Signature, U256};
pub use amount::{Amount, AmountError};
pub use attach::AttachChallenge;
pub use id::{ChainId, ModelId, ParseIdError, SessionId, SessionKey};
pub use output::{AgentOutput, ApprovedOutput};
pub use price::Price;
pub use receipt::{Receipt, SignedReceipt};
pub use signature::{Signature65, SignatureError};
pub use tally::{Tally, TallyError, TallyState};
pub use terms::SessionTerms;
pub use time::{TimeError, UnixSeconds};
pub use transaction::{SignedTransaction, TransactionError, UnsignedTransaction};
pub use transcript::{Frontier, FrontierError, InclusionProof, Transcript};
pub use voucher::{SignedVoucher, Voucher};

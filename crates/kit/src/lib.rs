//! Runtime habits that every room shares: clocks, retry delays, supervised tasks, telemetry,
//! secrets, and configuration that reports all its mistakes at once. Knows nothing of the domain.

pub mod causes;
pub mod clock;
pub mod problems;
pub mod retry;
pub mod secret;
pub mod table;
pub mod tasks;
pub mod telemetry;

pub use causes::causes;
pub use clock::{Clock, ManualClock, SystemClock};
pub use problems::{Problem, Problems};
pub use retry::Backoff;
pub use secret::Secret;
pub use table::Section;
pub use tasks::Supervisor;

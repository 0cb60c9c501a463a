//! What an operator may set about serving, with the reasons for the defaults.

use core::time::Duration;

/// Limits of sessions and connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// Most tokens served beyond the newest voucher. 32 is under a second of most models, and the
    /// most either side can lose.
    pub window: u64,
    /// How long a dropped connection may come back before the session settles. A minute outlasts
    /// a change of network and costs nobody anything, since nothing is served meanwhile.
    pub grace: Duration,
    /// How long a session may ask for nothing. Ten minutes is a pause in a chat.
    pub idle: Duration,
    /// Shortest remaining life of a session that is admitted.
    pub min_lifetime: Duration,
    /// Sessions held at once; more are refused as overloaded.
    pub max_sessions: usize,
    /// How long a shutdown waits for running answers, and again for settlements to be broadcast.
    pub drain: Duration,
    /// How often open sessions are compared with the chain. The challenge window is an hour; a
    /// look every half minute leaves a host 119 chances to answer a renter's close.
    pub reconcile_every: Duration,
    /// How often balances are read. They change by settlements and by what an operator sends: half a
    /// minute is soon enough for both.
    pub balance_every: Duration,
    /// Alert when the coins on a chain pay for fewer settlements than this. Fifty leave hours on a
    /// busy host and days on a quiet one.
    pub min_runway: u64,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            window: 32,
            grace: Duration::from_secs(60),
            idle: Duration::from_secs(600),
            min_lifetime: Duration::from_secs(60),
            max_sessions: 10_000,
            drain: Duration::from_secs(30),
            reconcile_every: Duration::from_secs(30),
            balance_every: Duration::from_secs(30),
            min_runway: 50,
        }
    }
}

//! What one settlement costs where none was made yet.

use capstan_base::U256;
use capstan_chain::{ChainClient, ChainError, GasPrice};

/// Gas of the dearest single close: an ERC-20 session, the first that its host is credited for.
const SETTLE_GAS: u64 = 82_000;

/// The same with the engine's margin: a node wants all of it on the account.
const SETTLE_GAS_LIMIT: u64 = 98_400;

/// Bytes of such a transaction: terms, voucher, signature, envelope.
const SETTLE_BYTES: usize = 900;

/// Wei for one settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// What it will cost.
    pub cost: U256,
    /// What has to be on the account for a node to take it.
    pub reserve: U256,
}

/// Asks the chain for its prices.
pub async fn estimate(chain: &ChainClient) -> Result<Estimate, ChainError> {
    let price = chain.gas_price().await?;
    let rollup = chain.l1_fee_upper_bound(SETTLE_BYTES).await?;
    let now = match price {
        GasPrice::Eip1559 { base, priority } => base.saturating_add(priority),
        GasPrice::Legacy { gas_price } => gas_price,
    };
    let most = chain.config().max_fee;
    let wei = |gas: u64, price: u128| {
        U256::from(gas).saturating_mul(U256::from(price.min(most))).saturating_add(rollup)
    };
    let reserve = wei(SETTLE_GAS_LIMIT, price.offer().max_fee());
    Ok(Estimate { cost: wei(SETTLE_GAS, now), reserve })
}

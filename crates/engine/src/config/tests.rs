//! A lane does what its chain's configuration says.

use capstan_chain::ChainRegistry;

use super::*;

fn chain(settlement: &str) -> ChainConfig {
    let text = format!(
        "[chains.base-sepolia]\nrpc_urls = [\"http://127.0.0.1:1\"]\nfinality = \"depth:7\"\n\
         max_fee_gwei = 3\n[chains.base-sepolia.settlement]\n{settlement}\n"
    );
    let document = text.parse::<toml::Table>().unwrap();
    let registry = ChainRegistry::load(&document, |_| None).unwrap();
    registry.known(ChainId(84532)).unwrap().clone()
}

#[test]
fn a_lane_takes_costs_and_batches_from_its_chain() {
    let chain = chain(
        "worth_percent = 150\nbatch_max = 7\nbatch_wait_seconds = 11\nbatch_worth = \"0.02\"",
    );
    let config = EngineConfig::for_chains([&chain].into_iter());
    let lane = config.lane(ChainId(84532));
    assert_eq!(lane.worth_percent, 150);
    let flush_worth = Some(U256::from(20_000_000_000_000_000_u64));
    let batch = BatchPolicy { max_items: 7, max_age_seconds: 11, flush_worth };
    assert_eq!(lane.batch, batch);
    assert_eq!(lane.finality, Finality::Depth(7));
    assert_eq!(lane.max_fee, 3_000_000_000);
}

#[test]
fn nothing_waits_for_its_worth_unless_a_chain_says_so() {
    let chain = chain("");
    let config = EngineConfig::for_chains([&chain].into_iter());
    assert_eq!(config.lane(ChainId(84532)).worth_percent, 0);
    assert_eq!(config.lane(ChainId(84532)).batch, BatchPolicy::default());
}

//! What gas costs, by kind of chain and with the multiplier of the environment.

use capstan_base::{B256, ChainId};
use capstan_chain::rpc::PoolOptions;
use capstan_chain::{ChainClient, ChainRegistry, GasPrice};
use serde_json::{Value, json};

use crate::fake::{CHAIN, Fake, Say};

async fn price(base_fee: Value, multiplier: &str) -> GasPrice {
    let fake = Fake::start(move |method, _| match method {
        "eth_getBlockByNumber" => Some(Say::Result(json!({
            "number": "0x5", "hash": B256::ZERO, "timestamp": "0x1", "baseFeePerGas": base_fee,
        }))),
        "eth_gasPrice" => Some(Say::Result(json!("0x64"))),
        "eth_maxPriorityFeePerGas" => Some(Say::Error(-32601, "the method does not exist")),
        "eth_feeHistory" => Some(Say::Result(json!({ "reward": [["0xa"], ["0x14"], ["0x1e"]] }))),
        _ => None,
    })
    .await;
    let registry = ChainRegistry::load(&toml::Table::new(), |name| {
        (name == "BASE_GAS_MULTIPLIER").then(|| multiplier.to_owned())
    });
    let mut config = registry.unwrap().known(ChainId(CHAIN)).unwrap().clone();
    config.rpc_urls = vec![fake.url.clone()];
    ChainClient::with_options(config, PoolOptions::default()).gas_price().await.unwrap()
}

#[tokio::test]
async fn the_multiplier_of_the_environment_is_in_every_price() {
    let eip1559 = |base, priority| GasPrice::Eip1559 { base, priority };
    assert_eq!(price(json!("0x3e8"), "1.0").await, eip1559(1_000, 20));
    assert_eq!(price(json!("0x3e8"), "1.1").await, eip1559(1_100, 22));
    assert_eq!(price(Value::Null, "1.25").await, GasPrice::Legacy { gas_price: 125 });
}

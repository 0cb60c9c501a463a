//! The registry from the outside: layers, and every mistake at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panic")]

use std::collections::BTreeMap;

use capstan_base::{Address, Amount, ChainId};
use capstan_chain::{ChainError, ChainKind, ChainRegistry, Finality};
use capstan_kit::Problems;

const MARKET: &str = "0x1111111111111111111111111111111111111111";
const NODES: &str = "0x2222222222222222222222222222222222222222";

fn load(file: &str, env: &[(&str, &str)]) -> Result<ChainRegistry, Problems> {
    let env: BTreeMap<_, _> = env.iter().copied().collect();
    let file = file.parse().unwrap();
    ChainRegistry::load(&file, |name| env.get(name).map(|value| (*value).to_owned()))
}

fn mistakes(file: &str, env: &[(&str, &str)]) -> Vec<String> {
    let problems = load(file, env).unwrap_err();
    problems.iter().map(|found| format!("{}: {}", found.path, found.message)).collect()
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

#[test]
fn nothing_is_enabled_without_contracts_and_there_is_no_silent_default() {
    let registry = load("", &[]).unwrap();
    assert_eq!(registry.enabled().count(), 0);
    let error = registry.get(ChainId(84_532)).unwrap_err();
    assert_eq!(error.to_string(), "chain 84532 is not enabled here; enabled: none");
    assert!(!error.is_retryable());
    assert!(matches!(registry.default_chain(), Err(ChainError::NoDefaultChain { .. })));
    assert_eq!(registry.known(ChainId(84_532)).unwrap().title, "Base Sepolia");
    assert_eq!(registry.find("opbnb-testnet").unwrap().chain_id, ChainId(5_611));
    assert_eq!(registry.find("137").unwrap().native.symbol, "POL");
}

#[test]
fn the_names_of_the_seed_enable_both_first_chains() {
    let registry = load(
        "",
        &[
            ("BASE_SEPOLIA_RPC_URL", "http://127.0.0.1:1/, wss://127.0.0.1:2/"),
            ("OPBNB_TESTNET_RPC_URL", "http://127.0.0.1:3/"),
            ("BASE_SEPOLIA_JOB_MARKETPLACE", MARKET),
            ("BASE_SEPOLIA_NODE_REGISTRY", NODES),
            ("OPBNB_JOB_MARKETPLACE", MARKET),
            ("OPBNB_NODE_REGISTRY", NODES),
            ("OPBNB_HOST_EARNINGS", MARKET),
            ("DEFAULT_CHAIN_ID", "5611"),
            ("BASE_GAS_MULTIPLIER", "1.1"),
            ("OPBNB_GAS_MULTIPLIER", "1.2"),
            ("OPBNB_TESTNET_GAS_MULTIPLIER", "1.3"),
        ],
    )
    .unwrap();
    let base = registry.get(ChainId(84_532)).unwrap();
    assert_eq!((base.rpc_urls.len(), base.kind), (2, ChainKind::OpStack));
    assert_eq!(base.gas_multiplier.to_string(), "1.100");
    assert_eq!(base.contracts.as_ref().unwrap().job_marketplace, address(MARKET));
    let opbnb = registry.default_chain().unwrap();
    assert_eq!((opbnb.chain_id, opbnb.native.symbol.as_str()), (ChainId(5_611), "BNB"));
    assert_eq!(opbnb.gas_multiplier.to_string(), "1.300");
    assert_eq!(registry.known(ChainId(204)).unwrap().gas_multiplier.to_string(), "1.200");
    assert!(registry.get(ChainId(204)).is_err(), "contracts of a family are the testnet's");
    assert_eq!(registry.resolve(None).unwrap().chain_id, ChainId(5_611));
    assert!(registry.resolve(Some(ChainId(7))).is_err());
}

#[test]
fn environment_overrides_the_file_and_the_file_overrides_the_preset() {
    let file = format!(
        r#"
        default_chain = 84532
        [chains.base-sepolia]
        rpc_urls = ["http://file.example/key"]
        finality = "depth:12"
        gas_multiplier = 2
        block_time_ms = 500
        [chains.base-sepolia.contracts]
        job_marketplace = "{MARKET}"
        node_registry = "{NODES}"
        [chains.base-sepolia.tokens.USDC]
        address = "0x3333333333333333333333333333333333333333"
        "#
    );
    let registry = load(&file, &[]).unwrap();
    let chain = registry.default_chain().unwrap();
    assert_eq!(format!("{:?}", chain.rpc_urls), "[http://file.example]");
    assert_eq!(chain.finality, Finality::Depth(12));
    assert_eq!(chain.token_address("usdc"), Some(Address::repeat_byte(0x33)));
    assert_eq!(chain.token_info(Address::repeat_byte(0x33)), Some(("USDC", 6)));
    assert_eq!(chain.token_info(Address::ZERO), Some(("ETH", 18)));
    assert_eq!(chain.token_info(Address::repeat_byte(0x44)), None);

    let env = [
        ("BASE_SEPOLIA_RPC_URL", "https://env.example/key"),
        ("BASE_SEPOLIA_JOB_MARKETPLACE", "0x4444444444444444444444444444444444444444"),
        ("BASE_SEPOLIA_USDC_TOKEN", "0x5555555555555555555555555555555555555555"),
        ("BASE_SEPOLIA_FINALITY", "latest"),
        ("BASE_SEPOLIA_NODE_REGISTRY", " "),
    ];
    let registry = load(&file, &env).unwrap();
    let chain = registry.default_chain().unwrap();
    assert_eq!(format!("{:?}", chain.rpc_urls), "[https://env.example]");
    assert_eq!(chain.contracts.as_ref().unwrap().job_marketplace, Address::repeat_byte(0x44));
    assert_eq!(chain.contracts.as_ref().unwrap().node_registry, address(NODES), "empty is not set");
    assert_eq!(chain.token_address("USDC"), Some(Address::repeat_byte(0x55)));
    assert_eq!(chain.finality, Finality::Latest);
}

#[test]
fn a_chain_of_the_users_own_needs_no_new_build() {
    let file = format!(
        r#"
        [chains.my-chain]
        id = 1234
        kind = "op-stack"
        native = {{ symbol = "XYZ", decimals = 18 }}
        rpc_urls = ["http://127.0.0.1:8545"]
        contracts = {{ job_marketplace = "{MARKET}" }}
        "#
    );
    let registry = load(&file, &[("MY_CHAIN_NODE_REGISTRY", NODES)]).unwrap();
    let chain = registry.default_chain().unwrap();
    assert_eq!((chain.chain_id, chain.title.as_str()), (ChainId(1234), "my-chain"));
    assert_eq!(chain.contracts.as_ref().unwrap().node_registry, address(NODES));
}

#[test]
fn every_mistake_of_file_and_environment_is_reported_at_once() {
    let file = format!(
        r#"
        default_chain = 1
        [chains.base-sepolia]
        id = 99
        rpc_urls = ["gopher://x.example/SECRET", "nonsense SECRET"]
        finality = "soon"
        gas_multiplier = 9
        block_tme_ms = 5
        [chains.base-sepolia.contracts]
        job_marketplace = "0x0000000000000000000000000000000000000000"
        node_registry = "0x12"
        [chains.opbnb]
        contracts = {{ job_marketplace = "{MARKET}" }}
        [chains.polygon.contracts]
        job_marketplace = "{MARKET}"
        node_registry = "{MARKET}"
        host_earnings = "{NODES}"
        [chains.mine]
        id = 137
        kind = "solana"
        [chains.other]
        id = 56
        native = {{ symbol = "B" }}
        rpc_urls = ["http://127.0.0.1"]
        [chains.bare]
        "#
    );
    let env = [
        ("OPBNB_GAS_MULTIPLIER", "0.5"),
        ("BASE_RPC_URL", "https://mainnet.base.org"),
        ("AVALANCHE_RPC_URL", "ftp://x"),
        ("ETHEREUM_JOB_MARKETPLACE", "0x52908400098527886E0F7030069857D2E4169Ee7"),
    ];
    let problems = load(&file, &env).unwrap_err();
    let text = format!("{problems}\n");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/mistakes.txt");
    if std::env::var_os("CAPSTAN_BLESS").is_some() {
        std::fs::write(golden, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(golden).unwrap());
    assert!(!text.contains("SECRET"), "a URL may hold a key");
}

#[test]
fn a_default_that_is_not_enabled_is_a_mistake() {
    assert_eq!(
        mistakes("", &[("DEFAULT_CHAIN_ID", "84532")]),
        ["DEFAULT_CHAIN_ID: chain 84532 is not enabled"]
    );
    assert_eq!(
        mistakes("", &[("DEFAULT_CHAIN_ID", "base")]),
        ["DEFAULT_CHAIN_ID: is not a chain id"]
    );
    assert_eq!(mistakes("default_chain = 777", &[]), ["default_chain: chain 777 is not enabled"]);
}

#[test]
fn what_settling_may_cost_is_read_and_its_mistakes_are_told_together() {
    let chain = |more: &str| {
        let text = format!(
            "[chains.base-sepolia.settlement]\n{more}\n[chains.base-sepolia.tokens.USDC]\n\
             address = \"0x0000000000000000000000000000000000000005\"\ncoin_price = \"0.0003\"\n"
        );
        ChainRegistry::load(&text.parse().unwrap(), |_| None)
    };
    let registry = chain(
        "max_cost = \"0.001\"\nworth_percent = 150\nbatch_max = 7\nbatch_wait_seconds = 0\n\
         batch_worth = \"2\"",
    );
    let config = registry.unwrap().known(ChainId(84532)).unwrap().clone();
    let wei = |text: &str| Some(text.parse().unwrap());
    assert_eq!(config.settlement.max_cost, wei("1000000000000000"));
    assert_eq!(config.settlement.batch_worth, wei("2000000000000000000"));
    let policy = &config.settlement;
    assert_eq!((policy.worth_percent, policy.batch_max, policy.batch_wait), (150, 7, 0));
    // 2.5 dollars of six decimals.
    let (dollar, amount) = (config.tokens["USDC"].address, Amount::new(2_500_000).unwrap());
    assert_eq!(config.worth(dollar, amount), wei("750000000000000"));
    assert_eq!(config.worth(Address::ZERO, amount), wei("2500000"));
    assert_eq!(config.worth(Address::repeat_byte(9), amount), None, "nobody said what it is worth");

    let problems =
        chain("max_cost = \"much\"\nworth_percent = 10001\nbatch_max = 101\nbatch_size = 3");
    let problems = problems.unwrap_err().to_string();
    for key in ["max_cost", "worth_percent", "batch_max", "batch_size"] {
        assert!(problems.contains(&format!("chains.base-sepolia.settlement.{key}")), "{problems}");
    }
}

//! `capstan delegate`: the account runs the code that makes batches, and then none again.

use capstan_chain::deploy::deploy_self_batch;
use capstan_chain::{Delegation, LocalSigner};
use capstan_tests::process::{command, run};
use capstan_tests::world::{BASE_SEPOLIA, World};
use serde_json::{Value, json};

async fn delegate(world: &World, account: &LocalSigner, words: &[&str]) -> (i32, Value, String) {
    let mut command = command(world, account, "data");
    let (code, lines, errors) = run({
        command.arg("delegate").args(words);
        command
    })
    .await;
    (code, lines.first().cloned().unwrap_or_default(), errors)
}

#[tokio::test]
async fn an_account_takes_the_code_once_and_gives_it_back() {
    let world = World::with_chains(&[(BASE_SEPOLIA, "base-sepolia")]).await;
    let (chain, account) = (&world.chains[0], world.account(0, 0).await);
    let (self_batch, _) = deploy_self_batch(chain.client(), &world.owner).await.unwrap();
    let runs = async || chain.client().delegation(account.address()).await.unwrap();
    let to = self_batch.to_string();

    let (code, line, _) = delegate(&world, &account, &[]).await;
    assert_eq!((code, &line["code"]), (0, &Value::Null));

    // The marketplace is a contract, and not the one an account may run.
    let market = chain.contracts.job_marketplace.to_string();
    let (code, _, errors) = delegate(&world, &account, &["--to", &market]).await;
    assert_eq!(code, 1);
    assert!(errors.contains("is not the SelfBatch this build knows"), "{errors}");
    assert_eq!(runs().await, Delegation::None);

    let (code, line, errors) = delegate(&world, &account, &["--to", &to]).await;
    assert_eq!(code, 0, "{errors}");
    assert_eq!(line["code"], json!(self_batch), "{line}");
    assert_eq!(runs().await, Delegation::To(self_batch));
    let (code, again, _) = delegate(&world, &account, &["--to", &to]).await;
    assert_eq!((code, &again["tx"]), (0, &Value::Null), "it is so already");

    let (code, line, errors) = delegate(&world, &account, &["--end"]).await;
    assert_eq!((code, &line["code"]), (0, &Value::Null), "{errors}");
    assert!(line["tx"].is_string());
    assert_eq!(runs().await, Delegation::None);

    // The same wish after it was undone is a new one.
    let (code, line, errors) = delegate(&world, &account, &["--to", &to]).await;
    assert_eq!((code, &line["code"]), (0, &json!(self_batch)), "{errors}");
    assert_eq!(runs().await, Delegation::To(self_batch));
}

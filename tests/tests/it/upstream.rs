//! A host in front of another server: a second host that is paid itself, and a server that lies.

use std::time::Duration;

use capstan_tests::key::ApiKey;
use capstan_tests::paper::Paper;
use capstan_tests::process::{self, Process};
use capstan_tests::renter::{MODEL, Renter};
use capstan_tests::scene::{DEPOSIT, Scene};
use capstan_tests::tools;
use capstan_tests::upstream::{FakeUpstream, Script, ids, usage};
use serde_json::{Value, json};

/// A second host whose model runs at `upstream`.
struct Front {
    account: capstan_chain::LocalSigner,
    url: String,
    _process: Process,
}

impl Front {
    async fn start(scene: &Scene, upstream: &str, key: &str, limits: &str) -> Self {
        let account = scene.world.account(1000, 0).await;
        let config = scene.world.dir.path().join("front.toml");
        let model = tools::model();
        let text = scene.world.config_text(&format!(
            "\n[host]\n{limits}\n[host.models.capstan-tiny]\nfile = \"{}\"\nupstream = \"{upstream}\"\n\
             upstream_key_env = \"UPSTREAM_KEY\"\n",
            model.display()
        ));
        std::fs::write(&config, text).unwrap();
        process::register(&scene.world, &account, "http://127.0.0.1:1").await;
        let mut command = process::command(&scene.world, &account, "front");
        command.env("CAPSTAN_CONFIG", config).env("UPSTREAM_KEY", key);
        command.args(["host", "--listen", "127.0.0.1:0"]);
        let mut process = Process::start(command);
        let url = process.event("listening").await["url"].as_str().unwrap().to_owned();
        Self { account, url, _process: process }
    }

    async fn open(&self, scene: &Scene) -> Paper {
        let renter = scene.world.account(0, 0).await;
        let paper = Paper { host: self.account.address(), ..scene.paper(&renter, DEPOSIT, 86_400) };
        scene.fund(&paper).await;
        paper
    }
}

/// What the server sends, and what comes of it: so many tokens, or an error after so many.
type Case = (Script, Result<u64, (&'static str, u64)>);

#[tokio::test]
async fn a_host_that_buys_from_another_host_settles_on_both_sides() {
    let scene = Scene::start("idle_seconds = 4").await;
    let key = ApiKey::make(&scene, "key", "0.001", "0.0005").await;
    let front = Front::start(&scene, &key.base_url, &key.key, "").await;
    let paper = front.open(&scene).await;
    let mut renter = Renter::attach(&front.url, &paper).await;
    renter.ask("Tell me a story about a fox.", 40).await;
    let answer = renter.to_end().await;
    renter.ask("What is a voucher?", 200).await;
    renter.to_end().await;
    renter.end().await;
    // Both sell at one price, so both sums are the same: every id went through, once.
    scene.settles_for(&paper, renter.owed()).await;
    let bought = key.settled(&scene).await;
    assert_eq!(bought.host_paid + bought.fee, renter.owed());

    // And the answer is the one that the seller gives directly.
    let direct = scene.open(DEPOSIT).await;
    let mut renter = Renter::attach(&scene.url, &direct).await;
    renter.ask("Tell me a story about a fox.", 40).await;
    assert_eq!(renter.to_end().await.text, answer.text);
}

#[tokio::test]
async fn a_lying_or_broken_server_costs_the_renter_only_what_came() {
    let scene = Scene::start("").await;
    let fake = FakeUpstream::start().await;
    let front = Front::start(&scene, &fake.url, "secret", "").await;
    let paper = front.open(&scene).await;
    let mut renter = Renter::attach(&front.url, &paper).await;
    let prompt = MODEL.encode_text("Once upon a time").unwrap();
    let done = json!("[DONE]");
    let words = MODEL.tokenizer().encode("the owl and the fox", false).unwrap();
    let count = u64::try_from(words.len()).unwrap();

    let good = |script: Script, expected: u64| -> Case { (script, Ok(expected)) };
    let cases: Vec<(&str, Case)> = vec![
        (
            "counts a hundred times what it sent",
            good(Script::events(&[ids(&words), usage(9_000, 100 * count), done.clone()]), count),
        ),
        ("states no usage", good(Script::events(&[ids(&words), done.clone()]), count)),
        (
            "sends no ids",
            good(
                Script::events(&[
                    json!({ "choices": [{ "text": "the owl and" }] }),
                    json!({ "choices": [{ "text": " the fox", "finish_reason": "stop" }] }),
                    done.clone(),
                ]),
                count,
            ),
        ),
        (
            "sends more than was asked for",
            good(Script::events(&[ids(&[7; 500]), usage(prompt.len(), 500), done.clone()]), 24),
        ),
        ("dies mid-answer", (Script::events(&[ids(&words)]), Err(("backend_failed", count)))),
        (
            "breaks off with an error",
            (
                Script::events(&[ids(&words[..2]), json!({ "error": { "message": "oom" } })]),
                Err(("backend_failed", 2)),
            ),
        ),
        (
            "sends an id that no model has",
            (Script::events(&[ids(&[4_000_000_000]), done.clone()]), Err(("backend_failed", 0))),
        ),
        ("sends no JSON", (Script::events(&[json!("{oops")]), Err(("backend_failed", 0)))),
    ];
    for (what, (script, expected)) in cases {
        fake.next(script);
        let before = renter.count.clone();
        renter.ask_ids(prompt.clone(), 24).await;
        let output = match expected {
            Ok(output) => {
                let answer = renter.to_end().await;
                assert_eq!(answer.output, output, "an upstream that {what}");
                output
            }
            Err((code, output)) => {
                assert_eq!(error_of(&mut renter).await, code, "an upstream that {what}");
                output
            }
        };
        renter.catch_up().await;
        assert_eq!(renter.count.output - before.output, output, "billed: an upstream that {what}");
    }

    // Where no answer began, not even the prompt is billed.
    let before = renter.count.tokens();
    for (status, code) in [
        ("200 OK", "backend_failed"),
        ("401 Unauthorized", "backend_failed"),
        ("500 Internal Server Error", "overloaded"),
        ("429 Too Many Requests", "overloaded"),
    ] {
        fake.next(Script::page(status));
        renter.ask_ids(prompt.clone(), 24).await;
        assert_eq!(error_of(&mut renter).await, code, "a page with {status}");
        assert_eq!(renter.count.tokens(), before, "nothing is billed for a page with {status}");
    }
    assert_eq!(renter.end().await, "end");
    scene.settles_for(&paper, renter.owed()).await;
}

/// Reads up to the error of the request, paying nothing.
async fn error_of(renter: &mut Renter) -> String {
    loop {
        let frame = renter.wire.next().await.unwrap();
        assert_ne!(frame["type"], "finished", "{frame}");
        if frame["type"] == "error" {
            let message = frame["error"]["message"].as_str().unwrap();
            assert!(!message.contains("127.0.0.1") && !message.contains("secret"), "{message}");
            return frame["error"]["code"].as_str().unwrap().to_owned();
        }
        renter.count_frame(&frame);
    }
}

#[tokio::test]
async fn a_long_answer_is_no_idle_session() {
    let scene = Scene::start("").await;
    let fake = FakeUpstream::start().await;
    let front = Front::start(&scene, &fake.url, "secret", "idle_seconds = 1").await;
    let paper = front.open(&scene).await;
    let slow: Vec<Value> = (0..6).map(|_| ids(&[7])).chain([json!("[DONE]")]).collect();
    let slow = Script::events(&slow).slowly(Duration::from_millis(400));
    fake.next(slow.clone());
    let mut renter = Renter::attach(&front.url, &paper).await;
    renter.ask_ids(vec![5, 6], 24).await;
    assert_eq!(renter.to_end().await.output, 6);
    assert_eq!(renter.ended().await, "idle");
    scene.settles_for(&paper, renter.owed()).await;
}

//! `cargo xtask contracts-symbolic`: arithmetic and acceptance rules, proven for all inputs.

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::python;
use crate::repo::{self, Repo};

const PROFILE: &str = "symbolic";
/// Where that profile puts what it builds; halmos does not read it from there.
const OUT: &str = "cache/symbolic/out";
const RESULT: &str = "cache/symbolic/result.json";
/// The tests, in `contracts/`.
const TESTS: &str = "test/symbolic";
/// The hardest question takes about 40 s on two busy cores; `tools/smt.py` gives up soon after this.
const QUESTION_TIMEOUT: &str = "120s";

/// Proves the `check_` functions in `contracts/test/symbolic` for all arguments, with halmos.
///
/// They cover the packed session word, the split of the money, and which completions and vouchers are
/// accepted. An assertion either holds for every input or is answered with a counterexample; where the
/// solver finds neither in time, the function counts as failed. Loops are unrolled twice and no further,
/// which is enough for these functions, and `ecrecover` and `keccak256` stand for any function without
/// collisions.
///
/// Installs halmos and its solvers into `.tools/python` on first use; that needs Python 3.11 or newer
/// and, once, PyPI. Takes some minutes. Progress goes to stderr.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Prove only functions whose name matches this regular expression
    #[arg(long)]
    only: Option<String>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// What became of one function.
#[derive(Debug, PartialEq, Eq)]
struct Proof {
    suite: String,
    name: String,
    outcome: &'static str,
}

pub(crate) fn run(repo: &Repo, args: &Args) -> Result<ExitCode> {
    python::ensure(repo)?;
    let result = repo.path("contracts").join(RESULT);
    if result.exists() {
        fs::remove_file(&result).context("remove the last result")?;
    }
    fs::create_dir_all(repo.path("contracts").join(OUT)).context("create contracts/cache")?;
    let solver = [python::executable(repo, "python"), repo.path("tools/smt.py")]
        .map(|path| format!("'{}'", path.display()))
        .join(" ");
    let mut command = python::program(repo, "halmos")?;
    command
        .env("FOUNDRY_PROFILE", PROFILE)
        .args(["--forge-build-out", OUT, "--json-output", RESULT, "--minimal-json-output"])
        .args(["--no-status", "--solver-timeout-assertion", QUESTION_TIMEOUT])
        .args(["--solver-command", &solver]);
    if let Some(only) = &args.only {
        // halmos puts the prefix before the expression by itself.
        command.args(["--match-test", only.strip_prefix("check_").unwrap_or(only)]);
    }
    let ended = repo::run_on_stderr(&mut command);
    let text = match fs::read_to_string(&result) {
        Ok(text) => text,
        // Without a result, what stopped halmos says more than the missing file.
        Err(error) => return Err(ended.err().unwrap_or_else(|| error.into())),
    };
    let proofs = proofs(&serde_json::from_str(&text).context("halmos's result")?)?;
    let failed = proofs.iter().filter(|proof| proof.outcome != PROVEN).count();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&document(&proofs))?);
    } else {
        for proof in &proofs {
            println!("{:14}  {}:{}", proof.outcome, proof.suite, proof.name);
        }
        println!("{} proven, {failed} not", proofs.len() - failed);
    }
    if proofs.is_empty() {
        bail!("no function to prove in contracts/{TESTS}");
    }
    if failed != 0 {
        bail!("{failed} functions are not proven: see above for counterexamples");
    }
    ended.map(|()| ExitCode::SUCCESS)
}

const PROVEN: &str = "proven";

/// The result is suite to a list of functions with halmos's exit code of each.
fn proofs(result: &Value) -> Result<Vec<Proof>> {
    let suites = result["test_results"].as_object().context("no `test_results`")?;
    let mut proofs = Vec::new();
    for (suite, functions) in suites {
        for function in functions.as_array().context("no list of functions")? {
            let name = function["name"].as_str().context("no name")?.to_owned();
            let code = function["exitcode"].as_u64().context("no exit code")?;
            proofs.push(Proof { suite: suite.clone(), name, outcome: outcome(code) });
        }
    }
    Ok(proofs)
}

/// halmos's codes: 0 is the only good one, as with any program.
fn outcome(code: u64) -> &'static str {
    match code {
        0 => PROVEN,
        1 => "counterexample",
        2 => "timeout",
        3 => "stuck",
        4 => "always reverts",
        _ => "error",
    }
}

fn document(proofs: &[Proof]) -> Value {
    let proof = |proof: &Proof| {
        json!({ "suite": proof.suite, "name": proof.name, "outcome": proof.outcome,
                "proven": proof.outcome == PROVEN })
    };
    json!({
        "proven": proofs.iter().filter(|proof| proof.outcome == PROVEN).count(),
        "failed": proofs.iter().filter(|proof| proof.outcome != PROVEN).count(),
        "checks": proofs.iter().map(proof).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{document, proofs};

    #[test]
    fn only_code_zero_is_a_proof() {
        let result = json!({"exitcode": 1, "test_results": {
            "test/symbolic/A.t.sol:A": [
                {"name": "check_a()", "exitcode": 0, "num_models": 0},
                {"name": "check_b()", "exitcode": 2, "num_models": 0},
            ],
        }});
        let proofs = proofs(&result).unwrap();
        let outcomes: Vec<_> = proofs.iter().map(|proof| proof.outcome).collect();
        assert_eq!(outcomes, ["proven", "timeout"]);
        assert_eq!(document(&proofs)["failed"], 1);
    }

    #[test]
    fn a_result_without_tests_is_an_error() {
        assert!(proofs(&json!({"exitcode": 0})).is_err());
    }
}

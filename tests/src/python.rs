//! Python with the official OpenAI client, installed once into the ignored tools folder.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;

use crate::tools::root;

/// An interpreter that can `import openai`; says why there is none.
pub async fn with_openai() -> Result<PathBuf, String> {
    let system = PathBuf::from("python3");
    if has_openai(&system).await {
        return Ok(system);
    }
    let folder = root().join(".tools/venv");
    let own = folder.join("bin/python");
    if has_openai(&own).await {
        return Ok(own);
    }
    let mut venv = Command::new("python3");
    done("python3 -m venv", venv.args(["-m", "venv"]).arg(&folder)).await?;
    let mut pip = Command::new(&own);
    done("pip install openai", pip.args(["-m", "pip", "install", "--quiet", "openai>=1"])).await?;
    Ok(own)
}

async fn has_openai(python: &PathBuf) -> bool {
    done("import", Command::new(python).args(["-c", "import openai; openai.OpenAI"])).await.is_ok()
}

async fn done(what: &str, command: &mut Command) -> Result<(), String> {
    let output = command.output().await.map_err(|error| format!("{what}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{what}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Runs the client against an endpoint; gives the JSON it prints.
pub async fn openai(python: &PathBuf, base_url: &str, api_key: &str) -> Value {
    let output = Command::new(python)
        .arg(root().join("tests/clients/openai_python.py"))
        .env("OPENAI_BASE_URL", base_url)
        .env("OPENAI_API_KEY", api_key)
        // A proxy of this machine is none of the client's business here.
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .output()
        .await
        .expect("python runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the OpenAI client failed: {errors}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

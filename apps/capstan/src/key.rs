//! Loading the account's key from a keystore or the environment.

use anyhow::{Context as _, Result, bail};
use capstan_chain::{KeySource, LocalSigner};
use capstan_kit::Secret;

use crate::cli::KeyArgs;

/// Environment names that may hold the key itself, in order.
const KEY_ENV: [&str; 2] = ["CAPSTAN_PRIVATE_KEY", "HOST_PRIVATE_KEY"];

/// Environment name that may hold the keystore's password.
const PASSWORD_ENV: &str = "CAPSTAN_PASSWORD";

/// Loads the key, asking for a password only if nothing else gives one.
pub async fn load(args: &KeyArgs) -> Result<LocalSigner> {
    let source = match &args.keystore {
        Some(path) => KeySource::Keystore {
            path: path.clone(),
            password: password(args, &format!("Password of {}: ", path.display()))?,
        },
        None => match KEY_ENV.into_iter().find(|name| std::env::var_os(name).is_some()) {
            Some(name) => KeySource::Environment { name: name.to_owned() },
            None => bail!(
                "no key: name a keystore with --keystore (make one with `capstan key new`), or set {}",
                KEY_ENV[0]
            ),
        },
    };
    // Opening a keystore is a tenth of a second of work.
    tokio::task::spawn_blocking(move || LocalSigner::load(&source))
        .await
        .context("loading the key")?
        .context("cannot load the key")
}

/// The keystore's password: from its file, the environment, or the terminal.
pub fn password(args: &KeyArgs, prompt: &str) -> Result<Secret> {
    if let Some(path) = &args.password_file {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the password file {}", path.display()))?;
        return Ok(Secret::new(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if let Ok(text) = std::env::var(PASSWORD_ENV) {
        return Ok(Secret::new(text));
    }
    let text = rpassword::prompt_password(prompt).context(
        "cannot ask for the password here; name a file with --password-file or set CAPSTAN_PASSWORD",
    )?;
    Ok(Secret::new(text))
}

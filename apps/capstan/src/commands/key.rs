//! `capstan key`: make a key, show an account's address.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use capstan_chain::signer::create_keystore;
use clap::Subcommand;
use serde_json::json;

use crate::cli::Global;
use crate::output::Output;
use crate::settings::UsageError;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a new key in a keystore file, encrypted with a password
    New {
        /// File to write; it must not exist
        file: PathBuf,
    },
    /// Show the account's address
    Address,
}

pub async fn run(command: KeyCommand, global: &Global, output: &Output) -> Result<()> {
    let address = match command {
        KeyCommand::New { file } => {
            if file.exists() {
                return Err(UsageError(format!("{} exists; a key is never overwritten", file.display())).into());
            }
            let password = crate::key::password(&global.key, "Password for the new key: ")?;
            if password.expose().is_empty() {
                return Err(UsageError("an empty password protects nothing".into()).into());
            }
            let signer = tokio::task::spawn_blocking(move || create_keystore(&file, &password))
                .await?
                .context("cannot make the key")?;
            signer.address()
        }
        KeyCommand::Address => crate::key::load(&global.key).await?.address(),
    };
    output.answer(address.to_string(), &json!({ "address": address }));
    Ok(())
}

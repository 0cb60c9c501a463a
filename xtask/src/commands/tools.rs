//! `cargo xtask tools`: installs the pinned development tools.

use std::process::ExitCode;

use anyhow::Result;

use crate::repo::Repo;
use crate::toolchain::{self, Ensured};

/// Installs the pinned tools into `.tools/`.
///
/// Fetches what `tools/package.json` and its lock name from the npm registry: anvil (a local chain),
/// forge (contract tests), cast (chain queries), the Solidity compiler, and the Solidity libraries.
/// Nothing is installed outside `.tools/`, which git ignores. When the lock has not changed, nothing
/// happens.
///
/// The other commands do this by themselves. Call it to have the tools on hand:
/// `export PATH="$PWD/.tools/bin:$PATH"`.
#[derive(clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(repo: &Repo, _args: &Args) -> Result<ExitCode> {
    if toolchain::ensure(repo)? == Ensured::Present {
        eprintln!("the pinned tools are in place");
    }
    println!("{}", repo.tools_folder().display());
    Ok(ExitCode::SUCCESS)
}

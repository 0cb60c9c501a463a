//! The pinned Python programs, installed into a virtual environment in the ignored `.tools/` folder.
//!
//! `tools/requirements.txt` pins every package with its hashes, and pip checks what it fetches. Only
//! the commands that prove or analyse contracts need Python; no test does.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::repo::{self, Repo};
use crate::toolchain;

/// Oldest minor version of Python 3 that the lock was made for.
const PYTHON_MINOR: u32 = 11;

/// The text of the lock that was installed last, written after everything succeeded.
const STAMP: &str = "installed.stamp";

/// Installs the programs unless the ones installed last came from the same lock.
pub(crate) fn ensure(repo: &Repo) -> Result<()> {
    toolchain::ensure(repo)?;
    let guard = File::create(repo.path(".tools/python.lock")).context("create python.lock")?;
    guard.lock().context("lock .tools/python.lock")?;
    let lock = repo.path("tools/requirements.txt");
    let wanted = fs::read_to_string(&lock).context("tools/requirements.txt")?;
    let stamp = folder(repo).join(STAMP);
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let version = require_python()?;
    eprintln!("installing pinned Python programs into .tools/python ({version}); about a minute");
    make_environment(repo)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    let mut command = repo.command(folder(repo).join("bin/python"));
    command.args(pip).args(["--require-hashes", "--requirement"]).arg(&lock);
    repo::run_on_stderr(&mut command).context(
        "pip needs PyPI once; after that everything works offline. Packages that come without a \
         built wheel for this Python also need a C compiler and Python's headers (Debian, Ubuntu: \
         `apt-get install build-essential python3-dev`)",
    )?;
    fs::write(&stamp, wanted).context("write .tools/python/installed.stamp")
}

/// A program of the environment, with `forge` on its path, running in `contracts/`. Call `ensure` first.
pub(crate) fn program(repo: &Repo, name: &str) -> Result<Command> {
    let mut command = repo.command(executable(repo, name));
    let mut path = vec![repo.tools_folder(), folder(repo).join("bin")];
    path.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    // Some of them keep caches and solvers in the home folder.
    let home = folder(repo).join("home");
    fs::create_dir_all(&home).context("create .tools/python/home")?;
    command
        .current_dir(repo.path("contracts"))
        .env("PATH", std::env::join_paths(path).context("the search path")?)
        .env("HOME", home)
        .env("NO_COLOR", "1");
    Ok(command)
}

pub(crate) fn executable(repo: &Repo, name: &str) -> PathBuf {
    folder(repo).join("bin").join(name)
}

fn folder(repo: &Repo) -> PathBuf {
    repo.path(".tools/python")
}

fn require_python() -> Result<String> {
    let hint = format!(
        "install Python 3.{PYTHON_MINOR} or newer with venv (Debian, Ubuntu: `apt-get install \
         python3 python3-venv`; macOS: `brew install python`)"
    );
    let version = match Command::new("python3").arg("--version").output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        Ok(output) => bail!("`python3 --version`: {}; {hint}", output.status),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("`python3` is not on PATH: {hint}")
        }
        Err(error) => return Err(error).context("start `python3 --version`"),
    };
    let minor = minor_of(&version).with_context(|| format!("`{version}` is no Python 3"))?;
    if minor < PYTHON_MINOR {
        bail!("{version} is too old: {hint}");
    }
    Ok(version)
}

fn minor_of(version: &str) -> Option<u32> {
    version.strip_prefix("Python 3.")?.split('.').next()?.parse().ok()
}

/// From nothing: packages of an older lock would stay in it otherwise.
fn make_environment(repo: &Repo) -> Result<()> {
    let folder = folder(repo);
    if folder.exists() {
        fs::remove_dir_all(&folder).context("remove the old .tools/python")?;
    }
    repo::run_on_stderr(repo.command("python3").args(["-m", "venv"]).arg(&folder)).context(
        "Python's module `venv` is needed (Debian, Ubuntu: `apt-get install python3-venv`)",
    )
}

#[cfg(test)]
mod tests {
    use super::minor_of;

    #[test]
    fn python_versions_are_read() {
        assert_eq!(minor_of("Python 3.11.7"), Some(11));
        assert_eq!(minor_of("Python 3.14.0rc1"), Some(14));
        assert_eq!(minor_of("Python 2.7.18"), None);
    }
}

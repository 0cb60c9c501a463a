//! The pinned development tools, installed into the repository's ignored `.tools/` folder.
//!
//! `tools/package.json` pins versions, `tools/package-lock.json` their hashes. npm checks every
//! package it fetches against those.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::repo::{self, Repo};

/// Programs the tests and the demo call, each an npm package `@foundry-rs/<name>`.
pub(crate) const PROGRAMS: [&str; 3] = ["anvil", "forge", "cast"];

/// Oldest Node.js the tools run on: the oldest line that still got fixes when they were pinned.
const NODE_MAJOR: u32 = 20;

/// What was installed last: the text of manifest and lock, written after everything succeeded.
const STAMP: &str = "installed.stamp";

/// Whether `ensure` found everything in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ensured {
    Present,
    Installed,
}

/// Installs the tools unless the ones installed last came from the same lock.
pub(crate) fn ensure(repo: &Repo) -> Result<Ensured> {
    let folder = repo.path(".tools");
    fs::create_dir_all(&folder).context("create .tools")?;
    // Two commands started at once must not install into one folder together.
    let guard = File::create(folder.join("install.lock")).context("create .tools/install.lock")?;
    guard.lock().context("lock .tools/install.lock")?;

    let wanted = wanted(repo)?;
    let stamp = folder.join(STAMP);
    let complete = PROGRAMS.iter().all(|name| repo.tools_folder().join(name).exists());
    if complete && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(Ensured::Present);
    }
    remove_if_present(&stamp)?;
    let node = require_node()?;
    eprintln!("installing pinned tools into .tools/ with npm (Node.js {node}); about 10 s");
    install(repo, &folder)?;
    link_programs(repo, &folder)?;
    fs::write(&stamp, wanted).context("write .tools/installed.stamp")?;
    Ok(Ensured::Installed)
}

/// A program of the pinned set as a child process. Call `ensure` first.
pub(crate) fn program(repo: &Repo, name: &str) -> Command {
    repo.command(repo.tools_folder().join(name))
}

fn wanted(repo: &Repo) -> Result<String> {
    let read = |name: &str| {
        fs::read_to_string(repo.path("tools").join(name)).with_context(|| format!("tools/{name}"))
    };
    Ok(format!("{}{}", read("package.json")?, read("package-lock.json")?))
}

fn require_node() -> Result<String> {
    let version = version_of("node")?;
    version_of("npm")?;
    let major = major_of(&version).with_context(|| format!("node --version said `{version}`"))?;
    if major < NODE_MAJOR {
        bail!("Node.js {version} is too old: {NODE_MAJOR} or newer is needed (https://nodejs.org)");
    }
    Ok(version)
}

fn version_of(program: &str) -> Result<String> {
    let found = Command::new(program).arg("--version").output();
    match found {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(output) => bail!("`{program} --version`: {}", output.status),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "`{program}` is not on PATH: install Node.js {NODE_MAJOR} or newer with npm \
             (https://nodejs.org, or your system's packages `nodejs` and `npm`)"
        ),
        Err(error) => Err(error).with_context(|| format!("start `{program} --version`")),
    }
}

fn major_of(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn install(repo: &Repo, folder: &Path) -> Result<()> {
    for name in ["package.json", "package-lock.json"] {
        fs::copy(repo.path("tools").join(name), folder.join(name))
            .with_context(|| format!("copy tools/{name}"))?;
    }
    // `npm install` and not `npm ci`: both take versions and hashes from the lock, but `npm ci`
    // refuses a lock made where the other platforms' optional packages could not be had. Install
    // scripts only fetch what npm has fetched already.
    let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    repo::run_on_stderr(repo.command("npm").args(arguments).current_dir(folder))
        .context("npm needs the registry once; after that everything works offline")
}

/// Puts the native binaries side by side in `.tools/bin`.
fn link_programs(repo: &Repo, folder: &Path) -> Result<()> {
    let bin = repo.tools_folder();
    fs::create_dir_all(&bin).context("create .tools/bin")?;
    for name in PROGRAMS {
        let native = native_binary(folder, name)?;
        let link = bin.join(name);
        remove_if_present(&link)?;
        std::os::unix::fs::symlink(&native, &link)
            .with_context(|| format!("link {} to {}", link.display(), native.display()))?;
        let version = repo::output_of(repo.command(&link).arg("--version"))?;
        eprintln!("  {}", version.lines().next().unwrap_or(name));
    }
    Ok(())
}

fn native_binary(folder: &Path, name: &str) -> Result<PathBuf> {
    let platform = platform()?;
    let package = format!("@foundry-rs/{name}-{platform}");
    let binary = folder.join("node_modules").join(&package).join("bin").join(name);
    if !binary.is_file() {
        bail!("npm installed no {package}: is this platform among that tool's releases?");
    }
    Ok(binary)
}

/// The platform as the tools' npm packages name it.
fn platform() -> Result<String> {
    let system = match std::env::consts::OS {
        "linux" => "linux",
        "macos" => "darwin",
        other => bail!("the tools run on Linux and macOS, not on {other}"),
    };
    let processor = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("the tools come for x86-64 and ARM64, not for {other}"),
    };
    Ok(format!("{system}-{processor}"))
}

pub(crate) fn remove_if_present(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{major_of, version_of};

    #[test]
    fn node_versions_are_read() {
        assert_eq!(major_of("v20.20.2"), Some(20));
        assert_eq!(major_of("20.20.2"), None);
        assert_eq!(major_of("v"), None);
    }

    #[test]
    fn a_missing_program_says_what_to_install() {
        let error = version_of("capstan-no-such-program").unwrap_err().to_string();
        assert!(error.contains("install Node.js"), "{error}");
    }
}

//! The repository: where it is, and how a child process is started in it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Where the development tools are: a folder with `anvil`, `forge` and `cast`, absolute.
pub(crate) const TOOLS_VARIABLE: &str = "CAPSTAN_TOOLS";

/// The product's binary, absolute, for tests and the demo.
pub(crate) const BINARY_VARIABLE: &str = "CAPSTAN_BIN";

/// What `cargo run` says about xtask. A child cargo that inherits it reruns build scripts that
/// watch these names, once under xtask and once outside.
const OWN_PACKAGE_PREFIXES: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

pub(crate) struct Repo {
    root: PathBuf,
    cargo: OsString,
}

impl Repo {
    /// The checkout that `cargo xtask` was called in.
    pub(crate) fn find() -> Result<Self> {
        let here = match std::env::var_os("CARGO_MANIFEST_DIR") {
            Some(xtask) => PathBuf::from(xtask),
            None => std::env::current_dir().context("current folder")?,
        };
        let root = here
            .ancestors()
            .find(|folder| folder.join("xtask").join("Cargo.toml").is_file())
            .with_context(|| format!("{} is not inside a checkout of Capstan", here.display()))?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        Ok(Self { root: root.to_path_buf(), cargo })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A child process in the repository's root that finds the pinned tools.
    pub(crate) fn command(&self, program: impl Into<OsString>) -> Command {
        let mut command = Command::new(program.into());
        command.current_dir(&self.root).env(TOOLS_VARIABLE, self.tools_folder());
        for (name, _) in std::env::vars_os() {
            let own = name.to_str().is_some_and(|name| {
                OWN_PACKAGE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            });
            if own {
                command.env_remove(name);
            }
        }
        command
    }

    /// The cargo that runs xtask.
    pub(crate) fn cargo(&self) -> Command {
        self.command(&self.cargo)
    }

    /// Native binaries of the pinned tools. npm's own `.bin` holds Node wrappers, and a killed
    /// wrapper leaves its chain running.
    pub(crate) fn tools_folder(&self) -> PathBuf {
        self.path(".tools/bin")
    }
}

/// Runs to the end with the terminal attached, and fails with the command line if it failed.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = display(command);
    eprintln!("$ {line}");
    let status = command.status().with_context(|| format!("start `{line}`"))?;
    check(&line, status)
}

/// The same with stdout sent to stderr: the caller's own stdout is data.
pub(crate) fn run_on_stderr(command: &mut Command) -> Result<()> {
    run(command.stdout(Stdio::from(std::io::stderr())))
}

/// What a short command prints, trimmed.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let line = display(command);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("start `{line}`"))?;
    check(&line, output.status)?;
    let text = String::from_utf8(output.stdout).with_context(|| format!("output of `{line}`"))?;
    Ok(text.trim().to_owned())
}

/// Runs to the end, shows every line on stderr as it comes, and gives all of them back: a long
/// command's output is its progress and its result.
pub(crate) fn lines_of(command: &mut Command) -> Result<(Vec<String>, ExitStatus)> {
    let line = display(command);
    eprintln!("$ {line}");
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("start `{line}`"))?;
    let stdout = child.stdout.take().with_context(|| format!("output of `{line}`"))?;
    let mut lines = Vec::new();
    for text in BufReader::new(stdout).lines() {
        let text = text.with_context(|| format!("output of `{line}`"))?;
        eprintln!("{text}");
        lines.push(text);
    }
    let status = child.wait().with_context(|| format!("wait for `{line}`"))?;
    Ok((lines, status))
}

pub(crate) fn check(line: &str, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{line}`: {status}");
    }
    Ok(())
}

/// The command line as a person would type it, with a path program cut to its name.
pub(crate) fn display(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let program = program.file_name().unwrap_or(command.get_program());
    let mut line = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{display, lines_of, output_of, run};

    #[test]
    fn a_command_is_shown_by_name() {
        let mut command = Command::new("/somewhere/forge");
        command.args(["test", "--offline"]);
        assert_eq!(display(&command), "forge test --offline");
    }

    #[test]
    fn a_failing_command_is_named() {
        let error = run(Command::new("false").arg("x")).unwrap_err();
        assert!(error.to_string().starts_with("`false x`: "), "{error}");
    }

    #[test]
    fn output_is_trimmed() {
        assert_eq!(output_of(Command::new("echo").arg("hi")).unwrap(), "hi");
    }

    #[test]
    fn lines_are_kept_of_a_failing_command_too() {
        let (lines, status) =
            lines_of(Command::new("sh").args(["-c", "echo a; echo b; exit 3"])).unwrap();
        assert_eq!(lines, ["a", "b"]);
        assert_eq!(status.code(), Some(3));
    }
}

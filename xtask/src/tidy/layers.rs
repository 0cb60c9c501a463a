//! The layering, proven from `cargo metadata`: dependencies point down only.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;
use super::rooms::{BESIDE, BESIDE_ABOVE, FOR_TESTS, RESERVED, ROWS, Row, room_of, row_of};
use crate::repo::{self, Repo};

/// The workspace's packages and what their manifests ask for, of every kind: a dev-dependency ties
/// two rooms together as firmly as any other.
#[derive(Default)]
pub(super) struct Graph {
    pub(super) packages: Vec<Package>,
}

pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the root.
    pub(super) folder: String,
    pub(super) dependencies: Vec<Dependency>,
}

pub(super) struct Dependency {
    pub(super) name: String,
    /// Of a package in this repository, relative to the root.
    pub(super) folder: Option<String>,
    /// True if only tests need it.
    pub(super) for_tests: bool,
}

impl Graph {
    pub(super) fn of(repo: &Repo) -> Result<Self> {
        let arguments = ["metadata", "--no-deps", "--format-version=1"];
        Self::parse(&repo::output_of(repo.cargo().args(arguments))?).context("cargo metadata")
    }

    /// Reads what `cargo metadata` prints. The crate for it would turn on a feature of serde_json for
    /// the whole workspace, and with it build half of all dependencies twice.
    fn parse(text: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(text)?;
        let root = Path::new(string(&metadata["workspace_root"])?);
        let relative =
            |path: &Path| path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        let mut packages = Vec::new();
        for package in list(&metadata["packages"])? {
            let mut dependencies = Vec::new();
            for dependency in list(&package["dependencies"])? {
                dependencies.push(Dependency {
                    name: string(&dependency["name"])?.to_owned(),
                    folder: dependency["path"].as_str().map(|path| relative(Path::new(path))),
                    for_tests: dependency["kind"] == "dev",
                });
            }
            let manifest = Path::new(string(&package["manifest_path"])?);
            packages.push(Package {
                name: string(&package["name"])?.to_owned(),
                folder: manifest.parent().map(relative).unwrap_or_default(),
                dependencies,
            });
        }
        Ok(Self { packages })
    }
}

fn string(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("a string was expected, not {value}"))
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().with_context(|| format!("a list was expected, not {value}"))
}

/// Every edge that the table of rooms forbids.
pub(super) fn check(graph: &Graph) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &graph.packages {
        let manifest = format!("{}/Cargo.toml", package.folder);
        let Some(room) = room_of(&package.folder) else {
            findings.push(Finding::of_file(
                &manifest,
                format!("`{}` is in no room", package.name),
                "add its folder to ARCHITECTURE.md and to xtask/src/tidy/rooms.rs",
            ));
            continue;
        };
        for dependency in &package.dependencies {
            let (what, remedy) = match &dependency.folder {
                Some(folder) => match forbidden_import(room, folder, dependency.for_tests) {
                    Some(reason) => (
                        reason,
                        "move the shared part to a lower row, or let the two meet in apps".into(),
                    ),
                    None => continue,
                },
                None => match forbidden_package(room, &dependency.name) {
                    Some(found) => found,
                    None => continue,
                },
            };
            findings.push(Finding::of_file(&manifest, what, remedy));
        }
    }
    findings
}

/// Why `room` must not import the package in `folder`, if it must not.
fn forbidden_import(room: &str, folder: &str, for_tests: bool) -> Option<String> {
    let Some(target) = room_of(folder) else {
        return Some(format!("imports {folder}, which is in no room"));
    };
    if target == room {
        return None;
    }
    if FOR_TESTS.contains(&target) {
        let may = for_tests || row_of(room).is_none();
        return (!may).then(|| format!("{room} imports {target}, which is for tests alone"));
    }
    let (from, to) = match (row_of(room), row_of(target)) {
        (_, None) => {
            return Some(format!("{room} imports {target}: nothing imports a room beside"));
        }
        (None, Some(0)) => {
            return Some(format!("{room} imports {target}: nothing imports apps"));
        }
        (None, Some(_)) if BESIDE_ABOVE.contains(&room) => return None,
        (None, Some(_)) => return Some(format!("{room} imports {target}: it stands alone")),
        (Some(from), Some(to)) => (from, to),
    };
    let name = |index: usize| ROWS.get(index).map_or("", |row| row.name);
    match from.cmp(&to) {
        std::cmp::Ordering::Less => None,
        std::cmp::Ordering::Equal => {
            Some(format!("{room} imports {target}: both are on row `{}`", name(from)))
        }
        std::cmp::Ordering::Greater => {
            Some(format!("{room} (row `{}`) imports {target} (row `{}`)", name(from), name(to)))
        }
    }
}

/// What is wrong with `room` depending on an outside package, and what to do instead.
fn forbidden_package(room: &str, package: &str) -> Option<(String, String)> {
    let rule = RESERVED.iter().find(|rule| rule.covers(package))?;
    if rule.rooms.contains(&room) {
        return None;
    }
    let remedy = if rule.rooms.is_empty() {
        "do without it".into()
    } else {
        format!("put what needs it into {}", rule.rooms.join(", "))
    };
    Some((format!("{room} depends on {package}: {}", rule.reason), remedy))
}

/// Holds the table under "Rooms" in ARCHITECTURE.md to the table of this check.
pub(super) fn check_map(architecture: &str) -> Vec<Finding> {
    let shown = shown_rows(architecture);
    let same = |row: &Row| {
        let rooms: Vec<_> = shown.iter().filter(|(name, _)| name == row.name).collect();
        rooms.len() == row.rooms.len()
            && rooms.iter().all(|(_, room)| row.rooms.contains(&room.as_str()))
    };
    ROWS.iter()
        .chain([&BESIDE])
        .filter(|row| !same(row))
        .map(|row| {
            Finding::of_file(
                "ARCHITECTURE.md",
                format!("row `{}` does not list exactly {}", row.name, row.rooms.join(", ")),
                "make the table there and xtask/src/tidy/rooms.rs say the same",
            )
        })
        .collect()
}

/// (row, room) of each line `| row | `room` | ...`; an empty first cell continues the row above.
fn shown_rows(architecture: &str) -> Vec<(String, String)> {
    let mut row = String::new();
    let mut shown = Vec::new();
    for line in architecture.lines() {
        let mut cells = line.split('|').skip(1).map(str::trim);
        let (Some(name), Some(room)) = (cells.next(), cells.next()) else { continue };
        let Some(room) = room.strip_prefix('`').and_then(|room| room.strip_suffix('`')) else {
            continue;
        };
        if !name.is_empty() {
            row = name.to_owned();
        }
        shown.push((row.clone(), room.trim_end_matches('/').to_owned()));
    }
    shown
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;

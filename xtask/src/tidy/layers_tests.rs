//! The layering check against graphs that break it.

use super::{Dependency, Graph, Package, check, check_map};

fn package(folder: &str, dependencies: &[&str]) -> Package {
    let dependency = |name: &&str| match name.split_once('/') {
        Some(_) => own(name),
        None if *name == "tests" || *name == "xtask" => own(name),
        None => Dependency { name: (*name).into(), folder: None, for_tests: false },
    };
    Package {
        name: folder.replace('/', "-"),
        folder: folder.into(),
        dependencies: dependencies.iter().map(dependency).collect(),
    }
}

fn own(folder: &str) -> Dependency {
    Dependency { name: folder.into(), folder: Some(folder.into()), for_tests: false }
}

/// What is found about one package with these dependencies; a slash makes one of this repository.
fn found(folder: &str, dependencies: &[&str]) -> Vec<String> {
    let graph = Graph { packages: vec![package(folder, dependencies)] };
    check(&graph).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn refused(folder: &str, dependency: &str, reason: &str) {
    let findings = found(folder, &[dependency]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with(&format!("{folder}/Cargo.toml: ")), "{findings:?}");
    assert!(findings[0].contains(reason), "{findings:?}");
}

#[test]
fn a_forbidden_edge_is_found_in_metadata() {
    let metadata = r#"{"workspace_root": "/w", "packages": [
        {"name": "capstan-store", "manifest_path": "/w/crates/store/Cargo.toml", "dependencies": [
            {"name": "rusqlite", "path": null},
            {"name": "capstan-base", "path": "/w/crates/base"},
            {"name": "capstan-chain", "path": "/w/crates/chain", "kind": "dev"}]}]}"#;
    let findings = check(&Graph::parse(metadata).unwrap());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains("crates/store imports crates/chain"), "{findings:?}");
    assert!(Graph::parse("{}").is_err());
}

#[test]
fn downward_is_allowed() {
    let below = ["crates/host", "crates/renter", "crates/engine", "crates/store", "crates/base"];
    assert_eq!(found("apps/capstan", &below), [""; 0]);
    assert_eq!(found("crates/host", &["crates/engine", "crates/wire", "axum", "tokio"]), [""; 0]);
}

#[test]
fn upward_is_refused() {
    refused("crates/base", "crates/kit", "row `values`");
    refused("crates/store", "crates/engine", "row `engine`");
    refused("crates/engine", "crates/host", "row `features`");
    refused("crates/renter", "apps/capstan", "row `apps`");
}

#[test]
fn neighbours_are_refused() {
    refused("crates/host", "crates/renter", "both are on row `features`");
    refused("crates/chain", "crates/store", "both are on row `services`");
    refused("crates/wire", "crates/kit", "both are on row `shared`");
}

#[test]
fn a_family_may_import_itself() {
    assert_eq!(found("crates/store/sqlite", &["crates/store/seam"]), [""; 0]);
}

#[test]
fn what_is_for_tests_is_imported_by_tests() {
    refused("crates/store", "tests/postgres", "for tests alone");
    refused("tests/postgres", "crates/base", "it stands alone");
    assert_eq!(found("tests", &["tests/postgres"]), [""; 0]);
    assert_eq!(found("xtask", &["tests/postgres"]), [""; 0]);
    let metadata = r#"{"workspace_root": "/w", "packages": [
        {"name": "capstan-store", "manifest_path": "/w/crates/store/Cargo.toml", "dependencies": [
            {"name": "x", "path": "/w/tests/postgres", "kind": "dev"}]}]}"#;
    assert!(check(&Graph::parse(metadata).unwrap()).is_empty());
}

#[test]
fn rooms_beside_are_nobodys_dependency() {
    refused("apps/capstan", "tests", "nothing imports a room beside");
    refused("tests", "apps/capstan", "nothing imports apps");
    refused("xtask", "crates/base", "it stands alone");
    assert_eq!(found("tests", &["crates/chain", "crates/base"]), [""; 0]);
}

#[test]
fn a_new_crate_needs_a_room() {
    assert!(found("crates/bridge", &[])[0].contains("is in no room"));
    refused("crates/host", "crates/bridge", "in no room");
}

#[test]
fn reserved_packages_stay_in_their_room() {
    refused("crates/host", "rusqlite", "only the store knows SQL");
    refused("crates/engine", "alloy-rpc-client", "only chain knows RPC");
    refused("tests", "alloy-transport-http", "only chain knows RPC");
    refused("crates/chain", "alloy-provider", "do without it");
    refused("crates/engine", "axum", "only features and apps answer HTTP");
    refused("crates/base", "tokio", "base and wire do no IO");
}

#[test]
fn every_finding_is_listed() {
    let packages = vec![
        package("crates/base", &["crates/kit", "tokio"]),
        package("crates/host", &["crates/renter"]),
    ];
    assert_eq!(check(&Graph { packages }).len(), 3);
}

const MAP: &str = "\
| row | room | holds |
|---|---|---|
| apps | `apps/capstan` | the binary |
| features | `crates/host` | selling |
| | `crates/renter` | buying |
| | `crates/signer` | committees |
| engine | `crates/engine` | transactions |
| services | `crates/chain` | RPC |
| | `crates/store` | SQL |
| | `crates/model` | models |
| shared | `crates/wire` | messages |
| | `crates/kit` | habits |
| values | `crates/base` | values |
| beside | `contracts/` | Solidity |
| | `models/` | the tiny model |
| | `tests/` | scenarios |
| | `tests/postgres/` | a server |
| | `xtask/` | commands |
| | `docs/` | pages |
";

#[test]
fn the_map_must_show_the_same_rows() {
    assert_eq!(check_map(MAP), []);
    let moved = MAP.replace("| engine | `crates/engine`", "| | `crates/engine`");
    let findings: Vec<_> = check_map(&moved).iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains("row `features`"), "{findings:?}");
    assert!(findings[1].contains("row `engine`"), "{findings:?}");
}

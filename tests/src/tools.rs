//! Where the pinned tools and the product's binary lie.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// A pinned tool, such as `anvil`.
pub fn tool(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("CAPSTAN_TOOLS").map_or_else(|| root().join(".tools/bin"), PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask tools`", path.display());
    path
}

/// The product's binary, as `cargo xtask` or `cargo build` left it.
pub fn capstan() -> PathBuf {
    if let Some(path) = std::env::var_os("CAPSTAN_BIN") {
        return path.into();
    }
    beside("capstan")
}

/// A binary of the same build as this program.
pub fn beside(name: &str) -> PathBuf {
    // This program lies in target/<profile>/ or target/<profile>/deps/.
    let own = std::env::current_exe().expect("the path of this program");
    let beside = own.ancestors().map(|folder| folder.join(name)).find(|path| path.is_file());
    beside.unwrap_or_else(|| panic!("`{name}` is not built: run `cargo build --workspace --bins`"))
}

/// The project's own model.
pub fn model() -> PathBuf {
    root().join("models/capstan-tiny.gguf")
}

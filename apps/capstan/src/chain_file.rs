//! Writes what a deployment made into the configuration file, and leaves the rest of it as it is.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use capstan_base::Address;
use toml_edit::{DocumentMut, Item, Table, Value};

/// Puts contracts under `[chains.<name>]` of the file, which is made if there is none. A file that names
/// contracts of this chain already is refused unless `replace`.
pub fn write(path: &Path, name: &str, made: &Made, replace: bool) -> Result<()> {
    let text = read(path)?;
    let changed = changed(&text, name, made, replace)
        .with_context(|| format!("cannot change {}", path.display()))?;
    // A file half written would cost the addresses and all else that stood in it.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut scratch = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
        .with_context(|| format!("cannot write beside {}", path.display()))?;
    std::io::Write::write_all(&mut scratch, changed.as_bytes())
        .and_then(|()| scratch.as_file().sync_all())
        .with_context(|| format!("cannot write {}", path.display()))?;
    // Whoever could read the old file can read the new one.
    if let Ok(old) = std::fs::metadata(path) {
        scratch
            .as_file()
            .set_permissions(old.permissions())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    scratch.persist(path).with_context(|| format!("cannot replace {}", path.display()))?;
    Ok(())
}

/// Whether the file names contracts of this chain.
pub fn names_contracts(path: &Path, name: &str) -> Result<bool> {
    Ok(contracts_of(&read(path)?.parse()?, name))
}

/// Its text; none if it is not there yet.
fn read(path: &Path) -> Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// What is written.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// Key and address of each contract, in the order they are to stand.
    pub contracts: Vec<(&'static str, Address)>,
    /// Block of the first, if it is known.
    pub from_block: Option<u64>,
}

fn contracts_of(document: &DocumentMut, name: &str) -> bool {
    let chain = document.get("chains").and_then(|chains| chains.get(name));
    chain.and_then(|chain| chain.get("contracts")).is_some()
}

fn changed(text: &str, name: &str, made: &Made, replace: bool) -> Result<String> {
    let mut document: DocumentMut = text.parse()?;
    if contracts_of(&document, name) && !replace {
        bail!("it names contracts of {name} already; --replace puts the new ones in their place");
    }
    let chain = table(document.as_table_mut(), "chains")
        .and_then(|chains| table(chains, name))
        .with_context(|| format!("chains.{name} is not a table"))?;
    let mut contracts = Table::new();
    for (key, address) in &made.contracts {
        contracts.insert(key, Item::Value(Value::from(address.to_checksum(None))));
    }
    if let Some(block) = made.from_block {
        let block = i64::try_from(block).context("the block's number")?;
        contracts.insert("from_block", Item::Value(Value::from(block)));
    }
    chain.insert("contracts", Item::Table(contracts));
    Ok(document.to_string())
}

/// The table under a key, made if there is none, without a heading of its own if it holds nothing else.
fn table<'a>(parent: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    let item = parent.entry(key).or_insert_with(|| {
        let mut made = Table::new();
        made.set_implicit(true);
        Item::Table(made)
    });
    item.as_table_mut()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Made {
        Made {
            contracts: vec![("job_marketplace", Address::repeat_byte(0x11))],
            from_block: Some(7),
        }
    }

    const TABLE: &str = "[chains.base-sepolia.contracts]\n\
        job_marketplace = \"0x1111111111111111111111111111111111111111\"\nfrom_block = 7\n";

    #[test]
    fn a_file_is_begun() {
        assert_eq!(changed("", "base-sepolia", &made(), false).unwrap(), TABLE);
    }

    #[test]
    fn the_rest_of_a_file_stays_as_it_is() {
        let text = "# mine\n[host]\nwindow = 3 # small\n\n[chains.base-sepolia]\nrpc_urls = [\"http://a\"]\n";
        let changed = changed(text, "base-sepolia", &made(), false).unwrap();
        assert_eq!(changed, format!("{text}\n{TABLE}"));
    }

    #[test]
    fn contracts_are_replaced_when_that_is_asked_for_only() {
        let old = TABLE.replace("11", "22");
        let error = changed(&old, "base-sepolia", &made(), false).unwrap_err();
        assert!(error.to_string().contains("--replace"), "{error}");
        assert_eq!(changed(&old, "base-sepolia", &made(), true).unwrap(), TABLE);
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        assert!(changed("chains = 3", "base-sepolia", &made(), false).is_err());
        assert!(changed("[chains", "base-sepolia", &made(), false).is_err());
    }
}

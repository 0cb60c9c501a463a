//! What commands that only look need: settings, and a database that a running host may be writing.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use capstan_base::Address;
use capstan_store::{PgStore, SessionStore, Store};
use clap::Args;

use crate::cli::Global;
use crate::context::{data_folder, database};
use crate::settings::{Settings, StoreSettings, UsageError};

/// Whose database to look into.
#[derive(Clone, Debug, Args)]
pub struct LookArgs {
    /// Account to look at [default: the one with a database here, else the key's]
    #[arg(long, value_parser = crate::cli::account)]
    pub account: Option<Address>,
}

/// A look without a lock, an engine or, where one account is known here, a key.
pub struct Look {
    /// File and environment.
    pub settings: Settings,
    /// The account.
    pub account: Address,
    /// Its database, which need not exist.
    pub path: PathBuf,
}

impl Look {
    /// Finds the account.
    pub async fn load(global: &Global, args: &LookArgs) -> Result<Self> {
        let settings = Settings::load(global.config.as_deref())?;
        let data = data_folder(global)?;
        let account = match args.account {
            Some(account) => account,
            None => match known(&data).as_slice() {
                [one] => *one,
                [] => crate::key::load(&global.key).await?.address(),
                several => match crate::key::load(&global.key).await {
                    Ok(signer) => signer.address(),
                    Err(_) => {
                        let names: Vec<_> = several.iter().map(ToString::to_string).collect();
                        let names = names.join(", ");
                        let text = format!(
                            "several accounts are known here; name one with --account: {names}"
                        );
                        return Err(UsageError(text).into());
                    }
                },
            },
        };
        let path = database(&data, account);
        Ok(Self { settings, account, path })
    }

    /// The database that machines share, if they do, else this machine's own; `None` if nothing was
    /// ever written here.
    pub async fn session_store(&self) -> Result<Option<Arc<dyn SessionStore>>> {
        match &self.settings.store {
            None => Ok(self.store()?.map(|store| Arc::new(store) as Arc<dyn SessionStore>)),
            Some(StoreSettings { url, machine }) => {
                Ok(Some(Arc::new(PgStore::connect_read_only(url, machine).await?)))
            }
        }
    }

    /// This machine's own database; `None` if nothing was ever written here.
    pub fn store(&self) -> Result<Option<Store>> {
        if !self.path.exists() {
            return Ok(None);
        }
        let failed = || format!("cannot read the database {}", self.path.display());
        Store::open_read_only(&self.path).with_context(failed).map(Some)
    }

    /// The same as [`Look::session_store`], which has to exist.
    pub async fn stored(&self) -> Result<Arc<dyn SessionStore>> {
        self.session_store().await?.with_context(|| {
            format!("nothing is stored for {} in {}", self.account, self.path.display())
        })
    }
}

/// Accounts with a database in a folder.
fn known(data: &std::path::Path) -> Vec<Address> {
    let files = std::fs::read_dir(data).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let mut accounts: Vec<Address> =
        names.filter_map(|name| name.strip_suffix(".db")?.parse().ok()).collect();
    accounts.sort_unstable();
    accounts
}

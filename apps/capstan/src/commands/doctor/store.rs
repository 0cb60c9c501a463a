//! The database that machines share: there, new enough, at this program's schema, and who sends.

use capstan_kit::causes;
use capstan_store::{PgStore, StoreError};

use super::Checks;
use crate::settings::StoreSettings;

/// Oldest server whose statements and settings this program knows.
const OLDEST: u32 = 13;

pub(super) async fn check(checks: &mut Checks<'_>, shared: &StoreSettings) {
    let name = format!("store {}", shared.url);
    let store = match PgStore::connect_read_only(&shared.url, &shared.machine).await {
        Ok(store) => store,
        Err(error) => {
            let (detail, next) = (causes(&error), next(&error));
            // A database where no host ever ran is as good as new.
            return match &error {
                StoreError::SchemaTooOld { .. } => checks.warn(name, detail, next),
                _ => checks.fail(name, detail, next),
            };
        }
    };
    match store.server_version().await {
        Ok(version) if major(&version) < OLDEST => {
            let next = format!("move the database to PostgreSQL {OLDEST} or newer");
            checks.fail(name, format!("PostgreSQL {version}"), next);
        }
        Ok(version) => {
            let machine = &shared.machine;
            checks.ok(name, format!("PostgreSQL {version}, schema as it should be, as {machine}"));
        }
        Err(error) => return checks.fail(name, causes(&error), "try again"),
    }
    match store.leads().await {
        Ok(leads) => {
            for lead in leads {
                let name = format!("lane of {} on chain {}", lead.lane.sender, lead.lane.chain_id);
                let detail = match lead.owner {
                    Some(owner) if lead.is_leased => format!("{owner} sends for it"),
                    Some(owner) => format!("nobody sends for it; {owner} did last"),
                    None => "nobody sends for it; the next host that runs takes it".to_owned(),
                };
                checks.ok(name, detail);
            }
        }
        Err(error) => checks.fail("lanes", causes(&error), "try again"),
    }
}

fn next(error: &StoreError) -> &'static str {
    match error {
        StoreError::SchemaTooOld { .. } => "`capstan host` brings it up when it starts",
        StoreError::SchemaTooNew { .. } => {
            "take the version of Capstan that the other machines run"
        }
        _ => "check the URL of [store], the role's rights, and the server",
    }
}

/// The server's major version; 0 if it says none.
fn major(version: &str) -> u32 {
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use capstan_store::{EngineStore as _, LaneKey};

    use super::*;
    use crate::output::Output;

    async fn checked(shared: &StoreSettings) -> (usize, usize) {
        let output = Output::new(true);
        let mut checks = Checks { output: &output, failed: 0, warned: 0 };
        check(&mut checks, shared).await;
        (checks.failed, checks.warned)
    }

    #[tokio::test]
    async fn a_shared_store_is_looked_at_and_left_as_it_is() {
        let Some(server) = capstan_test_postgres::start() else { return };
        let url = server.database("capstan").parse().unwrap();
        let shared = StoreSettings { url, machine: "here".to_owned() };
        assert_eq!(checked(&shared).await, (0, 1), "no schema yet");
        assert_eq!(checked(&shared).await, (0, 1), "and none was made");
        let store = PgStore::connect(&shared.url, "here").await.unwrap();
        let chain_id = capstan_base::ChainId(7);
        let lane = LaneKey { chain_id, sender: capstan_base::Address::ZERO };
        store.acquire_lane(lane, "engine", core::time::Duration::from_secs(9)).await.unwrap();
        assert_eq!(checked(&shared).await, (0, 0));
        server.sql("capstan", "INSERT INTO capstan_schema (version) VALUES (999)");
        assert_eq!(checked(&shared).await, (1, 0));
        let url = "postgres://me@127.0.0.1:1/none".parse().unwrap();
        assert_eq!(checked(&StoreSettings { url, ..shared }).await, (1, 0));
    }

    #[test]
    fn a_servers_version_is_known_by_its_major() {
        for (version, known) in [("15.4 (Debian 15.4-1)", 15), ("9.6.24", 9), ("17beta1", 17)] {
            assert_eq!(major(version), known);
        }
    }
}

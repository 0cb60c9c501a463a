//! `[store]`: a database that several machines with one key share.

use capstan_kit::{Problems, Secret, Section};
use capstan_store::PostgresUrl;

/// Environment variable with the URL, before the file's.
const URL_ENV: &str = "CAPSTAN_DATABASE_URL";

/// Environment variable with the machine's name, before the file's.
const MACHINE_ENV: &str = "CAPSTAN_MACHINE";

/// A database that several machines share.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Where it is.
    pub url: PostgresUrl,
    /// This machine's name among them.
    pub machine: String,
}

/// `None` without a URL: files of this machine then.
pub(super) fn read(
    section: Option<Section<'_>>,
    env: impl Fn(&str) -> Option<String>,
    problems: &mut Problems,
) -> Option<StoreSettings> {
    let mut text = |key, variable: &str| {
        let written = section.as_ref().and_then(|section| section.text(key, problems));
        match env(variable).filter(|value| !value.is_empty()) {
            Some(value) => Some((variable.to_owned(), value)),
            None => written.map(|value| (format!("store.{key}"), value.to_owned())),
        }
    };
    let (url, machine) = (text("url", URL_ENV), text("machine", MACHINE_ENV));
    if let Some(section) = section {
        section.finish(problems);
    }
    let (path, url) = url?;
    let Some((_, machine)) = machine.filter(|(_, name)| !name.is_empty()) else {
        problems.add("store.machine", "is missing", "give each machine a name of its own");
        return None;
    };
    match PostgresUrl::new(Secret::new(url)) {
        Ok(url) => Some(StoreSettings { url, machine }),
        // The value may hold a password and is not repeated.
        Err(error) => {
            problems.add(path, format!("is {error}"), "");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(document: &str, env: &[(&str, &str)]) -> (Option<StoreSettings>, String) {
        let document: toml::Table = document.parse().unwrap();
        let mut problems = Problems::new();
        let root = Section::new("", &document);
        let section = root.section("store", &mut problems);
        let env = |name: &str| {
            env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let settings = read(section, env, &mut problems);
        (settings, problems.to_string())
    }

    #[test]
    fn the_environment_goes_before_the_file() {
        let file = "[store]\nurl = \"postgres://a@one/x\"\nmachine = \"left\"";
        let (settings, _) = of(file, &[(URL_ENV, "postgres://a:hush@two/x"), (MACHINE_ENV, "")]);
        let settings = settings.unwrap();
        assert_eq!(settings.url.to_string(), "postgres at two:5432, database x");
        assert_eq!(settings.machine, "left");
        assert!(!format!("{settings:?}").contains("hush"));
        assert!(of("", &[]).0.is_none());
    }

    #[test]
    fn mistakes_are_named_without_the_password() {
        let (_, problems) =
            of("[store]\nurl = \"mysql://a:hush@two/x\"\nmachine = \"m\"\nx = 1", &[]);
        assert!(problems.contains("store.url") && problems.contains("store.x"), "{problems}");
        assert!(!problems.contains("hush"), "{problems}");
        let (_, problems) = of("", &[(URL_ENV, "postgres://a@two/x")]);
        assert!(problems.contains("store.machine"), "{problems}");
    }
}

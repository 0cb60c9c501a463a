//! The rooms of the house and what each may import: the table that `ARCHITECTURE.md` shows.

/// Rooms that stand at one height. They do not import each other.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Folders, relative to the root. A room may be a family of crates below its folder.
    pub(super) rooms: &'static [&'static str],
}

const fn row(name: &'static str, rooms: &'static [&'static str]) -> Row {
    Row { name, rooms }
}

/// From top to bottom: a room imports from rows below its own only.
pub(super) const ROWS: [Row; 6] = [
    row("apps", &["apps/capstan"]),
    row("features", &["crates/host", "crates/renter", "crates/signer"]),
    row("engine", &["crates/engine"]),
    row("services", &["crates/chain", "crates/store", "crates/model"]),
    row("shared", &["crates/wire", "crates/kit"]),
    row("values", &["crates/base"]),
];

/// Not part of the product: nothing imports them.
pub(super) const BESIDE: Row =
    row("beside", &["contracts", "models", "tests", "tests/postgres", "xtask", "docs"]);

/// Beside rooms that may import the product. Not apps: they use the binary as its users do.
pub(super) const BESIDE_ABOVE: [&str; 1] = ["tests"];

/// Beside rooms that know nothing of the product: its tests and other rooms beside may import them.
pub(super) const FOR_TESTS: [&str; 1] = ["tests/postgres"];

/// Who may depend on a package from outside.
pub(super) struct Reserved {
    /// A name, or a prefix when it ends in `*`.
    pub(super) package: &'static str,
    pub(super) rooms: &'static [&'static str],
    pub(super) reason: &'static str,
}

const fn reserved(
    package: &'static str,
    rooms: &'static [&'static str],
    reason: &'static str,
) -> Reserved {
    Reserved { package, rooms, reason }
}

/// Rooms that open sockets or run tasks. `base` and `wire` do no IO, `model` no network.
const WITH_TASKS: &[&str] = &[
    "apps/capstan",
    "crates/host",
    "crates/renter",
    "crates/engine",
    "crates/chain",
    "crates/store",
    "crates/kit",
    "tests",
];
const WITH_SERVERS: &[&str] = &["apps/capstan", "crates/host", "crates/renter", "tests"];

/// Outside packages that belong to certain rooms.
pub(super) const RESERVED: [Reserved; 11] = [
    reserved("rusqlite", &["crates/store"], "only the store knows SQL"),
    reserved("libsqlite3-sys", &["crates/store"], "only the store knows SQL"),
    reserved("sqlx*", &["crates/store"], "only the store knows SQL"),
    reserved("alloy-rpc-client", &["crates/chain"], "only chain knows RPC"),
    reserved("alloy-transport*", &["crates/chain"], "only chain knows RPC"),
    reserved("alloy-provider", &[], "nonces, broadcast and receipts are the engine's own"),
    reserved("alloy-contract", &[], "nonces, broadcast and receipts are the engine's own"),
    reserved("dkls23*", &["crates/signer"], "the protocol stays behind the signer's own seam"),
    reserved("axum*", WITH_SERVERS, "only features and apps answer HTTP"),
    reserved("tokio", WITH_TASKS, "base and wire do no IO, model opens no socket"),
    reserved("reqwest", WITH_TASKS, "base and wire do no IO, model opens no socket"),
];

impl Reserved {
    pub(super) fn covers(&self, package: &str) -> bool {
        match self.package.strip_suffix('*') {
            Some(prefix) => package.starts_with(prefix),
            None => package == self.package,
        }
    }
}

/// The room a folder belongs to: the innermost, where one lies in another.
pub(super) fn room_of(folder: &str) -> Option<&'static str> {
    let all = ROWS.iter().chain([&BESIDE]).flat_map(|row| row.rooms);
    let around = all.copied().filter(|room| {
        folder.strip_prefix(room).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    around.max_by_key(|room| room.len())
}

/// Height of a room of the product: 0 is the top row. None for a room beside.
pub(super) fn row_of(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.rooms.contains(&room))
}

#[cfg(test)]
mod tests {
    use super::{RESERVED, room_of, row_of};

    #[test]
    fn a_family_of_crates_is_one_room() {
        assert_eq!(room_of("crates/store"), Some("crates/store"));
        assert_eq!(room_of("crates/store/sqlite"), Some("crates/store"));
        assert_eq!(room_of("crates/storefront"), None);
        assert_eq!(room_of("tests/postgres"), Some("tests/postgres"));
    }

    #[test]
    fn rows_go_down() {
        assert!(row_of("apps/capstan") < row_of("crates/host"));
        assert!(row_of("crates/engine") < row_of("crates/store"));
        assert_eq!(row_of("crates/wire"), row_of("crates/kit"));
        assert_eq!(row_of("xtask"), None);
    }

    #[test]
    fn a_star_covers_the_family() {
        let owners = |package| RESERVED.iter().filter(move |rule| rule.covers(package)).count();
        assert_eq!(owners("alloy-transport-http"), 1);
        assert_eq!(owners("alloy-rpc-types-eth"), 0);
    }

    #[test]
    fn reserved_rooms_exist() {
        for room in RESERVED.iter().flat_map(|rule| rule.rooms) {
            assert_eq!(room_of(room), Some(*room));
        }
    }
}

//! What the daemon logs: what may be written, and what it means.
//!
//! Not here: who listens (`cli`). `--log` says more than this does: filters by span and field, and other libraries.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::check_settings::Check;
use super::settings::{LogLevel, LogSettings};
use super::shape::{Leaf, Named, Placed, Refusal, list, nearest, shape};

/// The rooms of the program that log. A test holds them against the source.
const ROOMS: [&str; 12] = [
    "apply", "cli", "cluster", "config", "daemon", "forge", "git", "login", "observe", "registry",
    "render", "web",
];

shape! {
    /// What the daemon logs. A change counts at once.
    struct LogEntry or "write `log: { level: debug }`" {
        /// How much: `off`, `error`, `warn`, `info`, `debug` or `trace`. Default: `info`.
        level: Option<Placed<LogLevel>> = "level",
        /// The same for parts of the program: `registry: debug`.
        rooms: Option<Named<Room, Placed<LogLevel>>> = "rooms",
    }
}

/// A part of the program that logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room(&'static str);

impl Leaf for Room {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some(room) = ROOMS.into_iter().find(|room| *room == text) {
            return Ok(Self(room));
        }
        let refusal = Refusal::new(format!("no part of towpath that logs is called `{text}`"));
        Err(match nearest(text, &ROOMS) {
            Some(near) => refusal.hint(format!("did you mean `{near}`?")),
            None => refusal.hint(format!("known: {}", list(&ROOMS))),
        })
    }

    fn schema() -> Json {
        json!({ "enum": ROOMS })
    }
}

impl Leaf for LogLevel {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if let Some(level) = Self::ALL.into_iter().find(|level| level.as_str() == text) {
            return Ok(level);
        }
        let names = Self::ALL.map(Self::as_str);
        let refusal = Refusal::new(format!("`{text}` is no level of a log"));
        Err(match nearest(text, &names) {
            Some(near) => refusal.hint(format!("did you mean `{near}`?")),
            None => refusal.hint(format!(
                "the levels are {}; filters are for `--log`",
                list(&names)
            )),
        })
    }

    fn schema() -> Json {
        json!({ "enum": Self::ALL.map(Self::as_str) })
    }
}

impl Check<'_> {
    pub(super) fn log(&mut self, entry: LogEntry) -> LogSettings {
        let LogEntry { level, rooms } = entry;
        let mut levels = BTreeMap::new();
        for entry in rooms.into_iter().flat_map(|named| named.entries) {
            if let Some(level) = entry.value {
                levels.insert(entry.key.value.0, level.value);
            }
        }
        LogSettings {
            level: level.map_or(LogLevel::Info, |level| level.value),
            rooms: levels,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use insta::assert_snapshot;

    use super::ROOMS;
    use crate::config::load;
    use crate::config::tests::{POLICY, SETTINGS, folder, messages};

    fn policy() -> String {
        format!("{POLICY}  - {{ name: dev, tags: {{ semver: 1.x }}, update: apps/dev }}\n")
    }

    #[test]
    fn a_log_is_for_all_of_towpath_with_other_levels_for_its_rooms() {
        let filter = |written: &str| {
            let folder = folder(&format!("{SETTINGS}{written}"), &policy());
            let config = load(&folder.path().join("towpath.yaml"));
            let config = config.unwrap_or_else(|problems| panic!("{problems}"));
            config.settings.log.map(|log| log.filter())
        };
        assert_eq!(filter(""), None);
        assert_eq!(filter("log: {}\n").unwrap(), "warn,towpath=info");
        assert_eq!(
            filter("log: { level: debug, rooms: { registry: trace, git: warn } }\n").unwrap(),
            "warn,towpath=debug,towpath::git=warn,towpath::registry=trace"
        );
        assert_eq!(
            filter("log: { level: 'off' }\n").unwrap(),
            "off,towpath=off"
        );
    }

    #[test]
    fn a_log_with_mistakes_is_told() {
        let settings = format!(
            "{SETTINGS}log: {{ level: verbose, rooms: {{ registri: debug, kitchen: info, git: debugg }}, room: x }}\n"
        );
        assert_snapshot!(messages(&settings, &policy()), @"
        6:15 `verbose` is no level of a log [the levels are `off`, `error`, `warn`, `info`, `debug`, `trace`; filters are for `--log`]
        6:33 no part of towpath that logs is called `registri` [did you mean `registry`?]
        6:50 no part of towpath that logs is called `kitchen` [known: `apply`, `cli`, `cluster`, `config`, `daemon`, `forge`, `git`, `login`, `observe`, `registry`, `render`, `web`]
        6:70 `debugg` is no level of a log [did you mean `debug`?]
        6:80 unknown key `room` [did you mean `rooms`?]
        ");
        let settings = format!("{SETTINGS}log: debug\n");
        assert_snapshot!(messages(&settings, &policy()), @"6:6 expected a map, found a text [write `log: { level: debug }`]");
    }

    #[test]
    fn every_room_that_logs_can_be_named() {
        fn logs(path: &Path) -> bool {
            if path.is_dir() {
                let entries = fs::read_dir(path).unwrap();
                return entries
                    .into_iter()
                    .any(|entry| logs(&entry.unwrap().path()));
            }
            fs::read_to_string(path).unwrap().contains("tracing::")
        }
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let rooms = fs::read_dir(source)
            .unwrap()
            .map(|room| room.unwrap().path());
        let rooms = rooms.filter(|room| room.is_dir() && logs(room));
        let rooms: BTreeSet<String> = rooms
            .map(|room| room.file_name().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(rooms, ROOMS.map(str::to_owned).into());
    }
}

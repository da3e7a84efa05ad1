//! What the tests run and read beside Debian's packages: programs that are built for them, and a corpus of real YAML.
//!
//! Not here: how they are installed (`scripts/test-builds`).
//! Invariant: only what `TOWPATH_WITHOUT` names is left out, and that is said; a test that misses anything else fails.

use std::io::Write as _;
use std::path::PathBuf;

/// The variable that names what is left out: programs of `BUILT`, and `corpus`.
const LEFT_OUT: &str = "TOWPATH_WITHOUT";

/// Programs with their packages and versions.
const BUILT: &str = include_str!("../built");

/// Modules with their versions.
const CORPUS: &str = include_str!("../corpus");

/// A tree of the corpus.
#[derive(Clone, Debug)]
pub struct Module {
    /// Its Go name, such as `github.com/argoproj/argo-cd/v3`.
    pub name: String,
    pub folder: PathBuf,
}

/// Where the program `name` is installed, or `None` where it is left out on purpose.
pub fn built(name: &str) -> Option<PathBuf> {
    let version = rows(BUILT)
        .find(|row| row[0] == name)
        .unwrap_or_else(|| panic!("`{name}` is not listed in tests/bed/built"))[2];
    let program = cache().join(format!("{name}-{version}")).join(name);
    let is_there = program.is_file();
    present(name, is_there).then_some(program)
}

/// The trees of the corpus, or `None` where it is left out on purpose.
pub fn corpus() -> Option<Vec<Module>> {
    let module = |row: Vec<&str>| Module {
        name: row[0].to_owned(),
        folder: cache()
            .join("corpus-1")
            .join(format!("{}@{}", row[0], row[1])),
    };
    let modules: Vec<Module> = rows(CORPUS).map(module).collect();
    let is_there = modules.iter().all(|module| module.folder.is_dir());
    present("corpus", is_there).then_some(modules)
}

/// Tells people what a test did, past the capture of its output.
pub fn say(text: &str) {
    let line = format!("{text}\n");
    let written = std::io::stderr().write_all(line.as_bytes());
    written.expect("standard error can be written");
}

/// Whether `what` is to be used; what is neither there nor left out fails the test.
fn present(what: &str, is_there: bool) -> bool {
    let left_out = std::env::var(LEFT_OUT).unwrap_or_default();
    if left_out.split_whitespace().any(|name| name == what) {
        let test = std::thread::current();
        let test = test.name().unwrap_or("a test");
        say(&format!("SKIPPED: {test}: {LEFT_OUT} leaves out {what}"));
        return false;
    }
    assert!(
        is_there,
        "{what} is not installed in {}; `make test` installs what the tests need, and `{LEFT_OUT}={what}` leaves it out",
        cache().display(),
    );
    true
}

/// The folder that `scripts/test-builds` fills.
fn cache() -> PathBuf {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(cache) = folder("TOWPATH_TESTS_CACHE") {
        return cache.into();
    }
    let caches = folder("XDG_CACHE_HOME").map_or_else(
        || PathBuf::from(folder("HOME").unwrap_or_default()).join(".cache"),
        PathBuf::from,
    );
    caches.join("towpath-tests")
}

fn rows(list: &str) -> impl Iterator<Item = Vec<&str>> {
    list.lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().collect())
}

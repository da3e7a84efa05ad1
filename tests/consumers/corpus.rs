//! The corpus as the tests use it: what is in it, copies that may be edited, and the counts of what was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bed::Module;
use tempfile::TempDir;

/// How many cases are worked on at a time. A case runs a program nearly all of its time.
const THREADS: usize = 2;

/// What is left out of the comparison, each with its reason.
const EXCLUSIONS: &str = include_str!("exclusions");

/// What became of one case.
pub(crate) enum Seen {
    /// There is nothing to compare, for this reason.
    Nothing(String),
    /// The edits were as they must be; `refused` are reasons of those that were not made, and not all that were made
    /// need be rendered.
    Compared {
        edits: usize,
        rendered: usize,
        refused: Vec<String>,
    },
    /// A difference that must not be.
    Wrong(String),
}

/// What became of all cases.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) compared: usize,
    /// Edits that were seen in what was rendered.
    pub(crate) rendered: usize,
    edits: usize,
    nothing: BTreeMap<String, usize>,
    refused: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// The folders of the corpus that hold a file called one of `names`, as module by module paths below its tree.
pub(crate) fn folders_with(modules: &[Module], names: &[&str]) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    for module in modules {
        for file in files(&module.folder) {
            let name = file.file_name().unwrap().to_string_lossy();
            if names.contains(&&*name) {
                let below = file.parent().unwrap().strip_prefix(&module.folder).unwrap();
                found.insert(Path::new(&module.name).join(below));
            }
        }
    }
    found.into_iter().collect()
}

/// Looks at each of `folders`, in a copy of the corpus that `look` may edit if it restores what it edited.
pub(crate) fn look_at_all(
    modules: &[Module],
    folders: &[PathBuf],
    look: impl Fn(&Path, usize) -> Seen + Sync,
) -> Counts {
    let next = Mutex::new(folders.iter().enumerate());
    let counts = Mutex::new(Counts::default());
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let copy = copy(modules);
                loop {
                    let Some((n, folder)) = next.lock().unwrap().next() else {
                        return;
                    };
                    let seen = match exclusion(folder) {
                        Some(reason) => Seen::Nothing(format!("excluded: {reason}")),
                        None => look(&copy.path().join(folder), n),
                    };
                    counts.lock().unwrap().add(folder, seen);
                }
            });
        }
    });
    counts.into_inner().unwrap()
}

impl Counts {
    fn add(&mut self, folder: &Path, seen: Seen) {
        match seen {
            Seen::Nothing(reason) => *self.nothing.entry(reason).or_default() += 1,
            Seen::Compared {
                edits,
                rendered,
                refused,
            } => {
                self.compared += 1;
                self.rendered += rendered;
                self.edits += edits;
                for reason in refused {
                    *self.refused.entry(reason).or_default() += 1;
                }
            }
            Seen::Wrong(difference) => self
                .wrong
                .push(format!("{}:\n{difference}", folder.display())),
        }
    }

    /// Says what was counted, and fails with all that was wrong.
    pub(crate) fn tell(&self, what: &str) {
        let Self {
            compared,
            rendered,
            edits,
            nothing,
            refused,
            wrong,
        } = self;
        bed::say(&format!(
            "{what}: {compared} compared, {edits} edits, {rendered} of them rendered"
        ));
        for (counts, word) in [(refused, "refused"), (nothing, "not compared")] {
            for (reason, count) in counts {
                bed::say(&format!("  {word}: {count} x {reason}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n\n")
        );
    }
}

/// The files below `folder`, in an order of their own.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files.extend(self::files(&entry.path()));
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

/// A copy of all modules under their names. Files are linked: an edit puts a new file in the place of the old one.
fn copy(modules: &[Module]) -> TempDir {
    let Module { name, folder } = &modules[0];
    // Links do not reach into another file system.
    let cache = folder.ancestors().nth(name.split('/').count() + 1).unwrap();
    let copy = tempfile::Builder::new()
        .prefix("work.")
        .tempdir_in(cache)
        .unwrap();
    for module in modules {
        for file in files(&module.folder) {
            let below = file.strip_prefix(&module.folder).unwrap();
            let to = copy.path().join(&module.name).join(below);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::hard_link(&file, to).unwrap();
        }
    }
    copy
}

/// Why `folder` is not looked at.
fn exclusion(folder: &Path) -> Option<&'static str> {
    EXCLUSIONS
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .find_map(|(excluded, reason)| folder.ends_with(excluded).then_some(reason))
}

/// Puts `text` back in the place of `file`, as a file of its own.
pub(crate) fn restore(file: &Path, text: &str) {
    fs::remove_file(file).unwrap();
    fs::write(file, text).unwrap();
}

/// The gist of a program's error: its last line that says something, without what is particular to a case.
pub(crate) fn gist(error: &str) -> String {
    let line = error
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no words");
    let gist = line.rsplit(": ").next().unwrap_or(line);
    // Behind a quote stand paths of this run.
    gist.split('\'')
        .next()
        .unwrap_or(gist)
        .trim()
        .chars()
        .take(100)
        .collect()
}

//! This machine: the program, the settings, the cache, the programs that render, and who may tell of news.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use super::finding::{Finding, Group, Subject};
use super::{Bounds, SILENT, Seen, told, trust};
use crate::cli::check::summary;
use crate::cli::run::Setup;
use crate::config::{Config, ProgramPlace};
use crate::daemon;
use crate::render::{Program, in_path, version};

/// What should be left for the cache, and for what is beside it: mirrors and metadata of a hundred repositories measure less.
const SPACE_MIN: u64 = 1 << 30;

/// Files of the cache that are counted: 100 for each of 1,000 mirrors, in a second or so.
const FILES_MAX: usize = 100_000;

/// The commit that this was built from, where whoever built it said so.
const REVISION: Option<&str> = option_env!("TOWPATH_REVISION");

/// What was loaded is valid, or there would be nothing to look at.
pub(super) fn settings(file: &Path, config: &Config) -> Vec<Finding> {
    let program = Subject::new(Group::Here, "towpath");
    let build = match cfg!(debug_assertions) {
        true => "debug build",
        false => "release build",
    };
    let (version, arch, os) = (
        env!("CARGO_PKG_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS,
    );
    let revision = REVISION.filter(|revision| !revision.is_empty());
    let revision = revision.unwrap_or("unknown");
    let subject = Subject::new(Group::Here, "settings");
    let told = format!("{}: {}", file.display(), summary(config));
    vec![
        program.ok(format!(
            "version {version}, revision {revision}, {build} for {arch} {os}"
        )),
        match config.warnings.is_empty() {
            true => subject.ok(told),
            false => subject.warning(told, "`towpath check` says what of, with file and line"),
        },
    ]
}

pub(super) async fn look(setup: &Setup, bounds: &Bounds) -> Seen {
    let folder = setup.settings.cache.clone();
    let cache = bounds.ask(tokio::task::spawn_blocking(move || cache(&folder)));
    let cache = cache.await.and_then(Result::ok).unwrap_or_else(|| {
        let subject = Subject::new(Group::Here, "cache");
        vec![subject.unknown(SILENT)]
    });
    let render = &setup.settings.render;
    let (kustomize, helm) = tokio::join!(
        program(Program::Kustomize, render.kustomize.as_ref(), bounds),
        program(Program::Helm, render.helm.as_ref(), bounds),
    );
    let mut findings = cache;
    findings.extend(kustomize);
    findings.extend(helm);
    findings.extend(trust::look(setup, daemon::now()));
    findings.push(hooks(setup));
    Seen {
        findings,
        clocks: Vec::new(),
    }
}

fn cache(folder: &Path) -> Vec<Finding> {
    let subject = Subject::new(Group::Here, "cache");
    // It is made when it is needed, if what is above it lets us.
    let Some(there) = folder.ancestors().find(|folder| folder.exists()) else {
        return vec![subject.unknown(format!("`{}` is nowhere", folder.display()))];
    };
    let there = match there == Path::new("") {
        true => Path::new("."),
        false => there,
    };
    if !there.is_dir() {
        let message = format!("`{}` is a file", there.display());
        let hint = "name a folder with `cache`";
        return vec![subject.error(message, Some(hint.to_owned()))];
    }
    if access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        let message = format!("`{}` cannot be written", there.display());
        let hint = "let the user of the process write there, or name another folder with `cache`";
        return vec![subject.error(message, Some(hint.to_owned()))];
    }
    let size = match (folder.is_dir(), size(folder)) {
        (false, _) => "is not there yet".to_owned(),
        (true, Some(bytes)) => format!("holds {}", mebibytes(bytes)),
        (true, None) => format!("holds more than {FILES_MAX} files"),
    };
    let message = format!("`{}` can be written and {size}", folder.display());
    let Ok(system) = statvfs(there) else {
        return vec![subject.ok(message)];
    };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let message = format!("{message}; {} are free", mebibytes(free));
    vec![match free < SPACE_MIN {
        true => subject.warning(
            message,
            "make room: mirrors that cannot be written hold all that they need",
        ),
        false => subject.ok(message),
    }]
}

/// The bytes of all files below `folder`; `None` where there are too many to count.
fn size(folder: &Path) -> Option<u64> {
    let mut folders = vec![folder.to_owned()];
    let (mut bytes, mut files) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            files += 1;
            if files > FILES_MAX {
                return None;
            }
            let Ok(found) = entry.metadata() else {
                continue;
            };
            match found.is_dir() {
                true => folders.push(entry.path()),
                false => bytes += found.len(),
            }
        }
    }
    Some(bytes)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

async fn program(
    program: Program,
    place: Option<&ProgramPlace>,
    bounds: &Bounds,
) -> Option<Finding> {
    let subject = Subject::new(Group::Here, program);
    let file: Option<PathBuf> = match place? {
        ProgramPlace::At(file) => Some(file.clone()),
        ProgramPlace::InPath => in_path(&program.to_string()),
    };
    let Some(file) = file else {
        let hint = format!("install it, or say in `render: {program}` where it is");
        return Some(subject.error("there is no such program in PATH", Some(hint)));
    };
    let at = file.display().to_string();
    Some(match bounds.ask(version(program, &file)).await {
        Some(Ok(version)) => subject.ok(format!("{version}, at `{at}`")),
        Some(Err(error)) => subject.error(format!("`{at}`: {}", told(&error)), None),
        None => subject.error(format!("`{at}`: {SILENT}"), None),
    })
}

fn hooks(setup: &Setup) -> Finding {
    let subject = Subject::new(Group::Here, "hooks");
    let Some(hooks) = &setup.settings.hooks else {
        return subject.ok("none: what is new is found by polling");
    };
    let registries = hooks
        .registries
        .keys()
        .map(|kind| format!("registry/{kind}"));
    let forges = hooks
        .forges
        .keys()
        .map(|kind| format!("forge/{}", kind.name()));
    let kinds: Vec<String> = registries.chain(forges).collect();
    subject.ok(format!("{} at {}", kinds.join(", "), hooks.listen))
}

#[cfg(test)]
mod tests {
    use super::super::finding::as_text;
    use super::cache;

    #[test]
    fn a_cache_below_a_file_is_no_cache() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for place in [file.clone(), file.join("cache")] {
            let told = as_text(&cache(&place));
            let expected = format!("`{}` is a file", file.display());
            assert!(told.contains(&expected), "{told}");
        }
    }
}

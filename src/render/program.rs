//! Runs a program on a copy, with an empty environment, a limit of time and one of output.
//!
//! Invariant: no shell is run, and all that the program started ends with it, or with whoever waits for it.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::{Program, RenderError};

/// How long a program may take. Charts of a hundred objects take under a second.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// Largest output: the custom resources of a large operator measure 4 MiB.
pub(super) const OUTPUT_BYTES_MAX: usize = 16 << 20;

/// How much of what it complains of is read.
const WORDS_BYTES_MAX: u64 = 64 * 1024;

/// Longest complaint that is passed on, in characters: a line of a pull request.
const WORDS_MAX: usize = 200;

/// The program's home, beside the copy.
pub(super) const HOME: &str = "home";

/// Most memory of its own that a program gets. Of 49 charts and 76 kustomizations that others keep, none took more than 83 MiB.
const MEMORY_BYTES_MAX: u64 = 512 << 20;

/// What programs of Go are told to stay below, so that they look for what they need no more.
const MEMORY_WISHED: &str = "384MiB";

/// A port that refuses at once: what would be fetched from elsewhere fails there.
const NO_PROXY: &str = "http://127.0.0.1:9";

/// Where a program is, by its name. What is relative in PATH does not count: it is not the user's choice but that of the folder.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH")?;
    let files: Vec<PathBuf> = std::env::split_paths(&folders)
        .map(|folder| folder.join(name))
        .collect();
    let is_program = |file: &PathBuf| {
        let found = file.metadata();
        file.is_absolute()
            && found.is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    files.into_iter().find(is_program)
}

/// How long a program may take to say which version it is.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

/// Which version of `program` is at `file`, in its own words. It has no home, and writes nothing.
pub(crate) async fn version(program: Program, file: &Path) -> Result<String, RenderError> {
    let arguments: &[&str] = match program {
        Program::Kustomize => &["version"],
        Program::Helm => &["version", "--short"],
    };
    let run = Command::new(file)
        .args(arguments)
        .current_dir("/")
        .env_clear()
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let Ok(ran) = tokio::time::timeout(VERSION_TIMEOUT, run).await else {
        return Err(RenderError::Slow { program });
    };
    let ran = ran.map_err(|error| RenderError::NotRun {
        program,
        words: error.kind().to_string(),
    })?;
    let told = match ran.status.success() {
        true => &ran.stdout,
        false => &ran.stderr,
    };
    let words = words(&String::from_utf8_lossy(told), Path::new("/nonexistent"));
    match ran.status.success() {
        true => Ok(words),
        false => Err(RenderError::Failed { program, words }),
    }
}

/// What the program prints. `copy` holds its home, and is hidden from what it complains of.
pub(super) async fn run(
    (program, file): (Program, &Path),
    arguments: &[OsString],
    copy: &Path,
) -> Result<String, RenderError> {
    let home = copy.join(HOME);
    let child = Command::new(file)
        .args(arguments)
        .current_dir(&home)
        // No PATH: kustomize would fetch with the user's git.
        .env_clear()
        .env("HOME", &home)
        .env("TMPDIR", &home)
        .env("HTTP_PROXY", NO_PROXY)
        .env("HTTPS_PROXY", NO_PROXY)
        .env("GOMAXPROCS", "2")
        .env("GOMEMLIMIT", MEMORY_WISHED)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let not_run = |error: std::io::Error| RenderError::NotRun {
        program,
        words: error.kind().to_string(),
    };
    let mut child = child.map_err(not_run)?;
    let group = Group::of(&child);
    group.limit_memory();
    let talk = talk(&mut child);
    let Ok(talked) = tokio::time::timeout(TIMEOUT, talk).await else {
        return Err(RenderError::Slow { program });
    };
    let (is_success, out, err) = talked.map_err(not_run)?;
    if out.len() > OUTPUT_BYTES_MAX {
        return Err(RenderError::LongOutput { program });
    }
    group.has_ended();
    if !is_success {
        let words = words(&String::from_utf8_lossy(&err), copy);
        return Err(RenderError::Failed { program, words });
    }
    String::from_utf8(out).map_err(|_| RenderError::NoObjects { program })
}

/// The program and all that it started; killed where it is dropped before its end.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// It has hardly begun by now. Where the system knows no such limit, time is the only one.
    fn limit_memory(&self) {
        #[cfg(target_os = "linux")]
        if let Some(leader) = self.0 {
            let limit = rustix::process::Rlimit {
                current: Some(MEMORY_BYTES_MAX),
                maximum: Some(MEMORY_BYTES_MAX),
            };
            let resource = rustix::process::Resource::Data;
            let _ = rustix::process::prlimit(Some(leader), resource, limit);
        }
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // One that has ended meanwhile needs no end.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Whether it succeeded, and what it printed and complained of: no further than one byte beyond the limit, where it is not waited for.
async fn talk(child: &mut Child) -> std::io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let out = read(stdout, OUTPUT_BYTES_MAX as u64 + 1);
    let (out, err) = tokio::join!(out, read(stderr, WORDS_BYTES_MAX));
    let (out, err) = (out?, err?);
    if out.len() > OUTPUT_BYTES_MAX {
        return Ok((false, out, err));
    }
    let status = child.wait().await?;
    Ok((status.success(), out, err))
}

async fn read(pipe: Option<impl AsyncRead + Unpin>, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

/// The line that tells most, without the place of the copy.
fn words(complaint: &str, copy: &Path) -> String {
    let mut complaint = complaint.to_owned();
    // What is a link on the way there is written out by some.
    let copies = [Some(copy.to_owned()), copy.canonicalize().ok()];
    for copy in copies.into_iter().flatten() {
        for place in [copy.join(super::TREE), copy] {
            let place = place.display().to_string();
            complaint = complaint.replace(&format!("{place}/"), "");
            complaint = complaint.replace(&place, ".");
        }
    }
    let lines = || complaint.lines().map(str::trim);
    let line = lines()
        .find(|line| line.starts_with("Error"))
        .or_else(|| lines().rfind(|line| !line.is_empty()));
    let line = line.unwrap_or("nothing");
    let line = line.strip_prefix("Error: ").unwrap_or(line);
    let mut words: String = line.chars().take(WORDS_MAX).collect();
    if words.len() < line.len() {
        words.push('…');
    }
    words
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::words;

    #[test]
    fn a_complaint_tells_its_error_and_not_where_the_copy_is() {
        let copy = Path::new("/nowhere/copy");
        let said = "# Warning: old\nError: no `a.yaml` in '/nowhere/copy/tree/apps' or '/nowhere/copy/tree'\nusage";
        assert_eq!(words(said, copy), "no `a.yaml` in 'apps' or '.'");
        assert_eq!(words("one\ntwo\n\n", copy), "two");
        assert_eq!(words("", copy), "nothing");
        assert_eq!(words(&"x".repeat(300), copy).chars().count(), 201);
    }
}

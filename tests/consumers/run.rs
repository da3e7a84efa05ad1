//! Runs of the programs: ours, and the readers of what it edits. None of them reaches the network.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A port that refuses at once: what a program would fetch from elsewhere fails there.
const NO_PROXY: &str = "http://127.0.0.1:9";

/// Kubernetes as the charts of the corpus expect it; without a cluster helm believes in an old one.
const KUBERNETES: &str = "1.34.0";

/// Edits `file`, a file or a folder, by `towpath set KIND FILE EDITS`; the error is what it printed.
pub(crate) fn set(kind: &str, file: &Path, edits: &[String]) -> Result<(), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_towpath"));
    command.args(["set", kind]).arg(file).args(edits);
    printed(command).map(drop)
}

/// What `kustomize build` makes of `folder`.
pub(crate) fn kustomize(program: &Path, folder: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    command.arg("build").arg(folder);
    printed(command)
}

/// What `helm template` makes of the chart in `folder`, with `settings` such as `web.enabled=true`.
pub(crate) fn helm(program: &Path, folder: &Path, settings: &[String]) -> Result<String, String> {
    let mut command = Command::new(program);
    command
        .args(["template", "release", "--namespace", "there"])
        .args(["--kube-version", KUBERNETES])
        .args(settings.iter().flat_map(|setting| ["--set", setting]))
        .arg(folder);
    printed(command)
}

/// A folder with `files` in it.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path: PathBuf = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn printed(mut command: Command) -> Result<String, String> {
    // No `PATH`: kustomize would fetch what it does not find with the user's git.
    command
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("HTTP_PROXY", NO_PROXY)
        .env("HTTPS_PROXY", NO_PROXY);
    let output = command.output().unwrap();
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout).unwrap());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

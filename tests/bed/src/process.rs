//! Processes that end with the test that started them.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to answer for the first time: a cold disk on a shared machine with one slow core, not a pace to meet.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(180);

/// A server in a process group of its own, ended with all its children on drop.
#[must_use = "the server ends when this is dropped"]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output in `log`.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let output = File::create(log).expect("the log file can be created");
        let errors = output
            .try_clone()
            .expect("the log file can be opened twice");
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("failed to start {command:?}: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// What the server has printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `condition` holds, or fails with `what` was awaited and what the server has printed.
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        if !holds_in_time(condition) {
            panic!("waited in vain for {what}; printed so far:\n{}", self.log());
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal` (`TERM`, `KILL`, `STOP`, `CONT`) to the whole group.
    pub fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let status = Command::new("kill")
            .args(["-s", signal, "--", &group])
            .stderr(Stdio::null())
            .status();
        status.expect("`kill` can be run");
    }

    /// Waits for the end of the process itself and gives its exit code, or `None` after a signal.
    pub fn wait(&mut self) -> Option<i32> {
        self.child
            .wait()
            .expect("the process is ours to wait for")
            .code()
    }

    pub fn has_ended(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the process is ours to wait for")
            .is_some()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("KILL");
        let _ = self.child.wait();
    }
}

/// Where `name` is installed; a missing program fails the test and says how to get it.
pub fn program(name: &str) -> PathBuf {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin", "/usr/lib/git-core"].map(PathBuf::from);
    std::env::split_paths(&folders)
        .chain(extra)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .unwrap_or_else(|| {
            panic!("`{name}` is not installed; `make test` installs what the tests need")
        })
}

/// Waits until `condition` holds, or fails with `what` was awaited.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(holds_in_time(condition), "waited in vain for {what}");
}

fn holds_in_time(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > READY_WITHIN {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}

/// A port on 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    listener
        .local_addr()
        .expect("a bound socket has an address")
        .port()
}

//! Samples of a figure, and what Linux tells about a process.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What several runs gave.
pub(crate) struct Samples<T>(Vec<T>);

impl<T: Copy + Ord> Samples<T> {
    pub(crate) fn new(values: impl IntoIterator<Item = T>) -> Self {
        let mut values: Vec<T> = values.into_iter().collect();
        values.sort();
        assert!(!values.is_empty(), "a figure has at least one run");
        Self(values)
    }

    pub(crate) fn median(&self) -> T {
        self.0[self.0.len() / 2]
    }

    /// The least and the most.
    pub(crate) fn range(&self) -> (T, T) {
        (self.0[0], self.0[self.0.len() - 1])
    }
}

/// Runs `command` to its good end and gives the time from its start.
pub(crate) fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let start = Instant::now();
    let status = command.status().expect("the program can be started");
    let took = start.elapsed();
    assert!(status.success(), "{command:?} ended with {status}");
    took
}

/// The most memory that a running process ever held, in KiB; `None` where it has ended.
pub(crate) fn memory_peak_kib(process: u32) -> Option<u64> {
    status_kib(process, "VmHWM:")
}

/// Lets the most memory that this process ever held count from now on: <https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html>.
pub(crate) fn forget_memory_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux lets a process do so");
}

/// The memory that a running process holds, in KiB.
pub(crate) fn memory_kib(process: u32) -> Option<u64> {
    status_kib(process, "VmRSS:")
}

/// The memory that a running process holds for its data, without the pages of files, its own code among them, in KiB.
pub(crate) fn data_kib(process: u32) -> Option<u64> {
    status_kib(process, "RssAnon:")
}

fn status_kib(process: u32, key: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The time that a process has spent on processors, in steps of 10 ms.
pub(crate) fn processor_time(process: u32) -> Duration {
    let path = format!("/proc/{process}/stat");
    let stat = std::fs::read_to_string(path).expect("the process runs");
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field after it.
    let (_, fields) = stat.rsplit_once(')').expect("the kernel writes the name");
    let ticks: u64 = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u64>().expect("the kernel writes numbers"))
        .sum();
    Duration::from_millis(ticks * 10)
}

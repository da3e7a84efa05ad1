//! The table of figures, as it stands in `benches/README.md`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use crate::measure::Samples;

/// The rows so far.
pub(crate) struct Table {
    text: String,
}

/// What a figure should be at most.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    Time(Duration),
    Mebibytes(u64),
    /// There is none: the figure informs, or is what another one is compared with.
    None,
}

impl Table {
    pub(crate) fn new() -> Self {
        let header = "| what | median | least to most | aim | met |\n|---|---|---|---|---|\n";
        Self {
            text: header.to_owned(),
        }
    }

    /// A row of times.
    pub(crate) fn times(&mut self, what: &str, samples: &Samples<Duration>, aim: Aim) {
        let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let met = match aim {
            Aim::Time(most) => Some(samples.median() < most),
            Aim::Mebibytes(_) | Aim::None => None,
        };
        self.row(what, samples, milliseconds, (aim, met));
    }

    /// A row of peak memory, given in KiB.
    pub(crate) fn memory(&mut self, what: &str, samples: &Samples<u64>, aim: Aim) {
        let mebibytes = |kib: u64| format!("{} MiB", kib.div_ceil(1024));
        let met = match aim {
            Aim::Mebibytes(most) => Some(samples.median() < most * 1024),
            Aim::Time(_) | Aim::None => None,
        };
        self.row(what, samples, mebibytes, (aim, met));
    }

    /// A row of one measurement that has no spread.
    pub(crate) fn single(&mut self, what: &str, value: &str, aim: &str, met: Met) {
        let met = match met {
            Met::Yes => "yes",
            Met::No => "no",
            Met::NoAim => "",
        };
        self.line(format_args!("| {what} | {value} | | {aim} | {met} |"));
    }

    /// Says on stderr what is going on.
    pub(crate) fn talk(&self, what: &str) {
        let _ = writeln!(io::stderr().lock(), "measuring: {what}");
    }

    pub(crate) fn print(&self) {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let mut out = io::stdout().lock();
        let _ = writeln!(
            out,
            "{}, {cores} cores, Linux {}, {}\n\n{}",
            processor(),
            read("/proc/sys/kernel/osrelease"),
            env!("CARGO_PKG_VERSION"),
            self.text
        );
    }

    fn row<T: Copy + Ord>(
        &mut self,
        what: &str,
        samples: &Samples<T>,
        show: impl Fn(T) -> String,
        (aim, met): (Aim, Option<bool>),
    ) {
        let (least, most) = samples.range();
        let aim = match aim {
            Aim::Time(most) => format!("< {} ms", most.as_millis()),
            Aim::Mebibytes(most) => format!("< {most} MiB"),
            Aim::None => String::new(),
        };
        let met = met.map_or("", |met| if met { "yes" } else { "no" });
        let median = show(samples.median());
        let (least, most) = (show(least), show(most));
        self.line(format_args!(
            "| {what} | {median} | {least} to {most} | {aim} | {met} |"
        ));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(io::stderr().lock(), "  {line}");
        self.text.write_fmt(line).expect("a string can be written");
        self.text.push('\n');
    }
}

/// Whether a row without a spread is as it should be.
#[derive(Clone, Copy)]
pub(crate) enum Met {
    Yes,
    No,
    NoAim,
}

fn processor() -> String {
    let text = read("/proc/cpuinfo");
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    name.map_or("unknown processor", |name| {
        name.trim_start_matches([' ', '\t', ':'])
    })
    .to_owned()
}

fn read(path: &str) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.trim().to_owned()
}

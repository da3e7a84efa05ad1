//! The figures of towpath: how long it takes and how much memory it needs, against what people use without it.
//!
//! Run: `make bench`, or `cargo bench --bench figures -- NAME...` for some of them. They are read by people
//! (`benches/README.md`) and never tested: only the counts of requests and pushes are asserted.
//! Invariant: the program is measured from outside, as a whole process, with real servers on loopback; only `scan`
//! and `files` are functions, built here from their sources, and `decide` is one of the library.

// Within the measuring process, since no verb only scans or decides, and none edits many files.
mod applications;
mod commits;
mod decide;
#[path = "../src/edit/mod.rs"]
#[expect(dead_code, unused_imports, reason = "the figures use little of it")]
mod edit;
mod events;
mod fleet;
mod helpers;
mod home;
mod idle;
mod large;
mod measure;
mod one_edit;
mod proposals;
mod scan;
mod table;
mod ten_thousand;
mod thousand;

use std::process::ExitCode;

use mimalloc::MiMalloc;
use table::Table;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// A figure's name, and what measures it.
type Figure = (&'static str, fn(&mut Table));

const FIGURES: [Figure; 16] = [
    ("select", helpers::select),
    ("set", helpers::set),
    ("scan", scan::scan),
    ("files", scan::files),
    ("decide", decide::decide),
    ("one-edit", one_edit::one_edit),
    ("events", events::events),
    ("commits", commits::commits),
    ("thousand", thousand::thousand),
    ("ten-thousand", ten_thousand::ten_thousand),
    ("large", large::large),
    ("crowd", large::crowd),
    ("idle", idle::idle),
    ("home", home::home),
    ("proposals", proposals::proposals),
    ("applications", applications::applications),
];

fn main() -> ExitCode {
    // `cargo bench` hands its own `--bench` on.
    let is_name = |argument: &String| !argument.starts_with("--");
    let wanted: Vec<String> = std::env::args().skip(1).filter(is_name).collect();
    let mut table = Table::new();
    for (name, figure) in FIGURES {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            table.talk(name);
            figure(&mut table);
        }
    }
    table.print();
    ExitCode::SUCCESS
}

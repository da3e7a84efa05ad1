//! The offline helpers, as whole processes: `select` over 10,000 tags and `set value` in a file of 10,000 lines.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::fleet::towpath;
use crate::measure::{Samples, time};
use crate::table::{Aim, Table};

const RUNS: usize = 41;
const TAGS: u32 = 10_000;

/// A rule, its tags, and the one that must come out.
type Case = (&'static str, [&'static str; 2], fn(u32) -> String);

/// Chooses one of 10,000 tags by version, and by number; compared with `sort -V`, which knows no rule.
pub(crate) fn select(table: &mut Table) {
    let cases: [Case; 2] = [
        ("`--semver '>=1.0.0'`", ["--semver", ">=1.0.0"], |n| {
            format!("v1.{}.{}", n / 100, n % 100)
        }),
        (
            "`--pattern 'main-{number}-{sha}'`",
            ["--pattern", "main-{number}-{sha}"],
            |n| format!("main-{n}-{:07x}", n * 26_417 + 0x100_0000),
        ),
    ];
    for (name, rule, tag) in cases {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let tags: Vec<String> = (0..TAGS).map(tag).collect();
        write(&folder, "tags", &tags.join("\n"));
        let mut select = towpath(folder.path());
        select.args(["select", "--tags", "tags"]).args(rule);
        let chosen = select.output().expect("the program can be started").stdout;
        assert_eq!(
            String::from_utf8_lossy(&chosen).trim(),
            tags[tags.len() - 1]
        );
        let mut sort = shell(folder.path(), "sort -V tags | tail -1");
        let (ours, theirs) = side_by_side((&mut select, &mut sort), || {});
        let aim = Aim::Time(Duration::from_millis(20));
        table.times(&format!("`select` of 10,000 tags, {name}"), &ours, aim);
        table.times("for comparison: `sort -V \\| tail -1`", &theirs, Aim::None);
    }
}

/// Sets one value near the end of a file of 10,000 lines; compared with `sed -i`, which must know the line.
pub(crate) fn set(table: &mut Table) {
    let cases = [
        ("a chart's values, two to a line", BLOCKS),
        ("the same with flow maps, four to a line", FLOWS),
    ];
    for (name, service) in cases {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let text = values(service);
        let line = text.lines().position(|line| line == "  service-990:");
        let line = line.expect("the service is there") + 5;
        let mut set = towpath(folder.path());
        set.args(["set", "value", "values.yaml"]);
        set.arg("services.service-990.image.tag=v1.0.1");
        let sed = format!("sed -i '{line}s/v1.0.0/v1.0.1/' values.yaml");
        let mut sed = shell(folder.path(), &sed);
        let mut first = true;
        let (ours, theirs) = side_by_side((&mut set, &mut sed), || {
            let edited = std::fs::read_to_string(folder.path().join("values.yaml"));
            let is_edited = || edited.is_ok_and(|edited| edited.matches("v1.0.1").count() == 1);
            assert!(std::mem::take(&mut first) || is_edited());
            write(&folder, "values.yaml", &text);
        });
        let aim = Aim::Time(Duration::from_millis(30));
        table.times(&format!("`set value` in 10,000 lines, {name}"), &ours, aim);
        table.times("for comparison: `sed -i`", &theirs, Aim::None);
    }
}

/// Ten lines of values, as charts have them.
const BLOCKS: &str = "  service-N:\n    replicas: 2   # at least\n    image:\n      repository: registry.example.com/acme/service-N\n      tag: v1.0.0\n    resources:\n      requests:\n        cpu: 100m\n        memory: 128Mi\n    ports: [8080]\n";

/// Ten lines that hold twice as much.
const FLOWS: &str = "  service-N:\n    replicas: 2   # at least\n    image:\n      repository: registry.example.com/acme/service-N\n      tag: v1.0.0\n      pullPolicy: Always\n    resources:\n      requests: { cpu: 100m, memory: 128Mi }\n      limits: { memory: 256Mi }\n    ports: [8080, 9090]\n";

/// A file of 10,000 lines with a thousand services.
fn values(service: &str) -> String {
    let services = (0..999).map(|n| service.replace('N', &n.to_string()));
    let services: String = services.collect();
    let rest: String = (0..8).map(|n| format!("  setting-{n}: on\n")).collect();
    let text = format!("services:\n{services}global:\n{rest}");
    assert_eq!(text.lines().count(), 10_000);
    text
}

/// Runs two commands in turn, with `before` ahead of each run.
fn side_by_side(
    (ours, theirs): (&mut Command, &mut Command),
    mut before: impl FnMut(),
) -> (Samples<Duration>, Samples<Duration>) {
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        before();
        times.0.push(time(ours));
        before();
        times.1.push(time(theirs));
    }
    (Samples::new(times.0), Samples::new(times.1))
}

fn shell(folder: &Path, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", script]);
    command
}

fn write(folder: &TempDir, name: &str, text: &str) {
    std::fs::write(folder.path().join(name), text).expect("the folder can be written");
}

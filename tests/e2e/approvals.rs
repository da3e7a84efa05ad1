//! Who agrees to a version: by commits with `towpath approve`, by pull requests at the forge (`proposals/approvals`).

use crate::lab::{Lab, Ran, portal_policy};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const NEW: &str = "develop-2-1b2c3d4";

/// `develop-1-0a1b2c3` stands in dev, [`NEW`] is pushed, and what comes there is approved by two of Ada, Bob and Cy.
fn waiting() -> Lab {
    let lab = Lab::portal();
    let policy = portal_policy("portal", &lab.image("acme/web"), "apps/portal/overlays/dev");
    let gates = "gates: { approvals: { count: 2, from: [ada@example.com, bob@example.com, cy@example.com] } }, update:";
    lab.policies(&policy.replace("update:", gates));
    lab.push(&[NEW]);
    lab
}

fn approve(lab: &Lab, version: &str, author: &str) -> Ran {
    let reason = ["--reason", "it looks good"];
    let verb = ["approve", "portal", "dev", version, "--author", author];
    lab.run(&[&verb[..], &reason[..]].concat())
}

/// The reason for which dev stays where it is, after a round that promotes nothing.
fn held(lab: &Lab) -> String {
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(lab.pushed(OVERLAY).contains("develop-1-0a1b2c3"));
    let ran = lab.run(&["plan"]);
    let row = ran.stdout.lines().find(|line| line.starts_with("portal"));
    row.and_then(|row| row.rsplit("  ").next())
        .unwrap()
        .to_owned()
}

#[test]
fn a_commit_waits_until_enough_people_approved_its_version() {
    let lab = waiting();
    insta::assert_snapshot!(held(&lab), @"`develop-2-1b2c3d4` waits for `approvals`: 2 approvals are missing, from ada@example.com or bob@example.com or cy@example.com: `towpath approve portal dev develop-2-1b2c3d4 --reason '...'`");
    let ran = approve(&lab, NEW, "Ada <ada@example.com>");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let told = "approved develop-2-1b2c3d4 for portal in dev: commit ";
    assert!(ran.stdout.starts_with(told), "{ran:?}");
    insta::assert_snapshot!(lab.pushed(".towpath/holds.yaml"), @"
    # What people decided of versions: `towpath pin`, `reject`, `stop`, `approve` and `resume` write here, and so may you.
    holds:
    - policy: portal
      environment: dev
      approve: develop-2-1b2c3d4
      reason: it looks good
      by: Ada <ada@example.com>
    ");
    insta::assert_snapshot!(lab.git(&["-C", "deploy.git", "log", "-1", "--format=%an%n%B", "main"]), @"
    Ada
    approve develop-2-1b2c3d4 for portal in dev

    Towpath-Policy: portal
    Towpath-Environment: dev
    Towpath-Hold: approve develop-2-1b2c3d4
    Towpath-Reason: it looks good
    ");
    insta::assert_snapshot!(held(&lab), @"`develop-2-1b2c3d4` waits for `approvals`: 1 approval is missing, from ada@example.com or bob@example.com or cy@example.com, beside Ada <ada@example.com>: `towpath approve portal dev develop-2-1b2c3d4 --reason '...'`");

    // Once more by the same person, and by somebody else.
    let ran = approve(&lab, NEW, "Ada <ada@example.com>");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @"error: it is so already by Ada <ada@example.com>: it looks good (.towpath/holds.yaml:3: approve develop-2-1b2c3d4 for portal in dev)");
    let ran = approve(&lab, NEW, "Eve <eve@example.com>");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @"
    error: `Eve <eve@example.com>` is not among those whose approval counts for `dev`
    hint: add whom you are to `groups` in the settings or `from` of the gate; `--force` approves it all the same
    ");
    let eve = ["--author", "Eve <eve@example.com>", "--force"];
    let verb = ["approve", "portal", "dev", NEW, "--reason", "me too"];
    let ran = lab.run(&[&verb[..], &eve[..]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    insta::assert_snapshot!(held(&lab), @"`develop-2-1b2c3d4` waits for `approvals`: 1 approval is missing, from ada@example.com or bob@example.com or cy@example.com, beside Ada <ada@example.com>: `towpath approve portal dev develop-2-1b2c3d4 --reason '...'`; not counted: Eve <eve@example.com>");

    let ran = approve(&lab, NEW, "Bob <bob@example.com>");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(lab.pushed(OVERLAY).contains(NEW));
    let format = "--format=%(trailers:key=Towpath-Gate,valueonly)";
    let gate = lab.git(&["-C", "deploy.git", "log", "-1", format, "main"]);
    assert_eq!(
        gate.trim(),
        "web approvals: approved by Ada <ada@example.com>, Bob <bob@example.com>"
    );
}

#[test]
fn a_later_approval_takes_the_place_of_what_a_person_approved_before() {
    let lab = waiting();
    lab.push(&["develop-3-2c3d4e5"]);
    for version in [NEW, "develop-3-2c3d4e5"] {
        let ran = approve(&lab, version, "Ada <ada@example.com>");
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    let ran = approve(&lab, NEW, "Bob <bob@example.com>");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let holds = lab.pushed(".towpath/holds.yaml");
    let approved: Vec<&str> = holds
        .lines()
        .filter_map(|line| line.trim().strip_prefix("approve: "))
        .collect();
    assert_eq!(approved, ["develop-3-2c3d4e5", NEW]);
    // What a person resumes is no approval.
    let ran = lab.run(&["resume", "portal", "dev"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.pushed(".towpath/holds.yaml"), holds);
}

#[test]
fn an_approval_that_nothing_would_count_is_refused() {
    let lab = Lab::portal();
    let ran = approve(&lab, "develop-1-0a1b2c3", "Ada <ada@example.com>");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    insta::assert_snapshot!(ran.stderr, @"
    error: nothing that comes to `dev` waits for approvals
    hint: write `gates: { approvals: { count: 1 } }`; `--force` approves it all the same
    ");
}

#[test]
fn a_version_that_the_registry_does_not_list_is_not_approved() {
    let lab = waiting();
    let ran = approve(&lab, "develop-9-9a9b9c9", "Ada <ada@example.com>");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("has no tag `develop-9-9a9b9c9`"),
        "{ran:?}"
    );
}

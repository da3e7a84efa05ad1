//! What policies ask for: pull requests of a whole environment, none at all, and everything that a forge is told besides.

use bed::forge::{End, FakeForge, Way};
use bed::{GitServer, install_hook};
use towpath::demo_registry::{Access, Fault, Image, MemoryRegistry};

use super::{HEAD, Story, V1, V2, V3};

const ALL: &str = "towpath/production/_all";

#[test]
fn an_environment_has_one_pull_request_for_all_of_its_policies_and_one_held_stops_no_other() {
    let story = Story::empty();
    for name in ["portal", "shop"] {
        story.has(name, V1);
    }
    let policies = [("portal", "acme/web"), ("shop", "acme/web")];
    story.policies(&policies, "group: environment");
    let hold = "apiVersion: towpath.dev/v1alpha1\nholds:\n  - { policy: shop, stop: true, reason: a fair }\n";
    story.lab.commit("stop", &[(".towpath/holds.yaml", hold)]);
    story.lab.push(&[V2]);

    story.round();
    assert_eq!(story.changed_files(ALL), 1);
    let hold = hold.replace(
        "holds:\n  - { policy: shop, stop: true, reason: a fair }",
        "holds: []",
    );
    story.lab.commit("go on", &[(".towpath/holds.yaml", &hold)]);
    story.round();

    assert_eq!(story.changed_files(ALL), 2);
    let pull = story.repository().pull(1);
    assert_eq!((&*pull.head, &pull.end), (ALL, &End::Open));
    assert_eq!(story.repository().count(), 1);
    story.quiet_round();

    story.repository().merge(1, "ada", Way::Squash);
    story.round();
    assert_eq!(story.tip(ALL), None);
    assert_eq!(story.told(), "it is the newest");
    // One of the two is undone, in a way that git does not tell: it is held, and the other goes on.
    story.write_by_hand(|text| text.replace(V2, V1));
    story.quiet_round();
    assert!(
        story.told().starts_with("pull request #1 brought it"),
        "{}",
        story.told()
    );
}

#[test]
fn a_registry_that_is_away_takes_nothing_out_of_what_was_proposed_together() {
    let mut story = Story::empty();
    for name in ["portal", "shop"] {
        story.has(name, V1);
    }
    let away = MemoryRegistry::start(Access::Anonymous).unwrap();
    for tag in [V1, V2] {
        away.push("acme/shop", tag, &Image::default());
    }
    story.lab.push(&[V2]);
    let image = format!("{}/acme/shop", away.host());
    story
        .lab
        .registry_settings(&away.host(), "plain-http: true");
    let text = crate::lab::kustomization(&image, V1);
    let path = "apps/shop/overlays/production/kustomization.yaml";
    story.lab.commit("shop", &[(path, &text)]);
    let policies = [("portal", "acme/web"), ("shop", image.as_str())];
    story.policies(&policies, "group: environment");
    story.round();
    assert_eq!(story.changed_files(ALL), 2);
    story.writes();
    let tip = story.tip(ALL);

    // A new process, which reads one registry and waits for the other.
    away.fail(Fault::Stalled);
    let daemon = story.lab.start();
    let mut requests = Vec::new();
    daemon.wait_until("some rounds", || {
        requests.extend(story.forge.take_requests());
        requests.len() >= 4
    });
    drop(daemon);
    assert!(
        requests.iter().all(|request| request.starts_with("GET ")),
        "{requests:?}"
    );
    assert_eq!(story.tip(ALL), tip);

    drop(away);
    let ran = story.lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!((story.writes(), story.tip(ALL)), (vec![], tip), "{ran:?}");

    // What is known goes on: approvals are void anyway.
    story.lab.push(&[V3]);
    story.lab.run(&["apply"]);
    assert_eq!(story.changed_files(ALL), 1);
    assert_eq!(story.repository().open_ones(), [1]);
}

#[test]
fn what_is_proposed_together_is_not_proposed_in_part() {
    let story = Story::empty();
    for name in ["portal", "shop"] {
        story.has(name, V1);
    }
    let policies = [("portal", "acme/web"), ("shop", "acme/web")];
    story.policies(&policies, "group: environment");
    story.lab.push(&[V2]);
    story.round();
    story.writes();
    let tip = story.tip(ALL);

    let ran = story.lab.run(&["apply", "portal"]);

    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr
            .contains("`portal` is proposed together with `shop`"),
        "{ran:?}"
    );
    assert_eq!((story.writes(), story.tip(ALL)), (vec![], tip), "{ran:?}");
}

#[test]
fn a_proposal_that_goes_to_another_branch_is_made_anew_there() {
    let story = Story::new("");
    bed::git(&story.bare(), &["branch", "release", "main"]);
    story
        .lab
        .commit("for later releases", &[("notes.txt", "new")]);
    story.lab.push(&[V2]);
    story.round();
    story.policies(&[("portal", "acme/web")], "branch: release");

    story.round();
    assert!(matches!(story.repository().pull(1).end, End::Closed { .. }));
    story.round();

    let pull = story.repository().pull(2);
    assert_eq!((&*pull.base, &pull.end), ("release", &End::Open));
    let parent = bed::git(&story.bare(), &["rev-parse", &format!("{HEAD}^")]);
    assert_eq!(Some(parent.trim()), story.tip("release").as_deref());
    story.quiet_round();
}

#[test]
fn without_a_forge_the_branch_is_pushed_and_people_merge_it_with_git() {
    let mut story = Story::new("");
    let settings = format!("url: {}, forge: none", story.bare().display());
    story.lab.repository(&settings);
    story.lab.push(&[V2]);

    story.round();

    assert_eq!(story.proposed(), V2);
    assert_eq!(story.forge.take_requests(), [""; 0]);
    assert_eq!(
        story.told(),
        "branch `towpath/production/portal` proposes it; it waits to be merged"
    );
    story.quiet_round();
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(story.proposed(), V3);

    story.lab.git(&["-C", "work", "fetch", "-q", "origin"]);
    story
        .lab
        .git(&["-C", "work", "checkout", "-q", "-B", "main", "origin/main"]);
    let name = format!("origin/{HEAD}");
    story
        .lab
        .git(&["-C", "work", "merge", "-q", "--no-ff", "--no-edit", &name]);
    story
        .lab
        .git(&["-C", "work", "push", "-q", "origin", "main"]);
    story.round();
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(story.deployed(), V3);
    story.quiet_round();

    // Whoever wants it no more deletes the branch and rejects the version: it would come again.
    story.write_by_hand(|text| text.replace(V3, V1));
    story.quiet_round();
    assert!(
        story
            .told()
            .starts_with("a person undid the promotion to `v1.6.0`"),
        "{}",
        story.told()
    );
}

#[test]
fn a_branch_that_takes_no_commits_holds_up_no_proposal() {
    let mut story = Story::new("");
    let server = GitServer::start();
    story.lab.serve_from(&server);
    let url = server.http("deploy.git");
    let settings = format!("url: '{url}', plain-http: true, forge: none");
    story.lab.repository(&settings);
    let image = story.lab.image("acme/web");
    let text = crate::lab::kustomization(&image, "develop-1-0a1b2c3");
    let path = "apps/portal/overlays/dev/kustomization.yaml";
    story.lab.commit("dev", &[(path, &text)]);
    let dev = crate::lab::portal_policy("dev", &image, "apps/portal/overlays/dev");
    story.lab.write(
        "policies/dev.yaml",
        &format!("apiVersion: towpath.dev/v1alpha1\n{dev}"),
    );
    story
        .lab
        .push(&["develop-1-0a1b2c3", "develop-2-1b2c3d4", V2]);
    let main_is_closed = "[ \"$1\" != refs/heads/main ]";
    install_hook(&story.bare(), "update", main_is_closed);

    let ran = story.lab.run(&["apply"]);

    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(
        ran.stdout.matches("the push to deploy main failed").count(),
        1,
        "{ran:?}"
    );
    assert_eq!(story.proposed(), V2);
}

#[test]
fn what_the_policy_wishes_is_told_to_the_forge_and_what_it_does_not_know_stops_nothing() {
    let story = Story::new(
        "draft: true, labels: [promotion], reviewers: [nobody], assignees: [ada], milestone: none",
    );
    story.forge.know("ada");
    story.lab.push(&[V2]);

    let ran = story.round();

    let pull = story.repository().pull(1);
    assert!(pull.is_draft);
    assert_eq!(pull.labels, ["promotion".to_owned()].into());
    assert_eq!(pull.assignees, ["ada".to_owned()].into());
    let complaints: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.starts_with("deploy ") && line.contains(" would not "))
        .collect();
    assert_eq!(complaints.len(), 2, "{ran:?}");
    story.quiet_round();
}

#[test]
fn a_forge_that_merges_by_itself_is_told_which_commit() {
    let story = Story::new("auto-merge: squash");
    story.lab.push(&[V2]);
    story.round();
    assert_eq!(
        story.repository().pull(1).auto_merge.as_deref(),
        Some("SQUASH")
    );
    story.quiet_round();

    // The next version is armed anew, and one that is ready at once is merged with the commit that was pushed.
    story.repository().require_checks(false);
    story.lab.push(&[V3]);
    story.round();
    let pull = story.repository().pull(1);
    let End::Merged { by, .. } = &pull.end else {
        panic!("{pull:?}");
    };
    assert_eq!(by, FakeForge::USER);
    assert_eq!(story.deployed(), V3);
    story.round();
    assert_eq!(story.tip(HEAD), None);
    story.quiet_round();
}

#[test]
fn what_a_check_holds_back_is_merged_once_that_passes() {
    let story = Story::new("auto-merge: merge");
    story.repository().require_checks(false);
    story.repository().fail_a_check(true);
    story.lab.push(&[V2]);
    story.round();
    story.quiet_round();
    assert_eq!(story.repository().open_ones(), [1]);

    story.repository().fail_a_check(false);
    story.round();
    assert_eq!(story.deployed(), V2);
    assert_eq!(story.repository().open_ones(), [0; 0]);
}

#[test]
fn what_people_take_back_of_the_wishes_stays_taken_back() {
    let story = Story::new("auto-merge: merge, labels: [promotion]");
    story.lab.push(&[V2]);
    story.round();
    let wishes = || {
        let pull = story.repository().pull(1);
        (pull.auto_merge, pull.labels)
    };
    assert_eq!(
        wishes(),
        (Some("MERGE".to_owned()), ["promotion".to_owned()].into())
    );
    story.repository().take_back(1);
    story.quiet_round();
    assert_eq!(wishes(), (None, [].into()));
}

impl Story {
    /// How many files the proposal changes.
    fn changed_files(&self, branch: &str) -> usize {
        let range = format!("{branch}^..{branch}");
        let files = self
            .lab
            .git(&["-C", "deploy.git", "diff", "--name-only", &range]);
        files.lines().count()
    }
}

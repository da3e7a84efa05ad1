//! What people decide: the verbs that write it, and what the next round makes of it.

use bed::{GitServer, install_hook};

use crate::lab::{Lab, Ran};

const OVERLAY: &str = "apps/portal/overlays/dev/kustomization.yaml";
const HOLDS: &str = ".towpath/holds.yaml";

/// `develop-2-1b2c3d4` stands in dev, promoted from `develop-1-0a1b2c3`.
fn promoted() -> Lab {
    let mut lab = Lab::portal();
    lab.set("TOWPATH_AUTHOR", "Ada <ada@example.com>");
    lab.push(&["develop-2-1b2c3d4"]);
    done(&lab.run(&["apply"]));
    lab
}

fn done(ran: &Ran) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

/// What stands in dev.
fn stands(lab: &Lab) -> String {
    let text = lab.pushed(OVERLAY);
    let (_, rest) = text.split_once("newTag: ").unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// The last commit with its author and committer.
fn last(lab: &Lab) -> String {
    let format = "--format=%an <%ae>%n%cn%n%B";
    lab.git(&["-C", "deploy.git", "log", "-1", format, "main"])
}

/// The files that the last commit changes.
fn changed(lab: &Lab) -> String {
    lab.git(&[
        "-C",
        "deploy.git",
        "show",
        "--format=",
        "--name-only",
        "main",
    ])
}

/// What a verb printed, with the names of commits replaced.
fn printed(ran: &Ran) -> String {
    let text = format!("{}{}", ran.stdout, ran.stderr);
    let is_commit = |word: &&str| word.len() == 7 && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = text
        .split(' ')
        .map(|word| if is_commit(&word) { "COMMIT" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pin_is_one_commit_and_goes_down_until_someone_resumes() {
    let lab = promoted();
    let pin = [
        "pin",
        "portal",
        "dev",
        "develop-1-0a1b2c3",
        "--reason",
        "INC-123: login #2",
    ];
    let ran = lab.run(&pin);
    done(&ran);
    insta::assert_snapshot!(printed(&ran), @"pinned portal in dev to develop-1-0a1b2c3: commit COMMIT on `main` of `deploy`");
    insta::assert_snapshot!(last(&lab), @"
    Ada <ada@example.com>
    towpath
    pin portal in dev to develop-1-0a1b2c3

    Towpath-Policy: portal
    Towpath-Environment: dev
    Towpath-Hold: pin develop-1-0a1b2c3
    Towpath-Reason: INC-123: login #2
    ");
    insta::assert_snapshot!(lab.pushed(HOLDS), @r#"
    # What people decided of versions: `towpath pin`, `reject`, `stop`, `approve` and `resume` write here, and so may you.
    holds:
    - policy: portal
      environment: dev
      pin: develop-1-0a1b2c3
      reason: "INC-123: login #2"
      by: Ada
    "#);
    assert_eq!(changed(&lab), format!("{HOLDS}\n"));

    let again = lab.run(&pin);
    assert_eq!(again.code, Some(1));
    insta::assert_snapshot!(printed(&again), @"error: it is so already by Ada: INC-123: login #2 (.towpath/holds.yaml:3: pin portal in dev to develop-1-0a1b2c3)");

    lab.push(&["develop-3-2c3d4e5"]);
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-1-0a1b2c3");
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-1-0a1b2c3", "it stays");

    let ran = lab.run(&["resume", "portal", "dev"]);
    done(&ran);
    insta::assert_snapshot!(printed(&ran), @"resumed portal in dev, 1 hold ended: commit COMMIT on `main` of `deploy`");
    insta::assert_snapshot!(last(&lab), @"
    Ada <ada@example.com>
    towpath
    resume portal in dev

    Towpath-Policy: portal
    Towpath-Environment: dev
    Towpath-Hold: resume
    Towpath-Stands: web develop-1-0a1b2c3
    ");
    insta::assert_snapshot!(lab.pushed(HOLDS), @"
    # What people decided of versions: `towpath pin`, `reject`, `stop`, `approve` and `resume` write here, and so may you.
    holds:
    ");
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-3-2c3d4e5");
}

#[test]
fn a_rejected_version_is_passed_over_and_explain_says_why() {
    let lab = promoted();
    lab.push(&["develop-3-2c3d4e5", "develop-4-3d4e5f6"]);
    let reason = ["--reason", "broken login", "--until", "3d"];
    done(
        &lab.run(
            &[
                &["reject", "portal", "dev", "develop-4-3d4e5f6"][..],
                &reason,
            ]
            .concat(),
        ),
    );
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-3-2c3d4e5");
    let explained = lab.run(&["explain", "portal", "dev"]).stdout;
    let line = explained
        .lines()
        .find(|line| line.starts_with("develop-4-3d4e5f6"))
        .unwrap();
    let (_, why) = line.split_once("is rejected").unwrap();
    assert!(why.starts_with(" by Ada until "), "{why}");
    assert!(
        why.ends_with(": broken login (.towpath/holds.yaml:3)"),
        "{why}"
    );
}

#[test]
fn a_stop_may_cover_one_environment_of_all_or_everything() {
    let lab = promoted();
    lab.push(&["develop-3-2c3d4e5"]);
    for words in [
        &["portal", "dev"][..],
        &["portal"],
        &["--environment", "dev"],
        &["--all"],
    ] {
        let before = stands(&lab);
        done(&lab.run(&[&["stop"], words, &["--reason", "freeze"]].concat()));
        done(&lab.run(&["apply"]));
        assert_eq!(stands(&lab), before, "{words:?}");
        done(&lab.run(&[&["resume"], words].concat()));
    }
    insta::assert_snapshot!(lab.subjects()[..8].join("\n"), @"
    resume everything
    stop everything
    resume everything in dev
    stop everything in dev
    resume portal everywhere
    stop portal everywhere
    resume portal in dev
    stop portal in dev
    ");
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-3-2c3d4e5");
}

#[test]
fn a_resumption_names_what_holds_still() {
    let lab = promoted();
    done(&lab.run(&["stop", "--environment", "dev", "--reason", "freeze"]));
    let ran = lab.run(&["resume", "portal", "dev"]);
    done(&ran);
    insta::assert_snapshot!(printed(&ran), @"
    resumed portal in dev, no hold was in the file: commit COMMIT on `main` of `deploy`
    still held: stop, everything in dev (.towpath/holds.yaml:3); `towpath resume --environment dev` ends it
    ");
}

#[test]
fn what_cannot_be_meant_is_refused_in_words() {
    let lab = promoted();
    let why = ["--reason", "x"];
    let mut told = String::new();
    for (words, code) in [
        (&["pin", "shop", "dev", "v1"][..], 2),
        (&["pin", "portal", "live", "v1"], 2),
        (&["pin", "portal", "dev", "v1", "--image", "api"], 2),
        (&["pin", "portal", "dev", "develop-9-0000000"], 1),
        (
            &[
                "pin",
                "portal",
                "dev",
                "develop-1-0a1b2c3",
                "--until",
                "2020-01-01T00:00:00Z",
            ],
            2,
        ),
        (&["stop"], 2),
        (&["stop", "--environment", "live"], 2),
    ] {
        let ran = lab.run(&[words, &why].concat());
        assert_eq!(ran.code, Some(code), "{words:?} {ran:?}");
        told.push_str(&ran.stderr);
    }
    let ran = lab.run(&["resume", "--all"]);
    assert_eq!(ran.code, Some(1));
    told.push_str(&ran.stderr);
    let now = told.find("it is 2").map(|at| at + "it is ".len()).unwrap();
    let end = now + told[now..].find(' ').unwrap();
    told.replace_range(now..end, "TIME");
    insta::assert_snapshot!(told, @"
    error: there is no policy `shop`
    hint: the policies are `portal`
    error: policy `portal` has no environment `live`
    hint: it has `dev`
    error: policy `portal` has no image `api`
    hint: it has `web`
    error: `REGISTRY/acme/web` has no tag `develop-9-0000000`
    hint: `--force` holds it all the same
    error: `--until` is over: it is TIME now
    error: name a policy, or `--environment NAME`
    hint: `--all` is everything in the repository
    error: no policy of `deploy` has an environment `live`
    error: nothing holds everything in `.towpath/holds.yaml`
    ");
    assert_eq!(lab.subjects().len(), 3, "nothing was committed");
    done(&lab.run(&[
        "pin",
        "portal",
        "dev",
        "develop-9-0000000",
        "--reason",
        "x",
        "--force",
    ]));
    assert_eq!(lab.run(&["apply"]).code, Some(1), "it is not listed");
}

#[test]
fn an_undone_promotion_comes_again_after_a_resumption_and_a_later_undo_is_held() {
    let lab = promoted();
    let revert = |lab: &Lab| {
        lab.git(&["-C", "work", "pull", "-q", "origin", "main"]);
        let found = [
            "-C",
            "work",
            "log",
            "-1",
            "--format=%H",
            "--grep=Towpath-Image",
        ];
        let promotion = lab.git(&found);
        lab.git(&["-C", "work", "revert", "--no-edit", promotion.trim()]);
        lab.git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    };
    done(&lab.run(&["resume", "portal", "dev"]));
    revert(&lab);
    done(&lab.run(&["apply"]));
    assert_eq!(
        stands(&lab),
        "develop-1-0a1b2c3",
        "the undo came after the resumption"
    );
    done(&lab.run(&["resume", "portal", "dev", "--reason", "it was the database"]));
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-2-1b2c3d4");
    revert(&lab);
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-1-0a1b2c3");
}

#[test]
fn a_broken_file_holds_everything_and_is_not_edited() {
    let lab = promoted();
    lab.push(&["develop-3-2c3d4e5"]);
    lab.commit(
        "by hand",
        &[(HOLDS, "holds:\n  - { polcy: portal, stop: true }\n")],
    );
    let ran = lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("what people decided is unknown, so nothing moves: .towpath/holds.yaml:2:7: unknown key `polcy` (did you mean `policy`?)"), "{ran:?}");
    assert_eq!(stands(&lab), "develop-2-1b2c3d4");
    let ran = lab.run(&["stop", "--all", "--reason", "x"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stderr.contains("--> .towpath/holds.yaml:2:7"),
        "{ran:?}"
    );
}

#[test]
fn a_branch_that_moves_meanwhile_gets_the_hold_on_top() {
    let mut lab = promoted();
    let server = GitServer::start();
    lab.serve_from(&server);
    let git = |args: &[&str]| lab.git(&[&["-C", "deploy.git"], args].concat());
    let head = git(&["rev-parse", "main"]);
    let tree = format!("{}^{{tree}}", head.trim());
    let theirs = git(&["commit-tree", "-m", "theirs", "-p", head.trim(), &tree]);
    let script = format!(
        "[ -e moved ] && exit 0; touch moved; unset GIT_QUARANTINE_PATH; git update-ref refs/heads/main {theirs}"
    );
    let bare = lab.path().join("deploy.git").canonicalize().unwrap();
    install_hook(&bare, "pre-receive", script.trim());
    done(&lab.run(&["stop", "portal", "dev", "--reason", "freeze"]));
    assert_eq!(lab.subjects()[..2], ["stop portal in dev", "theirs"]);
}

#[test]
fn a_protected_branch_is_told_with_what_to_do_instead() {
    let mut lab = promoted();
    let server = GitServer::start();
    lab.serve_from(&server);
    let bare = lab.path().join("deploy.git").canonicalize().unwrap();
    let update = "echo 'main is protected'; exit 1";
    install_hook(&bare, "update", update);
    let ran = lab.run(&["stop", "portal", "dev", "--reason", "freeze"]);
    assert_eq!(ran.code, Some(1));
    insta::assert_snapshot!(ran.stderr, @"
    error: the server rejected the push to `main`: main is protected
    error: hook declined to update refs/heads/main
    hook declined
    hint: where the branch is protected, commit the same change to the file by a pull request
    ");
}

#[test]
fn a_rollback_writes_the_version_before_and_pins_it_in_one_commit() {
    let lab = promoted();
    lab.push(&["develop-3-2c3d4e5"]);
    done(&lab.run(&["apply"]));
    let ran = lab.run(&["rollback", "portal", "dev", "--reason", "INC-7"]);
    done(&ran);
    insta::assert_snapshot!(printed(&ran), @"rolled portal in dev back to develop-2-1b2c3d4 and pinned it: commit COMMIT on `main` of `deploy`");
    assert_eq!(stands(&lab), "develop-2-1b2c3d4");
    assert_eq!(changed(&lab), format!("{HOLDS}\n{OVERLAY}\n"));
    let message = last(&lab).replace(&lab.registry.host(), "REGISTRY");
    let lines = message
        .lines()
        .map(|line| line.split("@sha256").next().unwrap());
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    Ada <ada@example.com>
    towpath
    roll back portal in dev to develop-2-1b2c3d4

    Towpath-Policy: portal
    Towpath-Environment: dev
    Towpath-Image: web REGISTRY/acme/web:develop-2-1b2c3d4
    Towpath-Replaces: web develop-3-2c3d4e5
    Towpath-Policy: portal
    Towpath-Environment: dev
    Towpath-Hold: pin develop-2-1b2c3d4
    Towpath-Reason: INC-7
    ");
    lab.push(&["develop-4-3d4e5f6"]);
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-2-1b2c3d4", "it is pinned");
    let ran = lab.run(&[
        "rollback",
        "portal",
        "dev",
        "--to",
        "develop-1-0a1b2c3",
        "--reason",
        "INC-7",
    ]);
    done(&ran);
    assert_eq!(stands(&lab), "develop-1-0a1b2c3");
    done(&lab.run(&["resume", "portal", "dev"]));
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-4-3d4e5f6");
}

#[test]
fn a_rollback_goes_further_back_each_time_and_never_to_what_was_undone() {
    let lab = promoted();
    let back = ["rollback", "portal", "dev", "--reason", "INC-77"];
    lab.push(&["develop-3-2c3d4e5"]);
    done(&lab.run(&["apply"]));
    assert_eq!(stands(&lab), "develop-3-2c3d4e5");
    for expected in ["develop-2-1b2c3d4", "develop-1-0a1b2c3"] {
        done(&lab.run(&back));
        assert_eq!(stands(&lab), expected);
    }
    let ran = lab.run(&back);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("tells no version before"), "{ran:?}");

    let lab = promoted();
    lab.push(&["develop-3-2c3d4e5"]);
    done(&lab.run(&["apply"]));
    lab.git(&["clone", "-q", "deploy.git", "undo"]);
    lab.git(&["-C", "undo", "revert", "--no-edit", "HEAD"]);
    lab.git(&["-C", "undo", "push", "-q"]);
    assert_eq!(stands(&lab), "develop-2-1b2c3d4");
    done(&lab.run(&back));
    assert_eq!(stands(&lab), "develop-1-0a1b2c3");
}

#[test]
fn a_rollback_never_goes_to_what_was_taken_back_since_it_was_degraded() {
    let lab = promoted();
    lab.push(&["develop-3-2c3d4e5"]);
    done(&lab.run(&["apply"]));
    lab.git(&["clone", "-q", "deploy.git", "degraded"]);
    lab.git(&["-C", "degraded", "revert", "--no-edit", "HEAD"]);
    let message = "promote portal to dev: web develop-3-2c3d4e5 -> develop-2-1b2c3d4\n\nTowpath-Policy: portal\nTowpath-Environment: dev\nTowpath-Image: web IMAGE:develop-2-1b2c3d4\nTowpath-Replaces: web develop-3-2c3d4e5\nTowpath-Rejects: web develop-3-2c3d4e5\n";
    let message = message.replace("IMAGE", &lab.image("acme/web"));
    lab.git(&["-C", "degraded", "commit", "-q", "--amend", "-m", &message]);
    lab.git(&["-C", "degraded", "push", "-q"]);
    let history = lab.run(&["history", "--limit", "1"]).stdout;
    assert!(history.contains("rolled back"), "{history}");
    assert!(
        history.contains("`develop-3-2c3d4e5` was degraded"),
        "{history}"
    );
    done(&lab.run(&["rollback", "portal", "dev", "--reason", "INC-77"]));
    assert_eq!(stands(&lab), "develop-1-0a1b2c3");
}

#[test]
fn a_rollback_of_a_followed_tag_goes_to_the_digest_before_though_the_tag_stays() {
    let mut lab = Lab::portal();
    lab.set("TOWPATH_AUTHOR", "Ada <ada@example.com>");
    let image = lab.image("acme/web");
    let place = "apps/portal/image.yaml";
    let text = format!("image: {image}:develop-1-0a1b2c3\n");
    lab.commit("one image", &[(place, &text)]);
    let update = format!("{{ yaml: {place}, at: image }}");
    let policy = crate::lab::portal_policy("portal", &image, &update);
    let pattern = "{ pattern: \"develop-{number}-{sha}\" }";
    lab.policies(&policy.replace(pattern, "{ follow: latest }, write: tag@digest"));
    let digests = [1, 2].map(|hour| {
        let image = towpath::demo_registry::Image {
            created: Some(jiff::Timestamp::from_second(hour * 3600).unwrap()),
            ..Default::default()
        };
        let digest = lab.registry.push("acme/web", "latest", &image);
        done(&lab.run(&["apply"]));
        let text = lab.pushed(place);
        assert!(text.contains(&format!(":latest@{digest}")), "{text}");
        digest
    });
    done(&lab.run(&["rollback", "portal", "dev", "--reason", "INC-7"]));
    let text = lab.pushed(place);
    assert!(text.contains(&digests[0]), "{text}");
}

#[test]
fn a_rollback_goes_to_the_branch_of_its_environment_and_the_pin_to_the_repository_s_own() {
    let lab = promoted();
    let image = lab.image("acme/web");
    let policy = crate::lab::portal_policy("portal", &image, "apps/portal/overlays/dev");
    let policy = policy.replace(
        "update:",
        "deliver: { commit: { branch: env/dev } }, update:",
    );
    lab.policies(&policy);
    lab.git(&["-C", "deploy.git", "branch", "env/dev", "main"]);
    let ran = lab.run(&["rollback", "portal", "dev", "--reason", "INC-7"]);
    done(&ran);
    insta::assert_snapshot!(printed(&ran), @"
    pinned portal in dev to develop-1-0a1b2c3: commit COMMIT on `main` of `deploy`
    commit COMMIT on `env/dev` of `deploy`
    ");
    assert_eq!(changed(&lab), format!("{HOLDS}\n"));
    let there = lab.git(&["-C", "deploy.git", "show", &format!("env/dev:{OVERLAY}")]);
    assert!(there.contains("newTag: develop-1-0a1b2c3"), "{there}");
}

#[test]
fn a_file_with_holds_is_checked_like_policies() {
    let lab = promoted();
    lab.write("holds.yaml", "holds:\n  - { policy: portal, environment: live, pin: v1 }\n  - { policy: shop, stop: true }\n");
    let ran = lab.run(&["check", "--holds", "holds.yaml"]);
    done(&ran);
    insta::assert_snapshot!(printed(&ran), @"
    towpath.yaml: 1 policy, 1 environment, 1 image, 1 repository; 2 warnings
    warning: policy `portal` does not have an environment `live`; this holds nothing
      --> holds.yaml:2:36
        |
      2 |   - { policy: portal, environment: live, pin: v1 }
        |                                    ^^^^
      at: holds[0].environment

    warning: there is no policy `shop` here; this holds nothing that is promoted from here
      --> holds.yaml:3:15
        |
      3 |   - { policy: shop, stop: true }
        |               ^^^^
      at: holds[1].policy
    ");
    lab.write("holds.yaml", "holds:\n  - { policy: portal, pin: v1 }\n");
    let ran = lab.run(&["check", "--holds", "holds.yaml"]);
    assert_eq!(ran.code, Some(3));
    insta::assert_snapshot!(printed(&ran), @"
    error: a pin names its `environment`
      --> holds.yaml:2:3
        |
      2 |   - { policy: portal, pin: v1 }
        |   ^
      at: holds[0]

    towpath.yaml: 1 problem
    ");
}

//! A forge that is down, slow, limits, forgets or breaks off: never a second pull request, and it goes on by itself.

use bed::forge::{Fault, Way};

use super::{HEAD, Story, V2, V3, now_seconds};
use crate::lab::portal_policy;

#[test]
fn whatever_a_forge_answers_to_whichever_request_there_is_one_pull_request_in_the_end() {
    let story = Story::new("");
    let down = |status| Fault::Refused {
        status,
        words: "it is down",
    };
    let faults = [
        down(502),
        Fault::Limited { seconds: 3600 },
        Fault::Reset,
        Fault::ResetAfter,
        Fault::CutJson,
    ];
    let mut n = 5;
    for (number, fault) in (1_u64..).step_by(2).zip(faults) {
        // The lists, then the one that opens it; and for the next version what updates it and what tells of that.
        for (place, times) in [(0, 9), (2, 1), (2, 1), (3, 1)] {
            let version = story.push_version(n);
            story.forge.fail_after(place, fault.clone(), times);
            story.lab.run(&["apply"]);
            story.forge.heal();

            story.round();

            let ran = format!("{fault:?} at {place} of {version}");
            assert_eq!(story.repository().open_ones(), [number], "{ran}");
            assert_eq!(story.repository().count() as u64, number, "{ran}");
            assert_eq!(story.proposed(), version, "{ran}");
            let title = story.repository().pull(number).title;
            assert!(title.ends_with(&version), "{title} after {ran}");
            n += 1;
        }
        story.quiet_round();
        story.repository().merge(number, "ada", Way::Merge);
        let version = story.push_version(n);
        story.forge.fail_after(2, fault.clone(), 1);
        story.lab.run(&["apply"]);
        story.forge.heal();
        story.round();
        assert_eq!(story.repository().open_ones(), [number + 1], "{fault:?}");
        story.repository().close(number + 1, "ada");
        story.round();
        assert_eq!(
            story.repository().open_ones(),
            [0; 0],
            "{fault:?}: {version}"
        );
        n += 1;
    }
}

#[test]
fn a_forge_that_is_down_stops_no_commit_and_is_asked_again() {
    let story = Story::new("");
    let image = story.lab.image("acme/web");
    let dev = "apps/portal/overlays/dev";
    let text = crate::lab::kustomization(&image, "develop-1-0a1b2c3");
    story
        .lab
        .commit("dev", &[(&format!("{dev}/kustomization.yaml"), &text)]);
    let policies = std::fs::read_to_string(story.lab.path().join("policies/all.yaml")).unwrap();
    let policies = format!(
        "{policies}---\n{}",
        portal_policy("portal-dev", &image, dev)
    );
    story.lab.write("policies/all.yaml", &policies);
    story.lab.push(&["develop-1-0a1b2c3"]);
    let down = Fault::Refused {
        status: 503,
        words: "it is down",
    };
    story.forge.fail(down, u32::MAX);
    let daemon = story.lab.start();
    story.lab.push(&["develop-2-1b2c3d4", V2]);

    daemon.wait_until("the commit", || {
        story
            .lab
            .pushed(&format!("{dev}/kustomization.yaml"))
            .contains("develop-2-1b2c3d4")
    });
    daemon.wait_until("the reason", || {
        daemon.log().contains("the pull requests are unknown")
    });
    assert_eq!(story.tip(HEAD), None);
    story.forge.heal();
    daemon.wait_until("the pull request", || story.repository().count() == 1);
    assert_eq!(story.proposed(), V2);
}

#[test]
fn lists_that_lag_behind_are_not_believed_against_what_was_written() {
    let story = Story::new("");
    story.forge.set_clock(now_seconds());
    story.forge.fail(Fault::StaleLists, 1);
    story.lab.push(&[V2]);
    let daemon = story.lab.start();
    let rounds = |times: usize| {
        let mut lists = 0;
        let mut writes = Vec::new();
        daemon.wait_until("rounds", || {
            for request in story.forge.take_requests() {
                match (request.starts_with("GET "), request.contains("/statuses/")) {
                    (true, _) => lists += 1,
                    (false, true) => {}
                    (false, false) => writes.push(request),
                }
            }
            lists >= times
        });
        writes
    };
    daemon.wait_until("the pull request", || story.repository().count() == 1);
    assert_eq!(rounds(4), ["POST /api/v3/repos/acme/deploy/pulls"]);
    story.lab.push(&[V3]);
    daemon.wait_until("the newer version", || {
        !story.repository().pull(1).comments.is_empty()
    });
    assert_eq!(rounds(4).len(), 2);
    assert_eq!(story.repository().pull(1).comments.len(), 1);
    drop(daemon);

    // Another process knows the list alone. The forge takes no second one.
    let ran = story.lab.run(&["apply"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("has an open pull request for"),
        "{ran:?}"
    );
    assert_eq!(story.repository().count(), 1);

    story.forge.heal();
    story.quiet_round();
    // Merged, and listed as open still: not closed, nor said anything about.
    story.forge.fail(Fault::StaleLists, 1);
    story.forge.set_clock(now_seconds());
    story.repository().merge(1, "ada", Way::Merge);
    story.quiet_round();
    assert_eq!(story.deployed(), V3);
    story.forge.heal();
    story.round();
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(story.repository().pull(1).comments.len(), 1);
}

//! What becomes of a proposal while nobody decides: opened once, left alone, replaced in place, and ended.

use bed::forge::{End, Way, Word};

use super::{HEAD, OVERLAY, Story, V1, V2, V3};

#[test]
fn production_is_proposed_once_and_left_alone_while_nothing_changes() {
    let story = Story::new("");
    story.quiet_round();
    assert_eq!(story.told(), "it is the newest");
    story.lab.push(&[V2]);
    let main = story.tip("main");

    story.round();

    assert_eq!(story.writes(), ["POST /api/v3/repos/acme/deploy/pulls"]);
    let pull = story.repository().pull(1);
    assert_eq!((&*pull.head, &*pull.base), (HEAD, "main"));
    assert_eq!(
        pull.title,
        "promote portal to production: web v1.4.2 -> v1.5.0"
    );
    assert!(pull.body.contains("v1.5.0"), "{}", pull.body);
    assert_eq!(story.proposed(), V2);
    assert_eq!(story.tip("main"), main, "nobody merged it");
    let commits = story
        .lab
        .git(&["-C", "deploy.git", "rev-list", &format!("main..{HEAD}")]);
    assert_eq!(commits.trim(), story.tip(HEAD).unwrap());
    for _ in 0..3 {
        story.quiet_round();
    }
    assert_eq!(
        story.told(),
        "pull request #1 proposes it and waits for people: http://FORGE/acme/deploy/pull/1"
    );

    // A running daemon: the lists of its first reading, and then what changed, again and again.
    story.forge.take_requests();
    let heads = story.heads();
    let daemon = story.lab.start();
    let mut requests = Vec::new();
    daemon.wait_until("some rounds", || {
        requests.extend(story.forge.take_requests());
        requests.len() >= 5
    });
    let is_of_open = |request: &&String| request.contains("state=open");
    assert_eq!(
        requests.iter().filter(is_of_open).count(),
        1,
        "{requests:?}"
    );
    let is_list = |request: &String| request.starts_with("GET ") && request.contains("/pulls?");
    assert!(requests.iter().all(is_list), "{requests:?}");
    assert_eq!(story.heads(), heads);
}

#[test]
fn a_newer_version_takes_the_place_of_the_proposed_one_with_one_comment() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.writes();
    story.lab.push(&[V3]);

    story.round();

    assert_eq!(
        story.writes(),
        [
            "PATCH /api/v3/repos/acme/deploy/pulls/1",
            "POST /api/v3/repos/acme/deploy/issues/1/comments"
        ]
    );
    let pull = story.repository().pull(1);
    assert_eq!(
        pull.title,
        "promote portal to production: web v1.4.2 -> v1.6.0"
    );
    assert_eq!(
        pull.comments,
        ["This proposes web `v1.6.0` now, in place of web `v1.5.0`."]
    );
    assert_eq!(story.proposed(), V3);
    let parent = story
        .lab
        .git(&["-C", "deploy.git", "rev-parse", &format!("{HEAD}^")]);
    assert_eq!(parent.trim(), story.tip("main").unwrap(), "one commit only");
    story.quiet_round();
    assert_eq!(story.repository().count(), 1);
}

#[test]
fn a_base_that_moves_elsewhere_leaves_the_approvals_and_one_that_moves_here_is_taken_in() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.repository().review(1, "ada", Word::Approved);
    let tip = story.tip(HEAD);

    story
        .lab
        .commit("elsewhere", &[("apps/other/values.yaml", "a: 1\n")]);
    story.quiet_round();
    assert_eq!(story.tip(HEAD), tip);
    assert_eq!(
        story.repository().pull(1).approvals()[0].commit,
        tip.unwrap()
    );

    story.write_by_hand(|text| format!("{text}namePrefix: a-\n"));
    story.round();
    let proposal = story
        .lab
        .git(&["-C", "deploy.git", "show", &format!("{HEAD}:{OVERLAY}")]);
    assert!(proposal.contains("namePrefix: a-"), "{proposal}");
    assert_eq!(story.proposed(), V2);
    assert_eq!(
        story.repository().pull(1).comments,
        [""; 0],
        "the versions are the same"
    );
    story.quiet_round();
    story.repository().merge(1, "ada", Way::Merge);
    assert_eq!(story.deployed(), V2);
}

#[test]
fn merged_in_whatever_way_it_is_done_and_the_branch_is_deleted() {
    for way in [Way::Merge, Way::Squash, Way::Rebase] {
        let story = Story::new("");
        story.lab.push(&[V2]);
        story.round();
        story.repository().merge(1, "ada", way);
        story.writes();

        story.round();

        assert_eq!(story.writes(), [""; 0], "{way:?}");
        assert_eq!(story.tip(HEAD), None, "{way:?}");
        assert_eq!(story.deployed(), V2);
        assert_eq!(story.told(), "it is the newest", "{way:?}");
        story.quiet_round();
        let pull = story.repository().pull(1);
        assert_eq!(pull.comments, [""; 0], "{way:?}");

        story.lab.push(&[V3]);
        story.round();
        assert_eq!(story.repository().pull(2).end, End::Open, "{way:?}");
        assert_eq!(story.proposed(), V3);
    }
}

#[test]
fn a_branch_that_is_gone_is_made_again_while_it_is_open_and_not_after_it_was_merged() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.repository().delete_branch(HEAD);

    story.round();

    assert_eq!(story.proposed(), V2);
    assert_eq!(story.repository().count(), 1);
    story.quiet_round();
    story.repository().merge(1, "ada", Way::Merge);
    story.repository().delete_branch(HEAD);
    story.quiet_round();
    assert_eq!(story.tip(HEAD), None);
}

#[test]
fn a_version_that_came_by_other_ways_closes_the_pull_request_and_rejects_nothing() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.write_by_hand(|text| text.replace(V1, V2));

    story.round();

    let pull = story.repository().pull(1);
    assert!(matches!(pull.end, End::Closed { .. }), "{pull:?}");
    assert_eq!(
        pull.comments,
        [
            "Nothing is left to promote here: `main` has what this proposed, or a newer version, or the version may not come here any more. Closed by towpath; this rejects nothing."
        ]
    );
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(story.told(), "it is the newest");
    story.quiet_round();

    // The same version, as soon as it is missing again.
    story.write_by_hand(|text| text.replace(V2, V1));
    story.round();
    assert_eq!(story.repository().pull(2).end, End::Open);
    assert_eq!(story.proposed(), V2);
}

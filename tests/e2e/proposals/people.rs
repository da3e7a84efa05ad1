//! What people decide: closing rejects, reverting holds, and a commit of their own on the branch makes it theirs.

use bed::forge::{End, Way};

use super::{HEAD, OVERLAY, Story, V1, V2, V3};

#[test]
fn closed_without_merging_it_rejects_exactly_that_version_until_it_is_reopened() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.repository().close(1, "ada");
    story.writes();

    story.round();

    assert_eq!(story.writes(), [""; 0]);
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(
        story.told(),
        "`v1.5.0` is rejected (pull request #1 was closed); a newer version or `towpath resume` ends this"
    );
    story.quiet_round();

    story.repository().reopen(1);
    story.round();
    assert_eq!(story.proposed(), V2);
    assert_eq!(story.repository().count(), 1);
    story.quiet_round();

    story.repository().close(1, "ada");
    story.round();
    story.lab.push(&[V3]);
    story.round();
    let pull = story.repository().pull(2);
    assert_eq!((pull.end, &*pull.head), (End::Open, HEAD));
    assert_eq!(story.proposed(), V3);

    // The newer one is rejected too, and the older one stays so.
    story.repository().close(2, "ada");
    story.round();
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(story.repository().count(), 2);
    story.quiet_round();
}

#[test]
fn a_pull_request_that_goes_elsewhere_rejects_nothing_though_it_says_what_ours_says() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    let repository = story.repository();
    story
        .lab
        .git(&["-C", "deploy.git", "branch", "release", "main"]);
    let other = repository.open(HEAD, "release");
    repository.rewrite(other, &repository.pull(1).body);
    repository.close(other, "mallory");

    story.round();

    assert_eq!(repository.pull(1).end, End::Open);
    assert_eq!(story.proposed(), V2);
    assert!(story.told().contains("#1 proposes it"), "{}", story.told());
    story.quiet_round();
}

#[test]
fn closing_rejects_though_somebody_wrote_the_body_anew() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.repository().rewrite(1, "No.");
    story.repository().close(1, "ada");

    story.quiet_round();

    assert!(story.told().starts_with("`v1.5.0` is rejected"));
    assert!(story.tip(HEAD).is_some(), "its commit tells what it was");
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(story.repository().open_ones(), [2]);
    assert_eq!(story.proposed(), V3);
}

#[test]
fn a_version_between_that_nobody_rejected_comes_after_a_newer_one_was() {
    let story = Story::new("");
    story.lab.push(&[V2, V3]);
    story.round();
    assert_eq!(story.proposed(), V3);
    story.repository().close(1, "ada");

    story.round();

    assert_eq!(story.proposed(), V2);
    assert_eq!(story.repository().pull(2).end, End::Open);
    story.quiet_round();
}

#[test]
fn a_merged_promotion_that_is_reverted_is_held_in_whatever_way_it_was_merged() {
    for way in [Way::Merge, Way::Squash, Way::Rebase] {
        let story = Story::new("");
        story.lab.push(&[V2]);
        story.round();
        let merged = story.repository().merge(1, "ada", way);
        story.round();
        story.lab.commit("pull", &[]);
        let mainline: &[&str] = match way {
            Way::Merge => &["-m", "1"],
            Way::Squash | Way::Rebase => &[],
        };
        let revert = [&["-C", "work", "revert", "--no-edit"], mainline, &[&merged]].concat();
        story.lab.git(&revert);
        story
            .lab
            .git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
        assert_eq!(story.deployed(), V1);

        story.quiet_round();

        let held = match way {
            Way::Merge | Way::Rebase => "a person undid the promotion to `v1.5.0`",
            // Its message is what the pull request says, and what is hidden there is no trailer.
            Way::Squash => "pull request #1 brought it, and it does not stand on the branch",
        };
        let told = story.told();
        assert!(told.starts_with(held), "{way:?}: {told}");
        story.lab.push(&[V3]);
        story.round();
        assert_eq!(story.repository().pull(2).end, End::Open);
        assert_eq!(story.proposed(), V3);
    }
}

#[test]
fn a_squash_that_lost_the_trailers_and_was_reverted_is_held_all_the_same() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.squash_without_words(1);
    story.round();
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(story.told(), "it is the newest");
    story.write_by_hand(|text| text.replace(V2, V1));

    story.quiet_round();

    assert_eq!(
        story.told(),
        "pull request #1 brought it, and it does not stand on the branch: the next fetch shows it, or somebody undid it; a newer version or `towpath resume` ends this"
    );
    // What was closed meanwhile changes nothing about that.
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(story.proposed(), V3);
    story.repository().close(2, "ada");
    story.round();
    story.quiet_round();
    assert_eq!(story.repository().count(), 2);

    let resume =
        "resume\n\nTowpath-Policy: portal\nTowpath-Environment: production\nTowpath-Hold: resume\n";
    story.lab.commit(resume, &[]);
    story.round();
    assert_eq!(story.proposed(), V3, "all is lifted");
    assert_eq!(story.repository().count(), 3);
}

#[test]
fn another_committer_in_the_settings_makes_what_stands_foreign_and_the_reason_says_so() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    let settings = std::fs::read_to_string(story.lab.path().join("towpath.yaml")).unwrap();
    let committer = "commit: { committer: { name: CI, email: ci@acme.example } }\n";
    story
        .lab
        .write("towpath.yaml", &format!("{settings}{committer}"));

    let tip = story.tip(HEAD).unwrap();
    insta::assert_snapshot!(story.told().replace(&tip[..7], "COMMIT"), @"branch `towpath/production/portal` has a promotion that was committed as towpath <towpath@localhost> (COMMIT), and towpath commits as CI <ci@acme.example> by its settings; merge its pull request to keep it; delete the branch to have it made anew");
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(story.tip(HEAD), Some(tip));
}

#[test]
fn a_commit_of_a_person_makes_the_branch_theirs_which_is_said_once() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    let ours = story.tip(HEAD).unwrap();
    story.push_on_proposal("by hand");
    let theirs = story.tip(HEAD);
    story.lab.push(&[V3]);
    story.writes();

    story.round();

    assert_eq!(
        story.writes(),
        [
            "PATCH /api/v3/repos/acme/deploy/pulls/1",
            "POST /api/v3/repos/acme/deploy/issues/1/comments"
        ]
    );
    assert_eq!(story.tip(HEAD), theirs);
    let comments = story.repository().pull(1).comments;
    assert_eq!(comments.len(), 1);
    let commit = &theirs.as_ref().unwrap()[..7];
    insta::assert_snapshot!(comments[0].replace(commit, "COMMIT"), @"`towpath/production/portal` has a commit that towpath did not make (COMMIT, by A Person), so towpath leaves branch and pull request alone from here on. Merge it, or close it to reject what it promotes; to give it back to towpath, take that commit off the branch.");
    story.quiet_round();
    let told = story.told();
    assert!(
        told.starts_with(
            "branch `towpath/production/portal` has a commit that towpath did not make"
        ),
        "{told}"
    );

    // One more of theirs is not said again.
    story.push_on_proposal("once more");
    story.quiet_round();

    // Taken off again, it is ours.
    let name = format!("refs/heads/{HEAD}");
    bed::git(&story.bare(), &["update-ref", &name, &ours]);
    story.round();
    assert_eq!(story.proposed(), V3);
    story.quiet_round();

    story.push_on_proposal("again");
    story.round();
    story.repository().delete_branch(HEAD);
    story.round();
    assert_eq!(story.proposed(), V3);
    assert_eq!(story.repository().count(), 1);
    story.quiet_round();
}

#[test]
fn a_merged_branch_with_a_commit_of_a_person_gives_way_to_the_next_version() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    story.push_on_proposal("by hand");
    story.round();
    story.repository().merge(1, "ada", Way::Squash);
    assert_eq!(story.deployed(), V2);
    story.lab.push(&[V3]);

    story.round();

    assert_eq!(story.repository().pull(2).end, End::Open);
    assert_eq!(story.proposed(), V3);
    story.quiet_round();
}

#[test]
fn a_pull_request_that_a_person_opens_from_the_branch_to_elsewhere_hides_none_of_ours() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    bed::git(&story.bare(), &["branch", "release", "main"]);
    assert_eq!(story.repository().open(HEAD, "release"), 2);
    story.lab.push(&[V3]);

    story.round();

    let pull = story.repository().pull(1);
    assert!(pull.title.contains(V3), "{}", pull.title);
    assert_eq!(story.repository().pull(2).title, "");
    story.quiet_round();
    assert!(story.told().starts_with("pull request #1 proposes it"));
}

#[test]
fn what_was_undone_and_resumed_while_towpath_was_away_is_proposed_on_the_branch_as_it_is() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    let merged = story.repository().merge(1, "ada", Way::Merge);
    story.lab.commit("pull", &[]);
    let revert = ["-C", "work", "revert", "--no-edit", "-m", "1", &merged];
    story.lab.git(&revert);
    let resume =
        "resume\n\nTowpath-Policy: portal\nTowpath-Environment: production\nTowpath-Hold: resume\n";
    story
        .lab
        .git(&["-C", "work", "commit", "-q", "--allow-empty", "-m", resume]);
    story
        .lab
        .git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    assert_eq!(story.deployed(), V1);

    story.round();

    assert_eq!(story.repository().pull(2).end, End::Open);
    let parent = bed::git(&story.bare(), &["rev-parse", &format!("{HEAD}^")]);
    assert_eq!(Some(parent.trim()), story.tip("main").as_deref());
    story.quiet_round();
}

impl Story {
    /// Pushes a commit onto the proposal's branch, as a person does.
    fn push_on_proposal(&self, text: &str) {
        let name = format!("origin/{HEAD}");
        self.lab.git(&["-C", "work", "fetch", "-q", "origin"]);
        self.lab
            .git(&["-C", "work", "checkout", "-q", "--detach", &name]);
        self.lab.write("work/notes.txt", text);
        self.lab.git(&["-C", "work", "add", "-A"]);
        self.lab.git(&["-C", "work", "commit", "-q", "-m", text]);
        let target = format!("HEAD:refs/heads/{HEAD}");
        self.lab
            .git(&["-C", "work", "push", "-q", "origin", &target]);
        self.lab.git(&["-C", "work", "checkout", "-q", "main"]);
    }

    /// Merges by a squash whose message a person wrote anew.
    fn squash_without_words(&self, number: u64) {
        let pull = self.repository().pull(number);
        self.repository().rewrite(number, "web goes on");
        self.repository().merge(number, "ada", Way::Squash);
        self.repository().rewrite(number, &pull.body);
        assert!(!self.lab.subjects().is_empty());
        assert!(!self.lab.pushed(OVERLAY).contains("Towpath"));
    }
}

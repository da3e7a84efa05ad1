//! Killed at any step of its way with a forge, the daemon neither doubles a pull request nor loses what was to be promoted.

use bed::forge::{End, Fault, Way};

use super::{HEAD, Story, V1};

/// Where a life ends: the request of that place, counted from the start, is not done before the end, or done and not answered.
/// The first two list what is there.
const ENDS: [(usize, Fault); 6] = [
    (0, Fault::Silence),
    (1, Fault::Silence),
    (2, Fault::Silence),
    (2, Fault::SilenceAfter),
    (3, Fault::Silence),
    (3, Fault::SilenceAfter),
];

#[test]
fn killed_at_each_step_it_opens_one_pull_request_updates_it_and_goes_on_after_the_merge() {
    let story = Story::new("");
    let mut n = 5;
    for (count, (place, fault)) in (1..).zip(ENDS) {
        let first = story.push_version(n);
        story.dies((place, fault.clone()));
        story.is_promoted((count, &first));

        let second = story.push_version(n + 1);
        story.dies((place, fault.clone()));
        story.is_promoted((count, &second));
        assert!(story.repository().pull(count).comments.len() <= 1);

        story.repository().merge(count, "ada", Way::Merge);
        story.dies((place.min(1), fault));
        story.round();
        assert_eq!(story.tip(HEAD), None);
        assert_eq!(story.deployed(), second);
        story.quiet_round();
        n += 2;
    }
    let git = story
        .lab
        .git(&["-C", "deploy.git", "fsck", "--strict", "--no-dangling"]);
    assert_eq!(git, "");
}

#[test]
fn killed_at_each_step_it_ends_what_is_not_needed_and_repeats_nothing_that_was_rejected() {
    let story = Story::new("");
    let mut n = 5;
    for (count, (place, fault)) in (0..).zip(ENDS) {
        let first = story.push_version(n);
        story.round();
        story.write_by_hand(|text| text.replace(&story.deployed(), &first));
        story.dies((place, fault.clone()));
        story.round();
        let ended = 2 * count + 1;
        let pull = story.repository().pull(ended);
        assert!(matches!(pull.end, End::Closed { .. }), "{pull:?}");
        assert_eq!(story.tip(HEAD), None);

        story.push_version(n + 1);
        story.round();
        story.repository().close(ended + 1, "ada");
        story.dies((place.min(1), fault));
        story.round();
        story.quiet_round();
        assert_eq!(story.repository().open_ones(), [0; 0]);
        assert_eq!(story.deployed(), first, "nobody merged anything");
        n += 2;
    }
    assert_ne!(story.deployed(), V1);
}

#[test]
fn killed_between_a_pull_request_and_what_is_wished_of_it_it_wishes_in_the_next_life() {
    for (place, fault) in [
        (3, Fault::SilenceAfter),
        (4, Fault::Silence),
        (5, Fault::Silence),
        (6, Fault::SilenceAfter),
        (7, Fault::Silence),
        (8, Fault::Silence),
    ] {
        let story = Story::new("auto-merge: squash, labels: [promotion], assignees: [ada]");
        story.forge.know("ada");
        story.push_version(5);
        story.dies((place, fault));
        story.round();
        story.quiet_round();
        let pull = story.repository().pull(1);
        assert_eq!(pull.labels, ["promotion".to_owned()].into(), "{place}");
        assert_eq!(pull.assignees, ["ada".to_owned()].into(), "{place}");
        assert_eq!(pull.auto_merge.as_deref(), Some("SQUASH"), "{place}");
        assert_eq!(story.repository().count(), 1, "{place}");
    }
}

impl Story {
    /// A life of the daemon that ends by a kill while a request is under way.
    pub(super) fn dies(&self, (place, fault): (usize, Fault)) {
        self.forge.fail_after(place, fault, 1);
        let mut daemon = self.lab.start();
        daemon.wait_until("the request", || self.forge.waiting().is_some());
        daemon.signal("KILL");
        assert_eq!(daemon.wait(), None);
        self.forge.heal();
        assert!(self.repository().open_ones().len() <= 1);
    }

    /// One more life, after which the pull request is as it should be.
    fn is_promoted(&self, (number, version): (u64, &str)) {
        self.round();
        assert_eq!(self.repository().open_ones(), [number]);
        assert_eq!(self.repository().count() as u64, number);
        assert_eq!(self.proposed(), version);
        let title = self.repository().pull(number).title;
        assert!(title.ends_with(version), "{title}");
    }
}

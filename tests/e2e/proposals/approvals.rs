//! Who approves a proposal at the forge: told in its status, and waited for before the forge merges by itself.

use bed::forge::{Fault, Word};

use super::{HEAD, Story, V2, V3};

impl Story {
    /// The state of the status about approvals on the proposal's tip, and what it says.
    fn approved(&self) -> (String, String) {
        let tip = self.tip(HEAD).unwrap();
        let statuses = self.repository().statuses(&tip);
        let status = &statuses["towpath/approvals"];
        (status.state.clone(), status.why.clone())
    }
}

#[test]
fn a_forge_merges_by_itself_once_enough_of_those_who_may_approved_what_stands_there() {
    let story = Story::new("");
    let gate = "gates: { approvals: { count: 2, from: [ann, bob, cy] } }";
    story.gated(gate, "auto-merge: squash");
    let armed = || story.repository().pull(1).auto_merge;
    let told = || {
        let (state, why) = story.approved();
        format!("{state}: {why}")
    };
    story.lab.push(&[V2]);
    story.round();
    assert_eq!(story.proposed(), V2, "people see it from the start");
    assert_eq!(
        told(),
        "pending: 2 approvals are missing, from ann or bob or cy"
    );
    assert_eq!(armed(), None);
    story.quiet_round();

    story.repository().review(1, "ann", Word::Approved);
    story.repository().review(1, "eve", Word::Approved);
    story.round();
    assert_eq!(
        told(),
        "pending: 1 approval is missing, from ann or bob or cy, beside ann; not counted: eve"
    );
    assert_eq!(armed(), None);
    story.quiet_round();

    story.repository().review(1, "cy", Word::Approved);
    story.round();
    assert_eq!(told(), "success: approved by ann, cy");
    assert_eq!(armed().as_deref(), Some("SQUASH"));
    assert!(
        story
            .repository()
            .pull(1)
            .body
            .contains("approved by ann, cy")
    );
    story.quiet_round();

    // Who takes it back takes the merge back.
    story.repository().review(1, "ann", Word::WantsChanges);
    story.round();
    assert_eq!(
        told(),
        "pending: 1 approval is missing, from ann or bob or cy, beside cy; not counted: eve"
    );
    assert_eq!(armed(), None);
    story.repository().review(1, "ann", Word::Approved);
    story.round();
    assert_eq!(armed().as_deref(), Some("SQUASH"));

    // Nobody approved the next version.
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(story.proposed(), V3);
    assert_eq!(
        told(),
        "pending: 2 approvals are missing, from ann or bob or cy"
    );
    assert_eq!(armed(), None);
    story.quiet_round();
}

#[test]
fn an_approval_that_a_list_which_lags_behind_tells_is_not_one_of_what_was_pushed_since() {
    let story = Story::new("");
    story.gated("gates: { approvals: {} }", "auto-merge: squash");
    story.lab.push(&[V2]);
    story.round();
    story.repository().review(1, "ann", Word::Approved);
    story.round();
    assert_eq!(story.approved().0, "success");

    story.forge.fail(Fault::StaleLists, 1);
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(story.proposed(), V3);
    story.round();
    assert_eq!(story.approved().0, "pending");
    assert_eq!(story.repository().pull(1).auto_merge, None);

    story.forge.heal();
    story.round();
    assert_eq!(story.approved().0, "pending");
    story.repository().review(1, "ann", Word::Approved);
    story.round();
    assert_eq!(story.approved().0, "success");
}

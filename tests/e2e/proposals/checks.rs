//! What other servers say of a version: before it is proposed, and while it waits for people.

use bed::Smoke;

use super::{HEAD, Story, V2, now_seconds};

impl Story {
    /// The policy with one check of `smoke` for production, and `options` for its pull requests.
    fn checked(&mut self, smoke: &Smoke, options: &str) {
        let host = &smoke.host;
        self.lab
            .servers(&format!("{{ '{host}': {{ plain-http: true }} }}"));
        let check =
            format!("{{ name: smoke, http: {{ url: 'http://{host}/{{policy}}/{{version}}' }} }}");
        self.gated(&format!("gates: {{ checks: [{check}] }}"), options);
    }

    /// The state of the status about checks on the proposal's tip, and what it says.
    fn said(&self) -> (String, String) {
        let tip = self.tip(HEAD).unwrap();
        let statuses = self.repository().statuses(&tip);
        let status = &statuses["towpath/checks"];
        (status.state.clone(), status.why.clone())
    }

    /// Lets the clock go on by a second.
    fn later(&self) {
        let now = now_seconds();
        while now_seconds() == now {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

#[test]
fn a_version_is_proposed_once_its_server_says_so_and_stays_while_it_takes_that_back() {
    let mut story = Story::new("");
    let smoke = Smoke::start(503);
    story.checked(&smoke, "auto-merge: squash");
    let armed = |story: &Story| story.repository().pull(1).auto_merge;
    story.lab.push(&[V2]);
    story.round();
    assert_eq!(story.tip(HEAD), None);
    assert_eq!(smoke.take_asked(), [format!("/portal/{V2}")]);

    smoke.say(200);
    story.round();
    assert_eq!(story.proposed(), V2);
    let (state, why) = story.said();
    assert_eq!(state, "success");
    assert!(why.starts_with("`smoke` answered 200, at 2"), "{why}");
    assert!(story.repository().pull(1).body.contains(&why));
    assert_eq!(armed(&story).as_deref(), Some("SQUASH"));

    // Asked again, and told as it was.
    story.later();
    story.quiet_round();
    assert_eq!(smoke.take_asked().len(), 2);
    assert_eq!(story.said().1, why);

    smoke.say(503);
    story.round();
    assert_eq!(story.proposed(), V2, "the proposal stays");
    assert_eq!(armed(&story), None);
    let (state, told) = story.said();
    assert_eq!(state, "pending");
    assert_eq!(told, "`smoke` answered 503, not 2xx");
    story.quiet_round();

    smoke.say(200);
    story.later();
    let tip = story.tip(HEAD);
    story.round();
    assert_eq!(story.tip(HEAD), tip, "no approval is dismissed");
    assert_eq!(story.said(), ("success".to_owned(), why));
    assert_eq!(armed(&story).as_deref(), Some("SQUASH"));
    story.quiet_round();
}

//! How the gates stand is told as statuses of the proposal's commit, which branch protection can require.

use bed::forge::Product;

use super::{HEAD, Story, V1, V2, V3};
use crate::signatures::{SIGNED, attach, made};

const HOLDS: &str = "towpath/holds";

impl Story {
    /// The state of the status about holds on the proposal's tip, and what it says.
    fn status(&self) -> (String, String) {
        let tip = self.tip(HEAD).unwrap();
        let statuses = self.repository().statuses(&tip);
        let status = &statuses[HOLDS];
        (status.state.clone(), status.why.clone())
    }

    /// The policy with `gates` for production, and `options` for its pull requests.
    pub(super) fn gated(&self, gates: &str, options: &str) {
        self.policies(&[("portal", "acme/web")], options);
        let path = "policies/all.yaml";
        let text = std::fs::read_to_string(self.lab.path().join(path)).unwrap();
        let text = text.replace("update:", &format!("{gates}, update:"));
        self.lab.write(path, &text);
    }
}

#[test]
fn the_status_of_a_proposal_waits_while_a_person_stopped_everything_and_passes_before_and_after() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    let (state, why) = story.status();
    assert_eq!(state, "success");
    assert_eq!(
        why,
        "nobody stopped promotions here, and nobody rejected this version"
    );
    story.quiet_round();

    let holds = "holds:\n  - { environment: production, stop: true, reason: year-end freeze }\n";
    story.lab.commit("stop", &[(".towpath/holds.yaml", holds)]);
    story.round();
    let (state, why) = story.status();
    assert_eq!(state, "pending");
    assert!(why.contains("year-end freeze"), "{why}");
    assert_eq!(story.proposed(), V2, "the proposal stays");
    story.quiet_round();

    story
        .lab
        .commit("go on", &[(".towpath/holds.yaml", "holds: []\n")]);
    story.round();
    assert_eq!(story.status().0, "success");
    story.quiet_round();
}

const FROZEN: &str =
    "gates: { freeze: [{ from: 2020-01-01, to: 2999-01-01, zone: UTC, reason: year-end }] }";

#[test]
fn a_forge_merges_by_itself_only_while_the_gates_of_the_moment_are_open() {
    let story = Story::new("");
    let gated = |gates: &str| story.gated(gates, "auto-merge: squash");
    let armed = || story.repository().pull(1).auto_merge;
    gated(FROZEN);
    story.lab.push(&[V2]);
    story.round();
    assert_eq!(story.proposed(), V2, "people may still merge it");
    assert_eq!(armed(), None);
    story.quiet_round();

    gated("gates: {}");
    story.round();
    assert_eq!(armed().as_deref(), Some("SQUASH"));
    story.quiet_round();

    gated(FROZEN);
    story.round();
    assert_eq!(armed(), None, "the freeze took it back");
    story.quiet_round();

    // A new version finds it as it was left.
    story.lab.push(&[V3]);
    story.round();
    assert_eq!(armed(), None);
    gated("gates: {}");
    story.round();
    assert_eq!(armed().as_deref(), Some("SQUASH"));
    story.quiet_round();
}

#[test]
fn a_freeze_that_begins_is_told_in_the_status_though_the_body_is_a_template_without_gates() {
    let story = Story::new("");
    let frozen = |gates: &str| {
        story.gated(gates, "body: '{{ subject }}'");
        story.round();
        let tip = story.tip(HEAD).unwrap();
        let statuses = story.repository().statuses(&tip);
        statuses["towpath/freeze"].state.clone()
    };
    story.lab.push(&[V2]);
    assert_eq!(frozen(&FROZEN.replace("2999", "2021")), "success");
    story.quiet_round();
    assert_eq!(frozen(FROZEN), "pending");
    story.quiet_round();
}

#[test]
fn what_a_person_stops_is_not_merged_by_the_forge() {
    let story = Story::new("auto-merge: squash");
    story.lab.push(&[V2]);
    story.round();
    assert!(story.repository().pull(1).auto_merge.is_some());
    let holds = "holds:\n  - { environment: production, stop: true, reason: year-end freeze }\n";
    story.lab.commit("stop", &[(".towpath/holds.yaml", holds)]);
    story.round();
    assert_eq!(story.repository().pull(1).auto_merge, None);
    story.quiet_round();
}

#[test]
fn a_branch_that_is_made_anew_has_the_status_on_its_new_tip() {
    let story = Story::new("");
    story.lab.push(&[V2]);
    story.round();
    let before = story.tip(HEAD);
    story.lab.push(&[V3]);
    story.round();
    assert_ne!(story.tip(HEAD), before);
    assert_eq!(story.status().0, "success");
    story.quiet_round();
}

#[test]
fn on_azure_devops_even_the_first_status_stands_where_policies_look_at_the_pull_request() {
    let story = Story::on(Product::AzureDevops, ("azure-devops", "acme/shop/deploy"));
    story.has("portal", V1);
    story.policies(&[("portal", "acme/web")], "");
    story.lab.push(&[V2]);
    story.round();
    let requests = story.forge.take_requests();
    let told: Vec<&String> = requests
        .iter()
        .filter(|request| request.starts_with("POST ") && request.contains("/statuses"))
        .collect();
    assert_eq!(told.len(), 1, "{requests:?}");
    assert!(told[0].contains("/pullRequests/1/statuses"), "{told:?}");
    story.quiet_round();
}

#[test]
fn who_has_signed_stands_in_the_pull_request_and_in_the_status_of_its_commit() {
    let story = Story::new("");
    story.lab.write("policies/cosign.pub", &made("key.pub"));
    story.gated(
        "gates: { signature: { key: cosign.pub }, attestations: { type: vuln, max-severity: medium, allow: CVE-2026-1000 } }",
        "",
    );
    assert_eq!(SIGNED, V2);
    story.lab.push(&[V2]);
    story.round();
    assert_eq!(story.tip(HEAD), None, "nobody has signed it yet");
    attach(
        &story.lab.registry,
        &["signature.json", "vulnerabilities.json"],
    );
    story.round();
    assert_eq!(story.proposed(), V2);
    let statuses = story.repository().statuses(&story.tip(HEAD).unwrap());
    let told = ["towpath/signature", "towpath/attestations"].map(|name| {
        let status = &statuses[name];
        format!("{name} {}: {}", status.state, status.why)
    });
    insta::assert_snapshot!(told.join("\n"), @"
    towpath/signature success: it is signed with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`
    towpath/attestations success: `vuln` has 2 findings up to medium, 1 allowed, scanned at 2026-01-02T03:05:00Z, attested with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuft…
    ");
    let body = story.repository().pull(1).body;
    let lines = body
        .lines()
        .filter(|line| line.contains("signature") || line.contains("attest"));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @"
    * `signature` **passed**: it is signed with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`
    * `attestations` **passed**: `vuln` has 2 findings up to medium, 1 allowed, scanned at 2026-01-02T03:05:00Z, attested with the key `SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o=`
    Towpath-Gate: web%20signature:%20it%20is%20signed%20with%20the%20key%20%60SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o%3D%60
    Towpath-Gate: web%20attestations:%20%60vuln%60%20has%202%20findings%20up%20to%20medium,%201%20allowed,%20scanned%20at%202026-01-02T03:05:00Z,%20attested%20with%20the%20key%20%60SHA256:/mIEORcL1hw+fBv/OY02c+MINHuftAh+8Hdt4totz5o%3D%60
    ");
    story.quiet_round();
}

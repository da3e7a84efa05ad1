//! The whole story on real servers, told by `make e2e`: an image is pushed, dev moves, Argo CD syncs it, it is healthy,
//! staging moves, it soaks, production is proposed, a person merges, Argo CD syncs production. On the way, replicas are
//! killed at every step, and servers are away for a while.

mod stage;

use bed::gitea::MergeWay;

use stage::{ENVIRONMENTS, FIRST, REPOSITORY, Stage};

use crate::real_servers::block_on;

const PROPOSED: &str = "towpath/production/portal";

#[test]
#[ignore = "it takes minutes and ten servers: make e2e"]
fn from_the_registry_to_production_whoever_dies_on_the_way() {
    let Some(mut stage) = Stage::set() else {
        return;
    };
    for environment in ENVIRONMENTS {
        let first = format!("{}:{FIRST}", stage.image());
        stage.until(&format!("{environment} runs {FIRST}"), |stage| {
            stage.runs(environment, &first)
        });
    }
    stage.start_all();
    stage.until("a leader", |stage| stage.leader().is_some());

    all_is_well(&mut stage, "v1.1.0");
    is_sound(&stage, &["v1.1.0"]);
    replicas_die(&mut stage, "v1.2.0");
    is_sound(&stage, &["v1.1.0", "v1.2.0"]);
    servers_are_away(&mut stage, "v1.3.0");
    is_sound(&stage, &["v1.1.0", "v1.2.0", "v1.3.0"]);
    let ran = stage.lab.run(&["plan", "--exit-code"]);
    assert_eq!(ran.code, Some(0), "nothing is left to do: {ran:?}");
    stage.all_are_ended();
    assert_eq!(stage.errors(), [""; 0]);
    stage.says("the end");
}

/// A normal day.
fn all_is_well(stage: &mut Stage, tag: &'static str) {
    stage.push(tag);
    stage.reaches("dev", tag);
    stage.reaches("staging", tag);
    stage.is_proposed(tag);
    stage.merge(1);
    stage.reaches("production", tag);
    stage.is_tidied();
}

/// Somebody dies at each step.
fn replicas_die(stage: &mut Stage, tag: &'static str) {
    stage.hold_the_next_push();
    stage.push(tag);
    stage.until("the push to dev is on its way", Stage::a_push_is_held);
    stage.leader_is_killed("in the middle of its push to dev");
    stage.let_the_push_go_on();
    stage.is_written_in("dev", tag);
    stage.leader_is_killed("while Argo CD syncs dev");
    stage.reaches("dev", tag);
    stage.is_written_in("staging", tag);
    stage.leader_is_killed("as soon as its commit to staging is there");
    stage.hold_the_next_push();
    stage.reaches("staging", tag);
    stage.all_are_killed("while staging soaks");
    stage.all_begin_anew();
    stage.until(
        "the push of the proposal is on its way",
        Stage::a_push_is_held,
    );
    stage.leader_is_killed("in the middle of its push of the proposal");
    stage.let_the_push_go_on();
    stage.until("the proposal's branch is there", |stage| {
        stage.is_written(PROPOSED, "production", tag)
    });
    stage.leader_is_killed("as soon as the proposal's branch is there");
    stage.is_proposed(tag);
    stage.leader_is_killed("as soon as its pull request is there");
    stage.all_are_killed("before the merge");
    stage.merge(2);
    stage.reaches("production", tag);
    stage.all_begin_anew();
    stage.is_tidied();
}

/// The registry and the forge are down for a while, and leadership moves meanwhile.
fn servers_are_away(stage: &mut Stage, tag: &'static str) {
    stage.registry.stop();
    stage.says("DOWN: the registry");
    stage.until("somebody says that the registry is away", |stage| {
        stage.said("listing failed")
    });
    stage.registry.resume();
    stage.says("UP: the registry");
    stage.push(tag);
    stage.is_written_in("dev", tag);
    stage.gitea.stop();
    stage.says("DOWN: the forge, with the repository");
    stage.until("somebody says that the repository is away", |stage| {
        stage.said("failed to fetch")
    });
    stage.leader_is_ended("while the forge is down");
    stage.gitea.resume();
    stage.says("UP: the forge");
    stage.reaches("dev", tag);
    stage.reaches("staging", tag);
    stage.registry.stop();
    stage.says("DOWN: the registry, before production is proposed");
    stage.leader_is_killed("while the registry is down");
    stage.registry.resume();
    stage.says("UP: the registry");
    stage.is_proposed(tag);
    stage.gitea.stop();
    stage.says("DOWN: the forge, with an open pull request");
    stage.leader_is_killed("while the forge is down");
    stage.gitea.resume();
    stage.says("UP: the forge");
    stage.merge(3);
    stage.reaches("production", tag);
    stage.is_tidied();
}

/// What has to be true whatever happened: of each of `tags` one commit for each environment and one pull request, in their
/// order; and production runs what was pushed and ran in staging, to the digest.
fn is_sound(stage: &Stage, tags: &[&str]) {
    let mut promotions = stage.promotions();
    promotions.sort();
    let mut expected: Vec<(String, String)> = Vec::new();
    for tag in tags {
        let reference = format!("web {}", stage.reference(tag));
        expected.extend(ENVIRONMENTS.map(|name| (name.to_owned(), reference.clone())));
    }
    expected.sort();
    assert_eq!(promotions, expected);
    let requests = stage.pull_requests();
    assert_eq!(requests.len(), tags.len(), "{requests:?}");
    for (tag, (title, is_merged)) in tags.iter().zip(&requests) {
        assert!(title.contains(tag) && *is_merged, "{requests:?}");
    }
    let last = stage.reference(tags.last().expect("something was promoted"));
    for environment in ENVIRONMENTS {
        assert!(stage.runs(environment, &last), "{environment}");
    }
    assert_eq!(stage.git(&["fsck", "--strict", "--no-dangling"]), "");
    let count = promotions.len();
    stage.says(&format!(
        "SOUND: {count} promotions, each once; {} pull requests, all merged; one digest in all environments",
        requests.len()
    ));
}

impl Stage {
    fn is_written_in(&self, environment: &str, tag: &str) {
        self.until(&format!("{tag} is committed to {environment}"), |stage| {
            stage.is_written("main", environment, tag)
        });
    }

    fn reaches(&self, environment: &str, tag: &str) {
        self.is_written_in(environment, tag);
        let reference = self.reference(tag);
        self.until(&format!("{environment} runs {tag}"), |stage| {
            stage.runs(environment, &reference)
        });
    }

    fn is_proposed(&self, tag: &str) {
        self.until(&format!("production of {tag} is proposed"), |stage| {
            let requests = stage.pull_requests();
            let open = requests.iter().filter(|(_, is_merged)| !is_merged);
            let open: Vec<&String> = open.map(|(title, _)| title).collect();
            assert!(open.len() <= 1, "{open:?}");
            open.iter().any(|title| title.contains(tag))
        });
        assert!(!self.is_written("main", "production", tag));
    }

    /// A person merges a pull request.
    fn merge(&self, number: u64) {
        block_on(self.gitea.merge(REPOSITORY, number, MergeWay::Merge));
        self.says(&format!("pull request #{number} is merged"));
    }

    fn is_tidied(&self) {
        self.until("the proposal's branch is gone", |stage| {
            let name = format!("refs/heads/{PROPOSED}");
            stage.git(&["for-each-ref", &name]).is_empty()
        });
    }
}

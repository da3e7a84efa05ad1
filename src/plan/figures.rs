//! Very many policies and the snapshot that they are decided from, for `benches/decide.rs`: nothing is read and nothing written.
//!
//! Built with the feature `figures` alone, since no verb only decides. Each of 10,000 policies has an image of its own with 500 tags,
//! and brings its builds to dev and staging and its releases to production.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::{Decision, Origins, Remembered, Scope, plan_again};
use crate::edit::Reach;
use crate::image::{Digest, Repository, Tag};
use crate::ledger::{Ledger, Moved, Recorded};
use crate::manifest::{Form, RepoPath, Site};
use crate::policy::gate::{Gates, Soak, Window, Windows};
use crate::policy::select::TagRule;
use crate::policy::select::choose::Downgrade;
use crate::policy::select::rule::RuleText;
use crate::policy::{
    After, ArgoCd, Deliver, Environment, ImageName, OnDegraded, Policy, PolicyImage,
    RepositoryName, Same, Seniority, SubjectTemplate, Update,
};
use crate::world::{BranchFacts, BranchName, Fact, File, ImageFacts, Listing, TagDetails, World};

/// How many there are.
pub const POLICIES: usize = 10_000;

/// How many of the images and files changed, where there is news.
const NEWS: usize = 300;

/// Of each image: development builds, and a release for each tenth.
const BUILDS: usize = 455;
const RELEASES_EVERY: usize = 10;
/// That each environment had of late.
const PROMOTIONS: usize = 5;

const ENVIRONMENTS: [&str; 3] = ["dev", "staging", "production"];

/// The policies, and the facts that they are decided from.
pub struct ManyPolicies {
    policies: Vec<Policy>,
    world: World,
    now: Timestamp,
    remembered: Remembered,
}

impl Default for ManyPolicies {
    fn default() -> Self {
        let now = "2026-11-20T10:00:00Z".parse().expect("a time");
        Self {
            policies: (0..POLICIES).map(policy).collect(),
            world: world(now),
            now,
            remembered: Remembered::default(),
        }
    }
}

impl ManyPolicies {
    /// As after a start: nothing was planned before.
    pub fn forget(&mut self) {
        self.remembered = Remembered::default();
    }

    /// All images are listed again, and some hundreds of them and of the files have changed since.
    pub fn change(&mut self) {
        self.now += SignedDuration::from_secs(1);
        for (number, facts) in self.world.images.values_mut().enumerate() {
            let Fact::Known(listing) = &facts.listing else {
                continue;
            };
            let mut listing = Listing::clone(listing);
            listing.at = self.now;
            if number % (POLICIES / NEWS) == 1 {
                let other = format!("other-{}", self.now.as_second());
                let new = (other.parse().expect("a tag"), self.now);
                listing.tags = listing.tags.iter().cloned().chain([new]).collect();
            }
            facts.listing = Fact::Known(Arc::new(listing));
        }
        for branch in self.world.branches.values_mut() {
            let Fact::Known(facts) = branch else {
                continue;
            };
            let mut facts = BranchFacts::clone(facts);
            let files = facts.files.values_mut();
            for file in files.step_by(ENVIRONMENTS.len() * POLICIES / NEWS) {
                if let File::Text(text) = file {
                    *text = format!("{text}# Changed.\n").into();
                }
            }
            *branch = Fact::Known(Arc::new(facts));
        }
    }

    /// Decides them all, and gives how many decisions promote.
    pub fn decide(&mut self) -> usize {
        let branches = BTreeMap::from([(deploy(), "main".to_owned())]);
        let scope = Scope {
            policies: &self.policies,
            branches: &branches,
            subject: &SubjectTemplate::default(),
            forges: &BTreeMap::new(),
            origins: &Origins::default(),
            addresses: &BTreeMap::new(),
            renders: false,
            committer: "towpath <towpath@localhost>",
            is_sealed: false,
        };
        let plan = plan_again(&scope, &self.world, self.now, &mut self.remembered);
        assert_eq!(plan.decisions.len(), ENVIRONMENTS.len() * POLICIES);
        assert!(plan.questions.is_empty(), "{:?}", plan.questions.first());
        let decisions = plan.decisions.iter().map(|decided| &decided.decision);
        let promotions = decisions.filter(|decision| matches!(decision, Decision::Promote(_)));
        promotions.count()
    }
}

fn deploy() -> RepositoryName {
    "deploy".parse().expect("a name")
}

fn image() -> ImageName {
    "web".parse().expect("a name")
}

fn name(number: usize) -> String {
    format!("app-{number:05}")
}

fn repository(number: usize) -> Repository {
    let text = format!("registry.example.com/acme/{}", name(number));
    text.parse().expect("a repository")
}

fn file(number: usize, environment: &str) -> RepoPath {
    let text = format!("apps/{}/{environment}.yaml", name(number));
    text.parse().expect("a path")
}

fn policy(number: usize) -> Policy {
    let rule = |text: RuleText| TagRule::new(text).expect("a rule");
    let builds = rule(RuleText {
        pattern: Some("main-{number}-{sha}".to_owned()),
        ..RuleText::default()
    });
    let releases = rule(RuleText {
        semver: Some(">=1.0.0".to_owned()),
        ..RuleText::default()
    });
    let [dev, staging, production] = ENVIRONMENTS;
    let environments = vec![
        environment((number, dev), &builds, None, Gates::default()),
        environment((number, staging), &builds, Some(after(dev, &[])), soak(1)),
        environment(
            (number, production),
            &releases,
            Some(after(staging, &[image()])),
            Gates {
                windows: Some(office_hours()),
                ..soak(24)
            },
        ),
    ];
    let repository = repository(number);
    Policy {
        name: name(number).parse().expect("a name"),
        repository: deploy(),
        images: BTreeMap::from([(image(), PolicyImage { repository })]),
        together: false,
        environments,
        seniority: Seniority::File,
    }
}

fn environment(
    (number, name): (usize, &str),
    rule: &TagRule,
    after: Option<After>,
    gates: Gates,
) -> Environment {
    let site = Site {
        path: file(number, name),
        form: Form::Helm {
            at: "image".parse().expect("a path"),
        },
        reach: Reach::default(),
    };
    Environment {
        name: name.parse().expect("a name"),
        rules: BTreeMap::from([(image(), Arc::new(rule.clone()))]),
        after,
        gates,
        argo_cd: ArgoCd::Nothing,
        on_degraded: OnDegraded::Hold,
        update: vec![Update { site, image: None }],
        write: None,
        deliver: Deliver::Commit { branch: None },
        downgrade: Downgrade::Forbidden,
    }
}

/// From the environment `before`; the images in `named` by a tag of their own.
fn after(before: &str, named: &[ImageName]) -> After {
    After {
        environments: vec![before.parse().expect("a name")],
        same: Same::Digest,
        named: named.iter().cloned().collect(),
    }
}

fn soak(hours: i64) -> Gates {
    Gates {
        soak: Some(Soak(SignedDuration::from_hours(hours))),
        ..Gates::default()
    }
}

fn office_hours() -> Windows {
    Windows::new(vec![Window {
        days: vec!["mon-fri".parse().expect("days")],
        hours: vec!["09:00-16:00".parse().expect("hours")],
        zone: TimeZone::get("Europe/Rome").expect("a zone"),
    }])
}

fn build(build: usize) -> Tag {
    let tag = format!("main-{build}-{:07x}", build * 7919);
    tag.parse().expect("a tag")
}

fn release(build: usize) -> Tag {
    format!("v1.{build}.0").parse().expect("a tag")
}

fn digest(build: usize) -> Digest {
    format!("sha256:{build:064x}").parse().expect("a digest")
}

/// What each environment has: dev the newest build, staging the one before, and production the release before the last.
fn stands(number: usize, environment: &str) -> (usize, Tag) {
    let behind = usize::from(number.is_multiple_of(100));
    match environment {
        "dev" => (BUILDS, build(BUILDS)),
        "staging" => (BUILDS - behind, build(BUILDS - behind)),
        _ => {
            let released = BUILDS / RELEASES_EVERY * RELEASES_EVERY;
            (released, release(released))
        }
    }
}

fn world(now: Timestamp) -> World {
    let mut world = World::default();
    let mut ledger = Ledger::default();
    let mut files = BTreeMap::new();
    for number in 0..POLICIES {
        world.images.insert(repository(number), facts(now));
        for environment in ENVIRONMENTS {
            let (standing, tag) = stands(number, environment);
            let repository = repository(number);
            let text = format!(
                "# Values.\nreplicas: 2\nimage:\n  repository: {repository}\n  tag: {tag}\n"
            );
            files.insert(file(number, environment), File::Text(text.into()));
            record(&mut ledger, (number, environment, standing), now);
        }
    }
    let branch = BranchName {
        repository: deploy(),
        branch: "main".to_owned(),
    };
    let facts = BranchFacts {
        head: Some(format!("{:040x}", 1).parse().expect("a commit")),
        files,
        ledger,
        holds: Fact::Known(Vec::new()),
    };
    world.branches.insert(branch, Fact::Known(Arc::new(facts)));
    world
}

fn facts(now: Timestamp) -> ImageFacts {
    let before =
        |builds: usize| now - SignedDuration::from_hours(i64::try_from(builds).expect("few"));
    let builds = (1..=BUILDS).map(|number| (build(number), before(BUILDS - number + 2)));
    let releases = (1..=BUILDS)
        .step_by(RELEASES_EVERY)
        .map(|n| n + RELEASES_EVERY - 1);
    let releases = releases.map(|number| (release(number), before(2)));
    let known = |number| {
        let details = TagDetails {
            digest: Some(Fact::Known(digest(number))),
            created: None,
        };
        [(build(number), details.clone()), (release(number), details)]
    };
    let listing = Listing {
        at: now,
        tags: builds.chain(releases).collect(),
        shrunk: None,
        pushes: None,
    };
    ImageFacts {
        listing: Fact::Known(Arc::new(listing)),
        tags: Arc::new((BUILDS - 20..=BUILDS + 5).flat_map(known).collect()),
        described: Arc::default(),
        vouched: Arc::default(),
    }
}

/// The latest promotions of an environment, one each four hours.
fn record(
    ledger: &mut Ledger,
    (number, environment, standing): (usize, &str, usize),
    now: Timestamp,
) {
    for back in (0..PROMOTIONS).rev() {
        let (step, tag): (usize, fn(usize) -> Tag) = match environment {
            "production" => (RELEASES_EVERY, release),
            _ => (1, build),
        };
        let brought = standing - back * step;
        let hours = i64::try_from(2 + back * 4).expect("few");
        let moved = Moved {
            repository: repository(number),
            tag: tag(brought),
            digest: Some(digest(brought)),
            replaced: Some(tag(brought - step).to_string()),
            rejects: false,
        };
        let recorded = Recorded {
            commit: format!("{:040x}", number * 16 + back)
                .parse()
                .expect("a commit"),
            at: now - SignedDuration::from_hours(hours),
            merge: None,
            pull_request: None,
            is_since_resumed: false,
            moved,
        };
        let key = (
            name(number).parse().expect("a name"),
            environment.parse().expect("a name"),
            image(),
        );
        ledger.record(key, recorded);
    }
}

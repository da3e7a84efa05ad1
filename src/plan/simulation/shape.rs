//! What is configured in a town, drawn from its dice: environments and gates as policies write them, and as they are to be kept.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};

use super::FAST_SOAK;
use super::calendar::{Frost, OPENINGS, Opening};
use super::dice::Dice;
use crate::config;
use crate::image::Repository;
use crate::policy::{Policy, RepositoryName};

/// Where the manifests repository is.
pub(super) const URL: &str = "https://git.example.com/acme/deploy";

/// One image in one environment of one policy, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) policy: usize,
    pub(super) stop: usize,
    pub(super) image: usize,
}

impl Place {
    /// The only image of the only policy in one environment.
    pub(super) fn of(stop: usize) -> Self {
        Self {
            policy: 0,
            stop,
            image: 0,
        }
    }
}

/// What is configured.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) policies: Vec<&'static str>,
    pub(super) images: Vec<&'static str>,
    pub(super) stops: Vec<Stop>,
    pub(super) tags: Tags,
    /// Whether Argo CD is connected, so that versions must be healthy before they go on.
    pub(super) has_argo: bool,
    /// Whether a release is one tag of all images.
    pub(super) is_together: bool,
}

/// By what the versions of the first environment are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    Number,
    Version,
    Pushed,
    Followed,
}

/// An environment.
#[derive(Clone, Debug)]
pub(super) struct Stop {
    pub(super) name: &'static str,
    /// The numbers of those before it.
    pub(super) after: Vec<usize>,
    pub(super) release: Option<Release>,
    pub(super) way: Way,
    pub(super) writes_digest: bool,
    pub(super) soak: SignedDuration,
    pub(super) min_age: SignedDuration,
    pub(super) openings: Vec<Opening>,
    pub(super) frost: Option<Frost>,
    pub(super) needs_arm: bool,
    /// How long a promotion may leave it degraded before it is taken back; `None`: for ever.
    pub(super) grace: Option<SignedDuration>,
}

/// How the tag of a release is a build that ran before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// It was put on it later.
    Digest,
    /// It was built anew from the same commit.
    Revision,
}

/// How promotions are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Commit,
    PullRequest,
}

/// Environments, each with those before it.
type Layout = &'static [(&'static str, &'static [usize])];

const LINE: Layout = &[("dev", &[]), ("staging", &[0]), ("production", &[1])];
const SHORT: Layout = &[("dev", &[]), ("production", &[0])];
const PARALLEL: Layout = &[
    ("dev", &[]),
    ("qa-1", &[0]),
    ("qa-2", &[0]),
    ("production", &[1, 2]),
];
const RINGS: Layout = &[
    ("dev", &[]),
    ("ring-1", &[0]),
    ("ring-2", &[1]),
    ("ring-3", &[1, 2]),
];

/// Ordinary days, and those around a changed clock, a year's end, and a leap day.
const STARTS: [&str; 6] = [
    "2026-03-02T08:00:00Z",
    "2026-03-27T09:00:00Z",
    "2026-10-23T12:00:00Z",
    "2026-04-03T06:00:00Z",
    "2026-12-29T20:00:00Z",
    "2028-02-27T21:30:00Z",
];

pub(super) fn start(dice: &mut Dice) -> Timestamp {
    dice.one_of(&STARTS).parse().unwrap()
}

impl Shape {
    /// What the dice say. The line with one image is the most frequent, as everywhere.
    pub(super) fn drawn(dice: &mut Dice, start: Timestamp) -> Self {
        let tags = dice.one_of(&[
            Tags::Number,
            Tags::Number,
            Tags::Version,
            Tags::Pushed,
            Tags::Followed,
        ]);
        let layout = match tags {
            Tags::Followed => dice.one_of(&[SHORT, LINE]),
            Tags::Number | Tags::Version | Tags::Pushed => {
                dice.one_of(&[LINE, LINE, LINE, SHORT, PARALLEL, RINGS])
            }
        };
        let has_argo = dice.happens(40);
        let last = layout.len() - 1;
        let stops = layout.iter().enumerate().map(|(number, (name, after))| {
            let mut stop = Stop::drawn(dice, (*name, *after), start);
            if number == last && dice.happens(30) {
                stop.release = Some(dice.one_of(&[Release::Digest, Release::Revision]));
            }
            stop.writes_digest = tags == Tags::Followed || dice.happens(15);
            if has_argo && stop.way == Way::Commit && dice.happens(40) {
                stop.grace = Some(SignedDuration::from_mins(dice.one_of(&[5, 90])));
            }
            if tags == Tags::Followed && after.is_empty() {
                // This registry does not tell when a tag was moved.
                stop.min_age = SignedDuration::ZERO;
            }
            stop
        });
        let mut shape = Self {
            stops: stops.collect(),
            policies: vec!["api"],
            images: vec!["web"],
            tags,
            has_argo,
            is_together: false,
        };
        match dice.below(10) {
            0..3 => {
                shape.images.push("worker");
                // What is pushed at one time has no order, and digests that are followed no release.
                let has_releases = matches!(tags, Tags::Number | Tags::Version);
                shape.is_together = has_releases && dice.happens(50);
            }
            3 => shape.policies.push("shop"),
            _ => {}
        }
        shape
    }

    /// Production a day after dev, and nothing else.
    pub(super) fn fast() -> Self {
        let stop = |(number, (name, after)): (usize, &(&'static str, &[usize]))| Stop {
            name,
            after: after.to_vec(),
            release: None,
            way: Way::Commit,
            writes_digest: false,
            soak: FAST_SOAK * i32::from(number == 1),
            min_age: SignedDuration::ZERO,
            openings: Vec::new(),
            frost: None,
            needs_arm: false,
            grace: None,
        };
        Self {
            policies: vec!["api"],
            images: vec!["web"],
            stops: SHORT.iter().enumerate().map(stop).collect(),
            tags: Tags::Number,
            has_argo: false,
            is_together: false,
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        let (stops, images) = (self.stops.len(), self.images.len());
        (0..self.policies.len()).flat_map(move |policy| {
            (0..stops).flat_map(move |stop| {
                (0..images).map(move |image| Place {
                    policy,
                    stop,
                    image,
                })
            })
        })
    }

    /// The path of the file in which all images of an environment stand.
    pub(super) fn file(&self, policy: usize, stop: usize) -> String {
        format!(
            "apps/{}/{}.yaml",
            self.policies[policy], self.stops[stop].name
        )
    }

    pub(super) fn repository(&self, policy: usize, image: usize) -> Repository {
        let (policy, image) = (self.policies[policy], self.images[image]);
        format!("ghcr.io/acme/{policy}-{image}").parse().unwrap()
    }

    /// A route and the policies on it, as people write them.
    pub(super) fn written(&self) -> String {
        let mut text = String::from(
            "apiVersion: towpath.dev/v1alpha1\nkind: Route\nmetadata: { name: standard }\nspec:\n  repository: deploy\n  environments:\n",
        );
        for stop in &self.stops {
            stop.write(&mut text, self);
        }
        for policy in &self.policies {
            let image = |image: &&str| format!("{image}: ghcr.io/acme/{policy}-{image}");
            let images: Vec<String> = self.images.iter().map(image).collect();
            let images = images.join(", ");
            let together = if self.is_together {
                ", together: true"
            } else {
                ""
            };
            writeln!(text, "---\nkind: PromotionPolicy\nmetadata: {{ name: {policy} }}\nspec: {{ route: standard, images: {{ {images} }}{together} }}").unwrap();
        }
        text
    }

    /// The same, read.
    pub(super) fn read(&self) -> Vec<Policy> {
        let argo = match self.has_argo {
            true => "argo-cd: { main: { kubernetes: {} } }\n",
            false => "",
        };
        let written = format!(
            "apiVersion: towpath.dev/v1alpha1\nkind: Settings\nrepositories: {{ deploy: {{ url: \"{URL}\", forge: none }} }}\npolicies: [policies.yaml]\n{argo}"
        );
        let folder = tempfile::TempDir::new().unwrap();
        let settings = folder.path().join("towpath.yaml");
        std::fs::write(&settings, written).unwrap();
        std::fs::write(folder.path().join("policies.yaml"), self.written()).unwrap();
        match config::load(&settings) {
            Ok(config) => config.policies,
            Err(problems) => panic!("{problems:?}\n{}", self.written()),
        }
    }

    pub(super) fn branches() -> BTreeMap<RepositoryName, String> {
        [("deploy".parse().unwrap(), "main".to_owned())].into()
    }
}

impl Stop {
    fn drawn(dice: &mut Dice, (name, after): (&'static str, &[usize]), start: Timestamp) -> Self {
        let is_first = after.is_empty();
        let seldom = |dice: &mut Dice, percent| dice.happens(if is_first { 5 } else { percent });
        let hours = |dice: &mut Dice, some: &[i64]| SignedDuration::from_mins(dice.one_of(some));
        let soak = match is_first {
            true => SignedDuration::ZERO,
            false => hours(dice, &[0, 30, 120, 360, 1440]),
        };
        let min_age = match seldom(dice, 15) {
            true => hours(dice, &[20, 300]),
            false => SignedDuration::ZERO,
        };
        let openings = match (seldom(dice, 40), dice.happens(20)) {
            (true, true) => vec![dice.one_of(&OPENINGS), dice.one_of(&OPENINGS)],
            (true, false) => vec![dice.one_of(&OPENINGS)],
            (false, _) => Vec::new(),
        };
        let frost = seldom(dice, 15).then(|| {
            let days = (dice.one_of(&[0, 1, 2]), dice.one_of(&[0, 1]));
            Frost::after(start, days, dice.happens(50))
        });
        Self {
            name,
            after: after.to_vec(),
            release: None,
            way: match seldom(dice, 35) {
                true => Way::PullRequest,
                false => Way::Commit,
            },
            writes_digest: false,
            soak,
            min_age,
            openings,
            frost,
            needs_arm: seldom(dice, 15),
            grace: None,
        }
    }

    fn write(&self, text: &mut String, shape: &Shape) {
        let Self {
            name,
            after,
            release,
            way,
            writes_digest,
            soak,
            min_age,
            openings,
            frost,
            needs_arm,
            grace,
        } = self;
        writeln!(text, "    - name: {name}").unwrap();
        let mut line = |line: String| writeln!(text, "      {line}").unwrap();
        let tags = match (after.is_empty(), release, shape.tags) {
            (_, Some(_), _) => Some(r#"{ pattern: "release-{number}" }"#),
            (false, None, _) => None,
            (true, None, Tags::Number) => Some(r#"{ pattern: "main-{number}-{sha}" }"#),
            (true, None, Tags::Version) => Some(r#"{ semver: ">=1.0.0" }"#),
            (true, None, Tags::Pushed) => Some(r#"{ pattern: "build-{sha}", newest-by: pushed }"#),
            (true, None, Tags::Followed) => Some("{ follow: latest }"),
        };
        line(format!("update: [{}]", sites(shape)));
        tags.into_iter()
            .for_each(|tags| line(format!("tags: {tags}")));
        if !after.is_empty() {
            let after: Vec<&str> = after.iter().map(|stop| shape.stops[*stop].name).collect();
            line(format!("after: [{}]", after.join(", ")));
        }
        if *release == Some(Release::Revision) {
            line("same: revision".to_owned());
        }
        if *writes_digest {
            line("write: digest".to_owned());
        }
        if *way == Way::PullRequest {
            line("deliver: pull-request".to_owned());
        }
        if let Some(grace) = grace {
            let minutes = grace.as_mins();
            line(format!(
                "on-degraded: {{ rollback: {{ grace: {minutes}m }} }}"
            ));
        }
        let duration = |name, time: &SignedDuration| {
            (!time.is_zero()).then(|| format!("{name}: {}m", time.as_mins()))
        };
        let windows: Vec<&str> = openings.iter().map(|opening| opening.written).collect();
        let gates = [
            duration("soak", soak),
            duration("min-age", min_age),
            (!windows.is_empty()).then(|| format!("windows: [{}]", windows.join(", "))),
            frost.map(|frost| format!("freeze: {}", frost.written())),
            needs_arm.then(|| "platforms: [linux/arm64]".to_owned()),
        ];
        let gates: Vec<String> = gates.into_iter().flatten().collect();
        if !gates.is_empty() {
            line(format!("gates: {{ {} }}", gates.join(", ")));
        }
    }
}

fn sites(shape: &Shape) -> String {
    let site = |image: &&str| {
        format!(
            r#"{{ helm: "apps/{{policy}}/{{environment}}.yaml", at: {image}.image, image: {image} }}"#
        )
    };
    let sites: Vec<String> = shape.images.iter().map(site).collect();
    sites.join(", ")
}

//! Production moves by pull requests: the whole story, with a forge in this process that follows a real git repository.
//!
//! Most steps are a run of `apply`, which knows nothing of the runs before it: each is a restart too.

mod approvals;
mod between;
mod bundles;
mod checks;
mod gates;
mod healthy;
mod killed;
mod opened;
mod people;
mod real;
mod rendered;
mod signed;
mod told;
mod troubled;

use std::path::PathBuf;

use bed::forge::{FakeForge, FakeRepository, Product};
use jiff::Timestamp;

use crate::lab::{Lab, Ran, kustomization};

const OVERLAY: &str = "apps/portal/overlays/production/kustomization.yaml";
const HEAD: &str = "towpath/production/portal";
const V1: &str = "v1.4.2";
const V2: &str = "v1.5.0";
const V3: &str = "v1.6.0";

/// A lab whose repository is on a forge, which speaks as GitHub does.
struct Story {
    lab: Lab,
    forge: FakeForge,
}

impl Story {
    /// Production runs [`V1`]; `options` stand behind `pull-request:` of its policy.
    fn new(options: &str) -> Self {
        let story = Self::empty();
        story.has("portal", V1);
        story.policies(&[("portal", "acme/web")], options);
        story
    }

    /// A repository with nothing in it, on a forge.
    fn empty() -> Self {
        Self::on(Product::Github, ("github", "acme/deploy"))
    }

    /// The same on a forge of this kind, which calls it so.
    fn on(product: Product, (kind, repository): (&str, &str)) -> Self {
        let forge = FakeForge::start(product);
        // Well before what is committed here, since each change takes a second of its clock.
        forge.set_clock(now_seconds() - 3600);
        let mut lab = Lab::new(&[]);
        let folder = lab.path().join("deploy.git");
        forge.repository("acme/deploy").keep_branches_in(&folder);
        lab.set("FORGE_TOKEN", FakeForge::TOKEN);
        let settings = format!(
            "url: {}, plain-http: true, forge: {{ kind: {kind}, url: '{}', repository: {repository}, credentials: {{ token: {{ env: FORGE_TOKEN }} }} }}",
            folder.display(),
            forge.api(),
        );
        lab.repository(&settings);
        Self { lab, forge }
    }

    /// Lets production of `name` run `tag` of `acme/web`.
    fn has(&self, name: &str, tag: &str) {
        self.lab.push(&[tag]);
        let text = kustomization(&self.lab.image("acme/web"), tag);
        let path = format!("apps/{name}/overlays/production/kustomization.yaml");
        self.lab.commit(name, &[(&path, &text)]);
    }

    /// Version 1.N.0 of the image, pushed.
    fn push_version(&self, n: u32) -> String {
        let tag = format!("v1.{n}.0");
        self.lab.push(&[&tag]);
        tag
    }

    /// A policy for the production of each of `names`, with its image, by pull requests with `options`.
    fn policies(&self, names: &[(&str, &str)], options: &str) {
        let policy = |(name, image): &(&str, &str)| {
            let image = match image.contains(':') {
                true => (*image).to_owned(),
                false => self.lab.image(image),
            };
            format!(
                "kind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {{ name: production, tags: {{ semver: '*' }}, update: apps/{name}/overlays/production, deliver: {{ pull-request: {{ {options} }} }} }}\n"
            )
        };
        let policies: Vec<String> = names.iter().map(policy).collect();
        self.lab.policies(&policies.join("---\n"));
    }

    fn repository(&self) -> FakeRepository<'_> {
        self.forge.repository("acme/deploy")
    }

    fn bare(&self) -> PathBuf {
        self.lab.path().join("deploy.git")
    }

    /// One round, which finds nothing wrong.
    fn round(&self) -> Ran {
        let ran = self.lab.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    }

    /// One round, which writes nothing anywhere.
    fn quiet_round(&self) {
        let (heads, _) = (self.heads(), self.writes());
        let ran = self.round();
        assert_eq!(self.writes(), [""; 0], "{ran:?}");
        assert_eq!(self.heads(), heads, "{ran:?}");
    }

    /// What was written to the forge since the last time, apart from statuses.
    fn writes(&self) -> Vec<String> {
        let mut requests = self.forge.take_requests();
        requests.retain(|request| !request.starts_with("GET ") && !request.contains("/statuses/"));
        requests
    }

    /// Every branch, and where it stands.
    fn heads(&self) -> Vec<String> {
        let heads = self.lab.git(&["-C", "deploy.git", "for-each-ref"]);
        heads.lines().map(str::to_owned).collect()
    }

    /// Where a branch stands, if there is one.
    fn tip(&self, branch: &str) -> Option<String> {
        let name = format!("refs/heads/{branch}");
        let format = "--format=%(objectname)";
        let found = self
            .lab
            .git(&["-C", "deploy.git", "for-each-ref", format, &name]);
        Some(found.trim().to_owned()).filter(|tip| !tip.is_empty())
    }

    /// What the proposal has, in place of what production has.
    fn proposed(&self) -> String {
        let place = format!("{HEAD}:{OVERLAY}");
        version(&self.lab.git(&["-C", "deploy.git", "show", &place]))
    }

    /// What production has.
    fn deployed(&self) -> String {
        version(&self.lab.pushed(OVERLAY))
    }

    /// What `plan` says of the only image: its decision and the reason.
    fn told(&self) -> String {
        let ran = self.lab.run(&["plan"]);
        let row = ran
            .stdout
            .lines()
            .find(|line| line.starts_with("portal"))
            .unwrap_or_else(|| panic!("{ran:?}"));
        let mut columns = row
            .rsplit("  ")
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let reason = columns.next().unwrap_or_default();
        reason.replace(&self.forge.host(), "FORGE")
    }

    /// Changes production's file as a person does, on `main`.
    fn write_by_hand(&self, change: impl Fn(&str) -> String) {
        let text = change(&self.lab.pushed(OVERLAY));
        self.lab.commit("by hand", &[(OVERLAY, &text)]);
    }
}

/// What time it is, since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "what a fake forge says is held against the clock of the daemon"
)]
fn now_seconds() -> i64 {
    Timestamp::now().as_second()
}

/// The tag in a kustomization.
fn version(text: &str) -> String {
    let line = text.lines().find(|line| line.contains("newTag:"));
    let tag = line.and_then(|line| line.split_whitespace().nth(1));
    tag.unwrap_or_else(|| panic!("{text}")).to_owned()
}

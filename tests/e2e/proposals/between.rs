//! What a reviewer is told of the commits between two versions, where the settings name their source.

use super::{OVERLAY, Story, V1, V2};
use crate::lab::kustomization;

const DEV: &str = "apps/portal/overlays/dev/kustomization.yaml";

/// A story whose image is built from `code.git`, which is `acme/web` on the forge, and orders the builds of dev.
struct Built {
    story: Story,
    /// The page of the source.
    page: String,
}

impl Built {
    /// Production runs [`V1`], built from the first commit.
    fn new() -> Self {
        let mut story = Story::empty();
        let lab = &story.lab;
        lab.git(&["init", "-q", "--bare", "-b", "main", "code.git"]);
        let settings = format!(
            "url: {}, forge: {{ kind: github, url: '{}', repository: acme/web }}, plain-http: true",
            lab.path().join("code.git").display(),
            story.forge.api(),
        );
        story.lab.source(&settings);
        let page = format!("https://{}/acme/web", story.forge.host());
        let built = Self { story, page };
        let first = built.commit("first", None);
        built.push(V1, &first);
        let lab = &built.story.lab;
        let image = lab.image("acme/web");
        let files = [
            (OVERLAY, kustomization(&image, V1)),
            (DEV, kustomization(&image, &format!("main-{first}"))),
        ];
        let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
        lab.push(&[&format!("main-{first}")]);
        lab.commit("portal", &files);
        let dev = "{ name: dev, tags: { pattern: 'main-{sha}', newest-by: commits, source: code }, update: apps/portal/overlays/dev }";
        let production = "{ name: production, tags: { semver: '*' }, update: apps/portal/overlays/production, deliver: pull-request }";
        lab.policies(&format!(
            "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {dev}\n    - {production}\n"
        ));
        built
    }

    /// Makes a commit of the source on `parent`, and gives its name.
    fn commit(&self, subject: &str, parent: Option<&str>) -> String {
        let git = |arguments: &[&str]| {
            let arguments = [&["-C", "code.git"], arguments].concat();
            self.story.lab.git(&arguments).trim().to_owned()
        };
        let tree = git(&["hash-object", "-w", "-t", "tree", "/dev/null"]);
        let mut arguments = vec!["commit-tree", &tree, "-m", subject];
        arguments.extend(parent.into_iter().flat_map(|parent| ["-p", parent]));
        let commit = git(&arguments);
        git(&["update-ref", "refs/heads/main", &commit]);
        commit
    }

    fn push(&self, tag: &str, revision: &str) {
        self.story.lab.push_built(tag, (&self.page, revision));
    }

    /// The section of the first pull request.
    fn told(&self) -> String {
        let body = self.story.repository().pull(1).body;
        let (_, section) = body.split_once("### Commits\n\n").unwrap_or(("", ""));
        let (section, _) = section.split_once("\n\n###").unwrap_or((section, ""));
        section.replace(&self.page, "PAGE")
    }
}

#[test]
fn the_commits_between_two_versions_are_listed_and_linked_at_a_host_of_our_own() {
    let built = Built::new();
    let first = built.commit("first of all", None);
    built.push(V1, &first);
    let second = built.commit("second, closes #1 for @team", Some(&first));
    let third = built.commit("third", Some(&second));
    built.push(V2, &third);

    built.story.round();

    let told = built.told();
    let names = [(&first, "FIRST"), (&second, "SECOND"), (&third, "THIRD")];
    let told = names.iter().fold(told, |told, (id, name)| {
        let told = told.replace(id.as_str(), name);
        told.replace(&id[..7], &name.to_lowercase())
    });
    insta::assert_snapshot!(told.replace('\u{2060}', "|").replace('\u{a0}', "_"), @"
    * `web`: [`first` to `third`](PAGE/compare/FIRST...THIRD) of [`acme/web`](PAGE)
      * [`third`](PAGE/commit/THIRD) `third` by `A Person`
      * [`second`](PAGE/commit/SECOND) `second, closes_#|1 for @|team` by `A Person`
    ");
    built.story.quiet_round();
    let lab = &built.story.lab;
    let planned = lab.run(&["plan"]).stdout;
    assert_eq!(lab.run(&["observe", "--save", "world.yaml"]).code, Some(0));
    assert_eq!(lab.run(&["plan", "--world", "world.yaml"]).stdout, planned);
}

#[test]
fn a_commit_that_the_source_does_not_have_leaves_the_link_alone() {
    let built = Built::new();
    let unknown = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567";
    built.push(V2, unknown);
    built.story.round();
    let told = built.told();
    assert!(
        told.contains(&format!("...{unknown}) of [`acme/web`](PAGE)")),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1, "{told}");
    built.story.quiet_round();
}

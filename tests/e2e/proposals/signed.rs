//! Commits that the forge makes and signs (`commit.sign: forge`), while git moves the branches as ever.

use bed::forge::{Fault, Product, Signs, Way};

use super::{HEAD, Story, V1, V2, V3};
use crate::lab::kustomization;

/// What a branch is called on which a forge makes commits for a while.
const SIGNING: &str = "towpath-signing";

/// A GitHub App, a user of GitHub, and a user of GitLab.
const FORGES: [(Product, Signs); 3] = [
    (Product::Github, Signs::Everything),
    (Product::Github, Signs::OnBranches),
    (Product::Gitlab, Signs::Everything),
];

#[test]
fn promotions_of_one_push_are_signed_by_the_forge_one_on_the_other() {
    for (product, signs) in FORGES {
        let story = Story::signed(product, signs);
        story.commits(&["portal", "shop"]);
        story.lab.push(&[V2]);

        let ran = story.round();

        assert!(ran.stdout.contains("pushed"), "{ran:?}");
        let log = story.log("main", "%s|%cn", 2);
        let committer = match product {
            Product::Gitlab => "GitLab",
            _ => "GitHub",
        };
        let line =
            |name: &str| format!("promote {name} to production: web {V1} -> {V2}|{committer}");
        assert_eq!(log, [line("shop"), line("portal")], "{ran:?}");
        story.is_signed("main");
        story.is_signed("main^");
        story.is_tidy();
        story.quiet_round();

        let history = story.lab.run(&["history", "portal", "production"]);
        assert!(history.stdout.contains(V2), "{history:?}");
        story.lab.git(&["-C", "work", "pull", "-q"]);
        story
            .lab
            .git(&["-C", "work", "revert", "--no-edit", "HEAD^"]);
        story
            .lab
            .git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
        let told = story.told();
        assert!(told.contains("undid") || told.contains("undone"), "{told}");
    }
}

#[test]
fn a_proposal_that_the_forge_signed_is_ours_until_a_person_commits_on_its_branch() {
    for (product, signs) in FORGES {
        let story = Story::signed(product, signs);
        story.proposes();
        story.lab.push(&[V2]);
        story.round();
        assert_eq!(story.proposed(), V2);
        story.is_signed(HEAD);
        story.is_tidy();
        story.quiet_round();

        // A newer version takes its place, on what the base is by then.
        story.write_by_hand(|text| format!("# by hand\n{text}"));
        story.lab.push(&[V3]);
        story.round();
        assert_eq!(story.proposed(), V3);
        story.is_signed(HEAD);
        assert_eq!(story.log(HEAD, "%s", 2)[1], "by hand");
        assert_eq!(story.repository().open_ones(), [1]);
        story.quiet_round();

        // What a person writes on GitHub's pages is GitHub's commit too, here even with the words of ours.
        let ours = story.tip(HEAD).unwrap();
        let theirs = story.edited_on_the_page(&ours);
        story.lab.push(&["v1.7.0"]);
        story.round();
        assert_eq!(story.tip(HEAD), Some(theirs));
        let told = story.told();
        assert!(
            told.contains("a commit that towpath did not make"),
            "{told}"
        );
        assert_eq!(story.repository().pull(1).comments.len(), 2);
    }
}

#[test]
fn a_merged_proposal_that_the_forge_signed_is_in_the_history() {
    for way in [Way::Merge, Way::Rebase] {
        let story = Story::signed(Product::Github, Signs::Everything);
        story.proposes();
        story.lab.push(&[V2]);
        story.round();
        story.repository().merge(1, "ada", way);
        story.round();
        assert_eq!(story.tip(HEAD), None);
        let history = story.lab.run(&["history", "portal", "production"]);
        assert!(history.stdout.contains(V2), "{way:?}: {history:?}");
        story.quiet_round();
    }
}

#[test]
fn a_base_that_moves_while_the_forge_makes_a_commit_is_built_on_anew() {
    for (product, signs) in FORGES {
        let story = Story::signed(product, signs);
        story.commits(&["portal"]);
        story.lab.push(&[V2]);
        story.forge.take_requests();
        story.forge.fail(Fault::Late, 1);
        let mut daemon = story.lab.start();
        daemon.wait_until("the request", || story.forge.waiting().is_some());
        story.lab.commit("meanwhile", &[("other.yaml", "a: 1\n")]);
        story.forge.heal();
        daemon.wait_until("the promotion", || story.deployed() == V2);
        daemon.signal("TERM");
        assert_eq!(daemon.wait(), Some(0));
        let subjects = story.lab.subjects();
        assert!(subjects[0].starts_with("promote portal"), "{subjects:?}");
        assert_eq!(subjects[1], "meanwhile");
        story.is_signed("main");
        story.is_tidy();
    }
}

#[test]
fn killed_between_making_and_moving_it_loses_nothing_and_doubles_nothing() {
    for (product, signs) in FORGES {
        let story = Story::signed(product, signs);
        story.commits(&["portal"]);
        let mut n = 5;
        let requests = match (product, signs) {
            (Product::Gitlab, _) => 1,
            (_, Signs::OnBranches) => 2,
            _ => 3,
        };
        for place in 0..requests {
            for fault in [Fault::Silence, Fault::SilenceAfter] {
                let version = story.push_version(n);
                n += 1;
                story.dies((place, fault));
                assert_ne!(story.deployed(), version);
                story.round();
                assert_eq!(story.deployed(), version);
                story.is_signed("main");
                story.is_tidy();
                story.quiet_round();
            }
        }
        let subjects = story.lab.subjects();
        let promotions = subjects.iter().filter(|one| one.starts_with("promote"));
        assert_eq!(promotions.count(), n as usize - 5, "{subjects:?}");
    }
}

#[test]
fn a_forge_that_does_not_sign_moves_no_branch_and_says_what_to_turn_on() {
    for product in [Product::Github, Product::Gitlab] {
        let story = Story::signed(product, Signs::Nothing);
        story.commits(&["portal"]);
        story.lab.push(&[V2]);
        let ran = story.lab.run(&["apply"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(
            ran.stdout
                .contains("the forge did not sign the commit that it made"),
            "{ran:?}"
        );
        assert_eq!(story.deployed(), V1);
        story.is_tidy();
    }
}

impl Story {
    /// A story on a forge that signs commits, with nothing promoted yet.
    fn signed(product: Product, signs: Signs) -> Self {
        let kind = match product {
            Product::Gitlab => "gitlab",
            _ => "github",
        };
        let mut story = Self::on(product, (kind, "acme/deploy"));
        story.repository().sign(signs);
        story.lab.commit_settings("{ sign: forge }");
        story
    }

    /// Production of `names` runs [`V1`] and moves by commits.
    fn commits(&self, names: &[&str]) {
        let mut policies = Vec::new();
        for name in names {
            self.has(name, V1);
            let image = self.lab.image("acme/web");
            policies.push(format!(
                "kind: PromotionPolicy\nmetadata: {{ name: {name} }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {{ name: production, tags: {{ semver: '*' }}, update: apps/{name}/overlays/production }}\n"
            ));
        }
        self.lab.policies(&policies.join("---\n"));
    }

    /// Production runs [`V1`] and moves by pull requests.
    fn proposes(&self) {
        self.has("portal", V1);
        self.policies(&[("portal", "acme/web")], "");
    }

    /// The last commits of `branch`, newest first.
    fn log(&self, branch: &str, format: &str, count: usize) -> Vec<String> {
        let (format, count) = (format!("--format={format}"), format!("-{count}"));
        let log = self
            .lab
            .git(&["-C", "deploy.git", "log", &format, &count, branch]);
        log.lines().map(str::to_owned).collect()
    }

    fn is_signed(&self, commit: &str) {
        let raw = self
            .lab
            .git(&["-C", "deploy.git", "cat-file", "commit", commit]);
        assert!(raw.contains("\ngpgsig -----BEGIN"), "{raw}");
        assert!(raw.contains("Towpath-Policy: "), "{raw}");
    }

    /// Nothing is left of the way to a signature, and all is whole.
    fn is_tidy(&self) {
        let heads = self.heads();
        assert!(
            !heads.iter().any(|head| head.contains(SIGNING)),
            "{heads:?}"
        );
        let found = self
            .lab
            .git(&["-C", "deploy.git", "fsck", "--strict", "--no-dangling"]);
        assert_eq!(found, "");
    }

    /// A commit on the proposal that a person makes on the forge's pages, with the message of the one before.
    fn edited_on_the_page(&self, tip: &str) -> String {
        let image = self.lab.image("acme/web");
        self.lab
            .write("edited.yaml", &kustomization(&image, "v1.6.1"));
        let git = |words: &[&str]| {
            let words = [&["-C", "deploy.git"], words].concat();
            self.lab.git(&words).trim().to_owned()
        };
        let file = self.lab.path().join("edited.yaml").display().to_string();
        let blob = git(&["hash-object", "-w", &file]);
        let index = "--work-tree=.";
        git(&[index, "read-tree", tip]);
        let entry = format!("100644,{blob},{}", super::OVERLAY);
        git(&[index, "update-index", "--cacheinfo", &entry]);
        let tree = git(&[index, "write-tree"]);
        let message = git(&["log", "-1", "--format=%B", tip]);
        let committer = self.log(HEAD, "%cn <%ce> %ct +0000", 1).concat();
        let author = "A Person <person@example.com> 1790000000 +0000";
        let text = format!(
            "tree {tree}\nparent {tip}\nauthor {author}\ncommitter {committer}\n\n{message}\n"
        );
        self.lab.write("commit.txt", &text);
        let file = self.lab.path().join("commit.txt").display().to_string();
        let made = git(&["hash-object", "-t", "commit", "-w", &file]);
        git(&["update-ref", &format!("refs/heads/{HEAD}"), &made]);
        made
    }
}

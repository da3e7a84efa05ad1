//! The same story on a real Gitea, with git over HTTP from it.

use bed::gitea::{Account, Gitea, MergeWay};
use bed::wait_until;
use reqwest::Method;
use serde_json::{Value, json};

use super::{HEAD, OVERLAY, V1, version};
use crate::lab::{Lab, Ran, kustomization};
use crate::real_servers::block_on;

const REPOSITORY: &str = "deploy";

/// A lab whose repository is on Gitea, and no other.
struct OnGitea {
    lab: Lab,
    gitea: Gitea,
}

impl OnGitea {
    /// Production runs [`V1`], and moves by pull requests.
    fn start() -> Option<Self> {
        let gitea = Gitea::start()?;
        block_on(gitea.create_repository(REPOSITORY));
        let mut lab = Lab::new(&[]);
        let url = gitea.clone_url(REPOSITORY);
        lab.set("GITEA_TOKEN", &gitea.bot.token);
        lab.repository(&format!(
            "url: '{url}', plain-http: true, forge: gitea, credentials: {{ username: {}, password: {{ env: GITEA_TOKEN }} }}",
            gitea.bot.name
        ));
        let Account { name, token } = &gitea.owner;
        let own = url.replace("http://", &format!("http://{name}:{token}@"));
        lab.git(&["-C", "work", "remote", "set-url", "origin", &own]);
        lab.push(&[V1]);
        let image = lab.image("acme/web");
        lab.commit("portal", &[(OVERLAY, &kustomization(&image, V1))]);
        lab.policies(&format!(
            "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {{ name: production, tags: {{ semver: '*' }}, update: apps/portal/overlays/production, deliver: pull-request }}\n"
        ));
        Some(Self { lab, gitea })
    }

    fn round(&self) -> Ran {
        let ran = self.lab.run(&["apply"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran
    }

    /// A round that does nothing, and why.
    fn held(&self) -> String {
        let ran = self.round();
        let lines: Vec<&str> = ran.stdout.lines().filter(|line| !line.is_empty()).collect();
        let row = lines.last().unwrap_or(&"");
        assert!(row.starts_with("portal"), "{ran:?}");
        row.rsplit("  ").next().unwrap_or_default().to_owned()
    }

    /// Pushes a version and proposes it.
    fn proposes(&self, tag: &str) {
        self.lab.push(&[tag]);
        self.round();
        assert_eq!(self.version_at(HEAD).as_deref(), Some(tag));
    }

    /// What stands on a branch, if there is one.
    fn version_at(&self, branch: &str) -> Option<String> {
        self.lab
            .git(&["-C", "work", "fetch", "-q", "--prune", "origin"]);
        let name = format!("refs/remotes/origin/{branch}");
        let found = self.lab.git(&["-C", "work", "for-each-ref", &name]);
        (!found.is_empty()).then(|| {
            let place = format!("{name}:{OVERLAY}");
            version(&self.lab.git(&["-C", "work", "show", &place]))
        })
    }

    fn merge(&self, number: u64, way: MergeWay) {
        block_on(self.gitea.merge(REPOSITORY, number, way));
    }

    /// All pull requests, the first first: number and state.
    fn all(&self) -> Vec<(u64, String)> {
        let all = self.get("pulls?state=all&sort=oldest");
        let all = all.as_array().unwrap().iter();
        let mut all: Vec<_> = all
            .map(|one| {
                let state = match one["merged"] == json!(true) {
                    true => "merged",
                    false => one["state"].as_str().unwrap(),
                };
                (one["number"].as_u64().unwrap(), state.to_owned())
            })
            .collect();
        all.sort_unstable();
        all
    }

    fn get(&self, below: &str) -> Value {
        block_on(self.gitea.get(&self.path(below)))
    }

    fn ask(&self, method: Method, below: &str, body: &Value) -> Value {
        let path = self.path(below);
        block_on(self.gitea.ask(&self.gitea.owner, method, &path, body))
    }

    fn path(&self, below: &str) -> String {
        format!("repos/{}/{REPOSITORY}/{below}", self.gitea.owner.name)
    }

    /// Reverts the head of `main` with git.
    fn revert(&self, more: &[&str]) {
        self.lab.git(&["-C", "work", "fetch", "-q", "origin"]);
        self.lab
            .git(&["-C", "work", "reset", "-q", "--hard", "origin/main"]);
        let words = [&["-C", "work", "revert", "--no-edit"], more, &["HEAD"]].concat();
        self.lab.git(&words);
        self.lab
            .git(&["-C", "work", "push", "-q", "origin", "HEAD:main"]);
    }
}

#[test]
fn on_a_real_gitea_production_moves_and_what_people_decide_is_understood() {
    let Some(story) = OnGitea::start() else {
        return;
    };
    story.proposes("v1.5.0");
    block_on(story.gitea.approve(REPOSITORY, 1));
    story
        .lab
        .commit("elsewhere", &[("README.md", "Deployments.\n")]);
    assert!(story.held().starts_with("pull request #1 proposes it"));
    let reviews = story.get("pulls/1/reviews");
    assert_eq!(reviews[0]["stale"], json!(false), "{reviews}");
    story.proposes("v1.6.0");
    let comments = story.get("issues/1/comments");
    let told = "This proposes web `v1.6.0` now, in place of web `v1.5.0`.";
    assert_eq!(comments[0]["body"], told);
    let text = kustomization(&story.lab.image("acme/web"), V1) + "namePrefix: a-\n";
    story.lab.commit("here", &[(OVERLAY, &text)]);
    story.round();
    story.merge(1, MergeWay::Merge);
    assert_eq!(story.version_at("main").as_deref(), Some("v1.6.0"));
    story.round();
    assert_eq!(story.version_at(HEAD), None);
    assert_eq!(story.held(), "it is the newest");

    story.revert(&["-m", "1"]);
    let held = story.held();
    assert!(
        held.starts_with("a person undid the promotion to `v1.6.0`"),
        "{held}"
    );

    story.proposes("v1.7.0");
    story.merge(2, MergeWay::Rebase);
    story.round();
    assert_eq!(story.held(), "it is the newest");

    // A squash has the title alone, so that git tells nothing of a promotion.
    story.proposes("v1.8.0");
    story.merge(3, MergeWay::Squash);
    story.round();
    assert_eq!(story.version_at(HEAD), None);
    assert_eq!(story.held(), "it is the newest");

    story.proposes("v1.9.0");
    block_on(story.gitea.close(REPOSITORY, 4));
    let rejected = "`v1.9.0` is rejected (pull request #4 was closed); a newer version or `towpath resume` ends this";
    story.round();
    assert_eq!(story.held(), rejected);
    // Only what has a branch can be opened again.
    let branch = json!({ "new_branch_name": HEAD, "old_ref_name": "main" });
    story.ask(Method::POST, "branches", &branch);
    story.ask(Method::PATCH, "pulls/4", &json!({ "state": "open" }));
    story.round();
    assert_eq!(story.version_at(HEAD).as_deref(), Some("v1.9.0"));
    assert!(story.held().starts_with("pull request #4 proposes it"));

    // Gitea closes it with its branch, which is a rejection as good as any.
    let head = HEAD.replace('/', "%2F");
    story.ask(Method::DELETE, &format!("branches/{head}"), &Value::Null);
    wait_until("the end of its pull request", || {
        story.get("pulls/4")["state"] == "closed"
    });
    assert_eq!(story.held(), rejected);

    // Nothing in git says that what is reverted here was a promotion, and its pull request does.
    story.revert(&[]);
    let held = story.held();
    assert!(held.starts_with("pull request #3 brought it"), "{held}");
    let states: Vec<_> = story.all().into_iter().map(|(_, state)| state).collect();
    assert_eq!(states, ["merged", "merged", "merged", "closed"]);
}

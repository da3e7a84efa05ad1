//! Builds that the history of a source repository orders, which a real server of git tells.

use std::path::PathBuf;

use bed::{GitServer, git};

use crate::daemon::get;
use crate::lab::{Lab, kustomization};

const FILE: &str = "apps/portal/kustomization.yaml";

/// A lab with a source repository on a server of git.
struct Code {
    lab: Lab,
    server: GitServer,
    bare: PathBuf,
}

impl Code {
    /// `portal` is ordered by the history of `code`, in which stands one commit.
    fn new() -> Self {
        let server = GitServer::start();
        let bare = server.create("code.git");
        git(&bare, &["config", "uploadpack.allowFilter", "true"]);
        let mut lab = Lab::new(&[]);
        lab.source(&format!(
            "url: '{}', plain-http: true",
            server.http("code.git")
        ));
        let code = Self { lab, server, bare };
        let image = code.lab.image("acme/web");
        let first = code.commit("first", None);
        code.lab.push(&[&tag(&first)]);
        code.lab
            .commit("portal", &[(FILE, &kustomization(&image, &tag(&first)))]);
        code.lab.policies(&format!(
            "kind: PromotionPolicy\nmetadata: {{ name: portal }}\nspec:\n  repository: deploy\n  images: {{ web: {image} }}\n  environments:\n    - {{ name: dev, tags: {{ pattern: \"main-{{sha}}\", newest-by: commits, source: code }}, update: apps/portal }}\n"
        ));
        code
    }

    /// Makes a commit on `parent`, moves `main` there, and gives its name.
    fn commit(&self, message: &str, parent: Option<&str>) -> String {
        let tree = git(
            &self.bare,
            &["hash-object", "-w", "-t", "tree", "/dev/null"],
        );
        let mut arguments = vec!["commit-tree", &tree, "-m", message];
        arguments.extend(parent.into_iter().flat_map(|parent| ["-p", parent]));
        let commit = git(&self.bare, &arguments);
        git(&self.bare, &["update-ref", "refs/heads/main", &commit]);
        commit
    }

    fn runs(&self, commit: &str) -> bool {
        self.lab.pushed(FILE).contains(&tag(commit))
    }

    /// Fetches of the source so far that brought something.
    fn downloads(&self) -> usize {
        let requests = self.server.requests();
        let is_download = |line: &&String| line.contains("/code.git/git-upload-pack");
        requests.iter().filter(is_download).count()
    }
}

/// The tag of a build.
fn tag(commit: &str) -> String {
    format!("main-{}", &commit[..8])
}

#[test]
fn the_build_of_the_newest_commit_is_promoted_whatever_was_pushed_last() {
    let code = Code::new();
    let lab = &code.lab;
    let head = || git(&code.bare, &["rev-parse", "main"]);
    let second = code.commit("second", Some(&head()));
    let third = code.commit("third", Some(&second));
    lab.push(&[&tag(&third)]);
    lab.push(&[&tag(&second), &format!("main-{}", "0a1b2c3d")]);

    let planned = lab.run(&["plan"]);
    assert_eq!(lab.run(&["observe", "--save", "world.yaml"]).code, Some(0));
    assert_eq!(
        lab.run(&["plan", "--world", "world.yaml"]).stdout,
        planned.stdout
    );
    let explained = lab.run(&["explain", "portal", "dev"]).stdout;
    let ran = lab.run(&["apply"]);

    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(code.runs(&third));
    let older = format!("older than `{}`", tag(&third));
    assert!(
        explained.contains("names no commit of `main` in `code`"),
        "{explained}"
    );
    assert!(explained.contains(&older), "{explained}");
    assert!(planned.stdout.contains(&tag(&third)), "{planned:?}");
    assert_eq!(code.downloads(), 1, "the mirror is kept");
}

#[test]
fn a_build_that_is_faster_than_the_next_fetch_of_its_source_is_promoted_all_the_same() {
    let code = Code::new();
    let first = git(&code.bare, &["rev-parse", "main"]);
    let daemon = code.lab.start();
    daemon.wait_until("the first view", || {
        let log = std::fs::read_to_string(code.lab.log_file());
        log.is_ok_and(|log| log.contains("first complete view"))
    });
    let second = code.commit("second", Some(&first));
    let third = code.commit("third", Some(&second));
    code.lab.push(&[&tag(&third)]);
    daemon.wait_until("the third build", || code.runs(&third));
    // Not on the branch, and pushed last: the next build says that it was looked at.
    code.lab.push(&["main-0a1b2c3d", &tag(&second)]);
    let fourth = code.commit("fourth", Some(&third));
    code.lab.push(&[&tag(&fourth)]);
    daemon.wait_until("the fourth build", || code.runs(&fourth));
    let status = get(&daemon, "/status");
    assert!(
        status.contains(&format!("\"head\":\"{fourth}\"")),
        "{status}"
    );
    let metrics = get(&daemon, "/metrics");
    let read_at = "towpath_reading_timestamp_seconds{kind=\"source\",source=\"code\"}";
    assert!(metrics.contains(read_at), "{metrics}");
    let promoted = code.lab.subjects();
    assert_eq!(
        promoted
            .iter()
            .filter(|subject| subject.starts_with("promote"))
            .count(),
        2,
        "{promoted:?}"
    );
}

#[test]
fn a_branch_that_was_written_anew_holds_what_it_no_longer_has() {
    let code = Code::new();
    let lab = &code.lab;
    let first = git(&code.bare, &["rev-parse", "main"]);
    let second = code.commit("second", Some(&first));
    lab.push(&[&tag(&second)]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert!(code.runs(&second));

    let other = code.commit("other", Some(&first));
    lab.push(&[&tag(&other)]);
    let ran = lab.run(&["apply"]);
    let why = format!(
        "`{}` stands there and names no commit of `main` in `code`",
        tag(&second)
    );
    assert!(ran.stdout.contains(&why), "{ran:?}");
    assert!(code.runs(&second));

    // A person says where to go on from.
    let image = lab.image("acme/web");
    lab.commit("go on", &[(FILE, &kustomization(&image, &tag(&first)))]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert!(code.runs(&other));
    let next = code.commit("next", Some(&other));
    lab.push(&[&tag(&next)]);
    assert_eq!(lab.run(&["apply"]).code, Some(0));
    assert!(code.runs(&next));
}

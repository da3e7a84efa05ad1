//! Commits that a forge makes and signs, held against fakes that make them in a real repository.

use std::collections::BTreeMap;

use bed::forge::{Fault, Product, Signs};
use bed::{create_bare, git, import};
use tempfile::TempDir;

use super::contract::Stage;
use super::{Chain, ForgeError, Made, NewCommit, NewFile, Signed};
use crate::manifest::CommitId;

const BRANCH: &str = "towpath-signing/main";

/// A forge with a repository of one commit, which has a plain file and an executable one.
struct Ground {
    stage: Stage,
    folder: TempDir,
    head: CommitId,
}

impl Ground {
    fn new(product: Product, signs: Signs) -> Self {
        let folder = TempDir::new().unwrap();
        create_bare(folder.path());
        let stream = "commit refs/heads/main\ncommitter Ada <ada@example.com> 1 +0000\ndata 5\nfirst\n\
            M 100644 inline apps/a.yaml\ndata 3\nv1\n\nM 100755 inline b.sh\ndata 3\nv1\n\ndone\n";
        import(folder.path(), stream.as_bytes());
        let stage = Stage::new(product);
        let repository = stage.fake().unwrap();
        repository.keep_branches_in(folder.path());
        repository.sign(signs);
        let head = git(folder.path(), &["rev-parse", "main"]).parse().unwrap();
        Self {
            stage,
            folder,
            head,
        }
    }

    fn git(&self, arguments: &[&str]) -> String {
        git(self.folder.path(), arguments)
    }

    async fn make(&self) -> Result<Made, ForgeError> {
        self.stage.forge.make_commits(&self.chain()).await
    }

    /// How many requests there were since the last time.
    fn requests(&self) -> usize {
        self.stage.server().take_requests().len()
    }

    /// Two commits, of which the second builds on the first.
    fn chain(&self) -> Chain {
        let commit = |message: &str, files: &[(&str, bool)]| NewCommit {
            message: format!("{message}\n\nTowpath-Policy: web\n"),
            files: files
                .iter()
                .map(|(path, is_executable)| {
                    let file = NewFile {
                        text: format!("{message} ü\n").into(),
                        is_executable: *is_executable,
                    };
                    (path.parse().unwrap(), file)
                })
                .collect::<BTreeMap<_, _>>(),
        };
        let commits = vec![
            commit("one", &[("apps/a.yaml", false), ("b.sh", true)]),
            commit("two", &[("apps/a.yaml", false)]),
        ];
        Chain {
            parent: self.head.clone(),
            commits,
            branch: BRANCH.to_owned(),
        }
    }

    /// Whether `ids` are the commits of the chain.
    fn are_made(&self, ids: &[CommitId]) {
        let [one, two] = ids else {
            panic!("{ids:?}");
        };
        let parent = |id: &CommitId| self.git(&["rev-parse", &format!("{id}^")]);
        assert_eq!(parent(one), self.head.as_str());
        assert_eq!(parent(two), one.as_str());
        let file = |id: &CommitId, path: &str| self.git(&["show", &format!("{id}:{path}")]);
        assert_eq!(file(one, "apps/a.yaml"), "one ü");
        assert_eq!(file(two, "apps/a.yaml"), "two ü");
        assert_eq!(file(two, "b.sh"), "one ü");
        assert!(
            self.git(&["ls-tree", two.as_str(), "b.sh"])
                .starts_with("100755")
        );
        let message = self.git(&["log", "-1", "--format=%B", two.as_str()]);
        assert_eq!(message, "two\n\nTowpath-Policy: web");
        let raw = self.git(&["cat-file", "commit", two.as_str()]);
        assert!(raw.contains("\ngpgsig -----BEGIN"), "{raw}");
        assert_eq!(self.git(&["rev-parse", "main"]), self.head.as_str());
    }
}

#[tokio::test]
async fn github_signs_what_an_app_makes_and_no_branch_sees_it() {
    let ground = Ground::new(Product::Github, Signs::Everything);
    let made = ground.make().await.unwrap();
    let Made::Told(all) = made else {
        panic!("{made:?}");
    };
    let ids: Vec<CommitId> = all.iter().map(|signed| signed.id.clone()).collect();
    ground.are_made(&ids);
    let Signed {
        payload, signature, ..
    } = &all[1];
    assert!(
        payload.ends_with("\n\ntwo\n\nTowpath-Policy: web\n"),
        "{payload}"
    );
    assert!(
        payload.contains(&format!("parent {}\n", ids[0])),
        "{payload}"
    );
    assert!(payload.contains("[bot]"), "{payload}");
    assert!(signature.starts_with("-----BEGIN"), "{signature}");
    assert_eq!(
        ground.git(&["for-each-ref", "--format=%(refname)"]),
        "refs/heads/main"
    );
}

#[tokio::test]
async fn github_signs_what_a_user_makes_on_a_branch_and_is_not_asked_twice_for_more() {
    let ground = Ground::new(Product::Github, Signs::OnBranches);
    // Commit, tree and commit in vain; then a branch, which the second time stands there from the first; and two commits.
    for requests in [3 + 1 + 2, 2 + 2] {
        let made = ground.make().await.unwrap();
        let Made::OnBranch(ids) = made else {
            panic!("{made:?}");
        };
        ground.are_made(&ids);
        assert_eq!(ground.git(&["rev-parse", BRANCH]), ids[1].as_str());
        assert_eq!(ground.requests(), requests);
    }
}

#[tokio::test]
async fn gitlab_makes_commits_on_a_branch_whatever_stood_there() {
    let ground = Ground::new(Product::Gitlab, Signs::Everything);
    ground.git(&["update-ref", &format!("refs/heads/{BRANCH}"), "main"]);
    let made = ground.make().await.unwrap();
    let Made::OnBranch(ids) = made else {
        panic!("{made:?}");
    };
    ground.are_made(&ids);
    assert_eq!(ground.git(&["rev-parse", BRANCH]), ids[1].as_str());
    assert_eq!(ground.requests(), 2);
}

#[tokio::test]
async fn what_a_forge_refuses_to_make_is_an_error_with_its_words() {
    for product in [Product::Github, Product::Gitlab] {
        let ground = Ground::new(product, Signs::Everything);
        let words = "Resource not accessible by integration";
        ground
            .stage
            .server()
            .fail(Fault::Refused { status: 403, words }, 1);
        let error = ground.make().await.unwrap_err();
        assert!(matches!(error, ForgeError::Refused { .. }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn a_forge_that_cannot_sign_says_so_and_is_asked_nothing() {
    for product in [
        Product::Gitea,
        Product::BitbucketCloud,
        Product::BitbucketServer,
        Product::AzureDevops,
    ] {
        let stage = Stage::new(product);
        let chain = Chain {
            parent: "1".repeat(40).parse().unwrap(),
            commits: Vec::new(),
            branch: BRANCH.to_owned(),
        };
        let error = stage.forge.make_commits(&chain).await.unwrap_err();
        assert!(matches!(error, ForgeError::Unsupported { .. }), "{error}");
        assert!(stage.server().take_requests().is_empty());
    }
}

//! Commits that GitHub makes, and signs with its own key.
//!
//! What an App makes in the git database is signed if nobody names an author, a committer or a signature:
//! <https://docs.github.com/en/authentication/managing-commit-signature-verification/about-commit-signature-verification#signature-verification-for-bots>.
//! What a user makes there is not; `createCommitOnBranch` of GraphQL signs for everybody, and wants a branch:
//! <https://github.blog/changelog/2021-09-13-a-simpler-api-for-authoring-commits/>. So the first is tried first, and GitHub's own
//! answer tells whether it signed.

use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::Github;
use crate::forge::commits::{Chain, Made, NewCommit, NewFile, Signed};
use crate::forge::error::ForgeError;
use crate::forge::http::Ask;
use crate::forge::wire;
use crate::manifest::{CommitId, RepoPath};

const COMMIT: &str = "mutation($input: CreateCommitOnBranchInput!) { \
    createCommitOnBranch(input: $input) { commit { oid } } }";

impl Github {
    pub(in crate::forge) async fn make_commits(&self, chain: &Chain) -> Result<Made, ForgeError> {
        if !self.signs_nothing_there.load(Ordering::Relaxed) {
            if let Some(signed) = self.in_database(chain).await? {
                return Ok(Made::Told(signed));
            }
            self.signs_nothing_there.store(true, Ordering::Relaxed);
        }
        self.on_branch(chain).await.map(Made::OnBranch)
    }

    fn making(&self) -> String {
        format!("make a commit in `{}`", self.path)
    }

    /// Makes the commits in the git database, where no branch has them. `None` where they are not signed there.
    async fn in_database(&self, chain: &Chain) -> Result<Option<Vec<Signed>>, ForgeError> {
        let url = self.url(&["git", "commits", chain.parent.as_str()]);
        let what = format!("read commit {} of `{}`", chain.parent.short(), self.path);
        let standing: wire::GitCommit = self.line.ask(&Ask::read(url, what)).await?;
        let (mut tree, mut parent) = (standing.tree.sha, chain.parent.clone());
        let mut all = Vec::new();
        for commit in &chain.commits {
            tree = self.tree(&tree, commit).await?;
            let body =
                json!({ "message": commit.message, "tree": tree, "parents": [parent.as_str()] });
            let url = self.url(&["git", "commits"]);
            let ask = Ask::write(Method::POST, url, body, self.making());
            let made: wire::GitCommit = self.line.ask(&ask).await?;
            let Some((payload, signature)) = made.verification.and_then(signed) else {
                return Ok(None);
            };
            let id = made.sha.parse();
            parent = id.map_err(|_| self.line.malformed(&ask, "a commit without a name"))?;
            all.push(Signed {
                id: parent.clone(),
                payload,
                signature,
            });
        }
        Ok(Some(all))
    }

    /// Makes the tree of a commit out of that of the one before: <https://docs.github.com/en/rest/git/trees#create-a-tree>.
    async fn tree(&self, base: &str, commit: &NewCommit) -> Result<String, ForgeError> {
        let entry = |(path, file): (&RepoPath, &NewFile)| {
            let mode = match file.is_executable {
                true => "100755",
                false => "100644",
            };
            json!({ "path": path.as_str(), "mode": mode, "type": "blob", "content": &*file.text })
        };
        let entries: Vec<Json> = commit.files.iter().map(entry).collect();
        let body = json!({ "base_tree": base, "tree": entries });
        let ask = Ask::write(
            Method::POST,
            self.url(&["git", "trees"]),
            body,
            self.making(),
        );
        let made: wire::GitObject = self.line.ask(&ask).await?;
        Ok(made.sha)
    }

    /// Makes the commits on the chain's branch: <https://docs.github.com/en/graphql/reference/mutations#createcommitonbranch>.
    async fn on_branch(&self, chain: &Chain) -> Result<Vec<CommitId>, ForgeError> {
        self.set_branch(&chain.branch, &chain.parent).await?;
        let mut head = chain.parent.clone();
        let mut all = Vec::new();
        for commit in &chain.commits {
            let addition = |(path, file): (&RepoPath, &NewFile)| {
                let contents = STANDARD.encode(file.text.as_bytes());
                json!({ "path": path.as_str(), "contents": contents })
            };
            let additions: Vec<Json> = commit.files.iter().map(addition).collect();
            let (headline, body) = commit
                .message
                .split_once('\n')
                .unwrap_or((&commit.message, ""));
            let input = json!({
                "branch": { "repositoryNameWithOwner": self.path, "branchName": chain.branch },
                "message": { "headline": headline, "body": body.trim() },
                "expectedHeadOid": head.as_str(),
                "fileChanges": { "additions": additions },
            });
            let body = json!({ "query": COMMIT, "variables": { "input": input } });
            let ask = Ask::write(Method::POST, self.graphql(), body, self.making());
            let told: wire::GraphQl = self.line.ask(&ask).await?;
            let words = told.words();
            if !words.is_empty() {
                return Err(self.line.rejected(&ask, &words));
            }
            let made = told.data.and_then(|data| data.made?.commit);
            let made = made.and_then(|made| made.oid.parse().ok());
            head = made.ok_or_else(|| self.line.malformed(&ask, "a commit without a name"))?;
            all.push(head.clone());
        }
        Ok(all)
    }

    /// Lets the branch stand at `commit`, whether there is one or not: <https://docs.github.com/en/rest/git/refs>.
    async fn set_branch(&self, branch: &str, commit: &CommitId) -> Result<(), ForgeError> {
        let what = format!("make the branch `{branch}` in `{}`", self.path);
        let body = json!({ "ref": format!("refs/heads/{branch}"), "sha": commit.as_str() });
        let ask = Ask::write(Method::POST, self.url(&["git", "refs"]), body, &*what);
        let answer = self.line.send(&ask).await?;
        let is_there = answer.status == StatusCode::UNPROCESSABLE_ENTITY
            && answer.words().contains("already exists");
        if !is_there {
            return self.line.judge(&ask, answer).map(drop);
        }
        let url = self.url(&["git", "refs", &format!("heads/{branch}")]);
        let body = json!({ "sha": commit.as_str(), "force": true });
        self.line
            .tell(&Ask::write(Method::PATCH, url, body, what))
            .await
    }
}

/// What was signed and the signature, where GitHub made one that it knows.
fn signed(verification: wire::Verification) -> Option<(String, String)> {
    let wire::Verification {
        verified,
        payload,
        signature,
    } = verification;
    payload.zip(signature).filter(|_| verified)
}

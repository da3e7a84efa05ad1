//! Commits that GitLab makes, and signs where that is turned on for what is made on its web pages, which this counts as:
//! <https://docs.gitlab.com/user/project/repository/signed_commits/web_commits/>.
//!
//! An author is not named: whoever asks is it, and another one would be refused where commits are signed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::Gitlab;
use crate::forge::commits::{Chain, Made, NewFile};
use crate::forge::error::ForgeError;
use crate::forge::http::Ask;
use crate::forge::wire::gitlab::MadeCommit;
use crate::manifest::RepoPath;

impl Gitlab {
    /// Makes the commits on the chain's branch, over whatever stands there:
    /// <https://docs.gitlab.com/api/commits/#create-a-commit-with-multiple-files-and-actions>.
    pub(in crate::forge) async fn make_commits(&self, chain: &Chain) -> Result<Made, ForgeError> {
        let mut all = Vec::new();
        for commit in &chain.commits {
            let update = |(path, file): (&RepoPath, &NewFile)| {
                let content = STANDARD.encode(file.text.as_bytes());
                json!({
                    "action": "update",
                    "file_path": path.as_str(),
                    "content": content,
                    "encoding": "base64",
                })
            };
            let actions: Vec<Json> = commit.files.iter().map(update).collect();
            let parent = all.last().unwrap_or(&chain.parent);
            let body = json!({
                "branch": chain.branch,
                "start_sha": parent.as_str(),
                "force": true,
                "commit_message": commit.message,
                "actions": actions,
            });
            let what = format!("make a commit in `{}`", self.path);
            let url = self.url(&["repository", "commits"]);
            let ask = Ask::write(Method::POST, url, body, what);
            let made: MadeCommit = self.line.ask(&ask).await?;
            let id = made.id.0;
            all.push(id.ok_or_else(|| self.line.malformed(&ask, "a commit without a name"))?);
        }
        Ok(Made::OnBranch(all))
    }
}

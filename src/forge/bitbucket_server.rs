//! Bitbucket Server: not written yet.

use jiff::Timestamp;

use super::error::ForgeError;
use super::http::{Dialect, Line, Shown};
use super::traffic::Traffic;
use super::{
    Approval, Client, MergeWay, NewPullRequest, Opened, Options, PullRequest, Status, Update,
};
use crate::manifest::CommitId;

const DIALECT: Dialect = Dialect {
    accept: "application/json",
    headers: &[],
    token: |_| Shown::Bearer,
};

/// A repository on Bitbucket Server.
pub(super) struct BitbucketServer {
    line: Line,
}

impl BitbucketServer {
    pub(super) fn new(options: Options, traffic: &Traffic) -> Result<Self, ForgeError> {
        let line = Line::new(options, DIALECT, traffic)?;
        Ok(Self { line })
    }
}

impl Client for BitbucketServer {
    async fn open_pull_requests(&self, _: &str) -> Result<Vec<PullRequest>, ForgeError> {
        Err(self.line.unsupported("list pull requests"))
    }

    async fn changed_pull_requests(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<Vec<PullRequest>, ForgeError> {
        Err(self.line.unsupported("list pull requests"))
    }

    async fn open(&self, _: &NewPullRequest) -> Result<Opened, ForgeError> {
        Err(self.line.unsupported("open a pull request"))
    }

    async fn update(&self, _: u64, _: &Update) -> Result<PullRequest, ForgeError> {
        Err(self.line.unsupported("change a pull request"))
    }

    async fn comment(&self, _: u64, _: &str) -> Result<(), ForgeError> {
        Err(self.line.unsupported("comment on a pull request"))
    }

    async fn set_status(&self, _: &CommitId, _: &Status) -> Result<(), ForgeError> {
        Err(self.line.unsupported("set a commit status"))
    }

    async fn merge_when_ready(&self, _: u64, _: MergeWay, _: &CommitId) -> Result<(), ForgeError> {
        Err(self.line.unsupported("merge a pull request"))
    }

    async fn approvals(&self, _: u64) -> Result<Vec<Approval>, ForgeError> {
        Err(self.line.unsupported("tell approvals"))
    }
}

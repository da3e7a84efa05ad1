//! Questions of plans, asked in the background: one batch per registry, source, rendering and server of checks, so that a slow one delays only its own.
//!
//! Invariant: a question is under way at most once, and may be asked again as soon as it was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use super::Shared;
use crate::policy::{RepositoryName, SourceBranch};
use crate::world::{Question, Rendering};

/// The questions that are under way.
#[derive(Default)]
pub(super) struct Asking {
    under_way: BTreeSet<Question>,
    batches: JoinSet<BTreeSet<Question>>,
}

impl Asking {
    /// Asks those of `questions` that are not under way.
    pub(super) fn ask(&mut self, shared: &Arc<Shared>, questions: &BTreeSet<Question>) {
        for batch in batches(questions.difference(&self.under_way)) {
            self.under_way.extend(batch.iter().cloned());
            let shared = shared.clone();
            self.batches.spawn(async move {
                let work = &shared.work;
                work.sources.ask(batch.clone(), work.clock).await;
                batch
            });
        }
    }

    /// Waits until a batch was answered; forever where none is under way. May be dropped at any time.
    pub(super) async fn answered(&mut self) {
        match self.batches.join_next().await {
            Some(batch) => {
                let batch = batch.expect("asking does not panic and is not cancelled");
                self.under_way.retain(|question| !batch.contains(question));
            }
            None => std::future::pending().await,
        }
    }

    /// Drops what is under way and waits until it is gone, and with it its hold on the sources.
    pub(super) async fn end(mut self) {
        self.batches.shutdown().await;
    }
}

/// Who is asked.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Asked<'a> {
    Registry(&'a str),
    Source(&'a SourceBranch),
    History(&'a RepositoryName),
    Manifests(&'a RepositoryName),
    Renderer(&'a Rendering),
    Server(&'a str),
}

fn batches<'a>(questions: impl Iterator<Item = &'a Question>) -> Vec<BTreeSet<Question>> {
    let mut batches: BTreeMap<Asked<'_>, BTreeSet<Question>> = BTreeMap::new();
    for question in questions {
        let asked = match question {
            Question::Created { repository, .. }
            | Question::Digest { repository, .. }
            | Question::Description { repository, .. }
            | Question::Vouched { repository, .. } => Asked::Registry(repository.registry()),
            Question::Commit { source, .. } => Asked::Source(source),
            Question::Ancestry(ancestry) => Asked::Manifests(&ancestry.repository),
            Question::Range(range) => Asked::History(&range.repository),
            Question::Rendered { rendering, .. } => Asked::Renderer(rendering),
            Question::Check(inquiry) => Asked::Server(inquiry.server()),
        };
        batches.entry(asked).or_default().insert(question.clone());
    }
    batches.into_values().collect()
}

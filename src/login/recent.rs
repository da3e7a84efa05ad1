//! Answers that are kept for a short time, good or bad, so that thousands who ask at once are one question.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long an answer is kept. A registry with 2,000 repositories that are listed every two minutes so asks its program,
/// or its cluster, once a minute and not 17 times a second.
pub(super) const LIFE: Duration = Duration::from_secs(60);

/// How old an answer has to be before a refusal makes us ask again: 2,000 refusals in a row are one question in this time.
pub(super) const REFUSED_AFTER: Duration = Duration::from_secs(10);

/// The last answers, by what was asked.
pub(super) struct Recent<K, T> {
    /// Whoever holds the lock is the one who asks.
    kept: tokio::sync::Mutex<BTreeMap<K, (Instant, T)>>,
}

impl<K, T> Default for Recent<K, T> {
    fn default() -> Self {
        let kept = tokio::sync::Mutex::default();
        Self { kept }
    }
}

impl<K: Ord, T: Clone> Recent<K, T> {
    /// The answer to `question`, which `ask` gives where none is kept.
    pub(super) async fn get(&self, question: K, ask: impl Future<Output = T>) -> T {
        // Held while the answer is waited for, on purpose: the others that wait here want this very answer.
        let mut kept = self.kept.lock().await;
        kept.retain(|_, (at, _)| at.elapsed() < LIFE);
        if let Some((_, answer)) = kept.get(&question) {
            return answer.clone();
        }
        let answer = ask.await;
        kept.insert(question, (Instant::now(), answer.clone()));
        answer
    }

    /// Forgets what a registry refused, unless it is fresh.
    pub(super) async fn refused(&self) {
        let mut kept = self.kept.lock().await;
        kept.retain(|_, (at, _)| at.elapsed() < REFUSED_AFTER);
    }
}

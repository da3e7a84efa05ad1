//! What Argo CD shows, and the wish that it looks at git.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};

use super::Sources;
use crate::cluster::{ClusterError, Connection};
use crate::policy::ConnectionName;
use crate::world::{Applications, Fact, ObjectName};

/// Applications that Argo CD is asked to refresh at once. Each is a small request, and a push may be about hundreds.
const REFRESHES_AT_ONCE_MAX: usize = 8;

impl Sources {
    /// Asks Argo CD to compare these Applications with git now, where the settings let us; gives those that it would not.
    pub(crate) async fn compare_now(
        &self,
        applications: BTreeSet<(ConnectionName, ObjectName)>,
    ) -> Vec<(ObjectName, ClusterError)> {
        let allowed = |(connection, _): &(ConnectionName, ObjectName)| {
            self.connections[connection].may_refresh()
        };
        let asked: Vec<_> = applications
            .into_iter()
            .filter(allowed)
            .map(|(connection, name)| self.compare_one(connection, name))
            .collect();
        let answers = stream::iter(asked).buffer_unordered(REFRESHES_AT_ONCE_MAX);
        let answers: Vec<_> = answers.collect().await;
        answers.into_iter().flatten().collect()
    }

    async fn compare_one(
        &self,
        connection: ConnectionName,
        name: ObjectName,
    ) -> Option<(ObjectName, ClusterError)> {
        let answer = self.connections[&connection].refresh(&name).await;
        Some((name, answer.err()?))
    }
}

/// What a connection shows.
pub(super) fn shown(connection: &Connection) -> Fact<Arc<Applications>> {
    connection.shown().unwrap_or_else(|| Fact::Unknown {
        why: "it has not been read yet".to_owned(),
    })
}

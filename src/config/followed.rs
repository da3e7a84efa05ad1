//! The custom resources that the settings name, followed for as long as they name them.
//!
//! Not here: how they are read (`cluster`), and what they mean (`resources`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;

use super::settings::CustomResourcesSettings;
use crate::cluster::Pace;
use crate::cluster::resources::{Options, Resource, Resources, Seen};
use crate::login::{Clock, Environment};

/// How long is waited after a failure at most, and a third of how long one namespace may be silent before that is told.
const POLL: Duration = Duration::from_secs(60);

/// The custom resources of a cluster, followed until this is dropped.
pub(super) struct Followed {
    settings: CustomResourcesSettings,
    pub(super) resources: Arc<Resources>,
    task: JoinHandle<()>,
    /// What was said last of each namespace that cannot be read.
    said: BTreeMap<String, String>,
}

/// Makes ready to read what `settings` name; nothing is asked yet.
pub(crate) fn resources(settings: &CustomResourcesSettings, clock: fn() -> Timestamp) -> Resources {
    let CustomResourcesSettings { namespaces, way } = settings;
    Resources::new(Options {
        way: way.clone(),
        namespaces: namespaces.keys().cloned().collect(),
        pace: Pace::polling(POLL),
        environment: Environment::default(),
        clock: Clock(clock),
    })
}

impl Followed {
    pub(super) fn start(settings: CustomResourcesSettings, clock: fn() -> Timestamp) -> Self {
        let resources = Arc::new(resources(&settings, clock));
        let followed = resources.clone();
        Self {
            settings,
            resources,
            task: tokio::spawn(async move { followed.follow().await }),
            said: BTreeMap::new(),
        }
    }

    /// Whether these are the custom resources that `settings` name.
    pub(super) fn is_of(&self, settings: Option<&CustomResourcesSettings>) -> bool {
        let Some(CustomResourcesSettings { namespaces, way }) = settings else {
            return false;
        };
        self.settings.namespaces.keys().eq(namespaces.keys()) && self.settings.way == *way
    }

    /// What is known, the oldest first; `None` before all namespaces were read, or refused us.
    pub(super) fn known(&mut self) -> Option<Vec<Arc<Resource>>> {
        match self.resources.seen() {
            Some(seen) => {
                self.say(&seen);
                Some(seen.resources)
            }
            None => {
                if let Some(why) = self.resources.trouble()
                    && self.said.insert(String::new(), why.clone()) != Some(why.clone())
                {
                    tracing::warn!(why, "custom resources cannot be read yet; waiting for them");
                }
                None
            }
        }
    }

    /// Says which namespaces cannot be read, and which can be read again.
    fn say(&mut self, Seen { namespaces, .. }: &Seen) {
        self.said.remove("");
        for seen in namespaces {
            let namespace = seen.namespace.clone();
            match &seen.failure {
                Some(why) => {
                    if self.said.insert(namespace.clone(), why.clone()).as_ref() != Some(why) {
                        let meanwhile = match seen.heard {
                            Some(_) => "what was seen goes on to count",
                            None => "none of them count until they are",
                        };
                        tracing::warn!(
                            namespace,
                            why,
                            meanwhile,
                            "custom resources cannot be read"
                        );
                    }
                }
                None => {
                    if self.said.remove(&namespace).is_some() {
                        tracing::info!(namespace, "custom resources are read again");
                    }
                }
            }
        }
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

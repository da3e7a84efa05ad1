//! Policies and routes as custom resources: which are read, as the settings write it.
//!
//! Not here: how far the policies of a namespace may go (`limits`), and how each resource is judged (`resources`).

use std::collections::BTreeMap;

use super::check_settings::Check;
use super::forms::OneOrMany;
use super::limits::{Limits, NamespaceEntry};
use super::logins::ObjectName;
use super::raw::RepositoryEntry;
use super::settings::CustomResourcesSettings;
use super::shape::{Block, Named, NamedEntry, Placed, list, shape};
use crate::login::ClusterWay;
use crate::policy::RepositoryName;

shape! {
    /// Policies and routes that stand in a Kubernetes cluster as custom resources, beside those of the files.
    struct CustomResourcesEntry or "write `custom-resources: { namespaces: { team-a: {} } }`" {
        /// The namespaces whose `PromotionPolicy` and `Route` objects count, each with how far its policies may go: `team-a: { paths: apps/team-a }`.
        namespaces: Named<ObjectName, NamespaceEntry> = "namespaces",
        /// The kubeconfig that leads to the cluster, relative to this file. Default: the service account of the pod, or what KUBECONFIG names.
        kubeconfig: Option<Placed<String>> = "kubeconfig",
        /// The context of the kubeconfig. Default: its current one.
        context: Option<Placed<String>> = "context",
    }
}

impl Check<'_> {
    /// The cluster is not asked: settings are checked elsewhere too.
    pub(super) fn custom_resources(
        &mut self,
        entry: Option<Block<CustomResourcesEntry>>,
        repositories: &Named<RepositoryName, RepositoryEntry>,
    ) -> Option<CustomResourcesSettings> {
        let CustomResourcesEntry {
            namespaces,
            kubeconfig,
            context,
        } = entry?.value;
        let known = repositories.entries.iter();
        let known: Vec<&str> = known.map(|entry| entry.key.value.as_str()).collect();
        let mut limits = BTreeMap::new();
        for NamedEntry { key, value } in namespaces.entries {
            let Some(entry) = value else {
                continue;
            };
            let named = entry.repositories.iter();
            for name in named.flat_map(|OneOrMany(names)| names) {
                if !known.contains(&name.value.value.as_str()) {
                    self.faults.error_with_hint(
                        name.value.span,
                        format!("the settings name no repository `{}`", name.value.value),
                        format!("known: {}", list(&known)),
                    );
                }
            }
            let ObjectName(namespace) = key.value;
            let of_namespace = Limits::new(&namespace, entry);
            limits.insert(namespace, of_namespace);
        }
        Some(CustomResourcesSettings {
            namespaces: limits,
            way: ClusterWay {
                kubeconfig: kubeconfig.map(|file| self.existing(file)),
                context: context.map(|context| context.value),
            },
        })
    }
}

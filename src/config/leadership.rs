//! Leadership: what may be written, and what it means.

use super::check_settings::Check;
use super::logins::ObjectName;
use super::settings::LeadershipSettings;
use super::shape::{Placed, shape};
use crate::login::ClusterWay;

/// The Lease where no other is named.
const LEASE: &str = "towpath";

shape! {
    /// Which of several processes promotes: whoever holds a Lease of Kubernetes. Nothing means a Lease in the namespace that towpath runs in.
    struct LeadershipEntry {
        /// The name of the Lease, which all of them share and nobody else. Default: `towpath`.
        lease: Option<Placed<ObjectName>> = "lease",
        /// The namespace of the Lease. Default: that of the pod, or of the kubeconfig's context.
        namespace: Option<Placed<ObjectName>> = "namespace",
        /// The kubeconfig that leads to the cluster, relative to this file. Default: the service account of the pod, or what KUBECONFIG names.
        kubeconfig: Option<Placed<String>> = "kubeconfig",
        /// The context of the kubeconfig. Default: its current one.
        context: Option<Placed<String>> = "context",
    }
}

impl Check<'_> {
    /// The cluster is not asked: settings are checked elsewhere too.
    pub(super) fn leadership(&mut self, entry: LeadershipEntry) -> LeadershipSettings {
        let LeadershipEntry {
            lease,
            namespace,
            kubeconfig,
            context,
        } = entry;
        LeadershipSettings {
            lease: lease.map_or_else(|| LEASE.to_owned(), |lease| lease.value.0),
            namespace: namespace.map(|namespace| namespace.value.0),
            way: ClusterWay {
                kubeconfig: kubeconfig.map(|file| self.existing(file)),
                context: context.map(|context| context.value),
            },
        }
    }
}

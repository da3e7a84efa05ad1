//! Policies and routes as custom resources of a Kubernetes API: the latest reading, and what is written back of how they stand.
//!
//! Not here: what they say (`config`), and what their status says (`daemon`).
//! Invariant: what was seen stays until the server says otherwise. A server that cannot be asked, or that refuses, takes nothing away.

mod known_status;
mod whole;

use std::fmt;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use jiff::Timestamp;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::error::ClusterError;
use super::kept::{Kept, Objects, Part, Reading, Readings, Standing};
use super::kubernetes::{Kubernetes, KubernetesOptions};
use super::nouns::{Kind, name_of};
use super::{Namespace, Pace, wire};
use crate::login::{Clock, ClusterWay, Environment};
use crate::world::ObjectName;
pub(crate) use known_status::KnownStatus;
use whole::{BEYOND, Holds, has_room, trim};

/// The group of our custom resources.
pub(crate) const GROUP: &str = "towpath.dev";

/// Largest `spec` that is kept, in bytes: 64 environments of 4 KiB each. A policy has about 1 kB, and an API server takes 1.5 MB.
const SPEC_BYTES_MAX: usize = 256 * 1024;

/// Largest `status` that is looked at: we write of 200 images, with 1,100 bytes each at the worst. A larger one is not ours, and written
/// over.
const STATUS_BYTES_MAX: usize = 512 * 1024;

/// How the cluster with the custom resources is read.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) way: ClusterWay,
    /// One at least, each once.
    pub(crate) namespaces: Vec<String>,
    pub(crate) pace: Pace,
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
}

/// What a custom resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ResourceKind {
    Policy,
    Route,
}

/// One custom resource of all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceId {
    pub(crate) kind: ResourceKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// A custom resource as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Resource {
    pub(crate) id: ResourceId,
    /// Another one of the same name, made after this one was deleted, has another.
    pub(crate) uid: String,
    /// The server counts on with each change of what it says.
    pub(crate) generation: i64,
    /// Of all of it, its status too.
    version: String,
    pub(crate) created: Option<Timestamp>,
    /// What it says, or why that cannot be told.
    pub(crate) spec: Result<Json, String>,
    /// How long that is, as JSON.
    bytes: usize,
    /// What stands there of how it is.
    pub(crate) status: KnownStatus,
    is_being_deleted: bool,
}

/// Everything that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The oldest first.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// In the order of their names.
    pub(crate) namespaces: Vec<NamespaceSeen>,
}

/// How the reading of a namespace stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamespaceSeen {
    pub(crate) namespace: String,
    /// Since when what was read is not known to be otherwise; `None` before the first reading.
    pub(crate) heard: Option<Timestamp>,
    /// Why the server could not be asked since.
    pub(crate) failure: Option<String>,
}

/// The custom resources of some namespaces.
pub(crate) struct Resources {
    kubernetes: Kubernetes,
    namespaces: Vec<String>,
    kept: Kept,
}

/// A policy among what is kept.
#[derive(Debug, PartialEq)]
pub(super) struct PolicyResource(Arc<Resource>);

/// A route among what is kept.
#[derive(Debug, PartialEq)]
pub(super) struct RouteResource(Arc<Resource>);

impl Resources {
    /// Makes ready; nothing is asked yet.
    pub(crate) fn new(options: Options) -> Self {
        let Options {
            way,
            namespaces,
            pace,
            environment,
            clock,
        } = options;
        let kubernetes = Kubernetes::new(KubernetesOptions {
            way,
            namespaces: namespaces.iter().cloned().map(Namespace::Named).collect(),
            selector: None,
            pace,
            environment,
            clock,
        });
        Self {
            kubernetes,
            kept: Kept::new(namespaces.len(), pace.stale_after),
            namespaces,
        }
    }

    /// Follows what the server says, for ever; a failure is tried again. May be dropped at any time.
    pub(crate) async fn follow(&self) {
        let (kubernetes, kept) = (&self.kubernetes, &self.kept);
        let each = kubernetes.places().map(|place| {
            join(
                kubernetes.follow_kind::<PolicyResource>(place, kept),
                kubernetes.follow_kind::<RouteResource>(place, kept),
            )
        });
        join_all(each).await;
    }

    /// Reads everything once.
    pub(crate) async fn read(&self) {
        let (kubernetes, kept) = (&self.kubernetes, &self.kept);
        let each = kubernetes.places().map(|place| {
            join(
                kubernetes.read_kind::<PolicyResource>(place, kept),
                kubernetes.read_kind::<RouteResource>(place, kept),
            )
        });
        join_all(each).await;
    }

    /// What is known; `None` as long as some namespace gave neither an answer nor a refusal. One that is refused has nothing for us,
    /// until it is not refused any more, and stops no other.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let policies = self.kept.standings::<PolicyResource>();
        let routes = self.kept.standings::<RouteResource>();
        let mut seen = Seen::default();
        for ((namespace, policies), routes) in self.namespaces.iter().zip(policies).zip(routes) {
            if is_open(&policies) || is_open(&routes) {
                return None;
            }
            let failure = policies.failure.or(routes.failure);
            seen.namespaces.push(NamespaceSeen {
                namespace: namespace.clone(),
                heard: policies.heard.min(routes.heard),
                failure: failure.map(|(why, _)| why),
            });
            let policies = policies.objects.values().map(|object| object.0.clone());
            let routes = routes.objects.values().map(|object| object.0.clone());
            let all = policies.chain(routes);
            let there = all.filter(|resource| !resource.is_being_deleted);
            seen.resources.extend(there);
        }
        seen.resources.sort_by_cached_key(|resource| resource.age());
        seen.namespaces
            .sort_by(|a, b| a.namespace.cmp(&b.namespace));
        Some(seen)
    }

    /// Why some namespace gave no answer, for those who wait for it.
    pub(crate) fn trouble(&self) -> Option<String> {
        let policies = self.kept.standings::<PolicyResource>();
        let routes = self.kept.standings::<RouteResource>();
        let policies = policies.into_iter().map(|standing| standing.failure);
        let routes = routes.into_iter().map(|standing| standing.failure);
        policies.chain(routes).flatten().map(|(why, _)| why).next()
    }

    /// Waits until something was said that was not known before. One who waits is woken. May be dropped at any time.
    pub(crate) async fn changed(&self) {
        self.kept.changed().await;
    }

    /// Writes how a resource stands, if it still is as it was read, and says whether it was.
    pub(crate) async fn write_status(
        &self,
        resource: &Resource,
        status: &Json,
    ) -> Result<bool, ClusterError> {
        let Resource { id, version, .. } = resource;
        let name = resource.name();
        match id.kind {
            ResourceKind::Policy => {
                let kubernetes = &self.kubernetes;
                kubernetes
                    .patch_status::<PolicyResource>((&name, version), status)
                    .await
            }
            ResourceKind::Route => {
                let kubernetes = &self.kubernetes;
                kubernetes
                    .patch_status::<RouteResource>((&name, version), status)
                    .await
            }
        }
    }
}

impl ResourceKind {
    /// As objects say it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Policy => "PromotionPolicy",
            Self::Route => "Route",
        }
    }

    /// As URLs, rules of access and kubectl name it.
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Policy => PolicyResource::RESOURCE,
            Self::Route => RouteResource::RESOURCE,
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
        } = self;
        write!(f, "{}/{namespace}/{name}", kind.plural())
    }
}

impl Resource {
    fn new(kind: ResourceKind, wire: wire::Custom) -> (ObjectName, Arc<Self>) {
        let wire::Custom {
            metadata,
            spec,
            status,
        } = wire;
        let name = name_of(&metadata);
        let read = |raw: &RawValue| {
            let read = serde_json::from_str(raw.get());
            read.map_err(|_| "it is nested too deeply to be read".to_owned())
        };
        let bytes = spec.as_deref().map_or(0, |raw| raw.get().len());
        let spec = match spec.as_deref() {
            Some(raw) if raw.get().len() > SPEC_BYTES_MAX => Err(too_large()),
            raw => raw.map_or(Ok(Json::Null), read),
        };
        let resource = Self {
            id: ResourceId {
                kind,
                namespace: metadata.namespace,
                name: metadata.name,
            },
            uid: metadata.uid,
            generation: metadata.generation,
            version: metadata.resource_version.unwrap_or_default(),
            created: metadata
                .creation_timestamp
                .and_then(|created| created.parse().ok()),
            spec,
            bytes,
            status: status
                .as_deref()
                .filter(|raw| raw.get().len() <= STATUS_BYTES_MAX)
                .and_then(|raw| read(raw).ok())
                .map(|status| KnownStatus::of(&status))
                .unwrap_or_default(),
            is_being_deleted: metadata.deletion_timestamp.is_some(),
        };
        (name, Arc::new(resource))
    }

    /// One that nobody has made yet, as `spec` would have it.
    pub(crate) fn written(id: ResourceId, spec: Json) -> Arc<Self> {
        let bytes = spec.to_string().len();
        Arc::new(Self {
            id,
            uid: String::new(),
            generation: 0,
            version: String::new(),
            created: None,
            spec: match bytes > SPEC_BYTES_MAX {
                true => Err(too_large()),
                false => Ok(spec),
            },
            bytes,
            status: KnownStatus::default(),
            is_being_deleted: false,
        })
    }

    /// The same one, saying what `other` does.
    pub(crate) fn rewritten(&self, other: &Self) -> Self {
        Self {
            spec: other.spec.clone(),
            bytes: other.bytes,
            ..self.clone()
        }
    }

    /// What the oldest has least of.
    fn age(&self) -> (Timestamp, ResourceId) {
        (self.created.unwrap_or(Timestamp::MAX), self.id.clone())
    }

    fn name(&self) -> ObjectName {
        ObjectName {
            namespace: self.id.namespace.as_str().into(),
            name: self.id.name.as_str().into(),
        }
    }

    /// Whether what it says is kept.
    fn is_whole(&self) -> bool {
        !matches!(&self.spec, Err(why) if why == BEYOND)
    }

    /// Whether it is the same and says the same; how it stands we write ourselves.
    fn is_like(&self, other: &Self) -> bool {
        let Self {
            id,
            uid,
            generation,
            version: _,
            created,
            spec,
            bytes: _,
            status: _,
            is_being_deleted,
        } = self;
        (id, uid, generation) == (&other.id, &other.uid, &other.generation)
            && (created, spec) == (&other.created, &other.spec)
            && *is_being_deleted == other.is_being_deleted
    }
}

fn too_large() -> String {
    format!("it has more than {SPEC_BYTES_MAX} bytes")
}

/// Whether there was neither an answer nor a refusal yet.
fn is_open<T>(standing: &Standing<T>) -> bool {
    let may_pass = standing.failure.as_ref().is_none_or(|(_, passes)| *passes);
    standing.heard.is_none() && may_pass
}

impl Kind for PolicyResource {
    type Wire = wire::Custom;

    const RESOURCE: &str = "promotionpolicies";
    const GROUP: &str = GROUP;

    fn noun(wire: Self::Wire) -> (ObjectName, Self) {
        let (name, resource) = Resource::new(ResourceKind::Policy, wire);
        (name, Self(resource))
    }

    fn metadata(wire: &Self::Wire) -> &wire::Metadata {
        &wire.metadata
    }
}

impl Kind for RouteResource {
    type Wire = wire::Custom;

    const RESOURCE: &str = "routes";
    const GROUP: &str = GROUP;

    fn noun(wire: Self::Wire) -> (ObjectName, Self) {
        let (name, resource) = Resource::new(ResourceKind::Route, wire);
        (name, Self(resource))
    }

    fn metadata(wire: &Self::Wire) -> &wire::Metadata {
        &wire.metadata
    }
}

impl Holds for PolicyResource {
    fn resource(&self) -> &Arc<Resource> {
        &self.0
    }

    fn holding(resource: Arc<Resource>) -> Self {
        Self(resource)
    }
}

impl Holds for RouteResource {
    fn resource(&self) -> &Arc<Resource> {
        &self.0
    }

    fn holding(resource: Arc<Resource>) -> Self {
        Self(resource)
    }
}

impl Part for PolicyResource {
    fn of(readings: &mut Readings) -> &mut Vec<Reading<Self>> {
        &mut readings.policies
    }

    fn trim(objects: &mut Objects<Self>) {
        trim(objects);
    }

    fn misses_some(objects: &Objects<Self>) -> bool {
        has_room(objects)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.0.is_like(&other.0)
    }
}

impl Part for RouteResource {
    fn of(readings: &mut Readings) -> &mut Vec<Reading<Self>> {
        &mut readings.routes
    }

    fn trim(objects: &mut Objects<Self>) {
        trim(objects);
    }

    fn misses_some(objects: &Objects<Self>) -> bool {
        has_room(objects)
    }

    fn is_like(&self, other: &Self) -> bool {
        self.0.is_like(&other.0)
    }
}

#[cfg(test)]
impl Resource {
    /// One that was made at the second `created`, from an object as people write it.
    pub(crate) fn sample(object: &Json, namespace: &str, created: i64) -> Arc<Self> {
        let kind = match object["kind"] == "Route" {
            true => ResourceKind::Route,
            false => ResourceKind::Policy,
        };
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        Arc::new(Self {
            id: ResourceId {
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            },
            uid: format!("uid-of-{name}"),
            generation: 1,
            version: String::new(),
            created: Timestamp::from_second(created).ok(),
            spec: Ok(object["spec"].clone()),
            bytes: object["spec"].to_string().len(),
            status: KnownStatus::default(),
            is_being_deleted: false,
        })
    }
}

#[cfg(test)]
#[path = "../../../tests/contract/resources.rs"]
mod contract;

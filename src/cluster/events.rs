//! Kubernetes Events: tells people who look at an object what we did about it.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/>. What is said again within [`SERIES_MAX`] is one
//! Event whose series counts. `kube-runtime` has a recorder, which waits for the answer wherever something is told, and would be the
//! only thing that is used of it. Not here: what is worth an Event (`daemon`).
//! Invariant: nobody waits for an Event. Where the API is away or refuses, that is logged once and counted, and the Event is lost.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event as Sent;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{GetParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Api, Client};
use prometheus::{IntCounterVec, register_int_counter_vec};
use serde_json::{Value as Json, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::error::ClusterError;
use super::rights::judged;
use super::{KUBERNETES, now};
use crate::login::{Clock, ClusterWay, Environment};
use crate::world::ObjectName;

/// How long the same thing said again is the same Event: as in client-go's broadcaster (`finishTime`),
/// <https://github.com/kubernetes/client-go/blob/master/tools/events/event_broadcaster.go>.
const SERIES_MAX: Duration = Duration::from_secs(6 * 60);

/// Events that wait to be told: a push that promotes 500 applications and a second one. With 1 KiB of words each they are 1 MiB.
const WAITING_MAX: usize = 1000;

/// The time between two requests: five a second, what client-go allows a client by default, so that a push of 500 applications is told
/// within two minutes and no API server notices.
const PACE: Duration = Duration::from_millis(200);

/// Series that are remembered: as many as are told at [`PACE`] in half of [`SERIES_MAX`].
const SERIES_KEPT_MAX: usize = 1000;

/// Longest note: <https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/validation/events.go>.
const NOTE_BYTES_MAX: usize = 1024;

/// Longest name of ours, by the same rules.
const INSTANCE_BYTES_MAX: usize = 128;

/// How much of an object's name begins that of an Event: 253 characters are allowed, and 17 follow.
const NAME_BYTES_MAX: usize = 236;

/// Who tells, as `kubectl` shows it.
const CONTROLLER: &str = "towpath.dev/towpath";

static EVENTS: LazyLock<IntCounterVec> = LazyLock::new(|| {
    register_int_counter_vec!(
        "towpath_kubernetes_events_total",
        "Events of Kubernetes by what became of them: `told`, `failed`, or `dropped` where too many waited",
        &["outcome"]
    )
    .expect("the metric is registered once, under a name of its own")
});

/// Something that people should see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) mood: Mood,
    /// Why, in one word that scripts may look for: `Promoted`.
    pub(crate) reason: &'static str,
    /// What was done: `Promoting`.
    pub(crate) action: &'static str,
    pub(crate) note: String,
}

/// Whether somebody should worry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mood {
    Normal,
    Warning,
}

/// What an Event is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    api_version: &'static str,
    kind: &'static str,
    /// What such objects are called in addresses.
    resource: &'static str,
    namespace: String,
    name: String,
    uid: Uid,
}

/// Which one of all that ever had a name. Those who show an object look for the Events of exactly that one: `kubectl describe` by the
/// `uid` too, <https://github.com/kubernetes/kubectl/blob/master/pkg/describe/describe.go> (`searchEvents`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Uid {
    /// The API knows it.
    Asked,
    /// The API knows it, and where it does not let us know, the Event is told without: better than none.
    AskedIfAllowed,
    /// We were told, or not: nobody asks for pods.
    Told(Option<String>),
}

/// Tells Events of one cluster, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Reporter {
    inbox: mpsc::Sender<(Object, Event)>,
    /// What stands for all of us, where that is told of.
    us: Option<Object>,
}

/// What our pod belongs to, by the variable POD_OWNER: `Deployment/towpath`. What made the pod knows it too, but to ask for that would
/// take the right to `get` all pods and ReplicaSets of the namespace, whose names nobody knows beforehand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) kind: OwnerKind,
    pub(crate) name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerKind {
    Deployment,
    StatefulSet,
}

/// Why nothing can be told of ourselves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnknownSelfError {
    #[error("towpath does not know its own pod: POD_NAME and POD_NAMESPACE are not set")]
    Pod,
    #[error("POD_OWNER is `{0}`, which is neither `Deployment/NAME` nor `StatefulSet/NAME`")]
    Owner(String),
}

impl Owner {
    /// The one that `environment` names, if it names one.
    pub(crate) fn of(environment: &Environment) -> Result<Option<Self>, UnknownSelfError> {
        let Some(text) = environment.var("POD_OWNER") else {
            return Ok(None);
        };
        let kind = match text.split_once('/') {
            Some(("Deployment", name)) => Some((OwnerKind::Deployment, name)),
            Some(("StatefulSet", name)) => Some((OwnerKind::StatefulSet, name)),
            Some(_) | None => None,
        };
        match kind.filter(|(_, name)| is_name(name)) {
            Some((kind, name)) => Ok(Some(Self {
                kind,
                name: name.to_owned(),
            })),
            None => Err(UnknownSelfError::Owner(text)),
        }
    }
}

impl OwnerKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
        }
    }

    /// What such objects are called in addresses, and in rights.
    pub(crate) fn resource(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
        }
    }
}

impl Reporter {
    /// Tells by `way` from now on, until the last one of these is dropped. Runs inside a tokio runtime.
    pub(super) fn start(way: ClusterWay, environment: Environment, clock: Clock) -> Self {
        let (inbox, mut waiting) = mpsc::channel(WAITING_MAX);
        let host = || {
            let system = rustix::system::uname();
            system.nodename().to_string_lossy().into_owned()
        };
        let instance = environment.var("POD_NAME").unwrap_or_else(host);
        let mut teller = Teller {
            way,
            environment,
            clock,
            instance: beginning(&instance, INSTANCE_BYTES_MAX).to_owned(),
            client: None,
            series: BTreeMap::new(),
            is_well: true,
        };
        tokio::spawn(async move {
            while let Some((object, event)) = waiting.recv().await {
                teller.tell(object, event).await;
                sleep(PACE).await;
            }
        });
        Self { inbox, us: None }
    }

    /// One that tells of ourselves by `way`: of what our pod belongs to, or else of the pod.
    pub(crate) fn of_ourselves(
        way: ClusterWay,
        environment: Environment,
        clock: Clock,
    ) -> Result<Self, UnknownSelfError> {
        let us = Some(ourselves(&environment)?);
        let reporter = Self::start(way, environment, clock);
        Ok(Self { us, ..reporter })
    }

    /// Tells of ourselves.
    pub(crate) fn of_us(&self, event: Event) {
        if let Some(us) = &self.us {
            self.send(us.clone(), event);
        }
    }

    /// Tells of an Application.
    pub(super) fn of_application(&self, name: &ObjectName, event: Event) {
        let ObjectName { namespace, name } = name;
        let application = Object {
            api_version: "argoproj.io/v1alpha1",
            kind: "Application",
            resource: "applications",
            namespace: namespace.to_string(),
            name: name.to_string(),
            uid: Uid::Asked,
        };
        self.send(application, event);
    }

    fn send(&self, object: Object, event: Event) {
        if self.inbox.try_send((object, event)).is_err() {
            EVENTS.with_label_values(&["dropped"]).inc();
        }
    }
}

fn ourselves(environment: &Environment) -> Result<Object, UnknownSelfError> {
    let named = |variable| environment.var(variable).ok_or(UnknownSelfError::Pod);
    let (namespace, name) = (named("POD_NAMESPACE")?, named("POD_NAME")?);
    Ok(match Owner::of(environment)? {
        Some(Owner { kind, name }) => Object {
            api_version: "apps/v1",
            kind: kind.as_str(),
            resource: kind.resource(),
            namespace,
            name,
            uid: Uid::AskedIfAllowed,
        },
        None => Object {
            api_version: "v1",
            kind: "Pod",
            resource: "pods",
            namespace,
            name,
            uid: Uid::Told(environment.var("POD_UID")),
        },
    })
}

/// Whether it can stand in an address: <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
fn is_name(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
    !text.is_empty() && text.chars().all(is_part)
}

/// Whoever sends them.
struct Teller {
    way: ClusterWay,
    environment: Environment,
    clock: Clock,
    instance: String,
    /// Made when it is needed, and anew after a failure.
    client: Option<Client>,
    series: BTreeMap<(Object, Event), Series>,
    /// Whether the last Event was told.
    is_well: bool,
}

/// An Event that may be said again.
struct Series {
    name: String,
    count: i32,
    last: Instant,
}

/// How long one answer may take; what comes meanwhile waits.
const ANSWER_MAX: Duration = Duration::from_secs(10);

impl Teller {
    async fn tell(&mut self, object: Object, event: Event) {
        let told = match timeout(ANSWER_MAX, self.try_to_tell(&object, &event)).await {
            Ok(told) => told,
            Err(_) => Err(ClusterError::Silent {
                server: KUBERNETES.to_owned(),
                what: WHAT.to_owned(),
            }),
        };
        let outcome = match &told {
            Ok(()) => "told",
            Err(_) => "failed",
        };
        EVENTS.with_label_values(&[outcome]).inc();
        let was_well = std::mem::replace(&mut self.is_well, told.is_ok());
        let Object {
            kind,
            namespace,
            name,
            ..
        } = &object;
        match told {
            Ok(()) if was_well => {}
            Ok(()) => tracing::info!("Events are told again"),
            Err(error) => {
                self.client = None;
                if was_well {
                    let why = error.whole();
                    tracing::warn!(
                        kind,
                        namespace,
                        name,
                        why,
                        "an Event could not be told, nor will those be that come while this lasts"
                    );
                }
            }
        }
    }

    async fn try_to_tell(&mut self, object: &Object, event: &Event) -> Result<(), ClusterError> {
        let client = self.client().await?;
        let api: Api<Sent> = Api::namespaced(client.clone(), &object.namespace);
        self.series
            .retain(|_, series| series.last.elapsed() < SERIES_MAX);
        let time = now(self.clock);
        let key = (object.clone(), event.clone());
        if let Some(series) = self.series.get_mut(&key) {
            let count = series.count + 1;
            let again = json!({ "series": { "count": count, "lastObservedTime": micros(time) } });
            let plain = PatchParams::default();
            let patched = api.patch(&series.name, &plain, &Patch::Merge(&again)).await;
            match patched {
                Ok(_) => {
                    series.count = count;
                    series.last = Instant::now();
                    return Ok(());
                }
                // Events end after an hour or so, and anybody may delete one: it is told as if for the first time.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => return Err(judged(error, WHAT)),
            }
        }
        let uid = match &object.uid {
            Uid::Told(uid) => uid.clone(),
            Uid::Asked => uid(&client, object).await?,
            Uid::AskedIfAllowed => match uid(&client, object).await {
                Err(ClusterError::Forbidden { .. } | ClusterError::Denied { .. }) => None,
                asked => asked?,
            },
        };
        let name = name_of_event(&object.name, fastrand::u64(..));
        let sent = self.sent((object, uid), event, (&name, time));
        let created = api.create(&PostParams::default(), &sent).await;
        created.map_err(|error| judged(error, WHAT))?;
        if self.series.len() < SERIES_KEPT_MAX {
            let last = Instant::now();
            let count = 1;
            self.series.insert(key, Series { name, count, last });
        }
        Ok(())
    }

    fn sent(
        &self,
        (object, uid): (&Object, Option<String>),
        event: &Event,
        (name, time): (&str, Timestamp),
    ) -> Sent {
        let Event {
            mood,
            reason,
            action,
            note,
        } = event;
        let mood = match mood {
            Mood::Normal => "Normal",
            Mood::Warning => "Warning",
        };
        Sent {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(object.namespace.clone()),
                ..ObjectMeta::default()
            },
            event_time: Some(MicroTime(time)),
            type_: Some(mood.to_owned()),
            reason: Some((*reason).to_owned()),
            action: Some((*action).to_owned()),
            note: Some(beginning(note, NOTE_BYTES_MAX).to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(object.api_version.to_owned()),
                kind: Some(object.kind.to_owned()),
                namespace: Some(object.namespace.clone()),
                name: Some(object.name.clone()),
                uid,
                ..ObjectReference::default()
            }),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(self.instance.clone()),
            ..Sent::default()
        }
    }

    async fn client(&mut self) -> Result<Client, ClusterError> {
        if let Some(client) = &self.client {
            return Ok(client.clone());
        }
        let (client, _) = self.way.client(&self.environment, Some(ANSWER_MAX)).await?;
        Ok(self.client.insert(client).clone())
    }
}

/// What all of this does, for messages.
const WHAT: &str = "write an Event";

/// The `uid` of an object; nothing else of it is sent.
async fn uid(client: &Client, object: &Object) -> Result<Option<String>, ClusterError> {
    let Object {
        api_version,
        kind: _,
        resource,
        namespace,
        name,
        uid: _,
    } = object;
    let place = format!("/apis/{api_version}/namespaces/{namespace}/{resource}");
    let request = Request::new(place).get_metadata(name, &GetParams::default());
    let request = request.expect("an object has a name");
    let told: Json = client
        .request(request)
        .await
        .map_err(|error| judged(error, WHAT))?;
    let uid = told.pointer("/metadata/uid").and_then(Json::as_str);
    Ok(uid.map(str::to_owned))
}

/// The name of an Event about an object: none of its parts between dots may end in `-`, nor be empty,
/// <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>.
fn name_of_event(object: &str, number: u64) -> String {
    let start = beginning(object, NAME_BYTES_MAX).trim_end_matches(['.', '-']);
    format!("{start}.{number:016x}")
}

/// As the API writes times of Events.
fn micros(time: Timestamp) -> Json {
    json!(MicroTime(time))
}

/// The most of `text` that has at most `bytes_max` bytes.
fn beginning(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::{beginning, name_of_event};

    #[test]
    fn the_name_of_an_event_is_one_wherever_that_of_its_object_is_cut() {
        assert_eq!(name_of_event("shop", 10), "shop.000000000000000a");
        for cut in [".", "-", "-.", "--"] {
            let start = "a".repeat(236 - cut.len());
            let name = name_of_event(&format!("{start}{cut}more"), 0);
            assert_eq!(name, format!("{start}.0000000000000000"));
        }
        let whole = name_of_event(&"a".repeat(253), u64::MAX);
        assert_eq!(whole.len(), 253);
    }

    #[test]
    fn a_note_ends_before_the_character_that_would_be_too_much() {
        assert_eq!(beginning("äöü", 4), "äö");
        assert_eq!(beginning("äöü", 5), "äö");
        assert_eq!(beginning("äöü", 6), "äöü");
        assert_eq!(beginning("", 4), "");
    }
}

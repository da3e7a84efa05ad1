//! Objects of one kind by list and watch of the Kubernetes API: Argo CD's, and our own custom resources.
//!
//! <https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>. `kube-runtime` has such a
//! loop, but passes neither bookmarks nor the ends of watches on, which tell how old a reading is.
//! Invariant: a watch goes on where the last one ended, and where the server has forgotten that place everything is listed
//! anew; until the list is whole, the old one stands.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::{join, join_all};
use kube::api::{ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::core::{Request, Status};
use kube::{Client, Error};
use serde_json::{Value as Json, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::error::ClusterError;
use super::kept::{Kept, Objects, Part};
use super::nouns::{Kind, REFRESH, beginning};
use super::wire::List;
use super::{KUBERNETES, Namespace, Pace, back_off, now};
use crate::login::{Clock, ClusterWay, Environment, told_cause};
use crate::world::{Application, ObjectName, SyncWindow};

/// Objects a page: of 22 KB each 440 KB, which are in memory as text while they are read. An allocator keeps about twice as much for
/// the next, for each thread; pages of 500 would cost more memory than all that is kept of 2,000 Applications.
const PAGE_SIZE: u32 = 20;

/// The most pages of one list: 100,000 objects.
const PAGES_MAX: usize = 5000;

/// A cluster with what is read there.
pub(super) struct Kubernetes {
    options: KubernetesOptions,
    /// Made when it is needed, and anew when it may have been the reason of a failure.
    client: Mutex<Option<Client>>,
}

/// Which cluster, what of it, and how.
pub(super) struct KubernetesOptions {
    pub(super) way: ClusterWay,
    pub(super) namespaces: Vec<Namespace>,
    /// The labels that objects have to have, of kinds that people select so.
    pub(super) selector: Option<String>,
    pub(super) pace: Pace,
    pub(super) environment: Environment,
    pub(super) clock: Clock,
}

/// The objects of one kind in one namespace.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its number among all.
    number: usize,
    namespace: &'a Namespace,
}

/// What a failure means for the next try.
struct Failed {
    error: ClusterError,
    /// The server's own wish.
    wait: Option<Duration>,
}

impl Kubernetes {
    pub(super) fn new(options: KubernetesOptions) -> Self {
        Self {
            options,
            client: Mutex::new(None),
        }
    }

    pub(super) async fn follow(&self, kept: &Kept) {
        let each = self.places().map(|place| {
            join(
                self.follow_kind::<Application>(place, kept),
                self.follow_kind::<Vec<SyncWindow>>(place, kept),
            )
        });
        join_all(each).await;
    }

    pub(super) async fn read(&self, kept: &Kept) {
        let each = self.places().map(|place| {
            join(
                self.read_kind::<Application>(place, kept),
                self.read_kind::<Vec<SyncWindow>>(place, kept),
            )
        });
        join_all(each).await;
    }

    /// Sets the annotation that the controller waits for; what else stands there stays.
    pub(super) async fn refresh(&self, application: &ObjectName) -> Result<(), ClusterError> {
        let ObjectName { namespace, name } = application;
        let namespace = Namespace::Named(namespace.to_string());
        let what = format!("refresh the Application `{application}`");
        let patch = Patch::Merge(json!({ "metadata": { "annotations": { REFRESH: "normal" } } }));
        let request = Request::new(url::<Application>(&namespace));
        let request = request.patch(name, &PatchParams::default(), &patch);
        let request = request.expect("a patch of JSON can be written");
        let client = self.client().await?;
        let answer = timeout(self.options.pace.answer, client.request::<Json>(request)).await;
        let patched = self.judge::<Application, _>((&namespace, "patch", &what), answer);
        patched
            .map(drop)
            .map_err(|Failed { error, .. }| match error {
                ClusterError::NotInstalled { .. } => ClusterError::Missing {
                    server: KUBERNETES.to_owned(),
                    what: format!("Application `{application}`"),
                },
                error => error,
            })
    }

    /// Writes what stands under `status` of one object, if it still is of this version: it may have been changed, or deleted and made
    /// again. Says whether it was.
    ///
    /// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#status-subresource>. What else
    /// the patch says of an object's identity is passed over there (seen with 1.36), but not its version.
    pub(super) async fn patch_status<T: Kind>(
        &self,
        (object, version): (&ObjectName, &str),
        status: &Json,
    ) -> Result<bool, ClusterError> {
        let ObjectName { namespace, name } = object;
        let namespace = Namespace::Named(namespace.to_string());
        let what = format!("write the status of `{object}` of {}", T::RESOURCE);
        let patch =
            Patch::Merge(json!({ "metadata": { "resourceVersion": version }, "status": status }));
        let request = Request::new(url::<T>(&namespace));
        let request = request.patch_subresource("status", name, &PatchParams::default(), &patch);
        let request = request.expect("a patch of JSON can be written");
        let client = self.client().await?;
        let answer = timeout(self.options.pace.answer, client.request::<Json>(request)).await;
        let patched = self.judge::<T, _>((&namespace, "patch", &what), answer);
        match patched {
            Ok(_) => Ok(true),
            Err(Failed {
                error: ClusterError::Answered { code: 409, .. },
                ..
            }) => Ok(false),
            Err(Failed { mut error, .. }) => {
                self.doubt(&error).await;
                if let ClusterError::Forbidden { resource, .. } = &mut error {
                    resource.push_str("/status");
                }
                Err(error)
            }
        }
    }

    pub(super) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let namespaces = self.options.namespaces.iter().enumerate();
        namespaces.map(|(number, namespace)| Place { number, namespace })
    }

    pub(super) async fn read_kind<T: Kind + Part>(&self, place: Place<'_>, kept: &Kept) {
        if let Err(Failed { error, .. }) = self.list::<T>(place, kept).await {
            kept.fail::<T>(place.number, &error, now(self.options.clock));
        }
    }

    /// Lists and watches, for ever.
    pub(super) async fn follow_kind<T: Kind + Part>(&self, place: Place<'_>, kept: &Kept) {
        // Where the next watch begins; `None` for a list.
        let mut version: Option<String> = None;
        let mut failures = 0;
        loop {
            let begun = Instant::now();
            let done = match version.clone() {
                None => self.list::<T>(place, kept).await.map(Some),
                Some(from) => self.watch::<T>((place, &mut version), from, kept).await,
            };
            match done {
                Ok(Some(next)) => {
                    let is_listed = version.replace(next).is_none();
                    match begun.elapsed() < self.options.pace.back_off {
                        // A list is followed by its watch at once.
                        _ if is_listed => {}
                        true => sleep(self.wait(&mut failures, None)).await,
                        false => failures = 0,
                    }
                }
                Ok(None) => {
                    tracing::debug!(kind = T::RESOURCE, "the watch is too old; listing anew");
                    version = None;
                    sleep(self.wait(&mut failures, None)).await;
                }
                Err(Failed { error, wait }) => {
                    tracing::debug!(
                        kind = T::RESOURCE,
                        "the cluster cannot be watched: {}",
                        error.whole()
                    );
                    self.doubt(&error).await;
                    kept.fail::<T>(place.number, &error, now(self.options.clock));
                    sleep(self.wait(&mut failures, wait)).await;
                }
            }
        }
    }

    fn wait(&self, failures: &mut u32, wish: Option<Duration>) -> Duration {
        let own = back_off(&self.options.pace, *failures);
        *failures += 1;
        wish.unwrap_or_default().max(own)
    }

    /// Lists everything, page by page, and gives the version of the whole.
    async fn list<T: Kind + Part>(&self, place: Place<'_>, kept: &Kept) -> Result<String, Failed> {
        let Place { number, namespace } = place;
        let what = format!("list {} in {namespace}", T::RESOURCE);
        let request = Request::new(url::<T>(namespace));
        let begun = now(self.options.clock);
        let mut objects: Objects<T> = BTreeMap::new();
        let mut next: Option<String> = None;
        let client = self.client().await?;
        for _ in 0..PAGES_MAX {
            let page = ListParams {
                label_selector: self.selector::<T>(),
                limit: Some(PAGE_SIZE),
                continue_token: next.take(),
                ..ListParams::default()
            };
            let page = request.list(&page).expect("a list is a plain request");
            let answer = client.request::<List<T::Wire>>(page);
            let answer = timeout(self.options.pace.answer, answer).await;
            let page = self.judge::<T, _>((namespace, "list", &what), answer)?;
            for wire in page.items {
                let (name, object) = T::noun(wire);
                objects.insert(name, Arc::new(object));
            }
            T::trim(&mut objects);
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(token) => next = Some(token),
                None => {
                    kept.put_all(number, objects, begun);
                    return Ok(page.metadata.resource_version.unwrap_or_default());
                }
            }
        }
        Err(Failed::from(ClusterError::Answered {
            server: KUBERNETES.to_owned(),
            what,
            code: 200,
            words: format!("there are more than {PAGES_MAX} pages"),
        }))
    }

    /// Watches from a version on until the server ends it, and gives the version to go on from: `None` where the server does
    /// not know it any more. What was reached when the watch broke stands in `reached`.
    async fn watch<T: Kind + Part>(
        &self,
        (Place { number, namespace }, reached): (Place<'_>, &mut Option<String>),
        from: String,
        kept: &Kept,
    ) -> Result<Option<String>, Failed> {
        let pace = self.options.pace;
        let what = format!("watch {} in {namespace}", T::RESOURCE);
        let told = (namespace, "watch", what.as_str());
        let seconds = u32::try_from(pace.watch.as_secs()).unwrap_or(u32::MAX);
        let watch = WatchParams {
            label_selector: self.selector::<T>(),
            timeout: Some(seconds.max(1)),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new(url::<T>(namespace)).watch(&watch, &from);
        let request = request.expect("the time of a watch is not too long");
        let client = self.client().await?;
        let opened = client.request_events::<T::Wire>(request);
        let opened = match timeout(pace.answer, opened).await {
            Ok(Err(Error::Api(status))) if status.code == 410 => return Ok(None),
            opened => self.judge::<T, _>(told, opened)?,
        };
        let mut events = pin!(opened);
        kept.hear::<T>(number, now(self.options.clock));
        loop {
            let event = match timeout(pace.watch + pace.silence, events.try_next()).await {
                Ok(Err(Error::Api(status))) if status.code == 410 => return Ok(None),
                event => self.judge::<T, _>(told, event)?,
            };
            let now = now(self.options.clock);
            match event {
                // The server ends a watch when its time is over.
                None => {
                    kept.hear::<T>(number, now);
                    return Ok(reached.clone());
                }
                Some(WatchEvent::Added(wire) | WatchEvent::Modified(wire)) => {
                    keep_version(reached, T::metadata(&wire).resource_version.clone());
                    let (name, object) = T::noun(wire);
                    kept.put(number, (name, Some(object)), now);
                }
                Some(WatchEvent::Deleted(wire)) => {
                    keep_version(reached, T::metadata(&wire).resource_version.clone());
                    let (name, _) = T::noun(wire);
                    kept.put::<T>(number, (name, None), now);
                    if kept.misses_some::<T>(number) {
                        return Ok(None);
                    }
                }
                Some(WatchEvent::Bookmark(bookmark)) => {
                    *reached = Some(bookmark.metadata.resource_version);
                    kept.hear::<T>(number, now);
                }
                Some(WatchEvent::Error(status)) if status.code == 410 => return Ok(None),
                Some(WatchEvent::Error(status)) => {
                    return self.judge::<T, _>(told, Ok(Err(Error::Api(status))));
                }
            }
        }
    }

    /// The labels that objects of this kind have to have.
    fn selector<T: Kind>(&self) -> Option<String> {
        let selector = self.options.selector.clone();
        selector.filter(|_| T::IS_SELECTED)
    }

    async fn client(&self) -> Result<Client, ClusterError> {
        let mut kept = self.client.lock().await;
        if let Some(client) = &*kept {
            return Ok(client.clone());
        }
        // A watch is silent for long; whoever asks measures.
        let KubernetesOptions {
            way, environment, ..
        } = &self.options;
        let (client, _) = way.client(environment, None).await?;
        Ok(kept.insert(client).clone())
    }

    /// Forgets the client where another may do better: files that say how to log in were changed, or an address.
    async fn doubt(&self, error: &ClusterError) {
        if let ClusterError::Unauthorized { .. } | ClusterError::Unreachable { .. } = error {
            *self.client.lock().await = None;
        }
    }

    /// Makes an error of an answer that is none.
    fn judge<T: Kind, A>(
        &self,
        (namespace, verb, what): (&Namespace, &'static str, &str),
        answer: Result<Result<A, Error>, tokio::time::error::Elapsed>,
    ) -> Result<A, Failed> {
        let (server, what) = (KUBERNETES.to_owned(), what.to_owned());
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => return Err(ClusterError::Silent { server, what }.into()),
        };
        Err(match error {
            Error::Api(status) => {
                let wait = retry_after(&status);
                let Status { code, message, .. } = *status;
                let words = beginning(&message);
                let error = match code {
                    401 => ClusterError::Unauthorized { server, what },
                    403 => ClusterError::Forbidden {
                        verb,
                        resource: T::RESOURCE.to_owned(),
                        group: T::GROUP,
                        namespace: namespace.clone(),
                        words,
                    },
                    404 => ClusterError::NotInstalled {
                        resource: T::RESOURCE,
                        group: T::GROUP,
                    },
                    code => ClusterError::Answered {
                        server,
                        what,
                        code,
                        words,
                    },
                };
                Failed { error, wait }
            }
            // What serde says of a value may hold the value.
            Error::SerdeError(_) => ClusterError::NotUnderstood { server, what }.into(),
            error => {
                let source = told_cause(error);
                ClusterError::Unreachable {
                    server,
                    what,
                    source,
                }
                .into()
            }
        })
    }
}

impl From<ClusterError> for Failed {
    fn from(error: ClusterError) -> Self {
        Self { error, wait: None }
    }
}

fn keep_version(reached: &mut Option<String>, version: Option<String>) {
    if version.is_some() {
        *reached = version;
    }
}

/// A server that has too much to do says when to come back, in the body too.
fn retry_after(status: &Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(seconds.into()))
}

fn url<T: Kind>(namespace: &Namespace) -> String {
    let (group, resource) = (T::GROUP, T::RESOURCE);
    match namespace {
        Namespace::All => format!("/apis/{group}/v1alpha1/{resource}"),
        Namespace::Named(name) => {
            format!("/apis/{group}/v1alpha1/namespaces/{name}/{resource}")
        }
    }
}

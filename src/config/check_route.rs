//! Routes: environments that many policies share, and what a policy says otherwise.
//!
//! Invariant: what is wrong in a route is told once, at its place in the route, however many policies use it; a policy whose
//! route has a fault is not looked at further.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::allowance::Extent;
use super::check_after::ENVIRONMENTS_MAX;
use super::check_policy::Check;
use super::forms::OneOrMany;
use super::problem::Faults;
use super::raw::{Environment as RawEnvironment, Route, RouteSpec, Spec};
use super::shape::{Block, Named, Placed, Shape as _, list, nearest};
use super::source::{Source, Span, Whence};
use super::tree::Node;
use crate::policy::{EnvironmentName, RouteName};

/// Who may use a route: everybody, where it stands in a file; or the resources of one namespace, where it is one of them.
pub(super) type Scope = Option<String>;

/// Where a route stands and what it says; `None` where a fault says what is wrong with it.
type KnownRoute = (Span, Option<Arc<RouteSpec>>);

/// The routes of all files and resources.
#[derive(Default)]
pub(super) struct Routes {
    known: BTreeMap<(Scope, RouteName), KnownRoute>,
    used: BTreeSet<RouteName>,
}

/// A route as it was found in a file.
pub(super) struct FoundRoute {
    pub(super) name: Placed<RouteName>,
    /// All of the document.
    pub(super) span: Span,
    /// `None` where a fault says why it cannot be read.
    pub(super) route: Option<Route>,
}

impl FoundRoute {
    /// What `document` makes of a route; `None` where even its name cannot be told, which is a fault.
    pub(super) fn new(document: &Node, route: Option<Route>) -> Option<Self> {
        let name = match &route {
            Some(route) => route.metadata.name.clone(),
            None => Placed::read(
                document.get("metadata")?.get("name")?,
                &mut Faults::default(),
            )?,
        };
        let span = document.span;
        Some(Self { name, span, route })
    }
}

impl Check<'_> {
    /// Checks the routes of all files, or those of a resource, by themselves.
    pub(super) fn routes(&mut self, found: impl IntoIterator<Item = FoundRoute>) {
        for FoundRoute { name, span, route } in found {
            let key = (self.scope.clone(), name.value.clone());
            if let Some((first, _)) = self.routes.known.get(&key) {
                let message = format!(
                    "a second route `{}`; the first is in {}",
                    name.value,
                    self.at(*first)
                );
                self.faults.error(name.span, message);
                continue;
            }
            if let Some(route) = &route {
                self.route_alone(&route.spec.value);
            }
            let route = route.filter(|_| !self.faults.touch(span));
            let route = route.map(|route| Arc::new(route.spec.value));
            self.routes.known.insert(key, (name.span, route));
        }
    }

    /// Notes a route of a resource that does not count, so that its policies get no other of its name.
    pub(super) fn refuse_route(&mut self, name: RouteName, start: Span) {
        let key = (self.scope.clone(), name);
        self.routes.known.entry(key).or_insert((start, None));
    }

    fn route_alone(
        &mut self,
        RouteSpec {
            repository,
            environments,
        }: &RouteSpec,
    ) {
        if let Some(repository) = repository {
            self.repository(repository);
        }
        if environments.value.is_empty() {
            let message = "a route needs at least one environment";
            self.faults.error(environments.owner, message);
        }
        self.few(&environments.value);
        let environments = &environments.value[..environments.value.len().min(ENVIRONMENTS_MAX)];
        self.once_each(environments);
        self.order(environments);
        for environment in environments {
            self.known_source(environment.value.tags.as_ref());
        }
    }

    /// The route that a policy names; `None` where a fault says why there is none. For a resource that is one of its namespace, or
    /// else one of the files.
    pub(super) fn route(&mut self, name: &Placed<RouteName>) -> Option<Arc<RouteSpec>> {
        if self.scope.is_some() {
            let own = (self.scope.clone(), name.value.clone());
            match self.routes.known.get(&own) {
                Some((_, Some(route))) => return Some(route.clone()),
                Some((_, None)) => {
                    let message = format!("the route `{}` is not accepted", name.value);
                    self.faults
                        .error_with_hint(name.span, message, "its own conditions say why");
                    return None;
                }
                None => {}
            }
        }
        let of_files = (None, name.value.clone());
        if let Some((_, route)) = self.routes.known.get(&of_files) {
            self.routes.used.insert(name.value.clone());
            return route.clone();
        }
        let known = self.routes.known.keys();
        let visible = known.filter(|(scope, _)| scope.is_none() || *scope == self.scope);
        let known: Vec<&str> = visible.map(|(_, name)| name.as_str()).collect();
        let hint = match (nearest(name.value.as_str(), &known), &known[..]) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "a document of `kind: Route` makes one".to_owned(),
            (None, known) => format!("known: {}", list(known)),
        };
        let message = format!("there is no route `{}`", name.value);
        self.faults.error_with_hint(name.span, message, hint);
        None
    }

    /// How much the policy of a resource is whose own text has `bytes`. What stands in a route of the files has no bytes, since whoever
    /// keeps the settings wrote it.
    pub(super) fn extent(&self, spec: &Spec, bytes: usize) -> Extent {
        let of = |scope: Scope| {
            let name = spec.route.as_ref()?.value.clone();
            self.routes.known.get(&(scope, name))
        };
        let route = of(self.scope.clone()).or_else(|| of(None));
        let route = route.and_then(|(place, route)| Some((place.file, route.as_ref()?)));
        let (routed, of_route) = match route {
            Some((file, route)) => {
                let Source { whence, text, .. } = &self.sources[file];
                let bytes = match whence {
                    Whence::File => 0,
                    Whence::Resource(_) | Whence::Manifest(_) => text.len(),
                };
                (&*route.environments.value, bytes)
            }
            None => (&[][..], 0),
        };
        let own = spec.environments.iter().flat_map(|own| &own.value);
        let mut places: BTreeMap<&EnvironmentName, usize> = BTreeMap::new();
        // What a policy says itself counts instead of what its route says.
        for Block { value, .. } in routed.iter().chain(own) {
            let count = places.entry(&value.name.value).or_insert(1);
            if let Some(OneOrMany(updates)) = &value.update {
                *count = updates.len().max(1);
            }
        }
        let images = spec.images.as_ref();
        let images = images.map_or(1, |Named { entries }| entries.len().max(1));
        Extent {
            places: places.values().sum::<usize>() * images,
            bytes: (bytes + of_route) * images,
        }
    }

    /// Notes routes of files that no policy uses.
    pub(super) fn idle_routes(&mut self) {
        let known = self.routes.known.iter();
        let idle =
            known.filter(|((scope, name), _)| scope.is_none() && !self.routes.used.contains(name));
        for ((_, name), (span, _)) in idle {
            let message = format!("no policy uses the route `{name}`");
            self.faults.warning(*span, message);
        }
    }

    /// The environments of a route with what a policy says otherwise: each key that its entry of the same name has counts
    /// instead of the route's. One that the route has not is the policy's own, if it says what it comes after.
    pub(super) fn overridden(
        &mut self,
        (name, route): (&RouteName, &RouteSpec),
        own: Vec<Block<RawEnvironment>>,
    ) -> Vec<Block<RawEnvironment>> {
        let mut environments = route.environments.value.clone();
        let names = environments.iter().map(|e| e.value.name.value.clone());
        let names: Vec<_> = names.collect();
        for environment in own {
            let written = &environment.value.name;
            let index = names.iter().position(|name| *name == written.value);
            match index {
                Some(index) => {
                    let of_route = &environments[index].value;
                    environments[index] = Block {
                        value: over(environment.value, of_route),
                        ..environment
                    };
                }
                None if environment.value.after.is_some() => environments.push(environment),
                None => {
                    let known: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
                    let hint = match nearest(written.value.as_str(), &known) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => format!(
                            "known: {}; one of this policy alone says which it comes `after`",
                            list(&known)
                        ),
                    };
                    let message =
                        format!("the route `{name}` has no environment `{}`", written.value);
                    self.faults.error_with_hint(written.span, message, hint);
                }
            }
        }
        environments
    }
}

/// An environment that says `own` and else what `route` says.
fn over(own: RawEnvironment, route: &RawEnvironment) -> RawEnvironment {
    let RawEnvironment {
        name,
        tags,
        after,
        same,
        update,
        write,
        deliver,
        allow_downgrade,
        gates,
        argo_cd,
        on_degraded,
    } = own;
    let route = route.clone();
    RawEnvironment {
        name,
        tags: tags.or(route.tags),
        after: after.or(route.after),
        same: same.or(route.same),
        update: update.or(route.update),
        write: write.or(route.write),
        deliver: deliver.or(route.deliver),
        allow_downgrade: allow_downgrade.or(route.allow_downgrade),
        gates: gates.or(route.gates),
        argo_cd: argo_cd.or(route.argo_cd),
        on_degraded: on_degraded.or(route.on_degraded),
    }
}

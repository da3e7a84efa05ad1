//! What people see when a connection to Argo CD is wrong, and that good ones are read as they are meant.

use std::time::Duration;

use insta::assert_snapshot;

use super::load;
use super::tests::{POLICY, SETTINGS, folder, messages};
use crate::cluster::{Events, Namespace, Refresh, Server};
use crate::login::ClusterWay;
use crate::secret::Secret;

/// Messages for the connections, each with what stands behind its name.
fn told(connections: &[&str]) -> String {
    let entries = connections.iter().enumerate();
    let entries = entries.map(|(n, written)| format!("  c{n}: {written}\n"));
    let settings = format!("{SETTINGS}argo-cd:\n{}", entries.collect::<String>());
    messages(&settings, &policy())
}

fn policy() -> String {
    format!("{POLICY}  - {{ name: dev, tags: {{ semver: 1.x }}, update: apps/dev }}\n")
}

#[test]
fn connections_are_read_as_they_are_meant() {
    let settings = format!(
        "{SETTINGS}argo-cd:
  here: {{ kubernetes: {{}} }}
  main:
    kubernetes: {{ kubeconfig: kube/prod.yaml, context: prod, namespaces: [argocd, teams] }}
    selector: team=shop,tier!=test
    refresh: true
  all: {{ kubernetes: {{ namespaces: all, events: true }} }}
  other:
    api: {{ url: 'https://argocd.example.com/root/', token: {{ file: token }}, projects: [shop], poll-interval: 5m }}
"
    );
    let folder = folder(&settings, &policy());
    let config = load(&folder.path().join("towpath.yaml"));
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    let connections = &config.settings.argo_cd;
    let of = |name: &str| &connections[&name.parse().unwrap()];
    let named = |name: &str| Namespace::Named(name.to_owned());
    let here = Server::Kubernetes {
        way: ClusterWay::default(),
        namespaces: vec![named("argocd")],
    };
    assert_eq!(
        (&of("here").server, of("here").refresh),
        (&here, Refresh::Never)
    );
    let main = Server::Kubernetes {
        way: ClusterWay {
            kubeconfig: Some(folder.path().join("kube/prod.yaml")),
            context: Some("prod".to_owned()),
        },
        namespaces: vec![named("argocd"), named("teams")],
    };
    assert_eq!(
        (&of("main").server, of("main").refresh),
        (&main, Refresh::WhenAsked)
    );
    assert_eq!(of("main").selector.as_deref(), Some("team=shop,tier!=test"));
    let Server::Kubernetes { namespaces, .. } = &of("all").server else {
        panic!("it is a cluster")
    };
    assert_eq!(*namespaces, [Namespace::All]);
    assert_eq!(
        (of("all").events, of("main").events),
        (Events::Told, Events::Never)
    );
    let other = Server::ArgoCd {
        url: "https://argocd.example.com/root".parse().unwrap(),
        token: Secret::File(folder.path().join("token")),
        ca_file: None,
        plain_http: false,
        projects: vec!["shop".to_owned()],
    };
    assert_eq!(of("other").server, other);
    assert_eq!(of("other").poll_interval, Duration::from_secs(300));
}

#[test]
fn what_a_connection_lacks_has_twice_or_has_wrong_is_told() {
    assert_snapshot!(told(&[
        "{}",
        "{ refresh: true }",
        "{ kubernetes: }",
        "{ kubernetes: in-cluster }",
        "{ kubernetes: {}, api: { url: 'https://a.example.com', token: { env: HOME } } }",
        "{ kubernetes: { namespace: argocd } }",
        "{ kubernetes: { namespaces: [a, a] } }",
        "{ kubernetes: { namespaces: [] } }",
        "{ kubernetes: { namespaces: A_b } }",
        "{ kubernetes: {}, selector: 'team=\"shop\"' }",
        "{ api: { url: 'https://a.example.com' } }",
        "{ api: { url: 'http://a.example.com', token: { env: HOME } } }",
        "{ api: { url: 'https://bob:s3cret@a.example.com', token: { env: HOME } } }",
        "{ api: { url: 'https://a.example.com', token: s3cret } }",
        "{ api: { url: 'https://a.example.com', token: { env: HOME }, poll-interval: 1ms } }",
    ]), @"
    7:3 this connection does not say where Argo CD is [write `kubernetes: {}` for the cluster that towpath runs in, or `api: { url: URL, token: { env: NAME } }`]
    8:3 this connection does not say where Argo CD is [write `kubernetes: {}` for the cluster that towpath runs in, or `api: { url: URL, token: { env: NAME } }`]
    9:9 expected a map, found nothing [give it a value, or remove the key]
    10:21 expected a map, found a text
    11:25 `kubernetes` and `api` cannot stand together
    12:23 unknown key `namespace` [did you mean `namespaces`?]
    13:39 the namespace `a` stands here twice
    14:35 expected at least one, found an empty list
    15:35 this is no name of a Kubernetes object [a name has lower-case letters, digits, `-` and `.`]
    16:35 this is no selector of labels [write it as `kubectl get --selector` takes it: `team=shop,tier!=test`]
    17:10 the key `token` is missing
    18:23 this URL has no TLS, so anyone on the way can read the token [use https, or allow it with `plain-http: true`]
    19:22 a URL here has no login in it [say beside it where the login is kept]
    20:54 a secret is never written in this file [name where it is kept: `{ env: NAME }` or `{ file: PATH }`]
    21:84 `1ms` is too short; the least is `1s`
    ");
}

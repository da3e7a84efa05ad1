//! What people see when leadership is written wrongly, and that it is read as it is meant.

use insta::assert_snapshot;

use super::load;
use super::tests::{POLICY, SETTINGS, folder, messages};
use crate::login::ClusterWay;

fn policy() -> String {
    format!("{POLICY}  - {{ name: dev, tags: {{ semver: 1.x }}, update: apps/dev }}\n")
}

#[test]
fn leadership_is_in_the_namespace_of_the_pod_unless_it_says_otherwise() {
    let read = |written: &str| {
        let settings = format!("{SETTINGS}{written}");
        let folder = folder(&settings, &policy());
        std::fs::write(folder.path().join("kube.yaml"), "").unwrap();
        let config = load(&folder.path().join("towpath.yaml"));
        let config = config.unwrap_or_else(|problems| panic!("{problems}"));
        let kubeconfig = folder.path().join("kube.yaml");
        (config.settings.leadership, kubeconfig)
    };
    assert_eq!(read("").0, None);
    let plain = read("leadership: {}\n").0.unwrap();
    assert_eq!(plain.lease, "towpath");
    assert_eq!((plain.namespace, plain.way), (None, ClusterWay::default()));
    let (full, kubeconfig) = read(
        "leadership: { lease: towpath-shop, namespace: shop, kubeconfig: kube.yaml, context: prod }\n",
    );
    let full = full.unwrap();
    assert_eq!(full.lease, "towpath-shop");
    assert_eq!(full.namespace.as_deref(), Some("shop"));
    let way = ClusterWay {
        kubeconfig: Some(kubeconfig),
        context: Some("prod".to_owned()),
    };
    assert_eq!(full.way, way);
}

#[test]
fn leadership_with_mistakes_is_told() {
    let settings =
        format!("{SETTINGS}leadership: {{ lease: Tow Path, leese: x, namespace: [a] }}\n");
    assert_snapshot!(messages(&settings, &policy()), @"
    6:22 this is no name of a Kubernetes object [a name has lower-case letters, digits, `-` and `.`]
    6:32 unknown key `leese` [did you mean `lease`?]
    6:53 expected a text, found a list
    ");
    let settings = format!("{SETTINGS}leadership: true\n");
    assert_snapshot!(messages(&settings, &policy()), @"6:13 expected a map, found `true` or `false`");
}

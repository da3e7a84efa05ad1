//! Values that some reader of YAML takes as something else: what `towpath set value` writes is a string to kustomize
//! and to helm, and the very string that was given, in each style of the value that stood there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_yaml::Value;

use crate::run;

/// Values that are written in quotes, such as may stand without, and such as kustomize itself cannot pass on.
const STRINGS: &str = include_str!("strings.json");

/// Writes a map of keys, each as `key=`, with values in one style.
type Style = fn(&str) -> String;

/// How the value is written that is replaced.
const STYLES: [(&str, Style); 5] = [
    ("plain", |keys| keys.replace("=", ": x\n  ")),
    ("single quoted", |keys| keys.replace("=", ": 'x'\n  ")),
    ("double quoted", |keys| keys.replace("=", ": \"x\"\n  ")),
    ("in brackets", |keys| {
        format!("{{ {} }}", keys.replace("=", ": x, "))
    }),
    ("empty", |keys| keys.replace("=", ":\n  ")),
];

fn strings(lists: &[&str]) -> Vec<String> {
    let all: BTreeMap<String, Vec<String>> = serde_json::from_str(STRINGS).unwrap();
    lists.iter().flat_map(|&list| all[list].clone()).collect()
}

/// A map called `name` whose keys `k0`, `k1`... stand in one style, all set to `values` by our program.
fn set(folder: &Path, (file, name): (&str, &str), values: &[String], style: Style) {
    let keys: String = (0..values.len()).map(|n| format!("k{n}=")).collect();
    let path = folder.join(file);
    let head = std::fs::read_to_string(&path).unwrap_or_default();
    let map = style(&keys);
    let between = if map.starts_with('{') { " " } else { "\n  " };
    std::fs::write(&path, format!("{head}{name}:{between}{}\n", map.trim_end())).unwrap();
    let edits: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(n, value)| format!("{name}.k{n}={value}"))
        .collect();
    run::set("value", &path, &edits).unwrap();
}

#[test]
fn kustomize_reads_the_very_string_that_was_set() {
    let Some(kustomize) = bed::built("kustomize") else {
        return;
    };
    let values = strings(&["awkward", "plain"]);
    for (words, style) in STYLES {
        let folder = run::folder(&[
            (
                "a.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n",
            ),
            ("kustomization.yaml", "resources: [a.yaml]\n"),
        ]);
        // Annotations are strings only: kustomize fails at a number.
        let place = ("kustomization.yaml", "commonAnnotations");
        set(folder.path(), place, &values, style);
        let rendered = run::kustomize(&kustomize, folder.path()).unwrap();
        let rendered: Value = serde_yaml::from_str(&rendered).unwrap();
        for (n, value) in values.iter().enumerate() {
            let seen = &rendered["metadata"]["annotations"][format!("k{n}")];
            assert_eq!(seen, &Value::String(value.clone()), "{words}: {value:?}");
        }
    }
}

/// A chart that shows each of `.Values.v` as JSON, which tells a string from all else.
const CHART: [(&str, &str); 2] = [
    (
        "Chart.yaml",
        "apiVersion: v2\nname: shows\nversion: 0.1.0\n",
    ),
    (
        "templates/a.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\ndata:\n{{- range $key, $value := .Values.v }}\n  {{ $key }}: {{ toJson $value | quote }}\n{{- end }}\n",
    ),
];

fn shown(helm: &Path, folder: &Path) -> Vec<serde_json::Value> {
    let rendered = run::helm(helm, folder, &[]).unwrap();
    let rendered: Value = serde_yaml::from_str(&rendered).unwrap();
    let data = rendered["data"].as_mapping().unwrap();
    (0..data.len())
        .map(|n| serde_json::from_str(data[&format!("k{n}")].as_str().unwrap()).unwrap())
        .collect()
}

#[test]
fn helm_reads_the_very_string_that_was_set() {
    let Some(helm) = bed::built("helm") else {
        return;
    };
    let values = strings(&["awkward", "plain", "lost-in-kustomize"]);
    for (words, style) in STYLES {
        let folder = run::folder(&CHART);
        set(folder.path(), ("values.yaml", "v"), &values, style);
        let shown = shown(&helm, folder.path());
        assert_eq!(shown.len(), values.len());
        for (value, seen) in values.iter().zip(shown) {
            assert_eq!(seen, serde_json::json!(value), "{words}: {value:?}");
        }
    }
}

/// Why quotes are needed: what helm makes of versions that stand without them.
#[test]
fn helm_reads_a_version_that_looks_like_a_number_or_a_word_as_something_else() {
    let Some(helm) = bed::built("helm") else {
        return;
    };
    let values = "v: { k0: 1.10, k1: 0123456, k2: 72044e0, k3: 1_000, k4: on, k5: y, k6: 0o17, k7: 12345678901234567890 }\n";
    let folder = run::folder(&[CHART[0], CHART[1], ("values.yaml", values)]);
    let shown = serde_json::Value::from(shown(&helm, folder.path()));
    insta::assert_snapshot!(shown, @"[1.1,42798,72044,1000,true,true,15,12345678901234567000]");
}

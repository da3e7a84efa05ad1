//! Which objects differ between two renderings, with what is secret in them masked.
//!
//! Invariant: no value of a Secret is in what comes out, wherever in the output it stands: that it changed is all that is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_yaml::{Mapping, Value};

use super::{Program, RenderError};

/// Most bytes of objects that change, before and after: a promotion changes some Deployments of 4 kB each, and the largest bodies take
/// 1 MiB.
pub(super) const CHANGED_BYTES_MAX: usize = 1 << 20;

/// What stands for a value that is nobody's business.
const HIDDEN: &str = "(hidden)";
const HIDDEN_BEFORE: &str = "(hidden, the value before)";
const HIDDEN_AFTER: &str = "(hidden, the value after)";

/// Where Secrets keep their values. <https://kubernetes.io/docs/concepts/configuration/secret/>
const SECRETS: [&str; 2] = ["data", "stringData"];

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// `Deployment shop/web`
    pub(crate) name: String,
    /// Empty where it is new.
    pub(crate) before: Arc<str>,
    /// Empty where it goes.
    pub(crate) after: Arc<str>,
}

impl Object {
    pub(super) fn size(&self) -> usize {
        let Self {
            name,
            before,
            after,
        } = self;
        name.len() + before.len() + after.len()
    }
}

/// Kind, namespace and name, and which of several with the same.
type Name = (String, String, String, usize);

/// One document, or an item of a list.
struct Parsed {
    value: Value,
    /// As it was written; `None` for what has no text of its own.
    text: Option<String>,
}

/// The objects that differ between two outputs of `program`, in the order of their names.
pub(super) fn compare(
    program: Program,
    before: &str,
    after: &str,
) -> Result<Vec<Object>, RenderError> {
    let (before, after) = (documents(before), documents(after));
    // Most of what is large stays as it is, and need not be read.
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        let others: BTreeSet<&String> = others.iter().collect();
        let own = these.iter().filter(|document| !others.contains(document));
        own.cloned().collect()
    };
    let parse = |documents: Vec<String>| {
        let parsed = parsed(documents);
        parsed.ok_or(RenderError::NoObjects { program })
    };
    let mut sides: BTreeMap<Name, [Option<Parsed>; 2]> = BTreeMap::new();
    for (name, object) in parse(only(&before, &after))? {
        sides.entry(name).or_default()[0] = Some(object);
    }
    for (name, object) in parse(only(&after, &before))? {
        sides.entry(name).or_default()[1] = Some(object);
    }
    let mut objects = Vec::new();
    let mut size = 0;
    for (name, [before, after]) in sides {
        let (before, after) = masked(before, after);
        if before == after {
            continue;
        }
        let object = Object {
            name: told(&name),
            before: before.into(),
            after: after.into(),
        };
        size += object.size();
        if size > CHANGED_BYTES_MAX {
            return Err(RenderError::ManyChanges);
        }
        objects.push(object);
    }
    Ok(objects)
}

/// The documents of a stream of YAML. <https://yaml.org/spec/1.2.2/#document-markers>: nothing else starts with three dashes there.
fn documents(output: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in output.lines() {
        let rest = line.strip_prefix("---");
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with([' ', '\t']));
        let line = match rest {
            Some(rest) => {
                documents.push(String::new());
                rest.trim_start()
            }
            None => line,
        };
        let document = documents.last_mut().expect("there is one at least");
        if !(document.is_empty() && line.is_empty()) {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents
}

/// The objects of `documents`, those of lists too; `None` where a document is none.
fn parsed(documents: Vec<String>) -> Option<Vec<(Name, Parsed)>> {
    let mut objects = Vec::new();
    for text in documents {
        let mut value: Value = serde_yaml::from_str(&text).ok()?;
        value.apply_merge().ok()?;
        match value {
            // Nothing but comments.
            Value::Null => {}
            Value::Mapping(_) => expand(value, Some(text), &mut objects),
            Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Sequence(_)
            | Value::Tagged(_) => return None,
        }
    }
    let mut met: BTreeMap<[String; 3], usize> = BTreeMap::new();
    let named = objects.into_iter().map(|object| {
        let [kind, namespace, name] = name(&object.value);
        let count = met
            .entry([kind.clone(), namespace.clone(), name.clone()])
            .or_default();
        *count += 1;
        ((kind, namespace, name, *count), object)
    });
    Some(named.collect())
}

/// Takes in `value`, or the items of the list that it is. An item without a kind is of that of its list, `Secret` in a
/// `SecretList`, as clients of Kubernetes read it.
fn expand(value: Value, text: Option<String>, objects: &mut Vec<Parsed>) {
    let of_items = text_at(&value, "kind").strip_suffix("List");
    match (of_items, value.get("items").and_then(Value::as_sequence)) {
        (Some(kind), Some(items)) => {
            for item in items {
                let mut item = item.clone();
                if let Value::Mapping(item) = &mut item {
                    let kind = || Value::String(kind.to_owned());
                    item.entry("kind".into()).or_insert_with(kind);
                }
                expand(item, None, objects);
            }
        }
        (Some(_) | None, _) => objects.push(Parsed { value, text }),
    }
}

fn name(value: &Value) -> [String; 3] {
    let metadata = value.get("metadata").unwrap_or(&Value::Null);
    let name = match text_at(metadata, "name") {
        "" => text_at(metadata, "generateName"),
        name => name,
    };
    let parts = [text_at(value, "kind"), text_at(metadata, "namespace"), name];
    parts.map(str::to_owned)
}

fn told((kind, namespace, name, count): &Name) -> String {
    let told = match namespace.as_str() {
        "" => format!("{kind} {name}"),
        namespace => format!("{kind} {namespace}/{name}"),
    };
    match count {
        1 => told,
        count => format!("{told} ({count})"),
    }
}

fn text_at<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The texts of both, empty for what is not there.
fn masked(before: Option<Parsed>, after: Option<Parsed>) -> (String, String) {
    let holds_secrets = [&before, &after]
        .into_iter()
        .flatten()
        .any(|object| has_secret(&object.value));
    let [mut before, mut after] = [before, after];
    if holds_secrets {
        let nothing = Value::Null;
        let values = |object: &Option<Parsed>| {
            let value = object.as_ref().map(|object| object.value.clone());
            value.unwrap_or(nothing.clone())
        };
        let (old, new) = (values(&before), values(&after));
        for (side, other, words) in [
            (&mut before, &new, HIDDEN_BEFORE),
            (&mut after, &old, HIDDEN_AFTER),
        ] {
            if let Some(Parsed { value, text }) = side {
                mask(value, other, words);
                *text = None;
            }
        }
    }
    let [before, after] = [before, after].map(|object| object.map_or_else(String::new, shown));
    (before, after)
}

fn shown(Parsed { value, text }: Parsed) -> String {
    text.unwrap_or_else(|| {
        // What has been read can be written.
        serde_yaml::to_string(&value).unwrap_or_default()
    })
}

/// Whether a Secret is in it: the object itself, or one that it carries.
fn has_secret(value: &Value) -> bool {
    match value {
        Value::Mapping(map) => is_secret(map) || map.values().any(has_secret),
        Value::Sequence(items) => items.iter().any(has_secret),
        Value::Tagged(tagged) => has_secret(&tagged.value),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

fn is_secret(map: &Mapping) -> bool {
    map.get("kind").and_then(Value::as_str) == Some("Secret")
}

/// Hides the values of all Secrets in `value`; `other` is what stands at its place on the other side, and `words` hide what differs.
fn mask(value: &mut Value, other: &Value, words: &str) {
    match value {
        Value::Mapping(map) => {
            let is_secret = is_secret(map);
            for (key, value) in map.iter_mut() {
                let other = other.get(key).unwrap_or(&Value::Null);
                let key = key.as_str().unwrap_or_default();
                match key {
                    key if is_secret && SECRETS.contains(&key) => hide(value, other, words),
                    // Annotations may repeat all of it: `kubectl.kubernetes.io/last-applied-configuration`.
                    "metadata" if is_secret => {
                        let annotations = other.get("annotations").unwrap_or(&Value::Null);
                        if let Some(own) = value.get_mut("annotations") {
                            hide(own, annotations, words);
                        }
                    }
                    _ => mask(value, other, words),
                }
            }
        }
        Value::Sequence(items) => {
            for (place, item) in items.iter_mut().enumerate() {
                mask(item, other.get(place).unwrap_or(&Value::Null), words);
            }
        }
        Value::Tagged(tagged) => mask(&mut tagged.value, other, words),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Hides each value of a map, or all of what is none.
fn hide(value: &mut Value, other: &Value, words: &str) {
    let hidden = |value: &Value, other: &Value| {
        let words = match other {
            Value::Null => HIDDEN,
            other if other == value => HIDDEN,
            _ => words,
        };
        Value::String(words.to_owned())
    };
    match value {
        Value::Mapping(map) => {
            for (key, value) in map.iter_mut() {
                *value = hidden(value, other.get(key).unwrap_or(&Value::Null));
            }
        }
        Value::Null => {}
        value => *value = hidden(value, other),
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANGED_BYTES_MAX, Object, compare};
    use crate::render::{Program, RenderError};

    fn compared(before: &str, after: &str) -> Vec<Object> {
        compare(Program::Helm, before, after).unwrap()
    }

    /// What is told of the objects that differ.
    fn told(before: &str, after: &str) -> String {
        let objects = compared(before, after);
        let told = objects.iter().map(|object| {
            let Object {
                name,
                before,
                after,
            } = object;
            format!("= {name}\n{before}->\n{after}")
        });
        told.collect()
    }

    #[test]
    fn objects_that_differ_are_told_as_they_were_written_and_others_are_not() {
        let before = "---\n# Source: a\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n--- # b\nkind: Deployment\nmetadata: { name: web, namespace: shop }\nspec: { image: v1 }\n---\nkind: Job\nmetadata: { name: old }\n";
        let after = "kind: Service\nmetadata: { name: new }\n---\n# Source: a\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n--- # b\nkind: Deployment\nmetadata: { name: web, namespace: shop }\nspec: { image: v2 } # yes\n---\n# nothing\n";
        insta::assert_snapshot!(told(before, after), @"
        = Deployment shop/web
        # b
        kind: Deployment
        metadata: { name: web, namespace: shop }
        spec: { image: v1 }
        ->
        # b
        kind: Deployment
        metadata: { name: web, namespace: shop }
        spec: { image: v2 } # yes
        = Job old
        kind: Job
        metadata: { name: old }
        ->
        = Service new
        ->
        kind: Service
        metadata: { name: new }
        ");
        assert_eq!(compared(before, before), []);
        assert_eq!(compared("", ""), []);
    }

    #[test]
    fn no_value_of_a_secret_is_told_and_that_it_changed_is() {
        let secret = |value: &str| {
            format!(
                "kind: Secret\nmetadata:\n  name: db\n  annotations: {{ last: hunter2 }}\ndata: {{ password: {value}, same: hunter2 }}\nstringData: hunter2\n"
            )
        };
        let (before, after) = (secret("hunter2"), secret("hunter3"));
        insta::assert_snapshot!(told(&before, &after), @"
        = Secret db
        kind: Secret
        metadata:
          name: db
          annotations:
            last: (hidden)
        data:
          password: (hidden, the value before)
          same: (hidden)
        stringData: (hidden)
        ->
        kind: Secret
        metadata:
          name: db
          annotations:
            last: (hidden)
        data:
          password: (hidden, the value after)
          same: (hidden)
        stringData: (hidden)
        ");
        let both = told(&before, &after) + &told("", &after) + &told(&before, "");
        assert!(!both.contains("hunter"), "{both}");
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        let list = |value: &str| {
            format!(
                "kind: List\nitems:\n- kind: Secret\n  metadata: {{ name: a }}\n  data: {{ k: {value} }}\n"
            )
        };
        let of_secrets = |value: &str| {
            format!(
                "kind: SecretList\nitems:\n- metadata: {{ name: a }}\n  data: {{ k: {value} }}\n"
            )
        };
        let template = |value: &str| {
            format!(
                "kind: Template\nmetadata: {{ name: t }}\nobjects:\n- kind: Secret\n  data: {{ k: {value} }}\n"
            )
        };
        let merged = |value: &str| {
            format!(
                "x: &x {{ kind: Secret, data: {{ k: {value} }} }}\n<<: *x\nmetadata: {{ name: m }}\n"
            )
        };
        let shapes: [&dyn Fn(&str) -> String; 4] = [&list, &of_secrets, &template, &merged];
        for shape in shapes {
            let told = told(&shape("hunter2"), &shape("hunter30"));
            assert!(told.contains("(hidden, the value after)"), "{told}");
            assert!(!told.contains("hunter"), "{told}");
        }
    }

    #[test]
    fn what_is_no_object_or_too_much_is_refused() {
        let error = |after: &str| compare(Program::Helm, "", after).unwrap_err();
        let no_objects = RenderError::NoObjects {
            program: Program::Helm,
        };
        for text in ["- a\n", "a: [\n", "just words\n", "a: 1\na: 2\n"] {
            assert_eq!(error(text), no_objects, "{text}");
        }
        let large = format!("kind: A\ntext: {}\n", "x".repeat(CHANGED_BYTES_MAX));
        assert_eq!(error(&large), RenderError::ManyChanges);
    }
}

//! The definitions of the custom resources, from the same definitions as the reader of files and the JSON Schema.
//!
//! <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema>. A
//! structural schema has one type for each value, so that what has several forms in files has none there. What an API server can know
//! is refused by it, with words of ours; all else is judged as in files, and told in the status.
//! Invariant: no key that somebody wrote is dropped silently. An API server drops those that a schema does not name, so that a misspelled
//! gate would be no gate; here it keeps them, and the policy is not accepted.

use serde_json::{Map, Value as Json, json};

use super::check_after::ENVIRONMENTS_MAX;
use super::nouns::API_VERSION;
use super::raw;
use super::shape::Shape as _;
use crate::cluster::resources::{GROUP, ResourceKind};

/// Keeps keys that the schema does not name, and values of any type where there is none.
const KEEP: &str = "x-kubernetes-preserve-unknown-fields";

/// Rules that an API server holds an object to, in the Common Expression Language.
///
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>
const RULES: &str = "x-kubernetes-validations";

/// Longest name of an object or an environment, in characters.
const NAME_LENGTH_MAX: usize = 63;

/// What an API server refuses with words of ours: where in the schema of an object, the rule, and what to do. A `-` in a key is
/// `__dash__` in a rule.
const OF_ALL: [(&str, &str, &str); 9] = [
    (
        "",
        "size(self.metadata.name) <= 63",
        "a name has at most 63 characters, since branches and pull requests are named after it",
    ),
    (
        "spec.environments",
        "self.all(one, self.exists_one(other, other.name == one.name))",
        "two environments have one name; give each a name of its own",
    ),
    (
        "spec.environments.*.tags",
        "has(self.semver) || has(self.pattern) || has(self.regex) || has(self.follow)",
        "say which tags count: write `semver`, `pattern`, `regex` or `follow`",
    ),
    (
        "spec.environments.*.tags",
        "!(has(self.pattern) && has(self.regex))",
        "`pattern` and `regex` cannot stand together; write one of them",
    ),
    (
        "spec.environments.*.tags",
        "!has(self.follow) || !(has(self.semver) || has(self.pattern) || has(self.regex))",
        "`follow` stands alone: it names the one tag that is promoted",
    ),
    (
        "spec.environments.*.gates.checks.*",
        "has(self.http) != has(self.prometheus)",
        "a check asks one server: write either `http` or `prometheus`",
    ),
    (
        "spec.environments.*.gates.checks.*.prometheus",
        "has(self.above) != has(self.below)",
        "a query is judged by exactly one of `above` and `below`",
    ),
    (
        "spec.environments.*.gates.checks.*.http",
        "!has(self.body) || (has(self.method) && self.method == 'POST')",
        "a `GET` has no body; write `method: POST`, or leave `body` out",
    ),
    (
        "spec",
        "!has(self.environments) || size(self.environments) > 0",
        "name at least one environment",
    ),
];

/// The same of policies alone.
const OF_POLICIES: [(&str, &str, &str); 3] = [
    (
        "spec",
        "has(self.environments) || has(self.route)",
        "write `environments`, or name the `route` whose environments the policy has",
    ),
    (
        "spec",
        "has(self.repository) || has(self.route)",
        "name the manifests `repository` as the settings call it, or a `route` that does",
    ),
    (
        "spec",
        "!has(self.for__dash__each) || self.for__dash__each.contains('{policy}')",
        "`for-each` says with `{policy}` which part of the folders is the name: `apps/{policy}`",
    ),
];

/// The definitions of all custom resources, as YAML.
pub(crate) fn definitions() -> String {
    let definitions = [ResourceKind::Policy, ResourceKind::Route].map(definition);
    let texts = definitions.map(|one| {
        let text = serde_yaml::to_string(&one);
        text.expect("a tree of JSON can be written as YAML")
    });
    texts.join("---\n")
}

fn definition(kind: ResourceKind) -> Json {
    let (plural, singular, short) = match kind {
        ResourceKind::Policy => (kind.plural(), "promotionpolicy", "promo"),
        ResourceKind::Route => (kind.plural(), "route", "promoroute"),
    };
    let (_, version) = API_VERSION
        .split_once('/')
        .expect("a version stands behind its group");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{GROUP}"),
            // With its definition all policies would be gone.
            "annotations": { "helm.sh/resource-policy": "keep" },
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.name(),
                "listKind": format!("{}List", kind.name()),
                "plural": plural,
                "singular": singular,
                "shortNames": [short],
                "categories": ["towpath"],
            },
            "versions": [{
                "name": version,
                "served": true,
                "storage": true,
                "subresources": { "status": {} },
                "additionalPrinterColumns": columns(kind),
                "schema": { "openAPIV3Schema": schema(kind) },
            }],
        },
    })
}

/// What `kubectl get` shows.
fn columns(kind: ResourceKind) -> Json {
    let column =
        |name: &str, path: &str| json!({ "name": name, "type": "string", "jsonPath": path });
    let condition =
        |kind: &str, field: &str| format!(".status.conditions[?(@.type==\"{kind}\")].{field}");
    let accepted = column("Accepted", &condition("Accepted", "status"));
    let mut why = column("Why", &condition("Accepted", "message"));
    why["priority"] = json!(1);
    let age = json!({ "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" });
    match kind {
        ResourceKind::Policy => json!([
            accepted,
            column("Ready", &condition("Ready", "status")),
            column("State", ".status.summary"),
            column("Next", ".status.nextTime"),
            why,
            age,
        ]),
        ResourceKind::Route => json!([accepted, why, age]),
    }
}

fn schema(kind: ResourceKind) -> Json {
    let written = match kind {
        ResourceKind::Policy => raw::PromotionPolicy::schema(),
        ResourceKind::Route => raw::Route::schema(),
    };
    let written = written.expect("all kinds have a schema");
    let mut schema = json!({
        "type": "object",
        "description": written["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": structural(&written["properties"]["spec"]),
            "status": status(kind),
        },
    });
    // What a rule costs is reckoned from the longest that there may be.
    let environments = at(&mut schema, "spec.environments");
    environments["maxItems"] = json!(ENVIRONMENTS_MAX);
    at(&mut schema, "spec.environments.*.name")["maxLength"] = json!(NAME_LENGTH_MAX);
    let checks = at(&mut schema, "spec.environments.*.gates.checks");
    checks["x-kubernetes-list-type"] = json!("map");
    checks["x-kubernetes-list-map-keys"] = json!(["name"]);
    let of_policies = match kind {
        ResourceKind::Policy => &OF_POLICIES[..],
        ResourceKind::Route => &[],
    };
    // No rule can speak of a key whose values have several forms.
    if kind == ResourceKind::Policy {
        at(&mut schema, "spec")["required"] = json!(["images"]);
    }
    for (path, rule, message) in OF_ALL.iter().chain(of_policies) {
        let place = at(&mut schema, path);
        let rules = place
            .as_object_mut()
            .expect("a schema is a map")
            .entry(RULES)
            .or_insert_with(|| json!([]));
        let rules = rules.as_array_mut().expect("rules are a list");
        rules.push(json!({ "rule": rule, "message": message }));
    }
    schema
}

/// The schema at a path of keys, in which `*` stands for each of a list.
fn at<'a>(schema: &'a mut Json, path: &str) -> &'a mut Json {
    let steps = path.split('.').filter(|step| !step.is_empty());
    steps.fold(schema, |place, step| match step {
        "*" => &mut place["items"],
        key => &mut place["properties"][key],
    })
}

/// The structural schema of what a JSON Schema of ours describes.
fn structural(schema: &Json) -> Json {
    let mut made = match kind_of(schema) {
        Some("object") => object(schema),
        Some("array") => json!({ "type": "array", "items": structural(&schema["items"]) }),
        Some(scalar) => json!({ "type": scalar }),
        None => json!({ KEEP: true }),
    };
    // Limits of one of several forms are none of all.
    let keywords: &[&str] = match schema.get("anyOf").is_some() || made.get("type").is_none() {
        true => &["description"],
        false => &[
            "description",
            "enum",
            "maximum",
            "minItems",
            "minLength",
            "minProperties",
            "minimum",
            "pattern",
        ],
    };
    for keyword in keywords {
        if let Some(value) = schema.get(*keyword) {
            made[*keyword] = value.clone();
        }
    }
    // `kubectl explain` calls what has no type an object.
    if made.get("type").is_none() && schema.get("anyOf").is_some() {
        let forms = forms(schema);
        let said = made["description"].as_str().unwrap_or_default();
        made["description"] = json!(format!("{said} Written as {}.", forms.join(", or ")).trim());
    }
    if let (Some(only), Some("string")) = (schema.get("const"), made["type"].as_str()) {
        made["enum"] = json!([only]);
    }
    made
}

/// The forms that a value may have, for people, each once.
fn forms(schema: &Json) -> Vec<String> {
    let Some(all) = schema["anyOf"].as_array() else {
        let keys = schema["properties"].as_object().into_iter().flatten();
        let keys: Vec<String> = keys.map(|(key, _)| format!("`{key}`")).collect();
        return vec![match (kind_of(schema), &*keys) {
            (Some("object"), [_, ..]) => format!("a map with {}", keys.join(", ")),
            (Some("object"), []) => "a map".to_owned(),
            (Some("array"), _) => "a list".to_owned(),
            (Some("boolean"), _) => "`true` or `false`".to_owned(),
            (Some("integer" | "number"), _) => "a number".to_owned(),
            (Some(_) | None, _) => "a text".to_owned(),
        }];
    };
    let mut forms = Vec::new();
    for form in all.iter().flat_map(self::forms) {
        if !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

fn object(schema: &Json) -> Json {
    if let Some(values) = schema["additionalProperties"].as_object() {
        let values = structural(&Json::Object(values.clone()));
        return json!({ "type": "object", "additionalProperties": values });
    }
    let properties = schema["properties"].as_object().into_iter().flatten();
    let properties: Map<String, Json> = properties
        .map(|(key, value)| (key.clone(), structural(value)))
        .collect();
    let mut made = json!({ "type": "object", "properties": properties, KEEP: true });
    if let Some(required) = schema.get("required") {
        made["required"] = required.clone();
    }
    made
}

/// The one type that all forms of a value have; `None` where they have several.
fn kind_of(schema: &Json) -> Option<&str> {
    if let Some(forms) = schema["anyOf"].as_array() {
        let mut kinds = forms.iter().map(kind_of);
        let first = kinds.next()??;
        let is_scalar = !matches!(first, "object" | "array");
        return (is_scalar && kinds.all(|kind| kind == Some(first))).then_some(first);
    }
    let sample = schema.get("const").or_else(|| schema["enum"].get(0));
    match (schema["type"].as_str(), sample) {
        (Some(kind), _) => Some(kind),
        (None, Some(Json::String(_))) => Some("string"),
        (None, Some(Json::Bool(_))) => Some("boolean"),
        (None, _) => None,
    }
}

/// What towpath writes of how a resource stands.
fn status(kind: ResourceKind) -> Json {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let time = |description: &str| json!({ "type": "string", "format": "date-time", "description": description });
    let nullable = |mut schema: Json| {
        schema["nullable"] = json!(true);
        schema
    };
    let mut properties = json!({
        "observedGeneration": { "type": "integer", "format": "int64", "description": "The generation that this status is about." },
        "conditions": {
            "type": "array",
            "description": "`Accepted`: whether it counts. `Ready`, of policies: whether nothing keeps towpath from deciding.",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
            "items": {
                "type": "object",
                "required": ["type", "status", "lastTransitionTime", "reason", "message"],
                "properties": {
                    "type": text("What it is about."),
                    "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                    "observedGeneration": { "type": "integer", "format": "int64" },
                    "lastTransitionTime": time("Since when the status is so."),
                    "reason": text("Why, in a word."),
                    "message": text("Why, for people."),
                },
            },
        },
    });
    if kind == ResourceKind::Policy {
        let counts = json!({ "type": "object", "additionalProperties": { "type": "integer" } });
        let image = json!({
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": text("The policy's own name of the image."),
                "current": nullable(text("What stands in git.")),
                "candidate": nullable(text("The version that the rule would have there.")),
                "state": text("`Promoting`, `Newest`, `Waiting` or `Failing`."),
                "reason": text("Why, for people."),
                "nextTime": nullable(time("When time alone could change that.")),
            },
        });
        properties["summary"] = text("How many images of environments are in which state.");
        properties["nextTime"] = nullable(time("When time alone could change something next."));
        properties["applications"] = nullable(counts);
        properties["applications"]["description"] =
            json!("Of a policy with `for-each`: how many applications are in which state.");
        properties["environments"] = json!({
            "type": "array",
            "description": "The environments with their images, in their order.",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": text("The environment."),
                    "images": { "type": "array", "items": image },
                },
            },
        });
    }
    json!({ "type": "object", "description": "How it stands, as towpath says.", "properties": properties })
}

//! The JSON Schema of what may be written, for editors. It comes from the same definitions as the reader.

use serde_json::{Value as Json, json};

use super::shape::Shape as _;
use super::{holds, raw};

/// What a document can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Settings,
    Policy,
    Route,
    /// The holds of a manifests repository.
    Holds,
}

impl Kind {
    /// What the document says it is, where it does.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Settings => Some("Settings"),
            Self::Policy => Some("PromotionPolicy"),
            Self::Route => Some("Route"),
            Self::Holds => None,
        }
    }

    fn schema(self) -> Json {
        let schema = match self {
            Self::Settings => raw::Settings::schema(),
            Self::Policy => raw::PromotionPolicy::schema(),
            Self::Route => raw::Route::schema(),
            Self::Holds => holds::schema(),
        };
        let mut schema = schema.expect("all kinds are known in this version");
        if let Some(name) = self.name() {
            schema["properties"]["kind"]["const"] = json!(name);
        }
        schema
    }
}

/// The schema of one kind, or of a file that may hold any.
pub(crate) fn schema(kind: Option<Kind>) -> Json {
    let mut schema = match kind {
        Some(kind) => kind.schema(),
        None => {
            let branch = |kind: Kind| {
                let is_it = match kind.name() {
                    Some(name) => {
                        json!({ "properties": { "kind": { "const": name } }, "required": ["kind"] })
                    }
                    None => json!({ "required": ["holds"] }),
                };
                json!({ "if": is_it, "then": kind.schema() })
            };
            json!({
                "type": "object",
                "properties": {
                    "kind": {
                        "enum": [Kind::Settings.name(), Kind::Policy.name(), Kind::Route.name()],
                        "description": "What the document is.",
                    },
                },
                "anyOf": [{ "required": ["kind"] }, { "required": ["holds"] }],
                "allOf": [branch(Kind::Settings), branch(Kind::Policy), branch(Kind::Route), branch(Kind::Holds)],
            })
        }
    };
    // Editors know this draft best.
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("towpath settings, policies, routes and holds");
    schema
}

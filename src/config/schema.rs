//! The JSON Schema of what may be written, for editors. It comes from the same definitions as the reader.

use serde_json::{Value as Json, json};

use super::raw;
use super::shape::Shape as _;

/// What a document can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Settings,
    Policy,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Settings => "Settings",
            Self::Policy => "PromotionPolicy",
        }
    }

    fn schema(self) -> Json {
        let schema = match self {
            Self::Settings => raw::Settings::schema(),
            Self::Policy => raw::PromotionPolicy::schema(),
        };
        let mut schema = schema.expect("both kinds are known in this version");
        schema["properties"]["kind"]["const"] = json!(self.name());
        schema
    }
}

/// The schema of one kind, or of a file that may hold either.
pub(crate) fn schema(kind: Option<Kind>) -> Json {
    let mut schema = match kind {
        Some(kind) => kind.schema(),
        None => {
            let branch = |kind: Kind| {
                json!({
                    "if": { "properties": { "kind": { "const": kind.name() } }, "required": ["kind"] },
                    "then": kind.schema(),
                })
            };
            json!({
                "type": "object",
                "properties": {
                    "kind": {
                        "enum": [Kind::Settings.name(), Kind::Policy.name()],
                        "description": "What the document is.",
                    },
                },
                "required": ["kind"],
                "allOf": [branch(Kind::Settings), branch(Kind::Policy)],
            })
        }
    };
    // Editors know this draft best.
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("towpath settings and policies");
    schema
}

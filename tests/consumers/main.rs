//! Edits as their readers see them: the real kustomize and helm render before and after, and only the version differs.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod charts;
mod corpus;
mod entries;
mod kustomizations;
mod rules;
mod run;
mod strings;

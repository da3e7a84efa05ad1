//! What was found: one line each, with what to do about it.

use std::fmt;

use serde_json::{Value as Json, json};

use super::super::check::count;

/// Something that was looked at, and how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) group: Group,
    /// What was looked at: a host, a repository, an environment's program.
    pub(super) subject: String,
    pub(super) state: State,
    pub(super) message: String,
    /// What a person can do about it.
    pub(super) hint: Option<String>,
}

/// What belongs together, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group {
    Here,
    Clocks,
    Registries,
    Repositories,
    Forges,
    Clusters,
    Servers,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    Ok,
    /// It works, and may not for long, or not as somebody may think.
    Warning,
    /// Promotions wait for it.
    Error,
    /// It could not be found out.
    Unknown,
}

impl Group {
    fn as_str(self) -> &'static str {
        match self {
            Self::Here => "here",
            Self::Clocks => "clocks",
            Self::Registries => "registries",
            Self::Repositories => "repositories",
            Self::Forges => "forges",
            Self::Clusters => "clusters",
            Self::Servers => "servers",
        }
    }
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is looked at, of which something is found.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub(super) group: Group,
    pub(super) name: String,
}

impl Subject {
    pub(super) fn new(group: Group, name: impl fmt::Display) -> Self {
        let name = name.to_string();
        Self { group, name }
    }

    pub(super) fn ok(&self, message: impl fmt::Display) -> Finding {
        self.found(State::Ok, message, None)
    }

    pub(super) fn warning(&self, message: impl fmt::Display, hint: &str) -> Finding {
        self.found(State::Warning, message, Some(hint.to_owned()))
    }

    pub(super) fn error(&self, message: impl fmt::Display, hint: Option<String>) -> Finding {
        self.found(State::Error, message, hint)
    }

    pub(super) fn unknown(&self, message: impl fmt::Display) -> Finding {
        self.found(State::Unknown, message, None)
    }

    pub(super) fn found(
        &self,
        state: State,
        message: impl fmt::Display,
        hint: Option<String>,
    ) -> Finding {
        Finding {
            group: self.group,
            subject: self.name.clone(),
            state,
            message: message.to_string(),
            hint,
        }
    }
}

/// For people: a line for each finding, those of a group below its name.
pub(super) fn as_text(findings: &[Finding]) -> String {
    let widest = |width: fn(&Finding) -> usize| findings.iter().map(width).max().unwrap_or(0);
    let states = widest(|finding| finding.state.as_str().len());
    let subjects = widest(|finding| finding.subject.chars().count());
    let mut lines = Vec::new();
    let mut group = None;
    for finding in findings {
        if group.replace(finding.group) != Some(finding.group) {
            lines.push(finding.group.as_str().to_uppercase());
        }
        let Finding {
            group: _,
            subject,
            state,
            message,
            hint,
        } = finding;
        lines.push(format!("  {state:states$}  {subject:subjects$}  {message}"));
        let margin = "";
        let indent = 2 + states + 2 + subjects + 2;
        lines.extend(
            hint.iter()
                .map(|hint| format!("{margin:indent$}hint: {hint}")),
        );
    }
    lines.push(String::new());
    lines.push(summary(findings));
    lines.join("\n") + "\n"
}

fn number(findings: &[Finding], state: State) -> usize {
    let is_so = |finding: &&Finding| finding.state == state;
    findings.iter().filter(is_so).count()
}

/// `1 error, 2 warnings, 1 unknown; 14 are well`.
fn summary(findings: &[Finding]) -> String {
    let of = |state| number(findings, state);
    let errors = count(of(State::Error), "error", "errors");
    let warnings = count(of(State::Warning), "warning", "warnings");
    let (unknown, well) = (of(State::Unknown), of(State::Ok));
    format!("{errors}, {warnings}, {unknown} unknown, {well} ok")
}

pub(super) fn as_json(findings: &[Finding], at: jiff::Timestamp) -> Json {
    let of = |state| number(findings, state);
    let finding = |finding: &Finding| {
        let Finding {
            group,
            subject,
            state,
            message,
            hint,
        } = finding;
        json!({
            "group": group.as_str(),
            "subject": subject,
            "state": state.as_str(),
            "message": message,
            "hint": hint,
        })
    };
    json!({
        "apiVersion": "towpath.dev/v1alpha1",
        "kind": "Doctor",
        "at": at.to_string(),
        "errors": of(State::Error),
        "warnings": of(State::Warning),
        "unknown": of(State::Unknown),
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{Group, Subject, as_json, as_text};

    #[test]
    fn findings_stand_below_their_groups_with_what_to_do_about_them() {
        let registry = Subject::new(Group::Registries, "ghcr.io/acme/web");
        let findings = [
            Subject::new(Group::Here, "cache").warning("1.2 GiB are left", "make room"),
            registry.ok("12 tags"),
            registry.error("no", Some("log in".to_owned())),
            Subject::new(Group::Servers, "prometheus:9090").unknown("it was not asked"),
        ];
        assert_snapshot!(as_text(&findings), @"
        HERE
          warning  cache             1.2 GiB are left
                                     hint: make room
        REGISTRIES
          ok       ghcr.io/acme/web  12 tags
          error    ghcr.io/acme/web  no
                                     hint: log in
        SERVERS
          unknown  prometheus:9090   it was not asked

        1 error, 1 warning, 1 unknown, 1 ok
        ");
        let json = as_json(&findings, "2026-03-01T09:00:00Z".parse().unwrap());
        assert_eq!((&json["errors"], &json["warnings"]), (&1.into(), &1.into()));
        assert_snapshot!(json["findings"][2], @r#"{"group":"registries","hint":"log in","message":"no","state":"error","subject":"ghcr.io/acme/web"}"#);
    }
}

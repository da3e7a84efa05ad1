//! Templates of people, for what a pull request says.
//!
//! The engine is minijinja, cut down: texts and lists are shown, compared and walked through, and never put together within a
//! template, so that none grows beyond what goes in times what stands in it. Invariant: a template that exists was filled once, with
//! values such as there will be.

#![cfg_attr(
    not(test),
    expect(dead_code, reason = "the keys of the configuration come next")
)]

use std::collections::BTreeMap;
use std::io;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, value::ValueKind};

/// Longest template in bytes: five pages.
const TEMPLATE_LENGTH_MAX: usize = 16 * 1024;

/// Most steps of one filling: a thousand images, and a hundred steps for each.
const STEPS_MAX: u64 = 100_000;

/// Most bytes of one filling: what the most generous forge takes, GitLab with 1,048,576 characters.
const FILLED_LENGTH_MAX: usize = 1024 * 1024;

/// What may stand first within `{% %}`. What keeps a text, as `set` and `filter` do, could double it line by line.
const STATEMENTS: [&str; 6] = ["if", "elif", "else", "endif", "for", "endfor"];

/// Between names and texts. Operators that put texts or lists together are left out.
const PUNCTUATION: &str = ".,|()=!<>_ \t\r\n";

/// A template that can be filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    text: String,
    part: TemplatePart,
}

/// What a template is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TemplatePart {
    Title,
    Body,
}

/// Why a template cannot be filled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} (line {line}, column {column} of the template)")]
pub(crate) struct TemplateError {
    pub(crate) message: String,
    /// One-based, within the template.
    pub(crate) line: usize,
    /// One-based, in characters.
    pub(crate) column: usize,
}

/// What a template may name. Whoever fills it sees to it that no text is read as markup.
#[derive(Clone, Debug)]
pub(crate) struct TemplateValues {
    pub(crate) policies: Vec<String>,
    pub(crate) environment: String,
    pub(crate) repository: String,
    pub(crate) branch: String,
    pub(crate) subject: String,
    pub(crate) images: Vec<TemplateImage>,
    pub(crate) sections: TemplateSections,
}

/// One image in [`TemplateValues`].
#[derive(Clone, Debug)]
pub(crate) struct TemplateImage {
    pub(crate) policy: String,
    pub(crate) name: String,
    pub(crate) repository: String,
    /// `None` where nothing stood.
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) digest: Option<String>,
}

/// The parts of our own body, each with its heading, empty where there is nothing to say. A title has none.
#[derive(Clone, Debug, Default)]
pub(crate) struct TemplateSections {
    /// All of them.
    pub(crate) body: String,
    pub(crate) changes: String,
    pub(crate) commits: String,
    pub(crate) running: String,
    pub(crate) gates: String,
    pub(crate) diff: String,
    pub(crate) warnings: String,
    pub(crate) actions: String,
}

impl Template {
    /// Reads a template, and fills it once to see that it names nothing unknown.
    pub(crate) fn parse(text: &str, part: TemplatePart) -> Result<Self, TemplateError> {
        if text.trim().is_empty() {
            return Err(at(text, 0, "a template says something"));
        }
        if text.len() > TEMPLATE_LENGTH_MAX {
            let message = format!("a template has at most {TEMPLATE_LENGTH_MAX} bytes");
            return Err(at(text, 0, message));
        }
        check_language(text)?;
        let template = Self {
            text: text.to_owned(),
            part,
        };
        template.check_names()?;
        template.fill(&TemplateValues::sample())?;
        Ok(template)
    }

    /// The text with `values` in place of their names.
    pub(crate) fn fill(&self, values: &TemplateValues) -> Result<String, TemplateError> {
        let environment = environment();
        let filled = environment.template_from_str(&self.text);
        let mut written = Bounded(Vec::new());
        filled
            .and_then(|filled| {
                filled
                    .render_captured_to(values.of(self.part), &mut written)
                    .map(drop)
            })
            .map_err(|error| self.error(&error))?;
        Ok(String::from_utf8_lossy(&written.0).into_owned())
    }

    /// Refuses names that no template has, in branches that the sample does not take too.
    fn check_names(&self) -> Result<(), TemplateError> {
        let environment = environment();
        let template = environment.template_from_str(&self.text);
        let named = template.map_err(|error| self.error(&error))?;
        let mut named: Vec<String> = named.undeclared_variables(false).into_iter().collect();
        named.sort();
        let sample = TemplateValues::sample().values(self.part);
        let unknown = named
            .iter()
            .find(|name| !sample.contains_key(name.as_str()));
        let Some(unknown) = unknown else {
            return Ok(());
        };
        let known: Vec<String> = sample.keys().map(|name| format!("`{name}`")).collect();
        let message = format!("unknown name `{unknown}`, known are {}", known.join(", "));
        let mut tags = tags(&self.text).into_iter();
        let place = tags.find_map(|(start, end)| {
            place_of_name(&self.text[start..end], unknown).map(|place| start + place)
        });
        let place = place.unwrap_or_default();
        Err(at(&self.text, place, message))
    }

    fn error(&self, error: &Error) -> TemplateError {
        let range = error.range().unwrap_or_default();
        let named = self.text.get(range.clone()).unwrap_or_default().trim();
        let message = match error.kind() {
            ErrorKind::UndefinedError => format!("`{named}` names nothing"),
            ErrorKind::OutOfFuel => format!("filling it takes more than {STEPS_MAX} steps"),
            ErrorKind::WriteFailure => {
                format!("what it makes is longer than {FILLED_LENGTH_MAX} bytes")
            }
            _ => match error.detail() {
                Some(detail) => detail.to_owned(),
                None => error.kind().to_string(),
            },
        };
        at(&self.text, range.start, message)
    }
}

impl TemplateValues {
    /// Values such as there will be: two images, one of which has neither what it replaces nor a digest.
    fn sample() -> Self {
        let image = |name: &str, known: bool| TemplateImage {
            policy: "portal".to_owned(),
            name: name.to_owned(),
            repository: format!("ghcr.io/acme/portal-{name}"),
            from: known.then(|| "v1.4.2".to_owned()),
            to: "v1.5.0".to_owned(),
            digest: known.then(|| format!("sha256:{}", "ab".repeat(32))),
        };
        Self {
            policies: vec!["portal".to_owned()],
            environment: "production".to_owned(),
            repository: "deploy".to_owned(),
            branch: "main".to_owned(),
            subject: "promote portal to production: 2 images".to_owned(),
            images: vec![image("web", true), image("worker", false)],
            sections: TemplateSections::default(),
        }
    }

    fn of(&self, part: TemplatePart) -> Value {
        Value::from_object(self.values(part))
    }

    fn values(&self, part: TemplatePart) -> BTreeMap<&'static str, Value> {
        let Self {
            policies,
            environment,
            repository,
            branch,
            subject,
            images,
            sections,
        } = self;
        let mut values = BTreeMap::from([
            ("policy", Value::from(policies.join(", "))),
            ("policies", policies.iter().collect()),
            ("environment", Value::from(environment)),
            ("repository", Value::from(repository)),
            ("branch", Value::from(branch)),
            ("subject", Value::from(subject)),
            ("images", images.iter().map(TemplateImage::value).collect()),
        ]);
        if part == TemplatePart::Body {
            let TemplateSections {
                body,
                changes,
                commits,
                running,
                gates,
                diff,
                warnings,
                actions,
            } = sections;
            values.extend([
                ("body", Value::from(body)),
                ("changes", Value::from(changes)),
                ("commits", Value::from(commits)),
                ("running", Value::from(running)),
                ("gates", Value::from(gates)),
                ("diff", Value::from(diff)),
                ("warnings", Value::from(warnings)),
                ("actions", Value::from(actions)),
            ]);
        }
        values
    }
}

impl TemplateImage {
    fn value(&self) -> Value {
        let Self {
            policy,
            name,
            repository,
            from,
            to,
            digest,
        } = self;
        Value::from_object(BTreeMap::from([
            ("policy", Value::from(policy)),
            ("name", Value::from(name)),
            ("repository", Value::from(repository)),
            ("from", Value::from(from.as_ref())),
            ("to", Value::from(to)),
            ("digest", Value::from(digest.as_ref())),
        ]))
    }
}

/// What a template may do: no file, no other template, no global.
fn environment<'a>() -> Environment<'a> {
    let mut environment = Environment::empty();
    environment.set_debug(true);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(STEPS_MAX));
    environment.set_formatter(|out, _, value| match value.kind() {
        ValueKind::None => Ok(()),
        ValueKind::String | ValueKind::Number | ValueKind::Bool => Ok(write!(out, "{value}")?),
        ValueKind::Undefined => Err(Error::from(ErrorKind::UndefinedError)),
        kind => {
            let message = format!("a {kind} cannot be shown; walk through it with `for`");
            Err(Error::new(ErrorKind::InvalidOperation, message))
        }
    });
    environment.add_filter("upper", |text: String| text.to_uppercase());
    environment.add_filter("lower", |text: String| text.to_lowercase());
    environment.add_filter("length", |list: Value| list.len());
    environment.add_filter("join", |list: Vec<String>, with: Option<String>| {
        list.join(with.as_deref().unwrap_or(", "))
    });
    environment.add_filter("default", |value: Value, other: Value| {
        match value.is_none() || value.is_undefined() {
            true => other,
            false => value,
        }
    });
    environment
}

/// What is written, and no more than fits.
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > FILLED_LENGTH_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses what is none of the language: texts that are put together, and statements that keep one.
fn check_language(text: &str) -> Result<(), TemplateError> {
    for (start, end) in tags(text) {
        let inside = &text[start..end];
        let statement = inside.trim_start_matches(['-', '+', ' ', '\t', '\r', '\n']);
        let keyword = statement.split(|c: char| !c.is_alphanumeric()).next();
        let keyword = keyword.unwrap_or_default();
        let is_statement = text[..start].ends_with("{%");
        if is_statement && !STATEMENTS.contains(&keyword) {
            let known = STATEMENTS.map(|name| format!("`{name}`")).join(", ");
            let message = format!("unknown statement `{keyword}`, known are {known}");
            return Err(at(text, start, message));
        }
        check_expression(text, start, end)?;
    }
    Ok(())
}

/// Where the inside of each `{{ }}` and `{% %}` starts and ends.
fn tags(text: &str) -> Vec<(usize, usize)> {
    let mut tags = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find('{') {
        let start = from + open + 1;
        let (closing, is_comment) = match text.as_bytes().get(start) {
            Some(b'{') => ("}}", false),
            Some(b'%') => ("%}", false),
            Some(b'#') => ("#}", true),
            Some(_) | None => {
                from = start;
                continue;
            }
        };
        let start = start + 1;
        let end = start + end_of(&text[start..], closing, is_comment);
        if !is_comment {
            tags.push((start, end));
        }
        from = (end + closing.len()).min(text.len());
    }
    tags
}

/// Where `closing` stands outside of quotes; the end, where it does not.
fn end_of(text: &str, closing: &str, is_comment: bool) -> usize {
    let mut quote = None;
    let mut is_escaped = false;
    for (place, c) in text.char_indices() {
        if is_escaped {
            is_escaped = false;
        } else if let Some(open) = quote {
            is_escaped = c == '\\';
            quote = quote.filter(|_| c != open);
        } else if !is_comment && matches!(c, '"' | '\'') {
            quote = Some(c);
        } else if text[place..].starts_with(closing) {
            return place;
        }
    }
    text.len()
}

fn check_expression(text: &str, start: usize, end: usize) -> Result<(), TemplateError> {
    let inside = &text[start..end];
    let mut quote = None;
    let mut is_escaped = false;
    for (place, c) in inside.char_indices() {
        let is_edge = place == 0 || place + 1 == inside.len();
        if is_escaped {
            is_escaped = false;
        } else if let Some(open) = quote {
            is_escaped = c == '\\';
            quote = quote.filter(|_| c != open);
        } else if matches!(c, '"' | '\'') {
            quote = Some(c);
        } else if !(c.is_alphanumeric() || PUNCTUATION.contains(c) || (is_edge && "-+".contains(c)))
        {
            let message = format!(
                "`{c}` is not part of the language: names, texts, numbers, comparisons and filters are"
            );
            return Err(at(text, start + place, message));
        }
    }
    match place_of_name(inside, "recursive") {
        Some(place) => Err(at(text, start + place, "a loop cannot be `recursive`")),
        None => Ok(()),
    }
}

/// Where `name` stands as a whole word.
fn place_of_name(text: &str, name: &str) -> Option<usize> {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut places = text.match_indices(name).map(|(place, _)| place);
    places.find(|place| {
        let is_start = !text[..*place].ends_with(of_word);
        is_start && !text[place + name.len()..].starts_with(of_word)
    })
}

fn at(text: &str, place: usize, message: impl Into<String>) -> TemplateError {
    let before = text.get(..place).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    TemplateError {
        message: message.into(),
        line: before.matches('\n').count() + 1,
        column: line.chars().count() + 1,
    }
}

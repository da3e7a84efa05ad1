//! Templates of people, for what a pull request says.
//!
//! The engine is minijinja, cut down: texts and lists are shown, compared and walked through, and never put together within a
//! template, so that none grows beyond what goes in times what stands in it. Invariant: a template that exists was filled once, with
//! values such as there will be.

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
    /// The same in bytes of the template.
    pub(crate) place: usize,
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
        place,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        FILLED_LENGTH_MAX, TEMPLATE_LENGTH_MAX, Template, TemplatePart, TemplateSections,
        TemplateValues,
    };

    fn filled(text: &str) -> String {
        let template = Template::parse(text, TemplatePart::Body).unwrap();
        let sections = TemplateSections {
            changes: "### What changes\n\n* `web`".to_owned(),
            ..TemplateSections::default()
        };
        let values = TemplateValues {
            sections,
            ..TemplateValues::sample()
        };
        template.fill(&values).unwrap()
    }

    fn refused(text: &str) -> String {
        let error = Template::parse(text, TemplatePart::Title).unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_template_names_values_and_walks_through_images() {
        insta::assert_snapshot!(filled("[{{ environment | upper }}] {{ subject }}\n\n{{ changes }}\n"), @"
        [PRODUCTION] promote portal to production: 2 images

        ### What changes

        * `web`
        ");
        insta::assert_snapshot!(filled("{% for image in images %}{{ loop.index }}. {{ image.name }} {{ image.from | default('none') }} -> {{ image.to }}{% if image.digest %} ({{ image.digest }}){% endif %}\n{% endfor %}{{ images | length }} of {{ policies | join }}"), @"
        1. web v1.4.2 -> v1.5.0 (sha256:abababababababababababababababababababababababababababababababab)
        2. worker none -> v1.5.0
        2 of portal
        ");
        insta::assert_snapshot!(filled("{# a note: ~ #}{% if environment == \"production\" and images | length > 1 %}several{% else %}one{% endif %} { not a tag }"), @"several { not a tag }");
    }

    #[test]
    fn what_a_template_names_is_known_in_branches_that_are_not_taken_too() {
        insta::assert_snapshot!(refused("promote {{ polcy }}"), @"unknown name `polcy`, known are `branch`, `environment`, `images`, `policies`, `policy`, `repository`, `subject` (line 1, column 12 of the template)");
        insta::assert_snapshot!(refused("\n{% if false %}polcy {{ polcy }}{% endif %}"), @"unknown name `polcy`, known are `branch`, `environment`, `images`, `policies`, `policy`, `repository`, `subject` (line 2, column 24 of the template)");
        insta::assert_snapshot!(refused("{% for image in images %}{{ image.nmae }}{% endfor %}"), @"`image.nmae` names nothing (line 1, column 29 of the template)");
        insta::assert_snapshot!(refused("{{ body }}"), @"unknown name `body`, known are `branch`, `environment`, `images`, `policies`, `policy`, `repository`, `subject` (line 1, column 4 of the template)");
    }

    #[test]
    fn what_is_no_template_is_refused_with_its_place() {
        insta::assert_snapshot!(refused(" "), @"a template says something (line 1, column 1 of the template)");
        insta::assert_snapshot!(refused("a\nb {{ policy"), @"unexpected end of input, expected end of variable block (line 2, column 6 of the template)");
        insta::assert_snapshot!(refused("{% if policy %}a"), @"unexpected end of input, expected end of block (line 1, column 16 of the template)");
        insta::assert_snapshot!(refused("{{ policy | shout }}"), @"filter shout is unknown (line 1, column 13 of the template)");
        insta::assert_snapshot!(refused("{{ images }}"), @"a sequence cannot be shown; walk through it with `for` (line 1, column 4 of the template)");
        let long = "a".repeat(TEMPLATE_LENGTH_MAX + 1);
        insta::assert_snapshot!(refused(&long), @"a template has at most 16384 bytes (line 1, column 1 of the template)");
    }

    #[test]
    fn nothing_within_a_template_can_make_texts_grow() {
        insta::assert_snapshot!(refused("{{ policy ~ policy }}"), @"`~` is not part of the language: names, texts, numbers, comparisons and filters are (line 1, column 11 of the template)");
        insta::assert_snapshot!(refused("{{ policy * 1000000 }}"), @"`*` is not part of the language: names, texts, numbers, comparisons and filters are (line 1, column 11 of the template)");
        insta::assert_snapshot!(refused("{{ [policy, policy] | join }}"), @"`[` is not part of the language: names, texts, numbers, comparisons and filters are (line 1, column 4 of the template)");
        insta::assert_snapshot!(refused("é{% set x = policy %}"), @"unknown statement `set`, known are `if`, `elif`, `else`, `endif`, `for`, `endfor` (line 1, column 4 of the template)");
        insta::assert_snapshot!(refused("{%- set x %}{{ x }}{{ x }}{% endset %}"), @"unknown statement `set`, known are `if`, `elif`, `else`, `endif`, `for`, `endfor` (line 1, column 3 of the template)");
        insta::assert_snapshot!(refused("{% include 'x' %}"), @"unknown statement `include`, known are `if`, `elif`, `else`, `endif`, `for`, `endfor` (line 1, column 3 of the template)");
        insta::assert_snapshot!(refused("{% for image in images recursive %}{{ loop(images) }}{% endfor %}"), @"a loop cannot be `recursive` (line 1, column 24 of the template)");
        for quoted in [
            "{{ policy | default('~*[]') }}",
            "{{ policy | default(\"\\\"~\") }}",
        ] {
            assert!(
                Template::parse(quoted, TemplatePart::Title).is_ok(),
                "{quoted}"
            );
        }
    }

    #[test]
    fn filling_ends_after_so_many_steps_and_bytes() {
        let values = |count: usize, length: usize| {
            let sample = TemplateValues::sample();
            let images = sample.images.iter().cycle().take(count).cloned();
            TemplateValues {
                subject: "x".repeat(length),
                images: images.collect(),
                ..sample
            }
        };
        let nested =
            "{% for a in images %}{% for b in images %}{{ subject }}{% endfor %}{% endfor %}";
        let nested = Template::parse(nested, TemplatePart::Title).unwrap();
        assert_eq!(nested.fill(&values(10, 1)).unwrap().len(), 100);
        let error = nested.fill(&values(1000, 0)).unwrap_err();
        insta::assert_snapshot!(error, @"filling it takes more than 100000 steps (line 1, column 34 of the template)");
        let error = nested
            .fill(&values(10, FILLED_LENGTH_MAX / 50))
            .unwrap_err();
        insta::assert_snapshot!(error, @"what it makes is longer than 1048576 bytes (line 1, column 1 of the template)");
    }

    proptest::proptest! {
        #[test]
        fn whatever_stands_in_a_template_is_a_template_or_an_error_within_it(text in "([{%#}~\\[\\]'\"| .=()<>\n-]|if|for|in|images|policy|endif|endfor|é){0,40}") {
            match Template::parse(&text, TemplatePart::Body) {
                Ok(template) => { let _ = template.fill(&TemplateValues::sample()); }
                Err(error) => assert!(error.line <= text.split('\n').count() && error.column <= text.chars().count() + 1),
            }
        }
    }
}

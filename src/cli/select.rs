//! `towpath select`: applies a rule to a list of tags, offline.
//!
//! On stdout stands the chosen tag alone; with `--explain` a table of every tag, the chosen one marked with `*`; with
//! `--output json` one object. Reasons and errors go to stderr. Exit codes: 0 a choice (or what stands there is the newest
//! already), 1 none, 2 a bad rule.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::{Failure, Output, print, write_to};
use crate::image::Tag;
use crate::manifest::{CommitId, CommitPlace, NamedCommit};
use crate::policy::SourceBranch;
use crate::policy::select::check::{RuleKey, RuleProblem};
use crate::policy::select::choose::{Downgrade, Over, Selection, select};
use crate::policy::select::explain::{Verdict, explain};
use crate::policy::select::rule::RuleText;
use crate::policy::select::{KnownTags, NamedCommits, PushUse, TagFacts, TagRule};

/// Largest list of tags that is read: 250 times a repository of 10,000 tags of 40 bytes.
const INPUT_BYTES_MAX: u64 = 100 * 1024 * 1024;

/// Chooses the newest tag that a rule allows
#[derive(clap::Args)]
pub(super) struct Args {
    /// One tag per line, optionally a tab and an RFC 3339 creation time, and a second tab and a push time; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    tags: PathBuf,
    /// Semantic versions in this range, such as `>=1.2 <2`
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    semver: Option<String>,
    /// Tags of this shape, such as `main-{number}-{sha}`
    #[arg(long)]
    pattern: Option<String>,
    /// Tags that this regular expression matches as a whole; its groups are named as the parts of a pattern
    #[arg(long)]
    regex: Option<String>,
    /// This tag alone
    #[arg(long, value_name = "TAG")]
    follow: Option<String>,
    /// Pre-releases to take: `none`, `any`, or labels such as `rc,beta`
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    prerelease: Option<Vec<String>>,
    /// What says which tag is newer: version, number, timestamp, commits, pushed, created or first-seen
    #[arg(long, value_name = "RULE")]
    newest_by: Option<String>,
    /// The commits of the branch that orders by commits, newest first, one a line, as `git rev-list --topo-order BRANCH` lists them
    #[arg(long, value_name = "FILE")]
    source: Option<PathBuf>,
    /// Tags to leave out, such as `*-debug`; may be given several times
    #[arg(long, value_name = "GLOB", allow_hyphen_values = true)]
    ignore: Vec<String>,
    /// Read the tags as a Helm chart's: what follows a `_` is build metadata
    #[arg(long)]
    chart: bool,
    /// The tag that stands there now: nothing older is chosen
    #[arg(long, value_name = "TAG")]
    current: Option<String>,
    /// Let an older tag take the place of the current one
    #[arg(long)]
    allow_downgrade: bool,
    /// List every tag with the reason why it is or is not the one
    #[arg(long)]
    explain: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// How much of the list the output speaks of.
#[derive(Clone, Copy)]
enum Detail {
    Chosen,
    Every,
}

/// What `--output json` prints. Fields may be added; these stay.
#[derive(Serialize)]
struct Report<'a> {
    /// The tag that should stand there, or null.
    tag: Option<&'a str>,
    /// `choose`, `replace` (what stands there has no order under the rule), `downgrade`, `newest` (it stands there already)
    /// or `hold`.
    decision: &'static str,
    reason: String,
    current: Option<&'a str>,
    /// How many tags the list holds.
    seen: usize,
    /// Every candidate, newest first.
    candidates: Vec<&'a str>,
    /// With `--explain`: every tag, candidates first.
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Vec<Explained<'a>>>,
}

#[derive(Serialize)]
struct Explained<'a> {
    tag: &'a str,
    candidate: bool,
    verdict: String,
}

pub(super) fn run(args: Args) -> Result<ExitCode, Failure> {
    let text = RuleText {
        semver: args.semver,
        pattern: args.pattern,
        regex: args.regex,
        follow: args.follow,
        prerelease: args.prerelease,
        newest_by: args.newest_by,
        source: args.source.as_deref().map(source_branch),
        ignore: args.ignore,
    };
    let rule = match TagRule::new(text.clone()) {
        Ok(rule) if args.chart => rule.of_chart(),
        Ok(rule) => rule,
        Err(problems) => {
            let pointed = problems.iter().map(|problem| Pointed {
                problem,
                text: &text,
            });
            let lines: Vec<String> = pointed.map(|problem| problem.to_string()).collect();
            write_to(io::stderr().lock(), &lines.concat())?;
            return Ok(ExitCode::from(2));
        }
    };
    let mut known = parse_tags(&read_input(&args.tags, "tags")?)?;
    if let (Some(file), Some(source)) = (&args.source, text.source) {
        let history = History::parse(&read_input(file, "commits")?)?;
        let tags = known.tags.iter().map(|facts| facts.tag.as_str());
        let named = Arc::new(history.named(&rule, tags.chain(args.current.as_deref())));
        known.histories = Arc::new(BTreeMap::from([(source, named)]));
    }
    let downgrade = match args.allow_downgrade {
        true => Downgrade::Allowed,
        false => Downgrade::Forbidden,
    };
    let current = args.current.as_deref();
    let selection = select(&rule, &known, current, downgrade);
    let detail = match args.explain {
        true => Detail::Every,
        false => Detail::Chosen,
    };
    let verdicts = || explain(&rule, &known, current);
    let out = match (args.output, detail) {
        (Output::Text, Detail::Every) => table(&verdicts(), chosen(&selection)),
        (Output::Text, Detail::Chosen) => {
            chosen(&selection).map_or_else(String::new, |tag| format!("{tag}\n"))
        }
        (Output::Json, detail) => json(&selection, current, &verdicts(), detail)?,
    };
    print(&out)?;
    if chosen(&selection).is_none() {
        write_to(io::stderr().lock(), &format!("error: {selection}\n"))?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn chosen(selection: &Selection) -> Option<&Tag> {
    match selection {
        Selection::Choose { tag, .. } | Selection::Newest { tag } => Some(tag),
        Selection::Hold(_) => None,
    }
}

/// A source as it is named where there are no settings: by its file.
fn source_branch(file: &Path) -> SourceBranch {
    SourceBranch {
        repository: "source".parse().expect("`source` is a name"),
        branch: file.display().to_string(),
    }
}

/// The places of commits, by their whole names.
struct History(BTreeMap<String, CommitPlace>);

impl History {
    fn parse(text: &str) -> Result<Self, anyhow::Error> {
        let mut places = BTreeMap::new();
        let names = text.lines().map(str::trim);
        let names = names.filter(|name| !name.is_empty()).rev();
        for (line, name) in (1..).zip(names) {
            let commit: CommitId = name.parse().context("failed to read the commits")?;
            places.insert(commit.to_string(), CommitPlace { line, depth: line });
        }
        Ok(Self(places))
    }

    /// What the commits in `tags` stand for.
    fn named<'a>(&self, rule: &TagRule, tags: impl Iterator<Item = &'a str>) -> NamedCommits {
        let names = tags.filter_map(|tag| rule.commit_in(&tag.parse().ok()?));
        let named = names.map(|name| {
            let same = self.0.range(name.clone()..);
            let same = same.take_while(|(commit, _)| commit.starts_with(&name));
            let named = NamedCommit::of(same.map(|(_, place)| *place));
            (name, named)
        });
        named.collect()
    }
}

fn read_input(path: &Path, what: &str) -> Result<String, anyhow::Error> {
    let failed = || match path.as_os_str() == "-" {
        true => format!("failed to read {what} from standard input"),
        false => format!("failed to read {what} from `{}`", path.display()),
    };
    let input: Box<dyn io::Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin().lock()),
        false => Box::new(std::fs::File::open(path).with_context(failed)?),
    };
    let mut bytes = Vec::new();
    let mut limited = input.take(INPUT_BYTES_MAX + 1);
    let read = limited.read_to_end(&mut bytes).with_context(failed)?;
    if read as u64 > INPUT_BYTES_MAX {
        return Err(anyhow!("it is larger than {INPUT_BYTES_MAX} bytes")).with_context(failed);
    }
    String::from_utf8(bytes)
        .map_err(|_| anyhow!("it is not UTF-8"))
        .with_context(failed)
}

/// Reads the list. The same line may stand twice, since a registry's pages may overlap.
fn parse_tags(input: &str) -> Result<KnownTags, anyhow::Error> {
    let mut facts = Vec::new();
    let input = input.strip_prefix('\u{feff}').unwrap_or(input);
    for (number, line) in (1..).zip(input.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let parsed = parse_line(line)
            .with_context(|| format!("failed to read line {number} of the tags"))?;
        facts.push(parsed);
    }
    facts.sort_by(|a, b| {
        let key = |facts: &TagFacts| (facts.created, facts.pushed);
        a.tag.cmp(&b.tag).then_with(|| key(a).cmp(&key(b)))
    });
    facts.dedup();
    let same_tag = |pair: &[TagFacts]| matches!(pair, [a, b] if a.tag == b.tag);
    if let Some([twice, ..]) = facts.windows(2).find(|pair| same_tag(pair)) {
        bail!(
            "`{}` stands in the list twice, with different times",
            twice.tag
        );
    }
    let is_told = facts.iter().any(|facts| facts.pushed.is_some());
    Ok(KnownTags {
        tags: facts,
        pushes: is_told.then_some(PushUse::ByDefault),
        histories: Arc::default(),
    })
}

fn parse_line(line: &str) -> Result<TagFacts, anyhow::Error> {
    let (tag, times) = line.split_once('\t').unwrap_or((line, ""));
    let (created, pushed) = times.split_once('\t').unwrap_or((times, ""));
    Ok(TagFacts {
        tag: tag.trim().parse()?,
        pushed: parse_time(pushed.trim())?,
        created: parse_time(created.trim())?,
        first_seen: None,
    })
}

fn parse_time(text: &str) -> Result<Option<Timestamp>, anyhow::Error> {
    let parse = |text: &str| {
        text.parse().map_err(|_| {
            anyhow!("`{text}` is not a time as RFC 3339 writes it, such as `2026-11-21T08:30:00Z`")
        })
    };
    (!text.is_empty()).then(|| parse(text)).transpose()
}

fn table(verdicts: &[(Tag, Verdict)], chosen: Option<&Tag>) -> String {
    let widths = verdicts.iter().map(|(tag, _)| tag.as_str().len());
    let width = widths.max().unwrap_or(0);
    let row = |(tag, verdict): &(Tag, Verdict)| {
        let mark = if chosen == Some(tag) { '*' } else { ' ' };
        let tag = tag.as_str();
        format!("{mark} {tag:width$}  {verdict}\n")
    };
    verdicts.iter().map(row).collect()
}

fn is_candidate(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Newest
        | Verdict::NewestOfThose
        | Verdict::Older { .. }
        | Verdict::Spelling { .. }
        | Verdict::Tied { .. }
        | Verdict::Unordered { .. } => true,
        Verdict::Excluded(_) => false,
    }
}

fn explained((tag, verdict): &(Tag, Verdict)) -> Explained<'_> {
    Explained {
        tag: tag.as_str(),
        candidate: is_candidate(verdict),
        verdict: verdict.to_string(),
    }
}

fn json(
    selection: &Selection,
    current: Option<&str>,
    verdicts: &[(Tag, Verdict)],
    detail: Detail,
) -> Result<String, anyhow::Error> {
    let candidates = verdicts.iter().filter(|(_, verdict)| is_candidate(verdict));
    let report = Report {
        tag: chosen(selection).map(Tag::as_str),
        decision: match selection {
            Selection::Choose { over, .. } => match over {
                Over::Nothing | Over::Older => "choose",
                Over::Newer => "downgrade",
                Over::Unordered => "replace",
            },
            Selection::Newest { tag: _ } => "newest",
            Selection::Hold(_) => "hold",
        },
        reason: selection.to_string(),
        current,
        seen: verdicts.len(),
        candidates: candidates.map(|(tag, _)| tag.as_str()).collect(),
        tags: match detail {
            Detail::Every => Some(verdicts.iter().map(explained).collect()),
            Detail::Chosen => None,
        },
    };
    let mut text = serde_json::to_string_pretty(&report).context("failed to write JSON")?;
    text.push('\n');
    Ok(text)
}

/// One problem of the rule, with a caret below the part that it is about.
struct Pointed<'a> {
    problem: &'a RuleProblem,
    text: &'a RuleText,
}

impl fmt::Display for Pointed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RuleProblem {
            key,
            offset,
            reason,
        } = self.problem;
        writeln!(f, "error: {reason}")?;
        let value = match key {
            RuleKey::Tags => None,
            RuleKey::Source => self.text.source.as_ref().map(|source| &source.branch),
            RuleKey::Semver => self.text.semver.as_ref(),
            RuleKey::Pattern => self.text.pattern.as_ref(),
            RuleKey::Regex => self.text.regex.as_ref(),
            RuleKey::Follow => self.text.follow.as_ref(),
            RuleKey::Prerelease(place) => {
                let words = self.text.prerelease.as_ref();
                words.and_then(|words| words.get(*place))
            }
            RuleKey::NewestBy => self.text.newest_by.as_ref(),
            RuleKey::Ignore(place) => self.text.ignore.get(*place),
        };
        let Some(value) = value else { return Ok(()) };
        let option = format!("--{key} ");
        let before = value.get(..*offset).unwrap_or(value).chars().count();
        let column = option.len() + before;
        // A line break would tear the caret from its value.
        let value = value.replace(['\n', '\r', '\t'], " ");
        writeln!(f, "  {option}{value}\n  {:column$}^", "")
    }
}

//! What the verbs `pin`, `reject`, `stop`, `approve`, `resume` and `rollback` share: each is one commit on the repository's own branch.
//!
//! Not here: how the file is edited (`config`) and what follows from it (`plan`).
//! Invariant: the branch moves only from the commit that was read, and what was decided is read again when it moved.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use similar::TextDiff;

use super::run::{Live, Setup};
use super::{Failure, SourceArgs, write_to};
use crate::config;
use crate::daemon::now;
use crate::edit::Refusal;
use crate::git::{Entry, Maker, NewCommit, Person, Push, PushError, Pushed, configured_author};
use crate::ledger::{HOLDS_FILE, HeldVersion, Hold, HoldEvent, Target};
use crate::manifest::{CommitId, RepoPath};
use crate::observe::holds_file;
use crate::plan::on_one_line;
use crate::policy::{Environment, Policy, RepositoryName};
use crate::world::{BranchName, Fact};

/// How often a commit is made anew because the branch moved under it, as in a round.
const ATTEMPTS_MAX: usize = 5;

/// Who writes.
#[derive(clap::Args)]
pub(super) struct WriterArgs {
    #[command(flatten)]
    pub(super) source: SourceArgs,

    /// Who decides, as `NAME <EMAIL>`. [default: git's own author, else that of the settings]
    #[arg(long, env = "TOWPATH_AUTHOR", value_name = "AUTHOR", value_parser = parse_person)]
    author: Option<Person>,

    /// Do not show the change and ask before it is committed. Without a terminal nobody is asked.
    #[arg(long)]
    yes: bool,
}

/// Why, and how long.
#[derive(clap::Args)]
pub(super) struct WhyArgs {
    /// Why; it is said wherever the hold counts.
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub(super) reason: String,

    /// When the hold ends by itself: a time such as `2026-12-27T06:00:00Z`, or from now on, such as `3d`. [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    pub(super) until: Option<Until>,
}

/// A time, or how long from now on.
#[derive(Clone, Copy)]
pub(super) enum Until {
    At(Timestamp),
    In(SignedDuration),
}

/// What is committed.
pub(super) struct Draft {
    pub(super) message: String,
    /// The file with the holds before and after.
    pub(super) holds: (Option<String>, String),
    /// Other files with what they become.
    pub(super) files: BTreeMap<RepoPath, Vec<u8>>,
}

/// Where the branch stands, and the file there.
pub(super) struct At {
    pub(super) text: Option<String>,
    pub(super) holds: Vec<Hold>,
}

/// What a verb writes to.
pub(super) struct Writer<'a> {
    pub(super) setup: &'a Setup,
    pub(super) live: &'a Live,
    pub(super) branch: BranchName,
    author: Person,
    yes: bool,
}

impl<'a> Writer<'a> {
    /// Writes to the own branch of `repository`.
    pub(super) fn new(
        setup: &'a Setup,
        live: &'a Live,
        repository: &RepositoryName,
        args: &WriterArgs,
    ) -> Self {
        let author = args.author.clone().or_else(configured_author);
        let author = author.unwrap_or_else(|| setup.signature.author.clone());
        Self {
            setup,
            live,
            branch: BranchName {
                repository: repository.clone(),
                branch: setup.settings.repositories[repository].branch.clone(),
            },
            author,
            yes: args.yes,
        }
    }

    /// The name of who decides.
    pub(super) fn by(&self) -> String {
        on_one_line(&self.author.name)
    }

    /// Who decides, as git writes a person.
    pub(super) fn person(&self) -> String {
        on_one_line(&self.author.to_string())
    }

    /// Commits what `draft` makes of the branch as it stands, and gives what it told beside; nothing where a person says no.
    pub(super) async fn write<T>(
        &self,
        draft: impl AsyncFn(At) -> Result<(Draft, T), Failure>,
    ) -> Result<Option<(CommitId, T)>, Failure> {
        let BranchName { repository, branch } = &self.branch;
        let (sources, wants) = (&self.live.sources, &self.live.wants);
        let mut asks = !self.yes && io::stdin().is_terminal() && io::stderr().is_terminal();
        for _ in 0..ATTEMPTS_MAX {
            sources.fetch(repository, wants).await;
            let head = self.head()?;
            let (draft, told) = draft(self.read(&head).await?).await?;
            if asks && !self.agrees(&draft)? {
                return Ok(None);
            }
            asks = false;
            match self.push(head, draft).await {
                Ok(Pushed::Done { ids }) => return Ok(ids.last().cloned().map(|id| (id, told))),
                Ok(Pushed::Moved { head: _ }) => {}
                Err(error) => {
                    let hint = match &error {
                        PushError::Rejected { .. } => Some(
                            "where the branch is protected, commit the same change to the file by a pull request",
                        ),
                        other => other.hint(),
                    };
                    let hint = hint.map(str::to_owned);
                    let failure = Failure::from(error);
                    return Err(match hint {
                        Some(hint) => failure.with_hint(hint),
                        None => failure,
                    });
                }
            }
        }
        Err(
            anyhow::anyhow!("`{branch}` of `{repository}` moved {ATTEMPTS_MAX} times meanwhile")
                .into(),
        )
    }

    fn head(&self) -> Result<CommitId, Failure> {
        let BranchName { repository, branch } = &self.branch;
        match self.live.sources.branch(&self.branch) {
            Some(Fact::Known(facts)) => facts.head.clone().ok_or_else(|| {
                anyhow::anyhow!(
                    "`{repository}` has no branch `{branch}`; create it with a first commit"
                )
                .into()
            }),
            Some(Fact::Unknown { why }) => Err(anyhow::anyhow!("{why}").into()),
            None => Err(anyhow::anyhow!("`{repository}` could not be read").into()),
        }
    }

    async fn read(&self, head: &CommitId) -> Result<At, Failure> {
        let mirror = &self.live.sources.mirrors()[&self.branch.repository];
        let file = holds_file();
        let mut entries = mirror.read(head.clone(), vec![file.clone()]).await?;
        let text = match entries.remove(&file) {
            None | Some(Entry::Missing) => None,
            Some(Entry::File { bytes }) => Some(
                String::from_utf8(bytes)
                    .map_err(|_| anyhow::anyhow!("`{HOLDS_FILE}` is not UTF-8; mend it first"))?,
            ),
            Some(Entry::Symlink | Entry::Folder | Entry::Submodule | Entry::TooLarge { .. }) => {
                return Err(anyhow::anyhow!(
                    "`{HOLDS_FILE}` is not a file that can be edited; mend it first"
                )
                .into());
            }
        };
        let holds = config::holds(Path::new(HOLDS_FILE), text.as_deref().unwrap_or_default());
        let holds = holds.map_err(Failure::config)?;
        Ok(At { text, holds })
    }

    /// Shows the change and asks the person at the terminal.
    fn agrees(&self, draft: &Draft) -> Result<bool, Failure> {
        let (before, after) = &draft.holds;
        let before = before.as_deref().unwrap_or_default();
        let diff = TextDiff::from_lines(before, after.as_str());
        let diff = diff
            .unified_diff()
            .header(HOLDS_FILE, HOLDS_FILE)
            .to_string();
        let others: String = draft
            .files
            .keys()
            .map(|file| format!("and {file}\n"))
            .collect();
        let BranchName { repository, branch } = &self.branch;
        let question = format!("{diff}{others}commit this to `{branch}` of `{repository}`? [y/N] ");
        write_to(io::stderr().lock(), &question)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    async fn push(&self, head: CommitId, draft: Draft) -> Result<Pushed, PushError> {
        let Draft {
            message,
            holds: (before, after),
            mut files,
        } = draft;
        if before.as_deref().unwrap_or_default() != after {
            files.insert(holds_file(), after.into_bytes());
        }
        let commit = NewCommit {
            message,
            maker: Maker::Us {
                author: self.author.clone(),
                committer: self.setup.signature.committer.clone(),
                time: now(),
            },
            files,
        };
        let push = Push {
            branch: self.branch.branch.clone(),
            expected: Some(head.clone()),
            parent: head,
            commits: vec![commit],
            options: Vec::new(),
        };
        self.live.sources.mirrors()[&self.branch.repository]
            .push(push)
            .await
    }

    /// Where the commit stands, for people.
    pub(super) fn told(&self, commit: &CommitId) -> String {
        let BranchName { repository, branch } = &self.branch;
        format!("commit {} on `{branch}` of `{repository}`", commit.short())
    }
}

impl Until {
    /// The time, or that long ago.
    pub(super) fn ago(self, now: Timestamp) -> Result<Timestamp, Failure> {
        match self {
            Self::At(at) => Ok(at),
            Self::In(duration) => now
                .checked_sub(duration)
                .map_err(|_| Failure::usage("`--since` is earlier than any calendar goes")),
        }
    }

    /// The time, which must be to come.
    pub(super) fn at(self, now: Timestamp) -> Result<Timestamp, Failure> {
        let at = match self {
            Self::At(at) => at,
            Self::In(duration) => {
                let whole = TimestampRound::new()
                    .smallest(Unit::Second)
                    .mode(RoundMode::Ceil);
                let at = now.checked_add(duration).and_then(|at| at.round(whole));
                at.map_err(|_| Failure::usage("`--until` is later than any calendar goes"))?
            }
        };
        match at > now {
            true => Ok(at),
            false => Err(Failure::usage(format!(
                "`--until` is over: it is {now} now"
            ))),
        }
    }
}

/// `subject`, and the trailers that tell the same to towpath.
pub(super) fn message(subject: &str, event: &HoldEvent) -> String {
    format!("{subject}\n\n{}", event.trailers())
}

/// What `refusal` says, at its place in the file.
pub(super) fn uneditable(refusal: &Refusal) -> Failure {
    let at = refusal
        .line
        .map(|line| format!(":{line}"))
        .unwrap_or_default();
    anyhow::anyhow!("{HOLDS_FILE}{at}: {refusal}").into()
}

/// The environment of this name, or the names that there are.
pub(super) fn named_environment<'p>(
    policy: &'p Policy,
    name: &str,
) -> Result<&'p Environment, Failure> {
    let mut environments = policy.environments.iter();
    environments
        .find(|environment| environment.name.as_str() == name)
        .ok_or_else(|| {
            let names = policy
                .environments
                .iter()
                .map(|known| format!("`{}`", known.name));
            let names: Vec<_> = names.collect();
            let message = format!("policy `{}` has no environment `{name}`", policy.name);
            Failure::usage(message).with_hint(format!("it has {}", names.join(", ")))
        })
}

/// What a version is about: one policy in one environment, and one image of it where that is named.
pub(super) fn target(
    policy: &Policy,
    environment: &Environment,
    image: Option<&str>,
) -> Result<Target, Failure> {
    let image = image.map(|name| {
        let known = policy.images.keys().find(|known| known.as_str() == name);
        known.cloned().ok_or_else(|| {
            let names: Vec<_> = policy
                .images
                .keys()
                .map(|known| format!("`{known}`"))
                .collect();
            let message = format!("policy `{}` has no image `{name}`", policy.name);
            Failure::usage(message).with_hint(format!("it has {}", names.join(", ")))
        })
    });
    Ok(Target {
        policy: Some(policy.name.clone()),
        environment: Some(environment.name.clone()),
        image: image.transpose()?,
    })
}

/// Refuses a version that the registry does not list for each image of `target`: it may be misspelled.
pub(super) async fn refuse_unlisted(
    live: &Live,
    (policy, environment): (&Policy, &Environment),
    (target, version): (&Target, &HeldVersion),
) -> Result<(), Failure> {
    let HeldVersion::Tag(tag) = version else {
        return Ok(());
    };
    for (name, image) in &policy.images {
        if !target.covers(&policy.name, &environment.name, name) {
            continue;
        }
        let repository = &image.repository;
        live.sources.list(repository, &live.wants, now()).await;
        let facts = live.sources.image(repository);
        let failure = match facts.map(|facts| facts.listing) {
            Some(Fact::Known(listing)) if listing.tags.contains(tag) => continue,
            Some(Fact::Known(_)) => {
                let failure: Failure = anyhow::anyhow!("`{repository}` has no tag `{tag}`").into();
                match policy.images.len() {
                    1 => failure.with_hint("`--force` holds it all the same"),
                    _ => failure
                        .with_hint("name the image by `--image`; `--force` holds it all the same"),
                }
            }
            Some(Fact::Unknown { why }) => Failure::from(anyhow::anyhow!("{why}"))
                .with_hint("`--force` holds the version without asking the registry"),
            None => anyhow::anyhow!("`{repository}` could not be listed").into(),
        };
        return Err(failure);
    }
    Ok(())
}

/// Reads `Ada <ada@example.com>`.
fn parse_person(text: &str) -> Result<Person, String> {
    let parts = text
        .strip_suffix('>')
        .and_then(|rest| rest.split_once(" <"));
    match parts {
        Some((name, email)) if !name.trim().is_empty() && !email.contains(['<', '>']) => {
            Ok(Person {
                name: name.trim().to_owned(),
                email: email.to_owned(),
            })
        }
        Some(_) | None => Err("write `NAME <EMAIL>`".to_owned()),
    }
}

/// A reason is one line, as a trailer is.
pub(super) fn parse_reason(text: &str) -> Result<String, String> {
    let line = on_one_line(text.trim());
    match line.is_empty() {
        true => Err("say why".to_owned()),
        false => Ok(line),
    }
}

pub(super) fn parse_until(text: &str) -> Result<Until, String> {
    if let Ok(at) = text.parse() {
        return Ok(Until::At(at));
    }
    let duration: Result<Duration, _> = humantime::parse_duration(text);
    let duration = duration.ok().and_then(|duration| duration.try_into().ok());
    duration.map(Until::In).ok_or_else(|| {
        "write a time such as `2026-12-27T06:00:00Z`, or how long from now on, such as `3d`"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{Until, parse_person, parse_until};

    #[test]
    fn an_author_is_written_as_git_writes_it() {
        let ada = parse_person("Ada Lovelace <ada@example.com>").unwrap();
        assert_eq!(
            (ada.name.as_str(), ada.email.as_str()),
            ("Ada Lovelace", "ada@example.com")
        );
        for wrong in ["", "Ada", " <a@b>", "Ada <a@b", "Ada <a> <b>"] {
            assert!(parse_person(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_end_is_a_time_to_come_or_a_while_from_now() {
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        let at = |text: &str| parse_until(text).unwrap().at(now).map(|at| at.to_string());
        assert_eq!(at("3d").unwrap(), "2026-03-05T09:00:00Z");
        assert_eq!(at("2026-03-02T09:00:01Z").unwrap(), "2026-03-02T09:00:01Z");
        assert!(at("2026-03-02T09:00:00Z").is_err(), "it is over");
        assert!(parse_until("tomorrow").is_err());
        assert!(matches!(parse_until("90m"), Ok(Until::In(_))));
    }
}

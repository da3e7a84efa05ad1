//! Commit messages as they come back: trailers of ours, wherever a forge put them.
//!
//! A squash puts several messages into one, each after a line of its own, indents them or wraps them, and adds trailers of
//! others; so all lines are read, not the last paragraph alone. Not here: what the trailers say (`promotion`, `event`).
//! Invariant: nothing is read from the message of a revert.

/// What our trailers begin with.
const OURS: &str = "Towpath-";

pub(super) const POLICY: &str = "Towpath-Policy";
pub(super) const ENVIRONMENT: &str = "Towpath-Environment";
pub(super) const IMAGE: &str = "Towpath-Image";
pub(super) const REPLACES: &str = "Towpath-Replaces";
pub(super) const REJECTS: &str = "Towpath-Rejects";
pub(super) const GATE: &str = "Towpath-Gate";
pub(super) const HOLD: &str = "Towpath-Hold";
pub(super) const HOLD_IMAGE: &str = "Towpath-Hold-Image";
pub(super) const STANDS: &str = "Towpath-Stands";
pub(super) const REASON: &str = "Towpath-Reason";
pub(super) const UNTIL: &str = "Towpath-Until";

/// What a line of a revert begins with: git's, and those of the buttons of GitHub, GitLab and Gitea, which all quote the
/// subject alone.
const REVERTS: [&str; 2] = ["This reverts commit ", "This reverts merge request "];

/// What the subject of a revert begins with.
const REVERTED: [&str; 3] = ["Revert \"", "Reapply \"", "revert: "];

/// `text` with nothing that [`blocks`] reads, as long as before, for what a forge may put into a message.
pub(crate) fn without_trailers(text: &str) -> String {
    text.replace(OURS, "Towpath ")
}

/// The trailers about one policy in one environment, in the order of the message.
#[derive(Debug, Default)]
pub(super) struct Block<'a> {
    trailers: Vec<(&'a str, String)>,
}

impl Block<'_> {
    pub(super) fn one(&self, key: &str) -> Option<&str> {
        self.all(key).next()
    }

    pub(super) fn all(&self, key: &str) -> impl Iterator<Item = &str> {
        let of_key = move |(name, _): &&(&str, String)| *name == key;
        self.trailers
            .iter()
            .filter(of_key)
            .map(|(_, value)| value.as_str())
    }
}

/// The blocks of trailers in `message`; none in that of a revert.
pub(super) fn blocks(message: &str) -> Vec<Block<'_>> {
    if is_revert(message) {
        return Vec::new();
    }
    let mut blocks: Vec<Block<'_>> = Vec::new();
    // The first line is the subject.
    let mut lines = message.lines().skip(1).map(str::trim).peekable();
    while let Some(line) = lines.next() {
        let Some((key, value)) = line
            .split_once(": ")
            .filter(|(key, _)| key.starts_with(OURS))
        else {
            continue;
        };
        let mut value = value.trim().to_owned();
        // GitHub wraps the message of a squash after 72 columns, and no digest fits beside its name.
        let has_two_words = matches!(key, IMAGE | REPLACES | REJECTS);
        if has_two_words && !value.contains(' ') {
            let rest = lines.next_if(|rest| !rest.is_empty() && !rest.starts_with(OURS));
            value.extend(rest.into_iter().flat_map(|rest| [" ", rest]));
        }
        let begins = match (key, blocks.last()) {
            (_, None) | (POLICY, _) => true,
            // What is about an environment of every policy names none.
            (ENVIRONMENT, Some(block)) => block.one(ENVIRONMENT).is_some(),
            (_, Some(_)) => false,
        };
        if begins {
            blocks.push(Block::default());
        }
        if let Some(block) = blocks.last_mut() {
            block.trailers.push((key, value));
        }
    }
    blocks
}

fn is_revert(message: &str) -> bool {
    let subject = message.lines().next().unwrap_or_default();
    let begins = |line: &str, words: &[&str]| words.iter().any(|word| line.starts_with(word));
    // `Reverts acme/deploy#12`
    let by_button = |line: &str| line.starts_with("Reverts ") && line.contains(['#', '!']);
    let says_so = |line: &str| begins(line, &REVERTS) || by_button(line);
    begins(subject, &REVERTED) || message.lines().map(str::trim).any(says_so)
}

/// What a revert says that it undoes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undoes {
    /// The name of a commit, or the start of one.
    commit: Option<String>,
    pub(super) pull_request: Option<u64>,
}

impl Undoes {
    /// Whether it is the commit of this name.
    pub(super) fn is_commit(&self, id: &str) -> bool {
        self.commit
            .as_ref()
            .is_some_and(|start| id.starts_with(start))
    }
}

/// What `message` says that it undoes, if it is that of a revert.
pub(super) fn undone(message: &str) -> Option<Undoes> {
    if !is_revert(message) {
        return None;
    }
    let lines = || message.lines().map(str::trim);
    let commit = lines().find_map(|line| line.strip_prefix("This reverts commit "));
    let digits =
        |text: &str| -> String { text.chars().take_while(char::is_ascii_hexdigit).collect() };
    // Git writes all digits, people at least those that it shows them.
    let commit = commit.map(digits).filter(|digits| digits.len() >= 7);
    let place = lines().find_map(|line| {
        let by_button = line.strip_prefix("Reverts ");
        by_button.or_else(|| line.strip_prefix("This reverts merge request "))
    });
    let number = place.and_then(|place| place.rsplit_once(['#', '!']));
    let pull_request = number.and_then(|(_, number)| first_number(number));
    Some(Undoes {
        commit,
        pull_request,
    })
}

/// The number that a text begins with.
fn first_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

/// Why a person had what the message tells.
pub(super) fn reason(message: &str) -> Option<String> {
    let blocks = blocks(message);
    blocks
        .iter()
        .find_map(|block| block.one(REASON).map(str::to_owned))
}

/// The first line of a message.
pub(super) fn subject(message: &str) -> &str {
    message.lines().next().unwrap_or_default()
}

/// The number of the pull request that `message` says it merges, in the words of each forge.
///
/// GitHub: `Merge pull request #12 from ...`, and `title (#12)` for a squash
/// (<https://docs.github.com/en/pull-requests/collaborating-with-pull-requests/incorporating-changes-from-a-pull-request/about-pull-request-merges>).
/// Gitea: `Merge pull request 'title' (#12) from ...` and `title (#12)`. GitLab: `See merge request group/repository!12`
/// (<https://docs.gitlab.com/user/project/merge_requests/commit_templates/>). Bitbucket Cloud: `Merged in branch (pull request #12)`
/// (<https://confluence.atlassian.com/bbkb/understanding-the-default-pull-request-title-description-and-merge-commit-message-1235852669.html>);
/// its Data Center: `Pull request #12: title`. Azure DevOps: `Merged PR 12: title`.
pub(super) fn pull_request(message: &str) -> Option<u64> {
    let subject = subject(message);
    let begins = ["Merge pull request #", "Merged PR ", "Pull request #"];
    let begun = begins.iter().find_map(|words| subject.strip_prefix(words));
    if let Some(number) = begun.and_then(first_number) {
        return Some(number);
    }
    let bracketed = ["(pull request #", "(#"];
    let bracketed = bracketed.iter().find_map(|words| {
        let (_, rest) = subject.rsplit_once(words)?;
        let (number, _) = rest.split_once(')')?;
        number.parse().ok()
    });
    if bracketed.is_some() {
        return bracketed;
    }
    let mut told = message
        .lines()
        .filter_map(|line| line.trim().strip_prefix("See merge request "));
    told.find_map(|place| first_number(place.rsplit_once('!')?.1))
}

/// Who approved, as the messages of merges tell it: Bitbucket and Gitea write `Approved-by` or `Reviewed-by`, and so do
/// GitLab's templates.
pub(super) fn approvers(message: &str) -> Vec<String> {
    let name = |line: &str| {
        let keys = ["Approved-by: ", "Reviewed-by: "];
        let value = keys.iter().find_map(|key| line.trim().strip_prefix(key))?;
        // An address is nobody's business where a name is enough.
        let name = value.split_once(" <").map_or(value, |(name, _)| name);
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    };
    let mut names: Vec<String> = message.lines().skip(1).filter_map(name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::{approvers, pull_request};

    #[test]
    fn the_number_of_a_pull_request_is_found_in_the_words_of_each_forge() {
        for (message, number) in [
            (
                "Merge pull request #12 from acme/towpath/production/portal\n\npromote",
                Some(12),
            ),
            ("promote portal to production: web v1 -> v2 (#12)", Some(12)),
            (
                "Merge pull request 'promote portal (#3)' (#12) from towpath/production/portal into main",
                Some(12),
            ),
            (
                "Merge branch 'towpath/x' into 'main'\n\npromote\n\nSee merge request acme/deploy!12",
                Some(12),
            ),
            (
                "Merged in towpath/production/portal (pull request #12)\n\npromote",
                Some(12),
            ),
            ("Pull request #12: promote portal", Some(12)),
            ("Merged PR 12: promote portal", Some(12)),
            (
                "Merge branch 'main' of https://git.example.com/acme/deploy",
                None,
            ),
            ("promote portal to production: web v1 -> v2", None),
            ("fix (#x)", None),
            ("", None),
        ] {
            assert_eq!(pull_request(message), number, "{message}");
        }
    }

    #[test]
    fn approvers_are_told_by_the_trailers_of_a_merge() {
        let message = "Merged in x (pull request #1)\n\npromote\n\nApproved-by: Ada\nReviewed-by: Grace <g@example.com>\nApproved-by: Ada\n";
        assert_eq!(approvers(message), ["Ada", "Grace"]);
    }
}

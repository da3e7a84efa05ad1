//! The gate `approvals`: how many people, and who of them, must have agreed to a version.

use std::collections::BTreeSet;

use super::{Finding, GateName, Verdict};

/// How many must have approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Approvals {
    /// One at least.
    pub(crate) count: usize,
    /// Whose approvals count; `None` for everybody's.
    pub(crate) from: Option<Approvers>,
}

/// Whose approvals count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Approvers {
    /// Groups and people, as the policy names them.
    pub(crate) named: Vec<String>,
    /// The people of all of these: logins at a forge, or names or addresses as git knows them.
    pub(crate) people: BTreeSet<String>,
}

impl Approvals {
    /// How a version stands that these people approved, or of which that could not be read, with the reason. `remedy` is how one
    /// more approves it.
    pub(crate) fn judge(
        &self,
        approved: Result<&BTreeSet<String>, &str>,
        remedy: Option<&str>,
    ) -> Finding {
        let (verdict, why) = match approved {
            Err(why) => (Verdict::Unknown, why.to_owned()),
            Ok(approved) => self.count(approved, remedy),
        };
        Finding {
            gate: GateName::Approvals,
            verdict,
            why,
            next: None,
        }
    }

    /// Whether the approval of `who` counts.
    pub(crate) fn counts(&self, who: &str) -> bool {
        self.from.as_ref().is_none_or(|from| from.has(who))
    }

    fn count(&self, approved: &BTreeSet<String>, remedy: Option<&str>) -> (Verdict, String) {
        let (those, others): (Vec<&String>, Vec<&String>) =
            approved.iter().partition(|who| self.counts(who));
        let list = |names: &[&String]| {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            names.join(", ")
        };
        let missing = self.count.saturating_sub(self.people(&those));
        if missing == 0 {
            return (Verdict::Passed, format!("approved by {}", list(&those)));
        }
        let missing = match missing {
            1 => "1 approval is missing".to_owned(),
            some => format!("{some} approvals are missing"),
        };
        let from = self.from.as_ref();
        let parts = [
            Some(missing),
            from.map(|from| format!(", from {}", from.named.join(" or "))),
            (!those.is_empty()).then(|| format!(", beside {}", list(&those))),
            remedy.map(|remedy| format!(": `{remedy}`")),
            (!others.is_empty()).then(|| format!("; not counted: {}", list(&others))),
        ];
        let why = parts.into_iter().flatten().collect();
        (Verdict::Waits, why)
    }

    /// How many people these are.
    fn people(&self, approved: &[&String]) -> usize {
        let mut people: Vec<Vec<&String>> = Vec::new();
        for who in approved {
            let is_one = |one: &Vec<&String>| one.iter().any(|other| self.are_one(who, other));
            let (same, mut others): (Vec<_>, _) = people.into_iter().partition(is_one);
            others.push(same.into_iter().flatten().chain([*who]).collect());
            people = others;
        }
        people.len()
    }

    /// Whether two are one person: who writes his name otherwise or leaves out the address, or who is named once here and has
    /// several addresses.
    fn are_one(&self, one: &str, other: &str) -> bool {
        let address = |who| parts(who).map_or(who, |(_, address)| address);
        let mut named = self.from.iter().flat_map(|from| &from.people);
        address(one).to_lowercase() == address(other).to_lowercase()
            || is_called(one, other)
            || is_called(other, one)
            || named.any(|name| is_called(one, name) && is_called(other, name))
    }
}

impl Approvers {
    fn has(&self, who: &str) -> bool {
        self.people.iter().any(|one| is_called(who, one))
    }
}

/// Whether `who` has this name: a login, or a person as git writes one, `Ann Example <ann@example.com>`.
fn is_called(who: &str, name: &str) -> bool {
    let (own, address) = parts(who).unzip();
    let mut names = [Some(who), own, address].into_iter().flatten();
    names.any(|one| one.eq_ignore_ascii_case(name))
}

/// Name and address of a person as git writes one.
fn parts(who: &str) -> Option<(&str, &str)> {
    who.strip_suffix('>')?.split_once(" <")
}

#[cfg(test)]
mod tests {
    use super::{Approvals, Approvers, Verdict};

    fn told(count: usize, from: &[&str], approved: &[&str]) -> String {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let approvals = Approvals {
            count,
            from: (!from.is_empty()).then(|| Approvers {
                named: vec!["release-managers".to_owned()],
                people: from.iter().map(ToString::to_string).collect(),
            }),
        };
        let found = approvals.judge(Ok(&texts(approved)), Some("towpath approve"));
        assert_eq!(found.next, None);
        format!("{:?}: {}", found.verdict, found.why)
    }

    #[test]
    fn as_many_as_it_takes_pass_and_one_fewer_waits() {
        insta::assert_snapshot!(told(2, &[], &["ann", "bob"]), @"Passed: approved by ann, bob");
        insta::assert_snapshot!(told(2, &[], &["ann"]), @"Waits: 1 approval is missing, beside ann: `towpath approve`");
        insta::assert_snapshot!(told(2, &[], &[]), @"Waits: 2 approvals are missing: `towpath approve`");
        let twice = told(2, &[], &["Ann <a@example.com>", "Ann E <A@example.com>"]);
        insta::assert_snapshot!(twice, @"Waits: 1 approval is missing, beside Ann <a@example.com>, Ann E <A@example.com>: `towpath approve`");
    }

    #[test]
    fn only_those_who_may_are_counted_by_whatever_name_they_have() {
        insta::assert_snapshot!(told(1, &["ann"], &["bob"]), @"Waits: 1 approval is missing, from release-managers: `towpath approve`; not counted: bob");
        for name in ["ann", "Ann", "ann <a@example.com>", "A. E. <ann>"] {
            assert!(told(1, &["ann"], &[name]).starts_with("Passed"), "{name}");
        }
        assert!(told(1, &["a@example.com"], &["Ann <A@example.com>"]).starts_with("Passed"));
        assert!(told(1, &["ann"], &["anna", "Ann E <a@example.com>"]).starts_with("Waits"));
    }

    #[test]
    fn who_approves_by_two_addresses_or_by_the_name_alone_is_one_person() {
        let twice = ["Ann <a@example.com>", "Ann <ann@home.example>"];
        insta::assert_snapshot!(told(2, &["ann", "bob"], &twice), @"Waits: 1 approval is missing, from release-managers, beside Ann <a@example.com>, Ann <ann@home.example>: `towpath approve`");
        assert!(told(2, &["ann", "bob"], &["ann", "Bob <b@example.com>"]).starts_with("Passed"));
        // Two who share an address, and one whom `from` names twice.
        let shared = ["Ann <team@example.com>", "Bob <team@example.com>"];
        assert!(told(2, &["ann", "bob"], &shared).starts_with("Waits"));
        assert!(told(2, &["ann", "a@example.com", "bob"], &twice).starts_with("Waits"));
        for alone in ["Ann", "ann", "a@example.com"] {
            let twice = told(2, &[], &["Ann <a@example.com>", alone]);
            assert!(twice.starts_with("Waits"), "{alone}");
        }
        assert!(told(2, &[], &["Ann", "Bob <b@example.com>"]).starts_with("Passed"));
    }

    #[test]
    fn what_cannot_be_read_is_unknown() {
        let approvals = Approvals {
            count: 1,
            from: None,
        };
        let found = approvals.judge(Err("the forge is away"), None);
        assert_eq!(found.verdict, Verdict::Unknown);
        assert_eq!(found.why, "the forge is away");
    }
}

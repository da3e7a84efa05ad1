//! The gate `approvals` as it is written: how many people must agree, and who of them counts.

use serde_json::{Value as Json, json};

use super::super::forms::OneOrMany;
use super::super::problem::Faults;
use super::super::shape::{Block, Leaf, Placed, Refusal, nearest, shape};
use super::Known;
use crate::policy::gate::{Approvals, Approvers};

/// Most approvals that may be asked for: more people look at nothing.
const COUNT_MAX: usize = 20;

shape! {
    /// How many people must agree to a version.
    struct ApprovalsEntry {
        /// How many. Default: `1`.
        count: Option<Placed<Count>> = "count",
        /// Whose approvals count: groups of the settings, and people by their logins at the forge, or by their names or addresses as git knows them. Default: everybody's.
        from: Option<OneOrMany<Placed<String>>> = "from",
    }
}

/// How many.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Count(usize);

impl Leaf for Count {
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Refusal> {
        let count = text.parse().ok();
        let count = count.filter(|count| (1..=COUNT_MAX).contains(count));
        count
            .map(Self)
            .ok_or_else(|| Refusal::new(format!("`{text}` is not a number from 1 to {COUNT_MAX}")))
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": 1, "maximum": COUNT_MAX })
    }
}

/// What the gate means; groups stand for their people.
pub(super) fn approvals(
    written: Option<Block<ApprovalsEntry>>,
    known: &Known<'_>,
    faults: &mut Faults,
) -> Option<Approvals> {
    let Block { value, owner, span } = written?;
    let ApprovalsEntry { count, from } = value;
    let count = count.map_or(1, |count| count.value.0);
    let from = from.map(|OneOrMany(from)| {
        let named: Vec<Placed<String>> = from.into_iter().map(|one| one.value).collect();
        approvers(&named, known, faults)
    });
    let people = from.as_ref().map(|from| from.people.len());
    let is_known = known.groups.is_some() && !faults.touch(span);
    if let Some(people) = people.filter(|people| *people < count && is_known) {
        let message = format!("`from` names {people}, and {count} are to approve");
        let hint = "add people to `from`, or to the groups of the settings";
        faults.error_with_hint(owner, message, hint);
    }
    Some(Approvals { count, from })
}

fn approvers(named: &[Placed<String>], known: &Known<'_>, faults: &mut Faults) -> Approvers {
    let mut approvers = Approvers {
        named: Vec::new(),
        people: [].into(),
    };
    for one in named {
        let groups = known.groups.into_iter().flatten();
        let names: Vec<&str> = groups.map(|(name, _)| name.as_str()).collect();
        let people = known.groups.and_then(|groups| groups.get(&one.value));
        match people {
            Some(people) => approvers.people.extend(people.iter().cloned()),
            None => {
                if let Some(near) = nearest(&one.value, &names) {
                    let message = format!(
                        "there is no group `{}`, so this is one person; did you mean `{near}`?",
                        one.value
                    );
                    faults.warning(one.span, message);
                }
                approvers.people.insert(one.value.clone());
            }
        }
        approvers.named.push(one.value.clone());
    }
    approvers
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::super::super::tests::{POLICY, SETTINGS, folder, messages};
    use super::super::super::{Config, load};

    fn policy(gates: &[&str]) -> String {
        let environment = |(index, gates): (usize, &&str)| {
            format!(
                "    - {{ name: dev-{index}, tags: {{ semver: 1.x }}, update: a{index}, gates: {{ approvals: {gates} }} }}\n"
            )
        };
        let environments: String = gates.iter().enumerate().map(environment).collect();
        format!("{POLICY}{environments}")
    }

    fn settings() -> String {
        format!(
            "{SETTINGS}groups:\n  release-managers: [ann, bob]\n  security: [bob, cy@example.com]\n"
        )
    }

    fn read(gates: &[&str]) -> Config {
        let folder = folder(&settings(), &policy(gates));
        let config = load(&folder.path().join("towpath.yaml"));
        config.unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn a_group_stands_for_its_people() {
        let config = read(&[
            "{}",
            "{ count: 3, from: [release-managers, security] }",
            "{ from: dora }",
            "{ from: release-manager }",
        ]);
        let told = |index: usize| {
            let gates = &config.policies[0].environments[index].gates;
            let approvals = gates.approvals.as_ref().unwrap();
            let people = approvals.from.as_ref().map(|from| from.people.clone());
            format!("{} {people:?}", approvals.count)
        };
        assert_snapshot!(told(0), @"1 None");
        assert_snapshot!(told(1), @r#"3 Some({"ann", "bob", "cy@example.com"})"#);
        assert_snapshot!(told(2), @r#"1 Some({"dora"})"#);
        let warnings: Vec<_> = config.warnings.iter().map(|one| &one.message).collect();
        assert_snapshot!(format!("{warnings:?}"), @r#"["there is no group `release-manager`, so this is one person; did you mean `release-managers`?"]"#);
    }

    #[test]
    fn what_is_wrong_with_approvals_is_told_at_its_place() {
        let wrong = policy(&[
            "{ count: 0 }",
            "{ count: 21 }",
            "{ count: 2, from: dora }",
            "{ count: 4, from: [release-managers, security] }",
            "{ from: [] }",
            "2",
        ]);
        assert_snapshot!(messages(&settings(), &wrong), @"
        8:86 `0` is not a number from 1 to 20
        9:86 `21` is not a number from 1 to 20
        10:66 `from` names 1, and 2 are to approve [add people to `from`, or to the groups of the settings]
        11:66 `from` names 3, and 4 are to approve [add people to `from`, or to the groups of the settings]
        12:85 expected at least one, found an empty list
        13:77 expected a map, found a number
        ");
        let proposed = policy(&["{}"]).replace("gates:", "deliver: pull-request, gates:");
        assert_snapshot!(messages(&settings(), &proposed), @"8:66 `deploy` has no forge, so nobody could approve what is proposed here [deliver by commit, which `towpath approve` opens, or leave `approvals` out]");
        let wrong = format!("{SETTINGS}groups: {{ A b: [ann], empty: [] }}\n");
        assert_snapshot!(messages(&wrong, &policy(&["{}"])), @"6:11 `A b` is not a name: 1 to 63 lower-case letters, digits, `-` and `.`, starting and ending with a letter or digit");
    }
}

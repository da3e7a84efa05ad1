//! What holds for every rule and every listing.

use std::sync::Arc;

use proptest::collection::btree_map;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select as one_of};
use proptest::{prop_assert, prop_assert_eq, proptest};

use jiff::Timestamp;

use super::choose::{Downgrade, Over, Selection, select};
use super::explain::{Verdict, explain};
use super::rule::{RuleText, TagRule};
use super::{Exclusion, KnownTags, PushUse, TagFacts};
use crate::image::Tag;
use crate::image::version::Version;

fn rules() -> impl Strategy<Value = TagRule> {
    let semver = |text: &str| RuleText {
        semver: Some(text.to_owned()),
        ..RuleText::default()
    };
    let pattern = |text: &str| RuleText {
        pattern: Some(text.to_owned()),
        ..RuleText::default()
    };
    let by = |word: &str, text: RuleText| RuleText {
        newest_by: Some(word.to_owned()),
        ..text
    };
    let texts = vec![
        semver("*"),
        semver(">=1.0.0-0 <2.0.0"),
        semver("1.x || ~0.2"),
        by("created", semver("*")),
        RuleText {
            prerelease: Some(vec!["rc".to_owned()]),
            ..semver("<2")
        },
        RuleText {
            ignore: vec!["v*".to_owned()],
            ..semver("*-0")
        },
        pattern("v{version}"),
        pattern("{major}.{minor}"),
        pattern("main-{number}-{sha}"),
        pattern("main-{any}"),
        by("first-seen", pattern("{any}")),
        by("pushed", pattern("{any}")),
        RuleText {
            follow: Some("latest".to_owned()),
            ..RuleText::default()
        },
    ];
    let rules: Vec<TagRule> = texts
        .into_iter()
        .map(|text| TagRule::new(text).unwrap())
        .collect();
    one_of(rules)
}

fn tags() -> impl Strategy<Value = Tag> {
    let text = prop_oneof![
        4 => "v?[0-2]\\.[0-3]\\.0?[0-3](-(rc\\.?|beta)[0-9]{1,2}|-0)?",
        1 => "v?[0-2]\\.[0-3]",
        2 => "main-[0-9]{1,2}-0a1b2c[0-3]",
        1 => "[0-9]{7}",
        1 => Just("latest".to_owned()),
    ];
    text.prop_map(|text| text.parse().unwrap())
}

fn listings() -> impl Strategy<Value = KnownTags> {
    let time = || {
        let seconds = option::weighted(0.9, 0_i64..6);
        seconds.prop_map(|seconds| seconds.and_then(|s| Timestamp::from_second(s).ok()))
    };
    let pushes = one_of(vec![
        None,
        Some(PushUse::ByDefault),
        Some(PushUse::OnRequest),
    ]);
    let listing = btree_map(tags(), (time(), time(), time()), 0..12);
    (listing, pushes).prop_map(|(listing, pushes)| {
        let facts = |(tag, (pushed, created, first_seen))| TagFacts {
            tag,
            pushed,
            created,
            first_seen,
        };
        KnownTags {
            tags: listing.into_iter().map(facts).collect(),
            pushes,
            histories: Arc::default(),
        }
    })
}

proptest! {
    #[test]
    fn a_choice_does_not_depend_on_the_order_of_the_listing(
        rule in rules(),
        listing in listings(),
        current in option::of(tags()),
        turn in any::<Index>(),
    ) {
        let current = current.as_ref().map(Tag::as_str);
        let before = select(&rule, &listing, current, Downgrade::Forbidden);
        let explained = explain(&rule, &listing, current);
        let mut turned = listing;
        if !turned.tags.is_empty() {
            let middle = turn.index(turned.tags.len());
            turned.tags.rotate_left(middle);
        }
        turned.tags.reverse();
        prop_assert_eq!(select(&rule, &turned, current, Downgrade::Forbidden), before);
        prop_assert_eq!(explain(&rule, &turned, current), explained);
    }

    #[test]
    fn what_was_chosen_stays_chosen(
        rule in rules(),
        listing in listings(),
        current in option::of(tags()),
    ) {
        let current = current.as_ref().map(Tag::as_str);
        let selection = select(&rule, &listing, current, Downgrade::Forbidden);
        if let Selection::Choose { tag, .. } = selection {
            let again = select(&rule, &listing, Some(tag.as_str()), Downgrade::Forbidden);
            prop_assert_eq!(again, Selection::Newest { tag });
        }
    }

    #[test]
    fn a_version_never_gives_way_to_an_older_one(
        listing in listings(),
        current in tags(),
    ) {
        let text = RuleText { semver: Some("*-0".to_owned()), ..RuleText::default() };
        let rule = TagRule::new(text).unwrap();
        let selection = select(&rule, &listing, Some(current.as_str()), Downgrade::Forbidden);
        if let Selection::Choose { tag, over, .. } = selection {
            let new: Version = tag.as_str().parse().unwrap();
            match current.as_str().parse::<Version>() {
                Ok(old) => prop_assert!(new > old && over == Over::Older),
                Err(_) => prop_assert!(over == Over::Unordered || over == Over::Older),
            }
        }
    }

    #[test]
    fn an_explanation_names_each_tag_once_and_agrees_with_the_choice(
        rule in rules(),
        listing in listings(),
    ) {
        let explained = explain(&rule, &listing, None);
        let mut tags: Vec<&Tag> = explained.iter().map(|(tag, _)| tag).collect();
        tags.sort();
        let listed: Vec<&Tag> = listing.tags.iter().map(|facts| &facts.tag).collect();
        prop_assert_eq!(tags, listed);
        if let Selection::Choose { tag, .. } = select(&rule, &listing, None, Downgrade::Forbidden) {
            prop_assert_eq!(&explained[0], &(tag, Verdict::Newest));
        }
    }

    #[test]
    fn no_text_makes_a_rule_or_a_tag_panic(text in "\\PC{0,24}", tag in "[0-9a-z_.v-]{1,40}") {
        for text in [
            RuleText { semver: Some(text.clone()), ..RuleText::default() },
            RuleText { pattern: Some(text.clone()), ..RuleText::default() },
            RuleText { regex: Some(text.clone()), ignore: vec![text.clone()], ..RuleText::default() },
        ] {
            match (TagRule::new(text), tag.parse::<Tag>()) {
                (Ok(rule), Ok(tag)) => { let _: Result<_, Exclusion> = rule.judge(&tag); }
                (Ok(_), Err(_)) => {}
                (Err(problems), _) => prop_assert!(!problems.is_empty()),
            }
        }
    }

    #[test]
    fn no_constraint_of_the_right_letters_panics(text in "[0-9.xX*v^~<>=!|, -]{0,16}") {
        let _ = TagRule::new(RuleText { semver: Some(text), ..RuleText::default() });
    }
}

//! Assign: a value to a path, in a file of one or several documents.
//!
//! Not here: what the value means.
//! Invariant: a path that two documents have is refused.

use super::document::{Document, Reach};
use super::draft::Draft;
use super::edited::edited;
use super::find::{Gap, Miss, Target};
use super::new::New;
use super::path::{Path, Step};
use super::refusal::{Reason, Refusal};
use super::scan::Scan;

/// Writes `value` at `path`, in the document that `reach` names or in the one that has the path.
///
/// Keys that are missing are added to the map that should have them; list items are not.
pub(crate) fn assign(
    text: &str,
    reach: &Reach,
    (path, value): (&Path, &str),
) -> Result<String, Refusal> {
    let scan = Scan::new(text)?;
    edited(&scan, |draft| draft_value(draft, reach, (path, value)))
}

fn draft_value(
    draft: &mut Draft<'_, '_>,
    reach: &Reach,
    (path, value): (&Path, &str),
) -> Result<(), Refusal> {
    let scan = draft.scan();
    let is_blank = scan.documents().next().is_none();
    if is_blank && matches!(reach.document, None | Some(Document::Number(0))) {
        return draft.fill_text(&nested(path.steps(), value)?);
    }
    match scan.find_in_one(path, reach) {
        Ok(Target::Node(node)) => draft.set(node, value),
        Ok(Target::Text { block, path }) => {
            let (inner, above) = scan.inner(block)?;
            // Another document, or an alias, of the block's own text is not what the reach speaks of.
            let reach = Reach::default();
            let text = edited(&inner, |draft| draft_value(draft, &reach, (&path, value)));
            draft.set_text(
                block,
                &text.map_err(|refusal: Refusal| refusal.in_block(above))?,
            )
        }
        Err(Miss { refusal, gap: None }) => Err(*refusal),
        Err(Miss {
            refusal,
            gap: Some(Gap { parent, depth, .. }),
        }) => match nested(&path.steps()[depth..], value).map_err(|_| *refusal)? {
            New::Map(pairs) if scan.is_mapping(parent) => draft.insert(parent, None, &pairs),
            new => draft.fill(parent, &new),
        },
    }
}

/// The maps that lead to `value` by `steps`.
fn nested(steps: &[Step], value: &str) -> Result<New, Refusal> {
    let mut new = New::Scalar(value.to_owned());
    for step in steps.iter().rev() {
        new = match step {
            Step::Key(key) => New::Map(vec![(key.clone(), new)]),
            Step::Index(_) | Step::Item { .. } => return Err(Refusal::of_file(Reason::Empty)),
        };
    }
    Ok(new)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::{Just, any, prop_oneof, proptest};
    use proptest::strategy::Strategy;

    use super::{Path, Reach, assign};
    use crate::edit::{NodeId, Scan, cases};

    /// Carries out `PATH=VALUE`.
    fn edit(text: &str, argument: &str) -> Result<String, String> {
        let (path, rest) = Path::parse_prefix(argument).map_err(|error| error.to_string())?;
        let value = rest.strip_prefix('=').unwrap();
        assign(text, &Reach::default(), (&path, value)).map_err(|refusal| match refusal.line {
            Some(line) => format!("{line}: {refusal}"),
            None => refusal.to_string(),
        })
    }

    #[test]
    fn values_are_edited_as_the_cases_say() {
        cases::check(include_str!("../../tests/edits/values.json"), edit);
        cases::check(include_str!("../../tests/edits/values-observed.json"), edit);
    }

    /// A value as it may be written: the text in the file, and what it says.
    fn value() -> impl Strategy<Value = (String, String)> {
        prop_oneof![
            "[a-z][a-z0-9.]{3,8}x".prop_map(|text| (text.clone(), text)),
            "[a-zé0-9:# ']{0,9}".prop_map(|text| (format!("'{}'", text.replace('\'', "''")), text)),
            "[a-zé0-9:# ,]{0,9}".prop_map(|text| (format!("\"{text}\""), text)),
        ]
    }

    /// A file of maps, their keys `a0`, `a1` … with `k0`, `k1` … in them, in many layouts.
    pub(in crate::edit) fn file() -> impl Strategy<Value = (String, Vec<Vec<String>>)> {
        let layout = (
            prop_oneof![Just("\n"), Just("\r\n")],
            prop_oneof![Just("  "), Just("    ")],
            prop_oneof![Just(""), Just("\u{feff}"), Just("# é\n"), Just("---\n")],
            prop_oneof![Just(""), Just("  # é note"), Just(" ")],
            prop_oneof![Just(""), Just("\n"), Just("\n# end\n\n")],
        );
        let maps = proptest::collection::vec(
            (any::<bool>(), proptest::collection::vec(value(), 1..4)),
            1..4,
        );
        (layout, maps).prop_map(|((newline, indent, head, comment, tail), maps)| {
            let mut text = head.to_owned();
            let mut values = Vec::new();
            for (index, (is_flow, keys)) in maps.into_iter().enumerate() {
                let pair = |(at, (text, _)): (usize, &(String, String))| format!("k{at}: {text}");
                let pairs: Vec<String> = keys.iter().enumerate().map(pair).collect();
                let map = match is_flow {
                    true => format!("a{index}: {{{}}}{comment}\n", pairs.join(" , ")),
                    false => {
                        let line = |pair: &String| format!("{indent}{pair}{comment}\n");
                        format!("a{index}:\n{}", pairs.iter().map(line).collect::<String>())
                    }
                };
                text.push_str(&map);
                values.push(keys.into_iter().map(|(_, value)| value).collect());
            }
            text.pop();
            text += tail;
            (text.replace('\n', newline), values)
        })
    }

    fn node_at(scan: &Scan<'_>, path: &Path) -> NodeId {
        scan.find_in_one(path, &Reach::default()).unwrap().node()
    }

    fn set(text: &str, (map, key): (usize, usize), value: &str) -> String {
        let path = format!("a{map}.k{key}").parse().unwrap();
        assign(text, &Reach::default(), (&path, value)).unwrap()
    }

    proptest! {
        #[test]
        fn a_value_that_stands_there_changes_no_byte((text, values) in file()) {
            for (map, keys) in values.iter().enumerate() {
                for (key, value) in keys.iter().enumerate() {
                    assert_eq!(set(&text, (map, key), value), text);
                }
            }
        }

        #[test]
        fn an_edit_changes_the_bytes_of_its_value_only((text, values) in file(), new in "[ -~é\n]{1,12}") {
            for (map, keys) in values.iter().enumerate() {
                for (key, old) in keys.iter().enumerate() {
                    let scan = Scan::new(&text).unwrap();
                    let path: Path = format!("a{map}.k{key}").parse().unwrap();
                    let node = node_at(&scan, &path);
                    let span = scan.nodes[node.0].span.clone();
                    let after = set(&text, (map, key), &new);
                    assert!(after.starts_with(&text[..span.start]));
                    assert!(after.ends_with(&text[span.end..]));
                    let scan = Scan::new(&after).unwrap();
                    let node = node_at(&scan, &path);
                    assert_eq!(scan.scalar(node), Some(&new[..]));
                    assert_eq!(new == *old, after == text);
                }
            }
        }

        #[test]
        fn an_edit_and_its_reverse_give_the_original((text, values) in file(), new in "[a-z][a-z0-9.]{3,8}x") {
            for (map, keys) in values.iter().enumerate() {
                for (key, old) in keys.iter().enumerate() {
                    let after = set(&text, (map, key), &new);
                    assert_eq!(set(&after, (map, key), old), text);
                }
            }
        }

        #[test]
        fn an_added_key_leaves_every_other_byte((text, values) in file(), new in "[ -~é]{1,12}") {
            for map in 0..values.len() {
                let path: Path = format!("a{map}.new").parse().unwrap();
                let after = assign(&text, &Reach::default(), (&path, &new)).unwrap();
                let kept = text.chars().zip(after.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum::<usize>();
                assert!(after.ends_with(&text[kept..]), "{text:?} {after:?}");
                let scan = Scan::new(&after).unwrap();
                let node = node_at(&scan, &path);
                assert_eq!(scan.scalar(node), Some(&new[..]));
            }
        }
    }
}

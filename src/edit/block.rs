//! Blocks: YAML as the text of a literal block (`values: |`), read and edited as YAML of its own.
//!
//! Not here: the edits themselves (`draft`).
//! Invariant: lines of the block that keep their text keep their bytes.

use std::ops::Range;

use super::refusal::{Reason, Refusal};
use super::scan::{Kind, NodeId, Scan, Style};

impl Scan<'_> {
    /// The YAML that a literal block holds, and how many lines stand above it in the file.
    pub(crate) fn inner(&self, block: NodeId) -> Result<(Scan<'_>, usize), Refusal> {
        let place = &self.nodes[block.0];
        let text = match &place.token.kind {
            Kind::Scalar(text, Style::Literal) => text,
            Kind::Document
            | Kind::Scalar(..)
            | Kind::Alias(_)
            | Kind::Mapping(_)
            | Kind::Sequence(_) => {
                let found = self.describe(block);
                return Err(Refusal::at(place.line, Reason::NotLiteral { found }));
            }
        };
        let above = place.line.saturating_sub(1 + leading_blank_lines(text));
        match Scan::new(text) {
            Ok(scan) => Ok((scan, above)),
            Err(refusal) => Err(refusal.in_block(above)),
        }
    }

    /// The bytes of a literal block that say the lines in which `old`, its text, and `new` differ, and what takes
    /// their place.
    pub(super) fn replaced_lines(
        &self,
        block: NodeId,
        (old, new): (&str, &str),
    ) -> Option<(Range<usize>, String)> {
        let span = &self.nodes[block.0].span;
        let indent = &self.text[self.line_start(span.start)..span.start];
        let lines: Vec<&str> = old.split('\n').collect();
        let wanted: Vec<&str> = new.split('\n').collect();
        let alike = |(one, other): &(&&str, &&str)| one == other;
        let head = lines.iter().zip(&wanted).take_while(alike).count();
        let ends = lines[head..].iter().rev().zip(wanted[head..].iter().rev());
        let tail = ends.take_while(alike).count();
        let (gone, added) = (head..lines.len() - tail, &wanted[head..wanted.len() - tail]);
        // The lines of the text follow each other in the file, from the first that is not blank.
        let blank = leading_blank_lines(old);
        let is_indent = !indent.is_empty() && indent.bytes().all(|byte| byte == b' ');
        if gone.start < blank || !is_indent {
            return None;
        }
        let line = |number: usize| self.line_after(self.line_start(span.start), number - blank);
        let newline = self.line_ending(span.start);
        let added: Vec<String> = added
            .iter()
            .map(|text| match text.is_empty() {
                true => String::new(),
                false => format!("{indent}{text}"),
            })
            .collect();
        let added = added.join(newline);
        let start = line(gone.start);
        Some(match gone.is_empty() {
            // An end of file without a newline.
            true if start > 0 && !self.text[..start].ends_with('\n') => {
                (start..start, format!("{newline}{added}"))
            }
            true => (start..start, format!("{added}{newline}")),
            false => (start..self.line_end(line(gone.end - 1)), added),
        })
    }

    /// Where the line stands that follows the one at `start` after `count` lines.
    fn line_after(&self, start: usize, count: usize) -> usize {
        (0..count).fold(start, |at, _| {
            let rest = &self.text[at..];
            rest.find('\n').map_or(self.text.len(), |end| at + end + 1)
        })
    }
}

impl Refusal {
    /// The refusal of a text that stands below `above` lines of the file.
    pub(crate) fn in_block(self, above: usize) -> Self {
        Self {
            line: Some(above + self.line.unwrap_or(1)),
            ..self
        }
    }
}

fn leading_blank_lines(text: &str) -> usize {
    text.len() - text.trim_start_matches('\n').len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Just, prop_oneof, proptest};

    use crate::edit::assign::tests::file;
    use crate::edit::{Path, Reach, Scan, assign};

    fn set(text: &str, path: &str, value: &str) -> String {
        let path: Path = path.parse().unwrap();
        match assign(text, &Reach::default(), (&path, value)) {
            Ok(text) => text,
            Err(refusal) => format!("{}: {refusal}", refusal.line.unwrap_or_default()),
        }
    }

    #[test]
    fn lines_are_added_and_replaced_where_they_belong() {
        assert_eq!(set("v: |\n  a: 1\n", "v.a", "x"), "v: |\n  a: x\n");
        assert_eq!(set("v: |\n  a: 1\n", "v.b", "x"), "v: |\n  a: 1\n  b: x\n");
        assert_eq!(
            set("v: |-\n  a: 1\nw: 2\n", "v.b", "x"),
            "v: |-\n  a: 1\n  b: x\nw: 2\n"
        );
        assert_eq!(
            set("v: |+\n  a: 1\n\nw: 2\n", "v.b", "x"),
            "v: |+\n  a: 1\n  b: x\n\nw: 2\n"
        );
        assert_eq!(set("v: |-\n  a: 1", "v.b", "x"), "v: |-\n  a: 1\n  b: x");
        assert_eq!(
            set("v: |2-\n\n   a: 1\n   b:\n     c: 2\n", "v.b.c", "x"),
            "v: |2-\n\n   a: 1\n   b:\n     c: x\n"
        );
        assert_eq!(set("- |\n a: 1\n- x\n", "[0].a", "b"), "- |\n a: b\n- x\n");
        assert_eq!(
            set("o: |\n  v: |\n    a: 1\n  w: 2\n", "o.v.a", "x"),
            "o: |\n  v: |\n    a: x\n  w: 2\n"
        );
    }

    #[test]
    fn a_block_that_is_no_yaml_is_refused_with_the_line_of_the_file() {
        insta::assert_snapshot!(set("a: 1\nv: |\n  b: [\n", "v.b", "x"), @"3: not valid YAML at column 4: unclosed bracket '['");
        insta::assert_snapshot!(set("v: |\n  a: {{ .x }}\n", "v.a", "x"), @"2: the file is templated (`{{ … }}`); only plain YAML can be edited");
        insta::assert_snapshot!(set("v: >\n  a: 1\n", "v.a", "x"), @"2: `v` is a scalar, not a map");
        insta::assert_snapshot!(set("v: \"a: 1\"\n", "v.a", "x"), @"1: `v` is a scalar, not a map");
    }

    /// `inner` as the text of a block below `head`.
    fn embedded(inner: &str, (head, indent, newline): (&str, &str, &str)) -> String {
        let line = |line: &str| match line.is_empty() {
            true => "\n".to_owned(),
            false => format!("{indent}{line}\n"),
        };
        let inner = inner.strip_suffix('\n').unwrap_or(inner);
        let block: String = inner.split('\n').map(line).collect();
        format!("x: y\n{head}{block}z: 1\n").replace('\n', newline)
    }

    proptest! {
        #[test]
        fn yaml_in_a_block_is_edited_as_it_would_be_alone(
            (inner, values) in file(),
            layout in (
                Just("v: |+ # note\n"),
                prop_oneof![Just("  "), Just("     ")],
                prop_oneof![Just("\n"), Just("\r\n")],
            ),
            new in "[a-zé][a-z0-9.# ]{3,8}x",
        ) {
            let inner = inner.replace(['\r', '\u{feff}'], "");
            let inner = format!("{}\n", inner.trim_end_matches('\n'));
            let text = embedded(&inner, layout);
            assert!(Scan::new(&text).is_ok());
            for (map, keys) in values.iter().enumerate() {
                for (key, old) in keys.iter().enumerate() {
                    let place = format!("a{map}.k{key}");
                    let after = set(&text, &format!("v.{place}"), &new);
                    assert_eq!(after, embedded(&set(&inner, &place, &new), layout));
                    assert_eq!(set(&text, &format!("v.{place}"), old), text);
                }
                let added = format!("a{map}.new");
                let alone = embedded(&set(&inner, &added, &new), layout);
                assert_eq!(set(&text, &format!("v.{added}"), &new), alone);
            }
        }
    }
}

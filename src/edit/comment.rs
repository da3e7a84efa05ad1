//! Comments: which stand behind a value, and which value that is.
//!
//! Not here: what a comment means.
//! Invariant: a `#` within a value starts no comment.

use std::ops::Range;

use super::scan::{Kind, NodeId, Scan, Style};

/// The comment of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comment<'s> {
    /// Without the `#` and the blanks around it.
    pub(crate) text: &'s str,
    /// One-based.
    pub(crate) line: usize,
    /// The scalar or alias that it stands behind: a value that ends on the line, with at most a comma between, or one
    /// in a block whose header stands there. Keys and collections are none, and neither is an empty value.
    pub(crate) value: Option<NodeId>,
}

/// Bytes that no comment starts in.
struct Written {
    range: Range<usize>,
    node: NodeId,
}

impl Scan<'_> {
    /// The comments that hold `word`, which is in lower case and is found in any.
    pub(crate) fn comments_with(&self, word: &str) -> Vec<Comment<'_>> {
        let mut start = 0;
        let mut lines = Vec::new();
        for (index, line) in self.text.split('\n').enumerate() {
            if line.contains('#') && line.to_ascii_lowercase().contains(word) {
                lines.push((index + 1, start..start + line.len()));
            }
            start += line.len() + 1;
        }
        if lines.is_empty() {
            return Vec::new();
        }
        let (written, is_key) = (self.written(), self.keys());
        let comment = |(line, range): (usize, Range<usize>)| {
            let start = self.comment_start(&written, range.clone())?;
            let text = self.text[start..range.end].trim_start_matches('#').trim();
            let value = self.value_before(&written, start);
            let value = value.filter(|value| !is_key[value.0]);
            let is_wanted = text.to_ascii_lowercase().contains(word);
            is_wanted.then_some(Comment { text, line, value })
        };
        lines.into_iter().filter_map(comment).collect()
    }

    /// What is written of scalars and aliases, in order.
    fn written(&self) -> Vec<Written> {
        let written = |node: NodeId| {
            let place = &self.nodes[node.0];
            let start = match place.token.kind {
                Kind::Document | Kind::Mapping(_) | Kind::Sequence(_) => return None,
                // The header, behind which a comment may stand, is between the tag and the text.
                Kind::Scalar(_, Style::Literal | Style::Folded) => place.span.start,
                Kind::Scalar(..) | Kind::Alias(_) => place.start,
            };
            let range = start..place.span.end;
            (!place.span.is_empty()).then_some(Written { range, node })
        };
        let mut all: Vec<Written> = self.all_nodes().filter_map(written).collect();
        all.sort_by_key(|written| written.range.start);
        all
    }

    /// For each node, whether it is a key.
    fn keys(&self) -> Vec<bool> {
        let mut is_key = vec![false; self.nodes.len()];
        for map in self.all_nodes().filter(|&node| self.is_mapping(node)) {
            for (key, _) in self.pairs(map) {
                is_key[key.0] = true;
            }
        }
        is_key
    }

    /// Where the comment of a line starts.
    fn comment_start(&self, written: &[Written], line: Range<usize>) -> Option<usize> {
        let hashes = self.text[line.clone()].match_indices('#');
        let mut starts = hashes.map(|(offset, _)| line.start + offset);
        starts.find(|&at| {
            let before = self.text[line.start..at].chars().next_back();
            let is_within =
                last_before(written, at + 1).is_some_and(|index| at < written[index].range.end);
            before.is_none_or(|before| matches!(before, ' ' | '\t' | '\u{feff}')) && !is_within
        })
    }

    /// The scalar or alias that a comment starting at `at` stands behind.
    fn value_before(&self, written: &[Written], at: usize) -> Option<NodeId> {
        let last = last_before(written, at);
        let end = last.map_or(0, |index| written[index].range.end);
        let between = self.text[end..at].trim_matches([' ', '\t']);
        let is_block = |node: NodeId| {
            let kind = &self.nodes[node.0].token.kind;
            matches!(kind, Kind::Scalar(_, Style::Literal | Style::Folded))
        };
        if between.is_empty() || between == "," {
            // The text of a block ends with its last line, so what follows stands on a line of its own.
            let value = last.map(|index| written[index].node);
            return value.filter(|&value| !is_block(value));
        }
        let next = written.get(last.map_or(0, |index| index + 1))?;
        let is_header = between
            .rsplit([' ', '\t'])
            .next()
            .is_some_and(|word| word.starts_with(['|', '>']));
        (is_block(next.node) && is_header).then_some(next.node)
    }
}

/// The last of what is written that starts before `at`.
fn last_before(written: &[Written], at: usize) -> Option<usize> {
    written
        .partition_point(|written| written.range.start < at)
        .checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::Scan;

    /// The comments with `mark` of a text, as `LINE VALUE: TEXT`.
    fn marked(text: &str) -> String {
        let scan = Scan::new(text).unwrap();
        let line = |comment: &super::Comment<'_>| {
            let value = match comment.value {
                Some(alias) if scan.is_alias(alias) => "*".to_owned(),
                Some(value) => format!("{:?}", scan.scalar(value).unwrap()),
                None => "-".to_owned(),
            };
            format!("{} {value}: {}", comment.line, comment.text)
        };
        let comments = scan.comments_with("mark");
        comments.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_comment_belongs_to_the_value_that_ends_before_it() {
        insta::assert_snapshot!(marked("a: v1 # mark 1\nb:\n- v2\t## mark 2 \n- c: 'v3' #mark 3\r\n  d: &x !!str \"v4\" # MARK 4\ne: *x # mark 5\nf:\n  v6\n  v7 # mark 6\n"), @r#"
        1 "v1": mark 1
        3 "v2": mark 2
        4 "v3": mark 3
        5 "v4": MARK 4
        6 *: mark 5
        9 "v6 v7": mark 6
        "#);
    }

    #[test]
    fn between_brackets_a_comma_may_stand_between() {
        insta::assert_snapshot!(marked("a: {b: v1, # mark 1\n  c: v2 , # mark 2\n  d: v3 # mark 3\n } # mark 4\ne: [v4, # mark 5\n v5] # mark 6\n"), @r#"
        1 "v1": mark 1
        2 "v2": mark 2
        3 "v3": mark 3
        4 -: mark 4
        5 "v4": mark 5
        6 -: mark 6
        "#);
    }

    #[test]
    fn a_comment_behind_a_key_or_on_a_line_of_its_own_belongs_to_no_value() {
        insta::assert_snapshot!(marked("# mark 1\na: # mark 2\n  b: v1\n  # mark 3\n  c:  # mark 4\n? d # mark 5\n: v2\n- # mark 6\n".replace("- #", "#").as_str()), @r"
        1 -: mark 1
        2 -: mark 2
        4 -: mark 3
        5 -: mark 4
        6 -: mark 5
        8 -: mark 6
        ");
        insta::assert_snapshot!(marked("- # mark 1\n  v1\n-\n  # mark 2\n  v2\n--- # mark 3\n"), @r"
        1 -: mark 1
        4 -: mark 2
        6 -: mark 3
        ");
    }

    #[test]
    fn the_header_of_a_block_has_the_blocks_comment_and_its_text_has_none() {
        insta::assert_snapshot!(marked("a: | # mark 1\n  x # mark 2\n # mark 3\nb: !!str >-2 # mark 4\n\n   y # mark 5\n# mark 6\n"), @r#"
        1 "x # mark 2\n": mark 1
        3 -: mark 3
        4 "\n y # mark 5": mark 4
        7 -: mark 6
        "#);
    }

    #[test]
    fn a_number_sign_within_a_value_starts_no_comment() {
        insta::assert_snapshot!(marked("a: \"x # mark\"\nb: 'y # mark' # mark 2\nc: z#mark\n'd # mark': &a#mark [1]\ne: \"\n  # mark\n  x\"\n"), @r#"2 "y # mark": mark 2"#);
        assert_eq!(marked("a: v1 # mar\n"), "");
        assert_eq!(marked("mark: v1 # x\n"), "");
        assert_eq!(marked(""), "");
    }

    #[test]
    fn a_comment_right_behind_quotes_or_brackets_is_no_yaml() {
        for text in [
            "a: \"v1\"# mark\n",
            "a: [v1]# mark\n",
            "a: [v1,# mark\n v2]\n",
        ] {
            assert!(Scan::new(text).is_err(), "{text}");
        }
    }
}

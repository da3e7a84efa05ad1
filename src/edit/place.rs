//! Places: what may be done with a value where it stands.
//!
//! Not here: doing it (`draft`).
//! Invariant: reads only.

use super::new::Hand;
use super::refusal::{Reason, Refusal};
use super::scan::{Context, Kind, NodeId, Scan, Style};

impl Scan<'_> {
    /// What a scalar says, if its bytes can be replaced by others.
    pub(crate) fn editable(&self, node: NodeId) -> Result<&str, Refusal> {
        let place = &self.nodes[node.0];
        let refused = |reason| Err(Refusal::at(place.line, reason));
        let (value, style) = match &place.token.kind {
            Kind::Scalar(value, style) => (value, *style),
            Kind::Alias(_) => return refused(Reason::Alias),
            Kind::Document | Kind::Mapping(_) | Kind::Sequence(_) => {
                return refused(Reason::NotScalar {
                    found: self.describe(node),
                });
            }
        };
        if let Some(tag) = place.token.tag.as_deref()
            && !matches!(tag, "!" | "tag:yaml.org,2002:str")
        {
            return refused(Reason::Tagged {
                tag: tag.replace("tag:yaml.org,2002:", "!!"),
            });
        }
        if matches!(style, Style::Literal | Style::Folded) {
            return Err(Refusal::at(self.line_of_header(node), Reason::BlockScalar));
        }
        if self.text[place.span.clone()].contains(['\n', '\r']) {
            return refused(Reason::SeveralLines);
        }
        if value.contains("{{") {
            return refused(Reason::Template);
        }
        Ok(value)
    }

    /// The collection that holds a node, and the node's key if it is a map.
    pub(crate) fn owner(&self, node: NodeId) -> Option<(NodeId, Option<NodeId>)> {
        let depth = self.nodes[node.0].token.depth;
        let parent = self.nodes[..node.0]
            .iter()
            .rposition(|above| above.token.depth < depth)
            .map(NodeId)?;
        let pair = self.pairs(parent).find(|&(_, value)| value == node);
        Some((parent, pair.map(|(key, _)| key)))
    }

    pub(super) fn context(&self, node: NodeId) -> Context {
        match self.nodes[node.0].token.kind {
            Kind::Mapping(context) | Kind::Sequence(context) => context,
            Kind::Document | Kind::Scalar(..) | Kind::Alias(_) => Context::Block,
        }
    }

    /// How what is added to a collection is written.
    pub(super) fn hand(&self, collection: NodeId) -> Hand {
        match self.context(collection) {
            Context::Block => Hand::BLOCK,
            Context::Flow => Hand {
                context: Context::Flow,
                style: self.flow_style(),
            },
        }
    }

    /// Whether a collection is what its document holds.
    pub(super) fn is_root(&self, node: NodeId) -> bool {
        self.nodes[node.0].token.depth == 1
    }

    /// Refuses a map between brackets with a key that starts with a question mark: readers disagree on where it ends.
    pub(super) fn refuse_odd_keys(&self, mapping: NodeId) -> Result<(), Refusal> {
        let is_odd = |key: &NodeId| self.text[self.nodes[key.0].start..].starts_with('?');
        let mut keys = self.pairs(mapping).map(|(key, _)| key);
        match keys.find(is_odd) {
            Some(key) if self.context(mapping) == Context::Flow => {
                Err(Refusal::at(self.line(key), Reason::LongKey))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether a key is written as `? key`.
    pub(super) fn is_long(&self, key: NodeId) -> bool {
        let start = self.nodes[key.0].start;
        self.text[self.line_start(start)..start]
            .trim_end()
            .ends_with('?')
    }

    /// The line of `|` or `>`: the parser says where the text below it starts.
    fn line_of_header(&self, node: NodeId) -> usize {
        let key = self.owner(node).and_then(|(_, key)| key);
        key.map_or(self.nodes[node.0].line, |key| self.line(key))
    }
}

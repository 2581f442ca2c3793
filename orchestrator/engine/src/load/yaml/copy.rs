//! Anchors and aliases. An alias is a copy of what its anchor names, with the place of the alias. What is held a second
//! time is bounded: nine aliases of nine aliases of nine could fill any memory.

use granit_parser::Span as Place;

use super::Reader;
use crate::{
    diagnostic::{Diagnostic, codes::ALIASES},
    load::{
        Member, Node, NodeKind, Span,
        parse::{MAX_BYTES, MAX_DEPTH, Refused, too_deep},
    },
};

/// Most bytes that anchors and aliases may hold a second time: the cap on files.
const MAX_COPIED: usize = MAX_BYTES;

/// A value that aliases may stand for.
pub(super) struct Anchor {
    node: Node,
    size: Size,
}

/// How much a value is.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    /// Arrays and objects inside each other.
    height: usize,
}

impl Reader<'_, '_> {
    /// Keeps a value for its aliases.
    pub(super) fn anchor(&mut self, anchor: usize, node: &Node) -> Result<(), Refused> {
        let size = size(node);
        self.charge(size, node.span)?;
        self.anchors.insert(anchor, Anchor { node: node.clone(), size });
        Ok(())
    }

    /// The value that an alias stands for. `depth` counts the arrays and objects around it, and one more.
    pub(super) fn alias(&mut self, anchor: usize, place: &Place, depth: usize) -> Result<Node, Refused> {
        let span = self.span(place);
        let Some(size) = self.anchors.get(&anchor).map(|anchor| anchor.size) else {
            let message = "the alias stands inside the value that it names";
            return Err(Box::new(Diagnostic::new(ALIASES, span.range(), message)));
        };
        if depth - 1 + size.height > MAX_DEPTH {
            return Err(too_deep(span.start()));
        }
        self.charge(size, span)?;
        Ok(copy(&self.anchors[&anchor].node, span))
    }

    fn charge(&mut self, size: Size, span: Span) -> Result<(), Refused> {
        self.copied = self.copied.saturating_add(size.bytes);
        if self.copied <= MAX_COPIED {
            return Ok(());
        }
        let message = format!("anchors and aliases stand for more than {MAX_COPIED} bytes");
        let mut diagnostic = Diagnostic::new(ALIASES, span.range(), message);
        diagnostic.hint("write out what differs, or let a step make the value");
        Err(Box::new(diagnostic))
    }
}

fn size(node: &Node) -> Size {
    let parts = |sizes: &mut dyn Iterator<Item = Size>| {
        let inner = sizes.fold(Size::default(), |sum, part| Size {
            bytes: sum.bytes.saturating_add(part.bytes),
            height: sum.height.max(part.height),
        });
        Size { bytes: inner.bytes, height: inner.height + 1 }
    };
    let mut found = match &node.kind {
        NodeKind::Null | NodeKind::Bool(_) => Size::default(),
        NodeKind::Number(text) | NodeKind::Text(text) => Size { bytes: text.len(), height: 0 },
        NodeKind::Array(elements) => parts(&mut elements.iter().map(size)),
        NodeKind::Object(members) => parts(&mut members.iter().map(|member| {
            let value = size(&member.value);
            Size { bytes: value.bytes + member.key.len() + size_of::<Member>(), ..value }
        })),
    };
    found.bytes += size_of::<Node>();
    found
}

fn copy(node: &Node, span: Span) -> Node {
    let kind = match &node.kind {
        NodeKind::Null => NodeKind::Null,
        NodeKind::Bool(value) => NodeKind::Bool(*value),
        NodeKind::Number(text) => NodeKind::Number(text.clone()),
        NodeKind::Text(text) => NodeKind::Text(text.clone()),
        NodeKind::Array(elements) => {
            NodeKind::Array(elements.iter().map(|element| copy(element, span)).collect())
        }
        NodeKind::Object(members) => {
            let copied = members.iter().map(|member| Member {
                key: member.key.clone(),
                key_span: span,
                value: copy(&member.value, span),
            });
            NodeKind::Object(copied.collect())
        }
    };
    Node { span, kind }
}

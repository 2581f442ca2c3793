//! JSON pointers (RFC 6901), worked out from places: spans of a tree nest, so a byte has one way to it. All that an
//! alias stands for has the place of the alias: the way ends there.

use std::ops::Range;

use super::{Node, NodeKind};

/// Pointer to the innermost value that holds the first byte of a place, or to the member whose key does. A place
/// without bytes where an object begins is that of the object: one without braces begins with its first key.
pub(super) fn pointer_at(root: &Node, place: &Range<usize>) -> String {
    let offset = place.start;
    let mut pointer = String::new();
    let mut node = root;
    loop {
        if place.is_empty() && offset == node.span.start() {
            return pointer;
        }
        match &node.kind {
            NodeKind::Object(members) => {
                let after = members.partition_point(|member| member.key_span.start() <= offset);
                let Some(member) = after.checked_sub(1).and_then(|index| members.get(index)) else {
                    return pointer;
                };
                if offset >= member.value.span.end() || member.key_span == node.span {
                    return pointer;
                }
                push(&mut pointer, &member.key);
                if offset < member.value.span.start() {
                    return pointer;
                }
                node = &member.value;
            }
            NodeKind::Array(elements) => {
                let after = elements.partition_point(|element| element.span.start() <= offset);
                let holds = |index: &usize| {
                    offset < elements[*index].span.end() && elements[*index].span != node.span
                };
                let Some(index) = after.checked_sub(1).filter(holds) else {
                    return pointer;
                };
                push(&mut pointer, &index.to_string());
                node = &elements[index];
            }
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::Text(_) => return pointer,
        }
    }
}

fn push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

/// The value that a pointer leads to, as far down as there is one.
pub(crate) fn node_at<'a>(root: &'a Node, pointer: &str) -> &'a Node {
    let mut node = root;
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        let next = match &node.kind {
            NodeKind::Object(_) => node.get(&segment),
            NodeKind::Array(elements) => segment.parse::<usize>().ok().and_then(|index| elements.get(index)),
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::Text(_) => None,
        };
        let Some(next) = next else {
            return node;
        };
        node = next;
    }
    node
}

//! JSON pointers (RFC 6901), worked out from places: spans of a tree nest, so a byte has one way to it.

use super::{Node, NodeKind};

/// Pointer to the innermost value that holds the byte at `offset`, or to the member whose key does.
pub(super) fn pointer_at(root: &Node, offset: usize) -> String {
    let mut pointer = String::new();
    let mut node = root;
    loop {
        match &node.kind {
            NodeKind::Object(members) => {
                let after = members.partition_point(|member| member.key_span.start() <= offset);
                let Some(member) = after.checked_sub(1).and_then(|index| members.get(index)) else {
                    return pointer;
                };
                if offset >= member.value.span.end() {
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
                let Some(index) = after.checked_sub(1).filter(|index| offset < elements[*index].span.end())
                else {
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

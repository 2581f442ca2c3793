//! A graph as a tree of lines.

use schemas::output::graph::{EdgeKind, Graph, Node};

use super::{about, below};
use crate::ui::{
    style::{self, paint},
    text::escape,
};

pub(super) fn draw(graph: &Graph) -> String {
    let mut text = format!("{} {}\n", escape(&graph.workflow), escape(&graph.version));
    steps(graph, None, "", &mut text);
    text
}

fn steps(graph: &Graph, parent: Option<&str>, indent: &str, text: &mut String) {
    let nodes: Vec<_> = below(graph, parent).collect();
    for (place, node) in nodes.iter().enumerate() {
        let is_last = place + 1 == nodes.len();
        let (branch, more) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        text.push_str(indent);
        text.push_str(branch);
        text.push_str(&line(graph, node));
        steps(graph, Some(&node.id), &format!("{indent}{more}"), text);
    }
}

fn line(graph: &Graph, node: &Node) -> String {
    let branch = graph.edges.iter().find(|edge| edge.to == node.id && edge.kind != EdgeKind::Awaits);
    let branch = branch.map(|edge| edge.kind).filter(|kind| matches!(kind, EdgeKind::Then | EdgeKind::Else));
    let branch = branch.map(|kind| format!("{kind}: ")).unwrap_or_default();
    let awaits = graph.edges.iter().filter(|edge| edge.to == node.id && edge.kind == EdgeKind::Awaits);
    let awaits: Vec<_> = awaits.map(|edge| edge.from.as_str()).collect();
    let awaits = if awaits.is_empty() { String::new() } else { format!(", waits for {}", awaits.join(", ")) };
    let status = node.status.map(|status| format!(" {}", paint(style::of_step(status), status.as_str())));
    let status = status.unwrap_or_default();
    format!("{branch}{} ({}{}){status}\n", escape(&node.id), escape(&about(node)), escape(&awaits))
}

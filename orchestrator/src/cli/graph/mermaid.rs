//! A graph as a Mermaid flowchart: composites are subgraphs.

use std::fmt::Write as _;

use schemas::output::graph::{EdgeKind, Graph, Node};

use super::{about, below};

pub(super) fn draw(graph: &Graph) -> String {
    let mut text = String::from("flowchart TD\n");
    for node in below(graph, None) {
        one(graph, node, 1, &mut text);
    }
    for edge in &graph.edges {
        let arrow = match edge.kind {
            EdgeKind::Next => "-->".to_owned(),
            EdgeKind::Then | EdgeKind::Else => format!("-->|{}|", edge.kind),
            EdgeKind::Awaits => "-.->".to_owned(),
        };
        let _infallible = writeln!(text, "  {} {arrow} {}", name(graph, &edge.from), name(graph, &edge.to));
    }
    for node in &graph.nodes {
        if let Some(status) = node.status {
            let _infallible = writeln!(text, "  class {} {status}", name(graph, &node.id));
        }
    }
    text
}

fn one(graph: &Graph, node: &Node, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let label = quoted(&format!("{} ({})", node.id, about(node)));
    if below(graph, Some(&node.id)).next().is_none() {
        let _infallible = writeln!(text, "{indent}{}[{label}]", name(graph, &node.id));
        return;
    }
    let _infallible = writeln!(text, "{indent}subgraph {}[{label}]", name(graph, &node.id));
    for held in below(graph, Some(&node.id)) {
        one(graph, held, depth + 1, text);
    }
    let _infallible = writeln!(text, "{indent}end");
}

/// A name that is no word of Mermaid's.
fn name(graph: &Graph, id: &str) -> String {
    let place = graph.nodes.iter().position(|node| node.id == id).unwrap_or_default();
    format!("s{place}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "#quot;"))
}

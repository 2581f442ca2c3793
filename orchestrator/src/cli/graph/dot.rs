//! A graph for Graphviz: composites are clusters.

use std::fmt::Write as _;

use schemas::output::graph::{EdgeKind, Graph, Node};

use super::{about, below};

pub(super) fn draw(graph: &Graph) -> String {
    let mut text = format!("digraph {} {{\n  node [shape=box, style=rounded];\n", quoted(&graph.workflow));
    for node in below(graph, None) {
        one(graph, node, 1, &mut text);
    }
    for edge in &graph.edges {
        let look = match edge.kind {
            EdgeKind::Next => String::new(),
            EdgeKind::Then | EdgeKind::Else => format!(" [label={}]", quoted(edge.kind.as_str())),
            EdgeKind::Awaits => " [style=dashed]".to_owned(),
        };
        let _infallible = writeln!(text, "  {} -> {}{look};", quoted(&edge.from), quoted(&edge.to));
    }
    text.push_str("}\n");
    text
}

fn one(graph: &Graph, node: &Node, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    let status = node.status.map(|status| format!("\\n{status}")).unwrap_or_default();
    let label = format!("{}{status}", quoted(&format!("{}\n{}", node.id, about(node))).trim_end_matches('"'));
    let held: Vec<_> = below(graph, Some(&node.id)).collect();
    if held.is_empty() {
        let _infallible = writeln!(text, "{indent}{} [label={label}\"];", quoted(&node.id));
        return;
    }
    let _infallible = writeln!(text, "{indent}subgraph {} {{", quoted(&format!("cluster_{}", node.id)));
    // Edges go to nodes: the composite has one inside its cluster.
    let _infallible = writeln!(text, "{indent}  {} [label={label}\", shape=plaintext];", quoted(&node.id));
    for node in held {
        one(graph, node, depth + 1, text);
    }
    let _infallible = writeln!(text, "{indent}}}");
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

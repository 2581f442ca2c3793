//! A graph as SVG: boxes in boxes, one below the other where they run in order, side by side where they run at
//! once or where one of them is chosen. Nothing is loaded from anywhere, and it is readable by day and night.

use std::fmt::Write as _;

use schemas::{
    output::graph::{Edge, EdgeKind, Graph, Node},
    view::StepStatus,
};

use super::{about, below};

const GAP: u32 = 24;
const LINE: u32 = 20;
const CHARACTER: u32 = 8;

/// Text is escaped; colours follow the reader's scheme.
const STYLE: &str = "text{font:13px monospace;fill:#1f2328}rect{fill:#f6f8fa;stroke:#8c959f;rx:6}\
    line{stroke:#8c959f;stroke-width:1.5}.completed{stroke:#1a7f37}.failed{stroke:#cf222e}\
    .running,.waiting{stroke:#0969da}.skipped,.pending{stroke-dasharray:4}.cancelled,.rolled_back{stroke:#9a6700}\
    @media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#161b22}}";

/// A box with what is in it, placed relative to its own corner.
struct Block<'a> {
    node: Option<&'a Node>,
    width: u32,
    height: u32,
    /// Each with its place.
    held: Vec<(u32, u32, Block<'a>)>,
    /// Lines from the bottom of one of those held to the top of the next.
    in_order: bool,
}

pub(in crate::cli) fn draw(graph: &Graph) -> String {
    let whole = lay_out(graph, None);
    let (width, height) = (whole.width + 2 * GAP, whole.height + 2 * GAP);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"{} {}\">\n<style>{STYLE}</style>\n",
        escaped(&graph.workflow),
        escaped(&graph.version)
    );
    place(&whole, GAP, GAP, &mut text);
    text.push_str("</svg>\n");
    text
}

fn lay_out<'a>(graph: &'a Graph, node: Option<&'a Node>) -> Block<'a> {
    let held: Vec<_> =
        below(graph, node.map(|node| node.id.as_str())).map(|held| lay_out(graph, Some(held))).collect();
    let label = node.map_or(0, |node| {
        let longest = node.id.chars().count().max(caption(node).chars().count());
        u32::try_from(longest).unwrap_or(u32::MAX).saturating_mul(CHARACTER) + GAP
    });
    let head = if node.is_some() { 2 * LINE + GAP / 2 } else { 0 };
    if held.is_empty() {
        return Block { node, width: label, height: head, held: Vec::new(), in_order: true };
    }
    let beside = node.is_some_and(|node| node.kind == "parallel" || node.kind == "conditional");
    let columns = if beside { columns(graph, node, held) } else { vec![held] };
    let inset = if node.is_some() { GAP } else { 0 };
    let (mut x, mut deepest) = (inset, 0);
    let mut placed = Vec::new();
    for column in columns {
        let widest = column.iter().map(|held| held.width).max().unwrap_or_default();
        let mut y = head;
        for held in column {
            let height = held.height;
            placed.push((x, y, held));
            y += height + GAP;
        }
        deepest = deepest.max(y);
        x += widest + GAP;
    }
    let width = label.max(x - GAP + inset);
    let height = if node.is_some() { deepest } else { deepest - GAP };
    Block { node, width, height, held: placed, in_order: node.is_none_or(|node| node.kind != "parallel") }
}

/// Of a group, each step; of a conditional, each branch.
fn columns<'a>(graph: &Graph, node: Option<&Node>, held: Vec<Block<'a>>) -> Vec<Vec<Block<'a>>> {
    if node.is_some_and(|node| node.kind == "parallel") {
        return held.into_iter().map(|held| vec![held]).collect();
    }
    let begins = |one: &Block<'_>| {
        let id = one.node.map(|node| node.id.as_str());
        let is_branch = |edge: &Edge| matches!(edge.kind, EdgeKind::Then | EdgeKind::Else);
        graph.edges.iter().any(|edge| is_branch(edge) && Some(edge.to.as_str()) == id)
    };
    let mut columns: Vec<Vec<Block<'a>>> = Vec::new();
    for one in held {
        match columns.last_mut() {
            Some(column) if !begins(&one) => column.push(one),
            Some(_) | None => columns.push(vec![one]),
        }
    }
    columns
}

fn place(one: &Block<'_>, x: u32, y: u32, text: &mut String) {
    if let Some(node) = one.node {
        let class = node.status.map_or("", StepStatus::as_str);
        let _infallible = writeln!(
            text,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{}\" height=\"{}\"/>",
            one.width, one.height
        );
        for (line, words) in [(1, node.id.clone()), (2, caption(node))] {
            let _infallible = writeln!(
                text,
                "<text x=\"{}\" y=\"{}\">{}</text>",
                x + GAP / 2,
                y + line * LINE,
                escaped(&words)
            );
        }
    }
    for pair in one.held.windows(2).filter(|pair| one.in_order && pair[0].0 == pair[1].0) {
        let (left, top, upper) = &pair[0];
        let middle = x + left + GAP;
        let _infallible = writeln!(
            text,
            "<line x1=\"{middle}\" y1=\"{}\" x2=\"{middle}\" y2=\"{}\"/>",
            y + top + upper.height,
            y + pair[1].1
        );
    }
    for (left, top, held) in &one.held {
        place(held, x + left, y + top, text);
    }
}

fn caption(node: &Node) -> String {
    let status = node.status.map(|status| format!(": {status}")).unwrap_or_default();
    format!("{}{status}", about(node))
}

/// Text for SVG and HTML; control characters have no place in either.
pub(in crate::cli) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

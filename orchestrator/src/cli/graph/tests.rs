//! Each way to draw the same graph.

use workflow_engine::{check::check, load};

use super::*;
use crate::{catalog, ui::style::plain};

fn sample() -> Graph {
    let text = r#"{"name": "deploy", "version": "1.0.0", "steps": [
        {"id": "build", "type": "skill", "skill": "echo", "inputs": {"v": true}},
        {"id": "tests", "type": "parallel", "steps": [
            {"id": "unit", "type": "skill", "skill": "echo"}, {"id": "lint", "type": "skill", "skill": "echo"}]},
        {"id": "choose", "type": "conditional", "condition": "build.v",
            "then": [{"id": "ship", "type": "skill", "skill": "echo"}, {"id": "tell", "type": "skill", "skill": "echo"}],
            "else": [{"id": "complain", "type": "skill", "skill": "echo"}]}
    ]}"#;
    let definition = load::load(text.as_bytes(), load::Syntax::Json).expect("it is JSON");
    let home = Home::at("/nowhere".into());
    let found = catalog::discover(&definition, None, &home, None);
    let (plan, problems) = check(&definition, &found.catalog);
    of(&plan.unwrap_or_else(|| panic!("{problems:?}")), None)
}

#[test]
fn as_text() {
    insta::assert_snapshot!(plain(&text::draw(&sample())), @r"
    deploy 1.0.0
    ├─ build (skill echo)
    ├─ tests (parallel)
    │  ├─ unit (skill echo)
    │  └─ lint (skill echo)
    └─ choose (conditional)
       ├─ then: ship (skill echo)
       ├─ tell (skill echo)
       └─ else: complain (skill echo)
    ");
}

#[test]
fn as_mermaid() {
    insta::assert_snapshot!(mermaid::draw(&sample()), @r#"
    flowchart TD
      s0["build (skill echo)"]
      subgraph s1["tests (parallel)"]
        s2["unit (skill echo)"]
        s3["lint (skill echo)"]
      end
      subgraph s4["choose (conditional)"]
        s5["ship (skill echo)"]
        s6["tell (skill echo)"]
        s7["complain (skill echo)"]
      end
      s0 --> s1
      s1 --> s4
      s4 -->|then| s5
      s5 --> s6
      s4 -->|else| s7
    "#);
}

#[test]
fn as_dot() {
    let drawn = dot::draw(&sample());
    assert!(drawn.starts_with("digraph \"deploy\" {\n"), "{drawn}");
    assert!(drawn.contains("subgraph \"cluster_tests\" {") && drawn.ends_with("}\n"), "{drawn}");
    assert!(drawn.contains("\"choose\" -> \"ship\" [label=\"then\"];"), "{drawn}");
    assert!(drawn.contains("\"unit\" [label=\"unit\\nskill echo\"];"), "{drawn}");
    assert_eq!(drawn.matches('{').count(), drawn.matches('}').count());
}

#[test]
fn as_svg() {
    let mut graph = sample();
    graph.nodes[0].status = Some(StepStatus::Failed);
    graph.workflow = "<script>\u{1b}".to_owned();
    let drawn = svg::draw(&graph);
    assert!(
        drawn.contains("&lt;script&gt;") && !drawn.contains("<script>") && !drawn.contains('\u{1b}'),
        "{drawn}"
    );
    assert_eq!(drawn.matches("<rect").count(), graph.nodes.len());
    assert!(drawn.contains("<rect class=\"failed\""), "{drawn}");
    // Its name space is the only address, and nothing is loaded.
    assert_eq!(drawn.matches("http").count(), 1, "{drawn}");
    // No two boxes that are not inside one another overlap.
    let number = |text: &str, name: &str| -> u32 {
        let (_, rest) = text.split_once(&format!(" {name}=\"")).expect("it has it");
        rest.split('"').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    let boxes: Vec<_> = drawn.lines().filter(|line| line.starts_with("<rect")).collect();
    let corners: Vec<_> = boxes
        .iter()
        .map(|line| {
            let (x, y) = (number(line, "x"), number(line, "y"));
            (x, y, x + number(line, "width"), y + number(line, "height"))
        })
        .collect();
    for (place, a) in corners.iter().enumerate() {
        for b in &corners[place + 1..] {
            let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
            let inside = a.0 <= b.0 && a.1 <= b.1 && b.2 <= a.2 && b.3 <= a.3;
            assert!(apart || inside, "{a:?} and {b:?}\n{drawn}");
        }
    }
}

#[test]
fn as_json() {
    let graph = sample();
    assert_eq!(graph.nodes[2].parent.as_deref(), Some("tests"));
    assert!(graph.edges.iter().any(|edge| edge.kind == EdgeKind::Else && edge.to == "complain"));
}

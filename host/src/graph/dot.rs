//! DOT, for Graphviz: <https://graphviz.org/doc/info/lang.html>.

use std::fmt::Write as _;

use super::{Graph, Kind, printable};
use crate::error::INFALLIBLE;

pub fn write(graph: &Graph) -> String {
    let mut text = format!("digraph {} {{\n    rankdir = LR;\n", quoted(&[&graph.name]));
    text.push_str("    node [fontname = \"Helvetica\", fontsize = 11];\n");
    text.push_str("    edge [fontname = \"Helvetica\", fontsize = 9];\n");
    for (index, node) in graph.nodes.iter().enumerate() {
        let shape = match node.kind {
            Kind::Client => "oval",
            Kind::Service => "box",
            Kind::Server => "hexagon",
            Kind::Database => "cylinder",
            Kind::Topic => "cds",
        };
        let lines: Vec<_> =
            [node.name.as_str(), node.detail.as_str()].into_iter().filter(|line| !line.is_empty()).collect();
        writeln!(text, "    n{index} [shape = {shape}, label = {}];", quoted(&lines)).expect(INFALLIBLE);
    }
    for edge in &graph.edges {
        let mut attributes = Vec::new();
        let lines = graph.label(edge);
        if !lines.is_empty() {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            attributes.push(format!("label = {}", quoted(&lines)));
        }
        if !edge.known {
            attributes.push("style = dashed".to_owned());
        }
        let attributes =
            if attributes.is_empty() { String::new() } else { format!(" [{}]", attributes.join(", ")) };
        writeln!(text, "    n{} -> n{}{attributes};", edge.from, edge.to).expect(INFALLIBLE);
    }
    text.push_str("}\n");
    text
}

/// Lines as one string in quotes.
fn quoted(lines: &[&str]) -> String {
    let escaped: Vec<_> =
        lines.iter().map(|line| printable(line).replace('\\', "\\\\").replace('"', "\\\"")).collect();
    format!("\"{}\"", escaped.join("\\n"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn no_text_can_leave_its_quotes() {
        assert_eq!(quoted(&["a \"b\" \\", "c"]), r#""a \"b\" \\\nc""#);
    }
}

//! Mermaid, as GitHub and many editors draw it: <https://mermaid.js.org/syntax/flowchart.html>.

use std::fmt::Write as _;

use super::{Graph, Kind};
use crate::error::INFALLIBLE;

pub fn write(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut label = escape(&node.name);
        if !node.detail.is_empty() {
            write!(label, "<br/>{}", escape(&node.detail)).expect(INFALLIBLE);
        }
        let (open, close) = match node.kind {
            Kind::Client => ("([", "])"),
            Kind::Service => ("[", "]"),
            Kind::Server => ("{{", "}}"),
            Kind::Database => ("[(", ")]"),
            Kind::Topic => ("[[", "]]"),
        };
        writeln!(text, "    n{index}{open}\"{label}\"{close}").expect(INFALLIBLE);
    }
    for edge in &graph.edges {
        let arrow = if edge.known { "-->" } else { "-.->" };
        let lines: Vec<_> = graph.label(edge).iter().map(|line| escape(line)).collect();
        let label = if lines.is_empty() { String::new() } else { format!("|\"{}\"|", lines.join("<br/>")) };
        writeln!(text, "    n{} {arrow}{label} n{}", edge.from, edge.to).expect(INFALLIBLE);
    }
    text
}

/// What could end a text in quotes, or be read as Markdown or HTML, as the number of its character.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_alphanumeric() || " -./:+{},()=…".contains(c) {
            escaped.push(c);
        } else {
            write!(escaped, "#{};", u32::from(c)).expect(INFALLIBLE);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn no_text_can_leave_its_quotes() {
        assert_eq!(escape("GET /items/{id}, 10%"), "GET /items/{id}, 10#37;");
        assert_eq!(
            escape("\"]; x #quot; <b> `y` a_b"),
            "#34;#93;#59; x #35;quot#59; #60;b#62; #96;y#96; a#95;b"
        );
    }
}

//! A topology as a graph: what `simhost graph` draws, in three notations.

mod dot;
mod layout;
mod mermaid;
mod svg;

use crate::error::steers_terminal;

/// Edges with labels, at most: those of larger graphs would hide one another.
const LABELLED_AT_MOST: usize = 150;

/// Characters of a label's line.
const LINE_AT_MOST: usize = 40;

/// Requests that a label names; of the others it says how many there are.
const REQUESTS_AT_MOST: usize = 2;

/// Edges that mermaid's default settings draw.
pub const MERMAID_EDGES: usize = 500;

/// What calls what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The topology's.
    pub name: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

/// What something in a graph is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Where requests come from: a load, or clients of the ingress.
    Client,
    Service,
    /// A real server, which the topology names.
    Server,
    Database,
    /// Messages on their way.
    Topic,
}

/// Something that calls or is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub kind: Kind,
    pub name: String,
    /// What else there is to know about it; may be empty.
    pub detail: String,
}

/// Calls from one node to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Indices of nodes.
    pub from: usize,
    pub to: usize,
    /// `POST /orders`, each once.
    pub requests: Vec<String>,
    /// Whether the calls are known; else the topology has only a link there, or a fault whose guest makes
    /// them.
    pub known: bool,
}

/// How a graph is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Mermaid,
    Dot,
    Svg,
}

impl Graph {
    /// The graph in a notation, with a line feed behind the last line.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Mermaid => mermaid::write(self),
            Format::Dot => dot::write(self),
            Format::Svg => svg::write(self),
        }
    }

    /// What stands at an edge; empty in graphs with too many.
    fn label(&self, edge: &Edge) -> Vec<String> {
        if self.edges.len() > LABELLED_AT_MOST {
            return Vec::new();
        }
        let mut lines: Vec<_> = edge.requests.iter().take(REQUESTS_AT_MOST).map(|line| cut(line)).collect();
        let more = edge.requests.len().saturating_sub(REQUESTS_AT_MOST);
        if more > 0 {
            lines.push(format!("and {more} more"));
        }
        lines
    }
}

/// A text without control characters, and without what no XML may have (XML 1.0, section 2.2).
fn printable(text: &str) -> String {
    let is_printable =
        |c: char| !c.is_control() && !steers_terminal(c) && !matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if is_printable(c) { c } else { '\u{fffd}' }).collect()
}

/// The beginning of a line that is too long.
fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE_AT_MOST) {
        Some(_) => line.chars().take(LINE_AT_MOST - 1).chain(['…']).collect(),
        None => line.to_owned(),
    }
}

//! SVG, which every browser shows.

use std::fmt::Write as _;

use super::layout::{Layout, Wanted, layout};
use super::{Graph, Kind, Node, printable};
use crate::error::INFALLIBLE;

/// Pixels: a node's height, what is free below it, what a passing edge takes, what is free around all.
const NODE: f64 = 40.0;
const GAP: f64 = 18.0;
const BEND: f64 = 14.0;
const MARGIN: f64 = 24.0;

/// Between two layers, at least.
const BETWEEN: f64 = 70.0;

/// The width of a character of a name, of a detail and of a label: about, as fonts differ.
const NAME_WIDTH: f64 = 8.4;
const SMALL_WIDTH: f64 = 5.9;

const STYLE: &str = "text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;\
text-anchor:middle;fill:#1b1f24}\
.name{font-size:13px;font-weight:600}.detail{font-size:10.5px;fill:#57606a}\
.label{text-anchor:start;font-size:10px;fill:#424a53;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}.end{text-anchor:end}\
.node{stroke-width:1.25px}.client{fill:#f6f8fa;stroke:#57606a}.service{fill:#ddf4ff;stroke:#0969da}\
.server{fill:#fff8c5;stroke:#9a6700}.database{fill:#dafbe1;stroke:#1a7f37}.topic{fill:#fbefff;stroke:#8250df}\
.edge{fill:none;stroke:#57606a;stroke-width:1.25px}.unknown{stroke-dasharray:5 4}";

pub fn write(graph: &Graph) -> String {
    let picture = Picture::new(graph);
    let (width, height) = (picture.width, picture.laid.height - GAP + 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\">\n<title>{}</title>\n<style>{STYLE}</style>\n",
        escape(&graph.name)
    );
    svg.push_str(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
         markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0.5 8 4 0 7.5z\" fill=\"#57606a\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
    );
    (0..graph.edges.len()).for_each(|edge| picture.edge(edge, &mut svg));
    (0..graph.nodes.len()).for_each(|node| picture.node(node, &mut svg));
    // Last, so that no line crosses a label.
    (0..graph.edges.len()).for_each(|edge| picture.label(edge, &mut svg));
    svg.push_str("</svg>\n");
    svg
}

/// A graph with everything in its place.
struct Picture<'a> {
    graph: &'a Graph,
    laid: Layout,
    /// Of each layer: where it begins, and how wide its nodes are.
    columns: Vec<(f64, f64)>,
    width: f64,
}

impl<'a> Picture<'a> {
    fn new(graph: &'a Graph) -> Self {
        let edges = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
        let laid = layout(&Wanted { heights: vec![NODE + GAP; graph.nodes.len()], edges, bend: BEND });
        let count = laid.layers.iter().max().map_or(0, |last| last + 1);
        let (mut widths, mut gaps) = (vec![0.0_f64; count], vec![BETWEEN; count]);
        for (node, layer) in graph.nodes.iter().zip(&laid.layers) {
            widths[*layer] = widths[*layer].max(width(node));
        }
        for (index, edge) in graph.edges.iter().enumerate() {
            // The label stands behind the node that lies to the left.
            let left = if laid.reversed[index] { edge.to } else { edge.from };
            let longest = graph.label(edge).iter().map(|line| line.chars().count()).max().unwrap_or(0);
            let gap = &mut gaps[laid.layers[left]];
            *gap = gap.max(longest as f64 * SMALL_WIDTH + 36.0);
        }
        let mut x = MARGIN;
        let columns: Vec<_> = widths
            .iter()
            .zip(gaps)
            .map(|(width, gap)| {
                let column = (x, *width);
                x += width + gap;
                column
            })
            .collect();
        let width = columns.last().map_or(0.0, |(x, width)| x + width) + MARGIN + 30.0;
        Self { graph, laid, columns, width }
    }

    fn middle(&self, node: usize) -> f64 {
        self.laid.middles[node] - GAP / 2.0 + MARGIN
    }

    fn node(&self, index: usize, svg: &mut String) {
        let node = &self.graph.nodes[index];
        let (x, width) = self.columns[self.laid.layers[index]];
        let (middle, y, class) = (self.middle(index), self.middle(index) - NODE / 2.0, class(node.kind));
        match node.kind {
            Kind::Database => {
                let curve = width / 2.0;
                writeln!(
                    svg,
                    "<path class=\"node {class}\" d=\"M{x:.1} {top:.1}v{long:.1}a{curve:.1} 5 0 0 0 {width:.1} 0\
                     V{top:.1}a{curve:.1} 5 0 0 0 -{width:.1} 0a{curve:.1} 5 0 0 0 {width:.1} 0\"/>",
                    top = y + 5.0,
                    long = NODE - 10.0,
                )
                .expect(INFALLIBLE);
            }
            Kind::Client | Kind::Service | Kind::Server | Kind::Topic => {
                let round = if node.kind == Kind::Client { NODE / 2.0 } else { 5.0 };
                writeln!(
                    svg,
                    "<rect class=\"node {class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{NODE}\" \
                     rx=\"{round}\"/>"
                )
                .expect(INFALLIBLE);
            }
        }
        let centre = x + width / 2.0;
        let (name, detail) = (escape(&node.name), escape(&node.detail));
        let down = if node.kind == Kind::Database { 3.0 } else { 0.0 };
        let at = if detail.is_empty() { middle + 4.5 } else { middle - 2.5 } + down;
        writeln!(svg, "<text class=\"name\" x=\"{centre:.1}\" y=\"{at:.1}\">{name}</text>")
            .expect(INFALLIBLE);
        if !detail.is_empty() {
            let at = middle + 12.0 + down / 2.0;
            writeln!(svg, "<text class=\"detail\" x=\"{centre:.1}\" y=\"{at:.1}\">{detail}</text>")
                .expect(INFALLIBLE);
        }
    }

    /// The points that an edge passes, from left to right: its ends, and both sides of each layer between.
    fn points(&self, index: usize) -> Vec<(f64, f64)> {
        let edge = &self.graph.edges[index];
        let reversed = self.laid.reversed[index];
        let (left, right) = if reversed { (edge.to, edge.from) } else { (edge.from, edge.to) };
        let (x, width) = self.columns[self.laid.layers[left]];
        let mut points = vec![(x + width, self.middle(left))];
        let bends = &self.laid.bends[index];
        for (at, layer) in (self.laid.layers[left] + 1..self.laid.layers[right]).enumerate() {
            let at = if reversed { bends.len().checked_sub(at + 1) } else { Some(at) };
            let Some(bend) = at.and_then(|at| bends.get(at)) else { continue };
            let (x, width) = self.columns[layer];
            let y = bend - GAP / 2.0 + MARGIN;
            points.extend([(x, y), (x + width, y)]);
        }
        points.push((self.columns[self.laid.layers[right]].0, self.middle(right)));
        points
    }

    fn edge(&self, index: usize, svg: &mut String) {
        let edge = &self.graph.edges[index];
        let class = if edge.known { "edge" } else { "edge unknown" };
        let path = if edge.from == edge.to {
            let ((x, width), y) = (self.columns[self.laid.layers[edge.from]], self.middle(edge.from));
            let x = x + width;
            format!("M{x:.1} {:.1}c26 -14 26 22 2 14", y - 8.0)
        } else {
            let mut points = self.points(index);
            if self.laid.reversed[index] {
                points.reverse();
            }
            curve(&points)
        };
        writeln!(svg, "<path class=\"{class}\" marker-end=\"url(#arrow)\" d=\"{path}\"/>").expect(INFALLIBLE);
    }

    /// The label stands above the line, at that end where fewer lines meet.
    fn label(&self, index: usize, svg: &mut String) {
        let edge = &self.graph.edges[index];
        let points = if edge.from == edge.to { Vec::new() } else { self.points(index) };
        let ([(left, above), (next, below), ..], [.., (before, high), (right, low)]) =
            (&points[..], &points[..])
        else {
            return;
        };
        let reversed = self.laid.reversed[index];
        let (from, to) = if reversed { (edge.to, edge.from) } else { (edge.from, edge.to) };
        let at_left = self.meeting(from) < self.meeting(to);
        // A line is all but level there.
        let level = |from: f64, to: f64| from + 0.06 * (to - from);
        let (x, y, class) = match at_left {
            true => (left + 12.0_f64.min((next - left) / 8.0), level(*above, *below), "label"),
            false => (right - 14.0_f64.min((right - before) / 8.0), level(*low, *high), "label end"),
        };
        let lines = self.graph.label(edge);
        for (at, line) in lines.iter().rev().enumerate() {
            let y = y - 5.0 - 12.0 * at as f64;
            let line = escape(line);
            writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{line}</text>")
                .expect(INFALLIBLE);
        }
    }

    /// How many lines end at a node, at either side.
    fn meeting(&self, node: usize) -> usize {
        self.graph.edges.iter().filter(|edge| edge.from == node || edge.to == node).count()
    }
}

/// A line through points that leaves and reaches each of them horizontally.
fn curve(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in points.iter().enumerate() {
        match index.checked_sub(1).map(|before| points[before]) {
            None => write!(path, "M{x:.1} {y:.1}"),
            Some((_, last)) if last == *y => write!(path, "H{x:.1}"),
            Some((before, last)) => {
                let middle = (before + x) / 2.0;
                write!(path, "C{middle:.1} {last:.1} {middle:.1} {y:.1} {x:.1} {y:.1}")
            }
        }
        .expect(INFALLIBLE);
    }
    path
}

fn width(node: &Node) -> f64 {
    let (name, detail) = (node.name.chars().count() as f64, node.detail.chars().count() as f64);
    (name * NAME_WIDTH).max(detail * SMALL_WIDTH) + 24.0
}

const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Client => "client",
        Kind::Service => "service",
        Kind::Server => "server",
        Kind::Database => "database",
        Kind::Topic => "topic",
    }
}

fn escape(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

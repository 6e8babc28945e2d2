//! Who called whom, from links that may be missing, doubled or circular.

use rustc_hash::FxHashMap;

use crate::telemetry::record::SpanRecord;

/// Why a span stands where its own link does not put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stray {
    /// Its parent is not among the spans.
    Orphan,
    /// It has no parent, and neither has the root.
    Root,
    /// It is its own ancestor.
    Loop,
}

/// Where spans stand that have no parent to stand under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tops {
    /// Under the root, marked.
    UnderRoot,
    /// Beside each other: the root itself is not there yet.
    Apart,
}

#[derive(Clone, Debug, Default)]
pub struct Node {
    /// By start, end, then id.
    pub children: Vec<usize>,
    pub stray: Option<Stray>,
    /// The span's time less that of its children, as intervals in order.
    pub own: Vec<(u64, u64)>,
    /// Spans from here down, this one included.
    pub size: usize,
}

impl Node {
    pub fn own_time(&self) -> u64 {
        self.own.iter().map(|(from, to)| to - from).sum()
    }
}

/// The spans of a trace as trees; a node has its span's index.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    pub nodes: Vec<Node>,
    /// One, unless they stand apart.
    pub tops: Vec<usize>,
}

impl Forest {
    pub fn build(spans: &[SpanRecord], tops: Tops) -> Self {
        let parents = link(spans);
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by_key(|&at| (spans[at].start, spans[at].end, spans[at].span_id, at));
        let mut forest = Self { nodes: vec![Node::default(); spans.len()], tops: Vec::new() };
        for &at in &order {
            match parents[at] {
                Some(parent) => forest.nodes[parent].children.push(at),
                None => forest.tops.push(at),
            }
        }
        forest.open_loops(&parents, &order);
        if tops == Tops::UnderRoot {
            forest.plant(spans);
        }
        forest.measure(spans);
        forest
    }

    /// Every index, a parent before its children, siblings in order.
    pub fn walk(&self) -> Vec<usize> {
        let mut found = Vec::with_capacity(self.nodes.len());
        let mut waiting: Vec<usize> = self.tops.iter().rev().copied().collect();
        while let Some(at) = waiting.pop() {
            found.push(at);
            waiting.extend(self.nodes[at].children.iter().rev());
        }
        found
    }

    /// Cuts each loop before its first span, which becomes a top.
    fn open_loops(&mut self, parents: &[Option<usize>], order: &[usize]) {
        let mut reached = vec![false; self.nodes.len()];
        for at in self.walk() {
            reached[at] = true;
        }
        for &at in order {
            if reached[at] {
                continue;
            }
            if let Some(parent) = parents[at] {
                self.nodes[parent].children.retain(|child| *child != at);
            }
            self.nodes[at].stray = Some(Stray::Loop);
            self.tops.push(at);
            let mut waiting = vec![at];
            while let Some(at) = waiting.pop() {
                reached[at] = true;
                waiting.extend(&self.nodes[at].children);
            }
        }
    }

    /// Puts all tops under the likeliest root.
    fn plant(&mut self, spans: &[SpanRecord]) {
        // A span without a parent is the root for certain; one whose parent is remote can be.
        let doubt = |at: usize| match (self.nodes[at].stray, spans[at].parent) {
            (Some(_), _) => 3,
            (None, None) => 0,
            (None, Some(_)) if spans[at].remote_parent => 1,
            (None, Some(_)) => 2,
        };
        let Some(root) =
            self.tops.iter().copied().min_by_key(|&at| (doubt(at), spans[at].start, spans[at].span_id, at))
        else {
            return;
        };
        for at in std::mem::replace(&mut self.tops, vec![root]) {
            if at == root {
                continue;
            }
            let stray = if spans[at].parent.is_none() { Stray::Root } else { Stray::Orphan };
            self.nodes[at].stray.get_or_insert(stray);
            self.nodes[root].children.push(at);
        }
        self.nodes[root].stray = None;
        self.nodes[root].children.sort_by_key(|&at| (spans[at].start, spans[at].end, spans[at].span_id, at));
    }

    fn measure(&mut self, spans: &[SpanRecord]) {
        for at in self.walk().into_iter().rev() {
            let children = &self.nodes[at].children;
            let size = 1 + children.iter().map(|&child| self.nodes[child].size).sum::<usize>();
            let own = own_time(&spans[at], children.iter().map(|&child| &spans[child]));
            self.nodes[at].size = size;
            self.nodes[at].own = own;
        }
    }
}

/// The index of each span's parent, if it is there and another span. Of
/// several spans with one id, the first has the children.
fn link(spans: &[SpanRecord]) -> Vec<Option<usize>> {
    let mut by_id = FxHashMap::default();
    for (at, span) in spans.iter().enumerate() {
        by_id.entry(span.span_id).or_insert(at);
    }
    let parent = |(at, span): (usize, &SpanRecord)| {
        span.parent.and_then(|id| by_id.get(&id).copied()).filter(|parent| *parent != at)
    };
    spans.iter().enumerate().map(parent).collect()
}

/// What is left of a span's time without its children, which come in order of start.
fn own_time<'a>(span: &SpanRecord, children: impl Iterator<Item = &'a SpanRecord>) -> Vec<(u64, u64)> {
    let mut own = Vec::new();
    let mut from = span.start;
    for child in children {
        let (start, end) = (child.start.min(span.end), child.end.min(span.end));
        if start > from {
            own.push((from, start));
        }
        from = from.max(end);
    }
    if span.end > from {
        own.push((from, span.end));
    }
    own
}

//! One trace as a tree: own times, and its critical path.

use rustc_hash::FxHashMap;

use crate::context::SpanId;
use crate::telemetry::record::{SpanKind, SpanRecord};

/// The spans of a trace, with their children.
pub struct Trace<'a> {
    pub spans: Vec<&'a SpanRecord>,
    children: FxHashMap<SpanId, Vec<usize>>,
}

impl<'a> Trace<'a> {
    pub fn new(spans: Vec<&'a SpanRecord>) -> Self {
        let mut children: FxHashMap<SpanId, Vec<usize>> = FxHashMap::default();
        for (at, span) in spans.iter().enumerate() {
            if let Some(parent) = span.parent {
                children.entry(parent).or_default().push(at);
            }
        }
        Self { spans, children }
    }

    /// The span without a parent that began first.
    pub fn root(&self) -> Option<usize> {
        let roots = (0..self.spans.len()).filter(|at| self.spans[*at].parent.is_none());
        roots.min_by_key(|at| self.spans[*at].start)
    }

    fn children(&self, at: usize) -> &[usize] {
        self.children.get(&self.spans[at].span_id).map(Vec::as_slice).unwrap_or_default()
    }

    /// The time of a span in which none of its children is under way.
    pub fn own_time(&self, at: usize) -> u64 {
        let span = self.spans[at];
        let clipped = |child: &usize| {
            let child = self.spans[*child];
            (child.start.clamp(span.start, span.end), child.end.clamp(span.start, span.end))
        };
        let mut parts: Vec<_> = self.children(at).iter().map(clipped).collect();
        parts.sort_unstable();
        let (mut covered, mut end) = (0, span.start);
        for (from, to) in parts {
            covered += to.saturating_sub(from.max(end));
            end = end.max(to);
        }
        span.end - span.start - covered
    }

    /// The span with the most own time; of equal ones the first.
    pub fn hottest(&self) -> Option<(usize, u64)> {
        let own = (0..self.spans.len()).map(|at| (at, self.own_time(at)));
        own.max_by_key(|(at, own)| (*own, std::cmp::Reverse(*at)))
    }

    /// The longest time between the start of a CLIENT span and that of its SERVER span.
    pub fn gap(&self) -> Option<u64> {
        let clients = (0..self.spans.len()).filter(|at| self.spans[*at].kind == SpanKind::Client);
        let gaps = clients.flat_map(|at| self.children(at).iter().map(move |child| (at, *child)));
        gaps.filter(|(_, child)| self.spans[*child].kind == SpanKind::Server)
            .map(|(at, child)| self.spans[child].start.saturating_sub(self.spans[at].start))
            .max()
    }

    /// The time that each span holds the answer up: from the end of the root back, that of the child that
    /// ended last, and what is left is the span's own.
    pub fn critical(&self) -> Vec<(usize, u64)> {
        let Some(root) = self.root() else { return Vec::new() };
        let mut path = Vec::new();
        let mut open = vec![(root, self.spans[root].end)];
        while let Some((at, until)) = open.pop() {
            let span = self.spans[at];
            let (mut now, mut own) = (until.min(span.end), 0);
            let mut children = self.children(at).to_vec();
            children.sort_by_key(|child| std::cmp::Reverse((self.spans[*child].end, *child)));
            for child in children {
                let other = self.spans[child];
                // One that ends later than what is left of the span does not hold it up.
                if other.end > now || other.end <= span.start || other.start >= now {
                    continue;
                }
                own += now - other.end;
                open.push((child, other.end));
                now = other.start.max(span.start);
            }
            own += now.saturating_sub(span.start);
            path.push((at, own));
        }
        path
    }
}

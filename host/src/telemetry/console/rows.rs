//! Which spans get a line, in which order, and what stands for the rest.

use indexmap::IndexMap;

use super::forest::Forest;
use crate::telemetry::record::{SpanKind, SpanRecord};

/// Siblings of one service, kind and name that are shown before the rest is summed up.
pub const MAX_ALIKE: usize = 20;
/// Lines of spans in one picture.
pub const MAX_ROWS: usize = 300;

/// One line of the tree.
#[derive(Clone, Debug)]
pub struct Row {
    pub depth: usize,
    /// For each ancestor below the top: whether its line goes on.
    pub guides: Vec<bool>,
    /// No sibling comes after it.
    pub last: bool,
    pub what: What,
}

#[derive(Clone, Debug)]
pub enum What {
    Span(usize),
    /// Siblings like the ones above, with all that is below them.
    Fold(Fold),
    /// One of the moments of a span.
    Moment {
        span: usize,
        moment: usize,
    },
}

#[derive(Clone, Debug, Default)]
pub struct Fold {
    pub siblings: Vec<usize>,
    /// Spans, those below the siblings included.
    pub spans: usize,
    pub errors: usize,
}

/// The lines of a picture, and how many spans they leave out.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    pub hidden: usize,
}

/// Lays out a forest as lines. `hot` and what leads to it is never folded. `moments` are the times of what
/// happened
/// in each span, in order, where that has lines of its own; they do not count among the lines of spans.
pub fn rows(forest: &Forest, spans: &[SpanRecord], hot: Option<usize>, moments: &[Vec<u64>]) -> Rows {
    let path = path_to(forest, hot);
    let mut rows = Vec::new();
    let (mut accounted, mut lines) = (0, 0);
    let mut waiting = Vec::new();
    push(&mut waiting, fold(forest, spans, &path, &forest.tops), 0, &[]);
    while let Some(row) = waiting.pop() {
        if lines == MAX_ROWS {
            break;
        }
        lines += usize::from(!matches!(row.what, What::Moment { .. }));
        match &row.what {
            What::Moment { .. } => {}
            What::Fold(fold) => accounted += fold.spans,
            What::Span(at) => {
                accounted += 1;
                let mut guides = row.guides.clone();
                if row.depth > 0 {
                    guides.push(!row.last);
                }
                let children = fold(forest, spans, &path, &forest.nodes[*at].children);
                let times = moments.get(*at).map_or(&[][..], Vec::as_slice);
                push(&mut waiting, woven(children, spans, *at, times), row.depth + 1, &guides);
            }
        }
        rows.push(row);
    }
    Rows { rows, hidden: spans.len() - accounted }
}

fn push(waiting: &mut Vec<Row>, siblings: Vec<What>, depth: usize, guides: &[bool]) {
    let count = siblings.len();
    let row = |(at, what)| Row { depth, guides: guides.to_vec(), last: at + 1 == count, what };
    waiting.extend(siblings.into_iter().enumerate().map(row).rev());
}

/// Marks `hot` and its ancestors.
fn path_to(forest: &Forest, hot: Option<usize>) -> Vec<bool> {
    let mut path = vec![false; forest.nodes.len()];
    if let Some(hot) = hot {
        path[hot] = true;
    }
    for at in forest.walk().into_iter().rev() {
        path[at] |= forest.nodes[at].children.iter().any(|&child| path[child]);
    }
    path
}

/// Siblings in order; where many are alike, the first of them and one line
/// for the rest, where the last of them stood.
fn fold(forest: &Forest, spans: &[SpanRecord], path: &[bool], siblings: &[usize]) -> Vec<What> {
    if siblings.len() <= MAX_ALIKE {
        return siblings.iter().map(|&at| What::Span(at)).collect();
    }
    let alike = |at: usize| -> (u32, SpanKind, &str) {
        let span = &spans[at];
        (span.resource.0, span.kind, &span.name)
    };
    let mut groups: IndexMap<_, Vec<usize>> = IndexMap::new();
    for &at in siblings {
        groups.entry(alike(at)).or_default().push(at);
    }
    let mut rest: IndexMap<usize, Fold> = IndexMap::new();
    for group in groups.into_values() {
        let folded: Vec<usize> = group.into_iter().skip(MAX_ALIKE).filter(|&at| !path[at]).collect();
        let Some(&end) = folded.last() else { continue };
        rest.insert(end, summed_up(forest, spans, folded));
    }
    let folded: Vec<usize> = rest.values().flat_map(|fold| fold.siblings.iter().copied()).collect();
    let mut is_folded = vec![false; spans.len()];
    for at in folded {
        is_folded[at] = true;
    }
    siblings
        .iter()
        .filter_map(|at| match rest.swap_remove(at) {
            Some(fold) => Some(What::Fold(fold)),
            None if is_folded[*at] => None,
            None => Some(What::Span(*at)),
        })
        .collect()
}

/// The children of a span and what happened in it, in the order of time.
fn woven(children: Vec<What>, spans: &[SpanRecord], span: usize, times: &[u64]) -> Vec<What> {
    let mut moments = times.iter().enumerate().peekable();
    let mut woven = Vec::with_capacity(children.len() + times.len());
    for child in children {
        let start = match &child {
            What::Span(at) => spans[*at].start,
            What::Fold(fold) => fold.siblings.last().map_or(0, |at| spans[*at].start),
            What::Moment { .. } => 0,
        };
        while let Some((moment, _)) = moments.next_if(|(_, time)| **time <= start) {
            woven.push(What::Moment { span, moment });
        }
        woven.push(child);
    }
    woven.extend(moments.map(|(moment, _)| What::Moment { span, moment }));
    woven
}

fn summed_up(forest: &Forest, spans: &[SpanRecord], siblings: Vec<usize>) -> Fold {
    let (mut count, mut errors) = (0, 0);
    let mut waiting = siblings.clone();
    while let Some(at) = waiting.pop() {
        count += 1;
        errors += usize::from(spans[at].is_error());
        waiting.extend(&forest.nodes[at].children);
    }
    Fold { siblings, spans: count, errors }
}

//! How the columns of a picture share the width of a line.

use super::rows::Row;
use super::style::Glyphs;

/// Below this many columns the bar alone says when a span started.
const WITH_OFFSET: usize = 72;
/// A name may have this many columns before it costs the bar any.
const MAX_LABEL: usize = 72;
const MIN_NAME: usize = 8;
/// Of a label that is cut, this much should remain, even on the deepest level.
const READABLE: usize = 16;

/// Columns of each part of a line; one blank between them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Layout {
    pub service: usize,
    /// The lines of the tree and the label.
    pub name: usize,
    pub bar: usize,
    pub offset: Option<usize>,
    pub duration: usize,
    /// Columns of each level of the tree, 1 to 3.
    pub step: usize,
}

impl Layout {
    /// Shares `columns`, given what service, offset and duration need, and
    /// the depth and width of each label. Names come first, as far as a bar
    /// remains that can be read; then the levels of the tree move closer.
    pub fn fit(columns: usize, need: Self, labels: &[(usize, usize)]) -> Self {
        let service = need.service.min(columns / 4);
        let offset = need.offset.filter(|_| columns >= WITH_OFFSET);
        let taken = service + 1 + offset.map_or(0, |offset| offset + 1) + need.duration + 1 + 1;
        let free = columns.saturating_sub(taken);
        let most = free.saturating_sub((columns / 8).max(8)).max(MIN_NAME);
        let wanted = |step: usize| {
            labels.iter().map(|(depth, label)| (depth * step + label).min(MAX_LABEL)).max().unwrap_or(0)
        };
        let deepest = labels.iter().map(|(depth, _)| *depth).max().unwrap_or(0);
        let step = [3, 2]
            .into_iter()
            .find(|&step| wanted(step) <= most)
            .or_else(|| [3, 2].into_iter().find(|&step| deepest * step + READABLE <= most))
            .unwrap_or(1);
        let name = wanted(step).clamp(MIN_NAME, most);
        let bar = free.saturating_sub(name).max(1);
        Self { service, name, bar, offset, duration: need.duration, step }
    }
}

/// The lines of the tree before a label.
pub fn prefix(glyphs: &Glyphs, layout: &Layout, row: &Row) -> String {
    let branches = &glyphs.tree[layout.step - 1];
    if row.depth == 0 {
        return String::new();
    }
    if is_clipped(layout, row) {
        return format!("{}{} ", glyphs.clipped, row.depth);
    }
    let mut lines = guides(glyphs, layout, row);
    lines.push_str(if row.last { branches.corner } else { branches.tee });
    lines
}

/// The lines of the tree before what is said below a label.
pub fn continued(glyphs: &Glyphs, layout: &Layout, row: &Row, parent: bool) -> String {
    let branches = &glyphs.tree[layout.step - 1];
    if is_clipped(layout, row) {
        return " ".repeat(prefix(glyphs, layout, row).chars().count());
    }
    let mut lines = guides(glyphs, layout, row);
    if row.depth > 0 {
        lines.push_str(if row.last { branches.blank } else { branches.line });
    }
    lines.push_str(if parent { branches.line } else { branches.blank });
    lines
}

fn guides(glyphs: &Glyphs, layout: &Layout, row: &Row) -> String {
    let branches = &glyphs.tree[layout.step - 1];
    row.guides.iter().map(|goes_on| if *goes_on { branches.line } else { branches.blank }).collect()
}

/// So deep that its lines would take the room of its name.
pub fn is_clipped(layout: &Layout, row: &Row) -> bool {
    row.depth * layout.step > layout.name / 2
}

//! The name of a span, with what stands around it.

use opentelemetry_semantic_conventions::attribute;

use super::detail::status_code;
use super::forest::Stray;
use super::layout::prefix;
use super::rows::{Fold, Row};
use super::style::{BOLD, DIM, Ink, PLAIN, RED, YELLOW};
use super::text::{count, safe, shorten, width};
use super::tree::{Picture, pad};
use crate::telemetry::record::{SpanKind, SpanRecord, Value};

/// What stands between the lines of the tree and the bar.
pub struct Label {
    /// Before the name: what went wrong, and the kind.
    pub marks: Vec<(Ink, String)>,
    pub name: (Ink, String),
    /// Behind the name, the most important first.
    pub badges: Vec<(Ink, String)>,
}

/// The name of a span; of a CLIENT span with the name of who is called, as there is no span of the
/// callee where no answer came.
fn title(span: &SpanRecord) -> String {
    let callee = match span.attributes.get(attribute::SERVER_ADDRESS) {
        Some(Value::Text(callee)) if span.kind == SpanKind::Client && !span.name.contains(&**callee) => {
            callee
        }
        _ => return span.name.to_string(),
    };
    format!("{} {}", &*span.name, &**callee)
}

impl Label {
    fn parts(&self) -> impl Iterator<Item = &(Ink, String)> {
        self.marks.iter().chain([&self.name]).chain(&self.badges)
    }

    /// Columns, when there is room for all of it.
    pub fn width(&self) -> usize {
        self.parts().map(|(_, text)| width(text) + 1).sum::<usize>() - 1
    }
}

impl Picture<'_> {
    /// Writes tree lines and label, and returns the badges for which there was no room.
    pub fn label(&self, out: &mut String, row: &Row, mut label: Label) -> Vec<(Ink, String)> {
        let lines = prefix(self.glyphs(), &self.layout, row);
        let room = self.layout.name.saturating_sub(width(&lines));
        let rest = |label: &Label| label.width() - width(&label.name.1);
        let mut dropped = Vec::new();
        // A short badge is worth a few letters of the name, a long one is not.
        let least = |badge: &(Ink, String)| if width(&badge.1) > 4 { 12 } else { 6 };
        while let Some(badge) = label.badges.last()
            && rest(&label) + width(&label.name.1).min(least(badge)) > room
        {
            dropped.extend(label.badges.pop());
        }
        while !label.marks.is_empty() && rest(&label) + width(&label.name.1).min(3) > room {
            label.marks.pop();
        }
        label.name.1 = shorten(&label.name.1, room - rest(&label).min(room), self.glyphs().ellipsis);
        self.style().paint(out, DIM, &lines);
        for (at, (ink, text)) in label.parts().enumerate() {
            pad(out, usize::from(at > 0));
            self.style().paint(out, *ink, text);
        }
        let used = width(&lines) + label.width();
        pad(out, self.layout.name.saturating_sub(used) + 1);
        dropped.reverse();
        dropped
    }

    pub fn label_of(&self, at: usize) -> Label {
        let span = &self.trace.spans[at];
        let glyphs = self.glyphs();
        let mut marks = Vec::new();
        if span.is_error() {
            marks.push((RED, glyphs.error.to_owned()));
        }
        let (kind, mut ink) = match span.kind {
            SpanKind::Internal => (None, PLAIN),
            SpanKind::Server => (Some(glyphs.server), PLAIN),
            SpanKind::Client => (Some(glyphs.client), DIM),
            SpanKind::Producer => (Some(glyphs.producer), DIM),
            SpanKind::Consumer => (Some(glyphs.consumer), PLAIN),
        };
        marks.extend(kind.map(|kind| (DIM, kind.to_owned())));
        let mut badges = Vec::new();
        if let Some((_, share)) = self.hot.filter(|(hot, _)| *hot == at) {
            ink = BOLD;
            badges.push((BOLD, format!("{} {share}% here", glyphs.hot)));
        }
        if let Some(code) = status_code(span) {
            let ink = match code {
                500.. => RED,
                400.. => YELLOW,
                _ => DIM,
            };
            badges.insert(0, (ink, code.to_string()));
        }
        let stray = self.forest.nodes[at].stray.map(|stray| match stray {
            // It is missing, or ends later than what is drawn.
            Stray::Orphan => "(no parent here)",
            Stray::Root => "(second root)",
            Stray::Loop => "(its own ancestor)",
        });
        badges.extend(stray.map(|stray| (YELLOW, stray.to_owned())));
        if span.is_error() {
            ink = RED;
        }
        Label { marks, name: (ink, safe(&title(span), self.style().unicode)), badges }
    }

    pub fn fold_label(&self, fold: &Fold) -> Label {
        let mut text = format!("{} {} more like it", self.glyphs().ellipsis, fold.siblings.len());
        if fold.spans > fold.siblings.len() {
            text = format!("{text}, {} spans", fold.spans);
        }
        if fold.errors > 0 {
            text.push(',');
        }
        let errors = (fold.errors > 0).then(|| (RED, count(fold.errors, "error")));
        Label { marks: Vec::new(), name: (DIM, text), badges: errors.into_iter().collect() }
    }
}

//! What is said about a trace as a whole: above its tree, and below.

use std::collections::BTreeSet;

use super::assemble::{Part, Trace};
use super::layout::is_clipped;
use super::style::{BOLD, DIM, Glyphs, Ink, PLAIN, RED, YELLOW};
use super::text::{count, moment, safe, shorten, width};
use super::tree::{Artist, Picture};

impl Artist<'_> {
    /// What the characters of a picture mean.
    pub fn legend(&self) -> String {
        if self.style.plain {
            return String::new();
        }
        let Glyphs { own, child, server, client, error, hot, .. } = self.style.glyphs();
        let fields = [
            (own, "own time"),
            (child, "in child spans"),
            (server, "serves"),
            (client, "calls"),
            (error, "error"),
            (hot, "most own time"),
        ];
        let mut out = String::new();
        self.flow(&mut out, fields.map(|(glyph, meaning)| (DIM, format!("{glyph} {meaning}"))).to_vec());
        out
    }

    /// Fields two blanks apart, on as many lines as they need.
    pub fn flow(&self, out: &mut String, fields: Vec<(Ink, String)>) {
        let columns = self.style.columns();
        let mut used = 0;
        for (ink, field) in fields {
            let field = match self.style.wraps {
                true => shorten(&field, columns - 2, self.style.glyphs().ellipsis),
                false => field,
            };
            if self.style.wraps && used > 0 && used + 2 + width(&field) > columns {
                out.push('\n');
                used = 0;
            }
            if used > 0 || out.ends_with('\n') {
                out.push_str("  ");
                used += 2;
            }
            self.style.paint(out, ink, &field);
            used += width(&field);
        }
        out.push('\n');
    }
}

impl Picture<'_> {
    /// The line above the tree; several where one is too narrow.
    pub fn header(&self, out: &mut String) {
        let trace = self.trace;
        let spans = &trace.spans;
        let root = &spans[self.forest.tops[0]];
        let services: BTreeSet<&str> = spans.iter().map(|span| self.artist.service(span.resource)).collect();
        let errors = spans.iter().filter(|span| span.is_error()).count();
        let mut fields = vec![(DIM, format!("Trace {}", trace.id))];
        fields.extend(moment(self.axis.start).map(|moment| (DIM, moment)));
        let unit = self.context.unit;
        match &trace.part {
            Part::Whole => {
                let took = root.end.saturating_sub(root.start);
                fields.push((BOLD, safe(&root.name, self.style().unicode)));
                fields.push((BOLD, unit.show(took)));
                if self.axis.length > took {
                    fields
                        .push((DIM, format!("({} until its last span ended)", unit.show(self.axis.length))));
                }
            }
            Part::Unfinished => {
                fields.push((YELLOW, "unfinished: its root has not ended, or ended long before".to_owned()));
            }
            Part::Later { name, .. } => {
                let name = safe(name, self.style().unicode);
                fields.push((BOLD, name));
                fields
                    .push((YELLOW, "ended after the rest of the trace, and nobody waits for it:".to_owned()));
            }
        }
        let total = spans.len() as u64 + trace.lost_spans;
        fields.push((PLAIN, count(usize::try_from(total).unwrap_or(usize::MAX), "span")));
        let is_later = matches!(trace.part, Part::Later { .. });
        if !is_later {
            fields.push((PLAIN, count(services.len(), "service")));
        }
        if errors > 0 {
            fields.push((RED, count(errors, "error")));
        } else if !is_later {
            fields.push((DIM, "no errors".to_owned()));
        }
        self.artist.flow(out, fields);
    }

    /// What the tree leaves out.
    pub fn notes(&self, out: &mut String) {
        let Trace { lost_spans, lost_logs, .. } = self.trace;
        let mut notes = Vec::new();
        let clipped = self.rows.rows.iter().find(|row| is_clipped(&self.layout, row));
        if let Some(row) = clipped.filter(|_| !self.style().plain) {
            let (sign, depth) = (self.glyphs().clipped, row.depth);
            notes.push(format!("{sign}{depth} is level {depth} of the tree: its lines have no room here"));
        }
        if self.rows.hidden > 0 {
            notes.push(format!("{} more below the ones shown", count(self.rows.hidden, "span")));
        }
        if *lost_spans > 0 {
            notes.push(format!("{lost_spans} of its shortest spans were not kept"));
        }
        if *lost_logs > 0 {
            notes.push(format!("{lost_logs} of its log lines were not kept"));
        }
        for note in notes {
            for line in self.artist.wrap(&self.context.more(&note), self.style().columns()) {
                out.push_str(&line);
                out.push('\n');
            }
        }
    }
}

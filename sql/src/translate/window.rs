//! Windows of functions, and their frames.

use sqlparser::ast::{Expr, WindowFrame, WindowFrameBound as Bound, WindowFrameUnits, WindowSpec};

use super::{Translator, folded};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

impl Translator<'_> {
    /// What stands behind OVER, or behind AS in a WINDOW clause.
    pub(super) fn window(&mut self, spec: &WindowSpec) -> Result<()> {
        self.put("(");
        if let Some(name) = &spec.window_name {
            self.names_window(&folded(name))?;
            self.name(&folded(name));
        }
        if !spec.partition_by.is_empty() {
            self.put(" PARTITION BY ");
            self.result_columns(spec.partition_by.len())?;
            self.list(&spec.partition_by, |this, expr| this.expr(expr, Type::Unknown))?;
        }
        if !spec.order_by.is_empty() {
            self.put(" ORDER BY ");
            self.order(&spec.order_by)?;
        }
        if let Some(frame) = &spec.window_frame {
            self.within_order(frame, spec)?;
            self.frame(frame)?;
        }
        self.put(")");
        Ok(())
    }

    /// Fails if the order of the rows does not say where the frame ends.
    fn within_order(&self, frame: &WindowFrame, spec: &WindowSpec) -> Result<()> {
        if spec.window_name.is_some() {
            return Ok(());
        }
        if frame.units == WindowFrameUnits::Groups && spec.order_by.is_empty() {
            return Err(Failure::new(sqlstate::WINDOWING, "GROUPS mode requires an ORDER BY clause")
                .hint("write ORDER BY into the window, or use ROWS"));
        }
        let bounds = [Some(&frame.start_bound), frame.end_bound.as_ref()];
        let is_far = |bound: &&Bound| matches!(bound, Bound::Preceding(Some(_)) | Bound::Following(Some(_)));
        if frame.units != WindowFrameUnits::Range || !bounds.into_iter().flatten().any(|bound| is_far(&bound))
        {
            return Ok(());
        }
        let [term] = spec.order_by.as_slice() else {
            let message = "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column";
            return Err(Failure::new(sqlstate::WINDOWING, message).hint("order by one number, or use ROWS"));
        };
        let kind = self.type_of(&term.expr);
        if matches!(kind.category(), Category::Number | Category::Unknown) {
            return Ok(());
        }
        let what = format!("RANGE with offset PRECEDING/FOLLOWING over type {}", kind.name());
        let hint = "order by extract(epoch FROM …) and give seconds, or use ROWS";
        Err(Failure::unsupported(what, hint))
    }

    fn frame(&mut self, frame: &WindowFrame) -> Result<()> {
        legal(frame)?;
        self.put(match frame.units {
            WindowFrameUnits::Rows => " ROWS ",
            WindowFrameUnits::Range => " RANGE ",
            WindowFrameUnits::Groups => " GROUPS ",
        });
        match &frame.end_bound {
            None => self.frame_bound(&frame.start_bound),
            Some(end) => {
                self.put("BETWEEN ");
                self.frame_bound(&frame.start_bound)?;
                self.put(" AND ");
                self.frame_bound(end)
            }
        }
    }

    fn frame_bound(&mut self, bound: &Bound) -> Result<()> {
        let (distance, word) = match bound {
            Bound::CurrentRow => {
                self.put("CURRENT ROW");
                return Ok(());
            }
            Bound::Preceding(distance) => (distance, " PRECEDING"),
            Bound::Following(distance) => (distance, " FOLLOWING"),
        };
        match distance.as_deref() {
            None => self.put("UNBOUNDED"),
            Some(Expr::Interval(_)) => {
                let hint = "order by extract(epoch FROM …) and give seconds, or use ROWS";
                return Err(Failure::unsupported("a frame of an interval", hint));
            }
            Some(distance) => self.expr(distance, Type::Int8)?,
        }
        self.put(word);
        Ok(())
    }
}

/// Fails if no row can lie between the two ends of a frame, whatever the rows are.
fn legal(frame: &WindowFrame) -> Result<()> {
    let end = frame.end_bound.as_ref().unwrap_or(&Bound::CurrentRow);
    let message = match (&frame.start_bound, end) {
        (Bound::Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Bound::Preceding(None)) => "frame end cannot be UNBOUNDED PRECEDING",
        (Bound::CurrentRow, Bound::Preceding(_)) => {
            "frame starting from current row cannot have preceding rows"
        }
        (Bound::Following(_), Bound::Preceding(_)) => {
            "frame starting from following row cannot have preceding rows"
        }
        (Bound::Following(_), Bound::CurrentRow) => {
            "frame starting from following row cannot end with current row"
        }
        _ => return Ok(()),
    };
    Err(Failure::new(sqlstate::WINDOWING, message)
        .hint("write the earlier end first: BETWEEN 1 PRECEDING AND 1 FOLLOWING"))
}

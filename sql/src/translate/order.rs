//! ORDER BY, LIMIT and WINDOW.

use sqlparser::ast::{
    Expr, Fetch, LimitClause, NamedWindowExpr, OrderByExpr, OrderByKind, OrderBySort, Query, Select, SetExpr,
    UnaryOperator, Value as Literal,
};

use super::{Rows, Translator, folded, quoted};
use crate::error::{Failure, Result, sqlstate};
use crate::types::Type;
use crate::value::Value;

impl Rows {
    fn word(self) -> &'static str {
        match self {
            Self::Limit => "LIMIT",
            Self::Offset => "OFFSET",
        }
    }

    /// What no limit, and no offset, is for SQLite.
    fn none(self) -> i64 {
        match self {
            Self::Limit => -1,
            Self::Offset => 0,
        }
    }

    fn negative(self) -> Failure {
        let code = match self {
            Self::Limit => sqlstate::NEGATIVE_LIMIT,
            Self::Offset => sqlstate::NEGATIVE_OFFSET,
        };
        Failure::new(code, format!("{} must not be negative", self.word()))
            .hint("leave it out, or give a number from 0 on")
    }
}

/// A LIMIT or an OFFSET as SQLite takes it: NULL is none.
pub(crate) fn counted(value: &Value, what: Rows) -> Result<Value> {
    match value {
        Value::Null => Ok(Value::Int(what.none())),
        Value::Int(..0) => Err(what.negative()),
        other => Ok(other.clone()),
    }
}

/// A LIMIT or an OFFSET.
#[derive(Clone, Copy, Debug)]
pub(crate) enum First {
    Number(u64),
    /// The value of a parameter, from 0.
    Parameter(usize),
}

/// The LIMIT and the OFFSET of a query that sorts; nothing if it has no LIMIT, or if one is calculated.
pub(super) fn first(query: &Query) -> Option<Vec<First>> {
    query.order_by.as_ref()?;
    let Some(LimitClause::LimitOffset { limit: Some(limit), offset, .. }) = &query.limit_clause else {
        return None;
    };
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => match &value.value {
            Literal::Number(digits, _) => digits.parse().ok().map(First::Number),
            Literal::Placeholder(name) => {
                let number = name.trim_start_matches('$').parse::<usize>().ok()?;
                number.checked_sub(1).map(First::Parameter)
            }
            _ => None,
        },
        _ => None,
    };
    [Some(limit), offset.as_ref().map(|offset| &offset.value)].into_iter().flatten().map(number).collect()
}

impl Translator<'_> {
    /// Writes a WINDOW clause; the windows that it names can be used from then on.
    pub(super) fn windows(&mut self, select: &Select) -> Result<()> {
        if select.named_window.is_empty() {
            return Ok(());
        }
        self.put(" WINDOW ");
        self.list(&select.named_window, |this, window| {
            let (name, before) = (folded(&window.0), this.size.all());
            this.name(&name);
            this.put(" AS ");
            match &window.1 {
                NamedWindowExpr::WindowSpec(spec) => this.window(spec)?,
                NamedWindowExpr::NamedWindow(other) => {
                    this.names_window(&folded(other))?;
                    this.put(&format!("({})", quoted(&folded(other))));
                }
            }
            let size = this.size.all() - before;
            if let Some(windows) = this.windows.last_mut() {
                windows.push((name, size));
            }
            Ok(())
        })
    }

    /// `columns` is how many the query has, if that follows from the statement.
    pub(super) fn order_and_limit(&mut self, query: &Query, columns: Option<usize>) -> Result<()> {
        if let Some(order) = &query.order_by {
            let OrderByKind::Expressions(list) = &order.kind else {
                return Err(Failure::unsupported("ORDER BY ALL", "name the columns"));
            };
            self.put(" ORDER BY ");
            list.iter().try_for_each(|term| within_columns(&term.expr, columns, "ORDER BY"))?;
            list.iter().for_each(|term| self.names_number(&term.expr));
            let united = !matches!(query.body.as_ref(), SetExpr::Select(_));
            self.order_terms(list, |this, term| this.sorted_by(term, united))?;
        }
        let (limit, offset) = match (&query.limit_clause, &query.fetch) {
            (None, None) => return Ok(()),
            (None, Some(Fetch { with_ties: false, percent: false, quantity })) => (quantity.as_ref(), None),
            (Some(LimitClause::LimitOffset { limit, offset, limit_by }), fetch) if limit_by.is_empty() => {
                let fetched = fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref());
                (limit.as_ref().or(fetched), offset.as_ref().map(|offset| &offset.value))
            }
            _ => return Err(Failure::unsupported("this LIMIT", "write LIMIT 10 OFFSET 20")),
        };
        self.put(" LIMIT ");
        match limit {
            Some(limit) => self.rows(limit, Rows::Limit)?,
            None => self.put("-1"),
        }
        if let Some(offset) = offset {
            self.put(" OFFSET ");
            self.rows(offset, Rows::Offset)?;
        }
        Ok(())
    }

    /// A number of rows, which is not negative: that of a parameter is looked at when it has a value.
    fn rows(&mut self, expr: &Expr, what: Rows) -> Result<()> {
        match expr {
            Expr::Value(value) => match &value.value {
                Literal::Null => {
                    self.put(&what.none().to_string());
                    return Ok(());
                }
                Literal::Placeholder(name) => {
                    self.expr(expr, Type::Int8)?;
                    let number = name.trim_start_matches('$').parse::<usize>().unwrap_or(0);
                    self.limits.extend(number.checked_sub(1).map(|at| (at, what)));
                    return Ok(());
                }
                Literal::Number(..) => return self.expr(expr, Type::Int8),
                _ => {}
            },
            Expr::Nested(inner) => return self.rows(inner, what),
            Expr::UnaryOp { op: UnaryOperator::Minus, expr: inner } => {
                if let Expr::Value(value) = inner.as_ref()
                    && let Literal::Number(digits, _) = &value.value
                    && digits.contains(|digit: char| ('1'..='9').contains(&digit))
                {
                    return Err(what.negative().at(value.span.start.line, value.span.start.column));
                }
            }
            _ => {}
        }
        let function = if what == Rows::Limit { "pg_limit(" } else { "pg_offset(" };
        self.inside(function, expr, Type::Int8, ")")
    }

    /// The terms of an ORDER BY. In PostgreSQL NULL is larger than all values, in SQLite it is smaller.
    pub(super) fn order(&mut self, list: &[OrderByExpr]) -> Result<()> {
        self.order_terms(list, |this, term| this.expr(term, Type::Unknown))
    }

    fn order_terms(
        &mut self,
        list: &[OrderByExpr],
        write: impl Fn(&mut Self, &Expr) -> Result<()>,
    ) -> Result<()> {
        self.result_columns(list.len())?;
        self.list(list, |this, term| {
            let descending = match &term.options.sort {
                None | Some(OrderBySort::Asc) => false,
                Some(OrderBySort::Desc) => true,
                Some(OrderBySort::Using(_)) => {
                    return Err(Failure::unsupported("ORDER BY … USING", "use ASC or DESC"));
                }
            };
            write(this, &term.expr)?;
            this.put(if descending { " DESC" } else { "" });
            let first = term.options.nulls_first.unwrap_or(descending);
            if !this.is_never_null(&term.expr) && first == descending {
                this.put(if first { " NULLS FIRST" } else { " NULLS LAST" });
            }
            Ok(())
        })
    }
}

/// Fails if a constant in an ORDER BY or a GROUP BY is the number of no column.
pub(super) fn within_columns(expr: &Expr, columns: Option<usize>, clause: &str) -> Result<()> {
    let Expr::Value(value) = expr else { return Ok(()) };
    let place = value.span.start;
    let failure = match &value.value {
        Literal::Number(digits, _) => match (digits.parse::<usize>(), columns) {
            (Ok(0), _) => Some(position(digits, clause)),
            (Ok(at), Some(columns)) if at > columns => Some(position(digits, clause)),
            (Err(_), _) => Some(constant(clause)),
            _ => None,
        },
        Literal::SingleQuotedString(_) => Some(constant(clause)),
        _ => None,
    };
    failure.map_or(Ok(()), |failure| Err(failure.at(place.line, place.column)))
}

fn position(digits: &str, clause: &str) -> Failure {
    let message = format!("{clause} position {digits} is not in select list");
    Failure::new(sqlstate::INVALID_COLUMN_REFERENCE, message)
        .hint("columns are numbered from 1, as they stand behind SELECT")
}

fn constant(clause: &str) -> Failure {
    Failure::new(sqlstate::SYNTAX, format!("non-integer constant in {clause}"))
        .hint("write the name of a column, in double quotes if need be, or its number")
}

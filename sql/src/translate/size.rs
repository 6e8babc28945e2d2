//! How large a statement becomes: a short text can name much, by `*`, views, common table expressions and the
//! columns of subqueries, which SQLite writes out wherever they stand.

use std::cell::Cell;
use std::rc::Rc;

use sqlparser::ast::{Expr, Value as Literal};

use super::{Relation, Translator, quoted};
use crate::bounds::{EFFORT, EFFORT_PER_COPY, STAR_BYTES};
use crate::catalogue::{Body, Output};
use crate::error::{Failure, Result, sqlstate};

/// What of the bounds a statement has used.
#[derive(Clone, Debug, Default)]
pub(super) struct Size {
    /// Bytes that were written.
    pub text: usize,
    /// Bytes that what was named adds to them.
    pub named: usize,
    /// Comparisons of names so far, in all parts of the statement.
    pub effort: Rc<Cell<usize>>,
}

/// A query that was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// How large its columns are.
    pub sizes: Vec<usize>,
    pub body: Body,
}

impl Size {
    pub(super) fn all(&self) -> usize {
        self.text.saturating_add(self.named)
    }
}

impl Written {
    /// UNION and its like.
    pub(super) fn and(mut self, other: &Self) -> Self {
        for (size, others) in self.sizes.iter_mut().zip(&other.sizes) {
            *size = (*size).max(*others);
        }
        self.body.size = self.body.size.saturating_add(other.body.size);
        self.body.arms = self.body.arms.saturating_add(other.body.arms);
        self
    }

    /// Columns know how large they are.
    pub(super) fn settle(&self, outputs: &mut [Output]) {
        for (output, size) in outputs.iter_mut().zip(&self.sizes) {
            output.size = *size;
        }
    }
}

impl Translator<'_> {
    /// Fails if the statement has become too large.
    pub(super) fn within(&self) -> Result<()> {
        if self.size.effort.get() > EFFORT {
            return Err(Failure::new(sqlstate::TOO_COMPLEX, "the statement is too complex")
                .hint("name fewer columns of fewer tables in one statement"));
        }
        let most = self.bounds.expanded_bytes;
        if self.size.text > most {
            let message = format!("the statement has more than {most} bytes after translation");
            return Err(Failure::new(sqlstate::LIMIT, message).hint("send fewer rows in one statement"));
        }
        if self.size.all() > most {
            let message = format!(
                "the statement has more than {most} bytes with its views, WITH queries and * written out"
            );
            return Err(Failure::new(sqlstate::TOO_COMPLEX, message)
                .hint("name columns in place of *, and read each view and WITH query fewer times"));
        }
        Ok(())
    }

    /// Something is named that stands for so many bytes.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.size.named = self.size.named.saturating_add(bytes);
    }

    /// Names are compared.
    pub(super) fn toil(&self, comparisons: usize) {
        self.size.effort.set(self.size.effort.get().saturating_add(comparisons));
    }

    pub(super) fn copies(&self, columns: usize) {
        self.toil(columns.saturating_mul(EFFORT_PER_COPY));
    }

    pub(super) fn has_toiled(&self) -> bool {
        self.size.effort.get() > EFFORT
    }

    /// Fails if a result, a GROUP BY or an ORDER BY has too many columns.
    pub(super) fn result_columns(&self, count: usize) -> Result<()> {
        let most = self.bounds.result_columns;
        if count <= most {
            return Ok(());
        }
        Err(Failure::new(sqlstate::TOO_MANY_COLUMNS, format!("target lists can have at most {most} entries"))
            .hint("name the columns that you need"))
    }

    /// Fails if a table or a view has too many columns.
    pub(super) fn table_columns(&self, count: usize) -> Result<()> {
        let most = self.bounds.columns;
        if count <= most {
            return Ok(());
        }
        Err(Failure::new(sqlstate::TOO_MANY_COLUMNS, format!("tables can have at most {most} columns"))
            .hint("put the columns into several tables"))
    }

    /// Fails if a FROM joins too much.
    pub(super) fn joined(&self, relations: &[Relation]) -> Result<()> {
        let most = self.bounds.joined;
        if relations.len() <= most {
            return Ok(());
        }
        Err(Failure::new(sqlstate::TOO_COMPLEX, format!("a FROM can join at most {most} tables"))
            .hint("join some of them in a WITH query"))
    }

    /// A join by name compares a column of each relation for each of its columns.
    pub(super) fn joins_by_name(&mut self, columns: Option<usize>) {
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        let widest = scope.iter().map(|relation| relation.outputs.len()).max().unwrap_or(0);
        let relations = scope.len();
        self.grow(columns.unwrap_or(widest).saturating_mul(relations).saturating_mul(STAR_BYTES));
    }

    /// The subquery of the FROM with this alias was written.
    pub(super) fn settle(&mut self, alias: &str, written: &Written) {
        let mut scope = self.scopes.last_mut().into_iter().flatten();
        if let Some(relation) = scope.find(|relation| relation.pending && relation.alias == alias) {
            written.settle(&mut relation.outputs);
            (relation.body, relation.pending) = (written.body, false);
        }
    }

    /// The columns of `*`, or of `name.*`, in the innermost SELECT.
    pub(super) fn star(&mut self, name: Option<&str>, sizes: &mut Vec<usize>) -> Result<()> {
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        let meant = scope.iter().filter(|relation| name.is_none_or(|name| relation.alias == name));
        let count = meant.clone().map(|relation| relation.outputs.len()).sum::<usize>();
        self.result_columns(sizes.len().saturating_add(count))?;
        let columns: Vec<usize> =
            meant.flat_map(|relation| relation.outputs.iter().map(|output| output.size)).collect();
        let bytes =
            columns.iter().fold(0_usize, |sum, size| sum.saturating_add(*size).saturating_add(STAR_BYTES));
        sizes.extend(columns);
        self.grow(bytes);
        Ok(())
    }

    /// Writes `*`, or `name.*`: the columns one by one where SQLite has others, or does not take it.
    pub(super) fn put_star(&mut self, name: Option<&str>) {
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        let meant: Vec<&Relation> =
            scope.iter().filter(|relation| name.is_none_or(|name| relation.alias == name)).collect();
        // SQLite's RETURNING has no aliases.
        let by_name = self.returning && name.is_some();
        if !by_name && meant.iter().all(|relation| relation.sources.is_none()) {
            let text = name.map_or("*".to_owned(), |name| format!("{}.*", quoted(name)));
            return self.put(&text);
        }
        let mut columns = Vec::new();
        for relation in meant {
            for (at, output) in relation.outputs.iter().enumerate() {
                let name = quoted(&output.name);
                columns.push(match &relation.sources {
                    Some(sources) => format!("{} AS {name}", sources[at]),
                    None if by_name => name,
                    None => format!("{}.{name}", quoted(&relation.alias)),
                });
            }
        }
        self.put(&columns.join(", "));
    }

    /// A name that a SELECT gives stands for its expression in ORDER BY, and for SQLite everywhere.
    pub(super) fn names_alias(&mut self, name: &str) {
        let mut seen = 0;
        let mut aliases = self.aliases.iter().rev().flatten().inspect(|_| seen += 1);
        let size = aliases.find(|(alias, _)| alias == name).map_or(0, |(_, size)| *size);
        self.toil(seen);
        self.grow(size);
    }

    /// The number of a column stands for its expression in GROUP BY and ORDER BY.
    pub(super) fn names_number(&mut self, expr: &Expr) {
        let Expr::Value(value) = expr else { return };
        let Literal::Number(digits, _) = &value.value else { return };
        let at = digits.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let aliases = self.aliases.last().map(Vec::as_slice).unwrap_or_default();
        if let Some((_, size)) = at.and_then(|at| aliases.get(at)) {
            self.grow(*size);
        }
    }

    /// A window that has a name stands for its definition.
    pub(super) fn names_window(&mut self, name: &str) -> Result<()> {
        let windows = self.windows.last().map(Vec::as_slice).unwrap_or_default();
        self.toil(windows.len());
        match windows.iter().find(|(known, _)| known == name) {
            Some((_, size)) => {
                self.grow(*size);
                Ok(())
            }
            None => {
                let message = format!("window \"{name}\" does not exist");
                Err(Failure::new(sqlstate::UNDEFINED_OBJECT, message)
                    .hint("define it in a WINDOW clause, before the windows that use it"))
            }
        }
    }

    /// SQLite may write a query once for each part of a UNION ALL that it reads. `own` is the size of the
    /// query without the bodies of its FROM; gives how many SELECTs it may become.
    pub(super) fn multiplied(&mut self, own: usize) -> usize {
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        let arms = scope.iter().fold(1_usize, |arms, relation| arms.saturating_mul(relation.body.arms));
        if arms == 1 {
            return 1;
        }
        let parts = scope.iter().map(|relation| relation.body.size / relation.body.arms.max(1));
        let one = parts.fold(own, usize::saturating_add);
        self.grow(one.saturating_mul(arms - 1));
        arms
    }
}

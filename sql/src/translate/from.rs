//! What stands in a FROM, as SQLite reads it.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Join, JoinConstraint, JoinOperator, ObjectName, TableAlias,
    TableFactor, TableWithJoins, UnaryOperator, Value as Literal,
};

use super::each::{Elements, is_elements};
use super::relation::{Named, function_column, unsupported};
use super::{Translator, folded, interval, literal, quoted, relation_name};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::TableMode;
use crate::time::Interval;
use crate::types::{Category, Type};

impl Translator<'_> {
    /// Writes a FROM, without the word.
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> Result<()> {
        self.list(from, |this, item| {
            this.factor(&item.relation)?;
            let mut elements = is_elements(&item.relation);
            item.joins.iter().try_for_each(|join| {
                elements |= is_elements(&join.relation);
                this.join(join, elements)
            })
        })
    }

    /// `elements` says whether what is joined shows columns that are not its own.
    fn join(&mut self, join: &Join, elements: bool) -> Result<()> {
        let (word, constraint) = match &join.join_operator {
            JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => (" JOIN ", constraint),
            JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                (" LEFT JOIN ", constraint)
            }
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (" RIGHT JOIN ", constraint)
            }
            JoinOperator::FullOuter(constraint) => (" FULL JOIN ", constraint),
            JoinOperator::CrossJoin(constraint) => (" CROSS JOIN ", constraint),
            _ => return Err(Failure::unsupported("this join", "use JOIN, LEFT, RIGHT, FULL or CROSS JOIN")),
        };
        // SQLite keeps the order of a CROSS JOIN, PostgreSQL does not.
        let word = if word == " CROSS JOIN " { " JOIN " } else { word };
        if matches!(constraint, JoinConstraint::Natural) {
            if elements {
                self.joins_elements(None)?;
            }
            self.joins_by_name(None);
            self.put(" NATURAL");
        }
        self.put(word);
        self.factor(&join.relation)?;
        match constraint {
            JoinConstraint::On(condition) => {
                self.put(" ON ");
                self.condition(condition)
            }
            JoinConstraint::Using(columns) => {
                let names = columns.iter().map(relation_name).collect::<Result<Vec<_>>>()?;
                if elements {
                    self.joins_elements(Some(&names))?;
                }
                self.put(" USING (");
                self.joins_by_name(Some(columns.len()));
                self.list(&names, |this, name| {
                    this.name(name);
                    Ok(())
                })?;
                self.put(")");
                Ok(())
            }
            JoinConstraint::UsingAlias(..) => {
                Err(Failure::unsupported("USING with an alias", "leave the alias out"))
            }
            JoinConstraint::Natural | JoinConstraint::None => Ok(()),
        }
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<()> {
        match factor {
            factor if self.system_of(factor).is_some() => {
                if let Some(found) = self.system_of(factor) {
                    self.system(&found);
                }
                self.within()
            }
            TableFactor::Table { name, alias, args: None, sample: None, .. } => {
                self.table(name, alias.as_ref())
            }
            factor if Elements::of(factor).is_some() => match Elements::of(factor) {
                Some(elements) => self.elements_of(&elements),
                None => Err(unsupported(factor)),
            },
            TableFactor::Derived { lateral: true, subquery, alias: Some(alias), sample: None } => {
                self.lateral(subquery, alias)
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality: false, .. } => {
                self.table_function(name, &args.args, alias.as_ref())
            }
            TableFactor::Function { lateral: false, name, args, with_ordinality: false, alias } => {
                self.table_function(name, args, alias.as_ref())
            }
            TableFactor::UNNEST {
                alias, array_exprs, with_offset: false, with_ordinality: false, ..
            } => {
                let [array] = array_exprs.as_slice() else {
                    return Err(Failure::unsupported(
                        "unnest of several arrays",
                        "use one array in each unnest",
                    ));
                };
                self.unnest(array, alias.as_ref())
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample: None } => {
                let columns = alias.as_ref().map(|alias| alias.columns.as_slice()).unwrap_or_default();
                let written = if columns.is_empty() {
                    self.put("(");
                    let written = self.query(subquery)?;
                    self.put(")");
                    written
                } else {
                    // SQLite names the columns of common table expressions alone.
                    let names: Vec<String> =
                        columns.iter().map(|column| quoted(&folded(&column.name))).collect();
                    self.put(&format!("(WITH \"pg_columns\"({}) AS (", names.join(", ")));
                    let written = self.query(subquery)?;
                    self.put(") SELECT * FROM \"pg_columns\")");
                    written
                };
                self.alias(alias.as_ref());
                let known = alias.as_ref().map(|alias| folded(&alias.name)).unwrap_or_default();
                self.settle(&known, &written);
                Ok(())
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.put("(");
                self.from(std::slice::from_ref(table_with_joins))?;
                self.put(")");
                Ok(())
            }
            other => Err(unsupported(other)),
        }
    }

    fn table(&mut self, name: &ObjectName, alias: Option<&TableAlias>) -> Result<()> {
        if alias.is_some_and(|alias| !alias.columns.is_empty()) {
            return Err(Failure::unsupported(
                "an alias that names the columns of a table",
                "name them in the SELECT",
            ));
        }
        let Named { name: known, table, body, .. } = self.named(name)?;
        self.grow(body.size);
        self.within()?;
        if table.is_some() {
            self.looks_at(&known);
        } else if let Some(view) = self.catalogue.views.get(&known)
            && !self.ctes.iter().any(|cte| cte.name == known)
        {
            self.views.insert(known.clone());
            view.tables.iter().for_each(|table| self.looks_at(table));
        }
        self.name(&known);
        self.alias(alias);
        Ok(())
    }

    fn alias(&mut self, alias: Option<&TableAlias>) {
        if let Some(alias) = alias {
            self.put(" AS ");
            self.name(&folded(&alias.name));
        }
    }

    fn table_function(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Result<()> {
        let function = name.to_string().to_lowercase();
        let mut exprs = Vec::new();
        for arg in args {
            match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => exprs.push(expr),
                _ => return Err(Failure::unsupported("an argument with a name", "write the value alone")),
            }
        }
        match (function.as_str(), exprs.as_slice()) {
            ("generate_series", [from, to]) => self.series(from, to, None, alias),
            ("generate_series", [from, to, step]) => self.series(from, to, Some(step), alias),
            ("unnest", [array]) => self.unnest(array, alias),
            _ => {
                let message = format!("function {function} in FROM");
                Err(Failure::unsupported(
                    message,
                    "use generate_series(1, 10), unnest($1::int[]) or a subquery",
                ))
            }
        }
    }

    fn unnest(&mut self, array: &Expr, alias: Option<&TableAlias>) -> Result<()> {
        let column = function_column("unnest", alias);
        self.put("(SELECT value AS ");
        self.name(&column);
        self.put(" FROM ");
        self.elements(array, Type::Unknown)?;
        self.put(") AS ");
        self.name(&alias.map_or("unnest".to_owned(), |alias| folded(&alias.name)));
        Ok(())
    }

    fn series(
        &mut self,
        from: &Expr,
        to: &Expr,
        step: Option<&Expr>,
        alias: Option<&TableAlias>,
    ) -> Result<()> {
        if let Some((interval::Written::Text(step), None)) = step.and_then(interval::of) {
            return self.series_of_moments(from, to, &step, alias);
        }
        for bound in [from, to] {
            if !matches!(self.type_of(bound).category(), Category::Number | Category::Unknown) {
                let hint = "give an interval as the step: generate_series(a, b, interval '1 day')";
                return Err(Failure::unsupported("generate_series of other than numbers", hint));
            }
        }
        let step = match step {
            None => 1,
            Some(step) => match constant(step) {
                Some(0) => {
                    return Err(Failure::new(sqlstate::INVALID_PARAMETER, "step size cannot equal zero")
                        .hint("write a step of 1, or -1 to count down"));
                }
                Some(step) => step,
                None => {
                    let hint = "write a whole number as the step";
                    return Err(Failure::unsupported("generate_series with this step", hint));
                }
            },
        };
        let from = self.apart(|this| this.expr(from, Type::Int8))?;
        let to = self.apart(|this| this.expr(to, Type::Int8))?;
        let within = if step > 0 { "<=" } else { ">=" };
        let column = quoted(&function_column("generate_series", alias));
        let known = quoted(&alias.map_or("generate_series".to_owned(), |alias| folded(&alias.name)));
        self.put(&format!(
            "(WITH RECURSIVE pg_series(v) AS (SELECT ({from}) WHERE ({from}) {within} ({to}) UNION ALL \
             SELECT v + {step} FROM pg_series WHERE v + {step} {within} ({to})) \
             SELECT v AS {column} FROM pg_series) AS {known}"
        ));
        Ok(())
    }

    fn series_of_moments(
        &mut self,
        from: &Expr,
        to: &Expr,
        step: &str,
        alias: Option<&TableAlias>,
    ) -> Result<()> {
        let length = Interval::parse(step)?.seconds();
        if length == 0.0 {
            return Err(Failure::new(sqlstate::INVALID_PARAMETER, "step size cannot equal zero")
                .hint("write a step such as interval '1 day'"));
        }
        let kind = moments_of(self.type_of(from), self.type_of(to));
        let bound = |this: &mut Self, expr: &Expr| {
            this.apart(|this| this.inside("pg_cast(", expr, kind, &format!(", {})", kind.code())))
        };
        let (from, to) = (bound(self, from)?, bound(self, to)?);
        let within = if length > 0.0 { "<=" } else { ">=" };
        let column = quoted(&function_column("generate_series", alias));
        let known = quoted(&alias.map_or("generate_series".to_owned(), |alias| folded(&alias.name)));
        let next = format!("pg_shift(v, {}, 1, {})", literal(step), kind.code());
        self.put(&format!(
            "(WITH RECURSIVE pg_series(v) AS (SELECT {from} WHERE {from} {within} {to} UNION ALL \
             SELECT {next} FROM pg_series WHERE {next} {within} {to}) \
             SELECT v AS {column} FROM pg_series) AS {known}"
        ));
        Ok(())
    }

    /// Fails if the table that a statement changes does not exist, or is a view.
    pub(super) fn changed_table(&mut self, name: &ObjectName) -> Result<String> {
        let known = relation_name(name)?;
        if !self.catalogue.tables.contains_key(&known) {
            if self.catalogue.views.contains_key(&known) {
                let message = format!("\"{known}\" is a view");
                return Err(Failure::new(sqlstate::WRONG_OBJECT, message).hint("change the tables below it"));
            }
            self.named(name)?;
            let message = format!("\"{known}\" is no table");
            return Err(Failure::new(sqlstate::WRONG_OBJECT, message).hint("name a table"));
        }
        self.uses(&known, TableMode::RowExclusive);
        Ok(known)
    }
}

/// The type of a series between moments of these types.
pub(super) fn moments_of(from: Type, to: Type) -> Type {
    if from == Type::Timestamp || to == Type::Timestamp { Type::Timestamp } else { Type::Timestamptz }
}

fn constant(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::Value(value) => match &value.value {
            Literal::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => constant(expr).map(|number: i64| -number),
        _ => None,
    }
}

//! What stands in a FROM, and which columns it has.

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, JoinOperator, ObjectName, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableWithJoins, TrimWhereField,
    Value as Literal, With,
};

use super::{
    Cte, Relation, Translator, call, each, folded, from, interval, literal, quoted, regex, relation_name,
    rollup, system, undefined_table,
};
use crate::bounds::EFFORT_PER_QUERY;
use crate::catalogue::{Body, Output};
use crate::error::{Failure, Result, sqlstate};
use crate::types::Type;

/// How a query names a column for which it gives no name.
pub(super) fn column_name(expr: &Expr) -> String {
    match expr {
        Expr::Identifier(name) => folded(name),
        Expr::CompoundIdentifier(names) => names.last().map(folded).unwrap_or_default(),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => column_name(inner),
        Expr::Function(function) => {
            function.name.0.last().map(ToString::to_string).unwrap_or_default().to_lowercase()
        }
        Expr::Cast { expr, data_type, .. } => match column_name(expr) {
            name if name == UNNAMED => match Type::of(data_type) {
                Ok((kind, _)) => short_name(kind),
                Err(_) => name,
            },
            name => name,
        },
        part if regex::part_of(part).is_some() => "regexp_match".to_owned(),
        Expr::Case { .. } => "case".to_owned(),
        Expr::Array(_) => "array".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::Exists { negated: false, .. } => "exists".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Trim { trim_where: Some(TrimWhereField::Leading), .. } => "ltrim".to_owned(),
        Expr::Trim { trim_where: Some(TrimWhereField::Trailing), .. } => "rtrim".to_owned(),
        Expr::Trim { .. } => "btrim".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.as_slice() {
                [SelectItem::ExprWithAlias { alias, .. }] => folded(alias),
                [SelectItem::UnnamedExpr(expr)] => column_name(expr),
                _ => UNNAMED.to_owned(),
            },
            _ => UNNAMED.to_owned(),
        },
        _ => UNNAMED.to_owned(),
    }
}

/// Whether all that an expression of no other type gives are literals in quotes.
fn is_text(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_text(inner),
        Expr::Value(value) => {
            matches!(
                value.value,
                Literal::SingleQuotedString(_)
                    | Literal::EscapedStringLiteral(_)
                    | Literal::DollarQuotedString(_)
            )
        }
        Expr::Case { conditions, .. } => conditions.iter().any(|when| is_text(&when.result)),
        Expr::Function(function) => call::arguments(function).into_iter().any(is_text),
        _ => false,
    }
}

/// What a name in a FROM means.
pub(super) struct Named {
    pub name: String,
    /// The table, if it is one.
    pub table: Option<String>,
    pub outputs: Vec<Output>,
    pub body: Body,
}

/// Names of tables in a remedy.
const NAMES: usize = 5;

const UNNAMED: &str = "?column?";

/// PostgreSQL's inner name of a type, by which a cast names its column.
fn short_name(kind: Type) -> String {
    match kind {
        Type::Bool => "bool",
        Type::Int2 => "int2",
        Type::Int4 => "int4",
        Type::Int8 => "int8",
        Type::Float4 => "float4",
        Type::Float8 => "float8",
        Type::Varchar(_) => "varchar",
        Type::Char(_) => "bpchar",
        Type::Time => "time",
        Type::Timestamp => "timestamp",
        Type::Timestamptz => "timestamptz",
        other => other.name(),
    }
    .to_owned()
}

impl Translator<'_> {
    /// The columns of a query, without writing it.
    pub(super) fn describe(&mut self, query: &Query) -> Result<Vec<Output>> {
        self.toil(EFFORT_PER_QUERY);
        self.within()?;
        let outer = self.ctes.len();
        if let Some(with) = &query.with {
            self.describe_with(with)?;
        }
        let described = self.described(&query.body);
        self.ctes.truncate(outer);
        described.map(|(outputs, _)| outputs)
    }

    fn describe_with(&mut self, with: &With) -> Result<()> {
        for cte in &with.cte_tables {
            let outputs = renamed(self.describe(&cte.query)?, &cte.alias);
            let name = folded(&cte.alias.name);
            self.ctes.push(Cte { name, outputs, body: Body::TABLE, returns: true });
        }
        Ok(())
    }

    /// The columns of a body, and their types as the other parts of a UNION take them: a literal in quotes
    /// has none yet.
    fn described(&mut self, body: &SetExpr) -> Result<(Vec<Output>, Vec<Type>)> {
        match body {
            SetExpr::Select(select) => {
                let relations = self.relations(&select.from)?;
                self.scopes.push(relations);
                let described = self.projected_kinds(&select.projection);
                self.scopes.pop();
                let (mut outputs, kinds) = described?;
                if rollup::has_sets(select) {
                    outputs.iter_mut().for_each(|output| output.not_null = false);
                }
                Ok((outputs, kinds))
            }
            SetExpr::Query(query) => {
                let outputs = self.describe(query)?;
                let kinds = outputs.iter().map(|output| output.kind).collect();
                Ok((outputs, kinds))
            }
            SetExpr::SetOperation { left, op, right, .. } => {
                let (mut first, mut others) = (left.as_ref(), vec![(*op, right.as_ref())]);
                while let SetExpr::SetOperation { left, op, right, .. } = first {
                    others.push((*op, right.as_ref()));
                    first = left;
                }
                let (mut outputs, mut common) = self.described(first)?;
                // The part that reads a WITH RECURSIVE cannot be described before it has a name.
                let _ = others
                    .into_iter()
                    .rev()
                    .try_for_each(|(op, other)| self.add_types(other, op, &mut common));
                for (output, kind) in outputs.iter_mut().zip(&common) {
                    output.kind = if *kind == Type::Unknown { output.kind } else { *kind };
                }
                // Another part may have larger numbers, and NULL.
                outputs.iter_mut().for_each(|output| (output.bits, output.not_null) = (64, false));
                Ok((outputs, common))
            }
            SetExpr::Values(values) => {
                let kinds = self.types_of_values(values)?;
                let first = values.rows.first().map(|row| row.content.as_slice()).unwrap_or_default();
                let output = |(at, kind): (usize, &Type)| {
                    let is_text = *kind == Type::Unknown && first.get(at).is_some_and(is_text);
                    let kind = if is_text { Type::Text } else { *kind };
                    Output { bits: 64, ..Output::plain(format!("column{}", at + 1), kind, false) }
                };
                Ok((kinds.iter().enumerate().map(output).collect(), kinds))
            }
            _ => Ok((Vec::new(), Vec::new())),
        }
    }

    /// The columns of a SELECT, whose relations are the innermost scope.
    pub(super) fn projected(&self, select: &Select) -> Result<Vec<Output>> {
        self.projected_items(&select.projection)
    }

    pub(super) fn projected_items(&self, items: &[SelectItem]) -> Result<Vec<Output>> {
        self.projected_kinds(items).map(|(outputs, _)| outputs)
    }

    /// The columns, and their types without those of literals in quotes.
    fn projected_kinds(&self, items: &[SelectItem]) -> Result<(Vec<Output>, Vec<Type>)> {
        let (mut outputs, mut kinds) = (Vec::new(), Vec::new());
        for item in items {
            match item {
                SelectItem::UnnamedExpr(expr) => {
                    self.output(column_name(expr), expr, &mut outputs, &mut kinds)
                }
                SelectItem::ExprWithAlias { expr, alias } => {
                    self.output(folded(alias), expr, &mut outputs, &mut kinds);
                }
                SelectItem::Wildcard(_) => self.all_of(None, &mut outputs)?,
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    self.all_of(Some(&relation_name(name).unwrap_or_default()), &mut outputs)?;
                }
                _ => {}
            }
            kinds.extend(outputs.iter().skip(kinds.len()).map(|output| output.kind));
            self.result_columns(outputs.len())?;
            self.within()?;
        }
        Ok((outputs, kinds))
    }

    /// The columns of `*`, or of `name.*`.
    fn all_of(&self, name: Option<&str>, outputs: &mut Vec<Output>) -> Result<()> {
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        for relation in scope.iter().filter(|relation| name.is_none_or(|name| relation.alias == name)) {
            self.result_columns(outputs.len() + relation.outputs.len())?;
            self.copies(relation.outputs.len());
            outputs.extend_from_slice(&relation.outputs);
        }
        Ok(())
    }

    fn output(&self, name: String, expr: &Expr, outputs: &mut Vec<Output>, kinds: &mut Vec<Type>) {
        let own = self.type_of(expr);
        let kind = if own == Type::Unknown && is_text(expr) { Type::Text } else { own };
        outputs.push(Output { bits: self.bits(expr), ..Output::plain(name, kind, self.is_never_null(expr)) });
        kinds.push(own);
    }

    /// What a FROM makes visible.
    pub(super) fn relations(&mut self, from: &[TableWithJoins]) -> Result<Vec<Relation>> {
        let mut relations = Vec::new();
        for item in from {
            self.relation_of(&item.relation, &mut relations)?;
            self.joined(&relations)?;
            for join in &item.joins {
                let before = relations.len();
                self.relation_of(&join.relation, &mut relations)?;
                self.joined(&relations)?;
                let (left, right) = relations.split_at_mut(before);
                // An outer join fills up with NULL.
                let optional: &mut [&mut [Relation]] = match join.join_operator {
                    JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => &mut [right],
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => &mut [left],
                    JoinOperator::FullOuter(_) => &mut [left, right],
                    _ => &mut [],
                };
                for output in
                    optional.iter_mut().flat_map(|side| side.iter_mut()).flat_map(|r| &mut r.outputs)
                {
                    output.not_null = false;
                }
            }
        }
        Ok(relations)
    }

    fn relation_of(&mut self, factor: &TableFactor, relations: &mut Vec<Relation>) -> Result<()> {
        match factor {
            factor if self.system_of(factor).is_some() => {
                relations.extend(self.system_of(factor).map(system::relation));
            }
            TableFactor::Table { name, alias, args: None, .. } => {
                let Named { name, table, outputs, body } = self.named(name)?;
                let alias = alias.as_ref().map_or(name, |alias| folded(&alias.name));
                relations.push(Relation { alias, table, outputs, body, pending: false, sources: None });
            }
            factor if each::Elements::of(factor).is_some() => {
                if let Some(elements) = each::Elements::of(factor) {
                    relations.push(elements.relation());
                }
            }
            TableFactor::Derived { lateral: true, subquery, alias: Some(alias), .. } => {
                // What stands before it is visible in it.
                self.scopes.push(std::mem::take(relations));
                let outputs = self.describe(subquery);
                *relations = self.scopes.pop().unwrap_or_default();
                relations.push(each::lateral(renamed(outputs?, alias), folded(&alias.name)));
            }
            TableFactor::Table { name, alias, args: Some(args), .. } => {
                relations.push(self.function_relation(name, &args.args, alias.as_ref()));
            }
            TableFactor::Function { name, args, alias, .. } => {
                relations.push(self.function_relation(name, args, alias.as_ref()));
            }
            TableFactor::UNNEST { alias, array_exprs, .. } => {
                let name = function_column("unnest", alias.as_ref());
                let kind = array_exprs.first().and_then(each::literal_array).unwrap_or(Type::Unknown);
                let known = alias.as_ref().map_or("unnest".to_owned(), |alias| folded(&alias.name));
                relations.push(Relation::of_function(known, Output::plain(name, kind, false)));
            }
            TableFactor::Derived { subquery, alias, .. } => {
                let mut outputs = self.describe(subquery)?;
                let mut known = String::new();
                if let Some(alias) = alias {
                    outputs = renamed(outputs, alias);
                    known = folded(&alias.name);
                }
                let body = Body::TABLE;
                let sources = None;
                relations.push(Relation { alias: known, table: None, outputs, body, pending: true, sources });
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                relations.extend(self.relations(std::slice::from_ref(table_with_joins))?);
            }
            other => return Err(unsupported(other)),
        }
        Ok(())
    }

    /// The tables and views whose names begin most like `name`.
    fn other_tables(&self, name: &str) -> String {
        let common = |other: &str| name.chars().zip(other.chars()).take_while(|(a, b)| a == b).count();
        let mut known: Vec<&String> =
            self.catalogue.tables.keys().chain(self.catalogue.views.keys()).collect();
        known.sort_by_key(|other| std::cmp::Reverse(common(other)));
        let shown: Vec<String> = known.iter().take(NAMES).map(|name| quoted(name)).collect();
        match known.len() {
            0 => "create the table first".to_owned(),
            count if count > NAMES => {
                format!("known tables: {} and {} more", shown.join(", "), count - NAMES)
            }
            _ => format!("known tables: {}", shown.join(", ")),
        }
    }

    /// Whether a table, a view or a WITH has the name of a table of the system.
    pub(super) fn hides(&self, name: &str) -> bool {
        self.ctes.iter().any(|cte| cte.name == name) || self.catalogue.has_relation(name)
    }

    /// A common table expression, a table or a view.
    pub(super) fn named(&self, name: &ObjectName) -> Result<Named> {
        let known = relation_name(name)?;
        self.toil(self.ctes.len());
        self.within()?;
        let first = name.0.first().and_then(|part| part.as_ident()).map(|ident| ident.span.start);
        let at = |failure: Failure| match first {
            Some(place) => failure.at(place.line, place.column),
            None => failure,
        };
        let (table, outputs, body) = if let Some(cte) = self.ctes.iter().rev().find(|cte| cte.name == known) {
            if !cte.returns {
                let message = format!("WITH query \"{known}\" does not have a RETURNING clause");
                return Err(at(Failure::new(sqlstate::NOT_SUPPORTED, message).hint("add RETURNING to it")));
            }
            (None, Some(cte.outputs.clone()), cte.body)
        } else if let Some(table) = self.catalogue.tables.get(&known) {
            (Some(known.clone()), Some(table.outputs()), Body::TABLE)
        } else if let Some(view) = self.catalogue.views.get(&known) {
            (None, Some(view.outputs.clone()), view.body)
        } else {
            (None, None, Body::TABLE)
        };
        if let Some(outputs) = outputs {
            self.copies(outputs.len());
            return Ok(Named { name: known, table, outputs, body });
        }
        let failure = match known.starts_with("pg_") {
            true => super::system_catalogue(name),
            false => undefined_table(&known).hint(self.other_tables(&known)),
        };
        Err(at(failure))
    }

    fn function_relation(
        &self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
    ) -> Relation {
        let function = name.to_string().to_lowercase();
        let kind = match args.first() {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => self.type_of(expr),
            _ => Type::Unknown,
        };
        let kind = if kind == Type::Unknown && function == "generate_series" { Type::Int4 } else { kind };
        let exprs: Vec<&Expr> = args
            .iter()
            .filter_map(|arg| match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
                _ => None,
            })
            .collect();
        let kind = match exprs.as_slice() {
            [from, to, step] if interval::of(step).is_some() => {
                from::moments_of(self.type_of(from), self.type_of(to))
            }
            _ => kind,
        };
        let known = alias.map_or(function.clone(), |alias| folded(&alias.name));
        // The numbers of a series are between its ends.
        let bits = self.most_bits(exprs.into_iter());
        let output = Output::plain(function_column(&function, alias), kind, true);
        Relation::of_function(known, Output { bits, ..output })
    }
}

/// The column of a function in FROM: that of the alias, the alias, or the function's name.
pub(super) fn function_column(function: &str, alias: Option<&TableAlias>) -> String {
    match alias {
        None => function.to_owned(),
        Some(alias) => folded(alias.columns.first().map_or(&alias.name, |column| &column.name)),
    }
}

fn renamed(mut outputs: Vec<Output>, alias: &TableAlias) -> Vec<Output> {
    for (output, column) in outputs.iter_mut().zip(&alias.columns) {
        output.name = folded(&column.name);
    }
    outputs
}

pub(super) fn unsupported(factor: &TableFactor) -> Failure {
    let hint = match factor {
        TableFactor::Derived { lateral: true, .. } | TableFactor::Function { lateral: true, .. } => {
            "use a LATERAL subquery, a join, or a subquery in the SELECT"
        }
        _ => "use tables, views, subqueries, generate_series and joins",
    };
    Failure::unsupported(format!("{} in FROM", literal(&factor.to_string())), hint)
}

/// Names of columns as a list of identifiers.
pub(super) fn names(columns: &[Ident]) -> Vec<String> {
    columns.iter().map(folded).collect()
}

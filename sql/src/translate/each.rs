//! What a FROM makes of the values in a row before it: elements of JSON and arrays, LATERAL subqueries.
//!
//! SQLite has no LATERAL, and a function of tables whose arguments may be of other tables: `json_each`.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Query, TableAlias, TableFactor, Value as Literal};

use super::expr::unsupported;
use super::{Relation, Translator, folded, quoted, undefined_column};
use crate::catalogue::{Body, Output};
use crate::error::{Failure, Result, sqlstate};
use crate::types::Type;

/// A function in FROM that gives a row for each part of a value.
pub(super) struct Elements<'e> {
    kind: Kind,
    arguments: Vec<&'e Expr>,
    alias: Option<&'e TableAlias>,
    with_ordinality: bool,
    name: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The values of a list or an object, as JSON or as texts.
    Values {
        text: bool,
    },
    /// Its keys and values.
    Pairs {
        text: bool,
    },
    Keys,
    /// The elements of arrays.
    Arrays,
}

impl<'e> Elements<'e> {
    pub(super) fn of(factor: &'e TableFactor) -> Option<Self> {
        let expr = |arg: &'e FunctionArg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        };
        let (name, args, alias, with_ordinality) = match factor {
            TableFactor::Table { name, args: Some(args), alias, with_ordinality, .. } => {
                (name.to_string(), args.args.as_slice(), alias, *with_ordinality)
            }
            TableFactor::Function { name, args, alias, with_ordinality, .. } => {
                (name.to_string(), args.as_slice(), alias, *with_ordinality)
            }
            TableFactor::UNNEST { array_exprs, alias, with_ordinality, with_offset: false, .. } => {
                let arguments: Vec<&Expr> = array_exprs.iter().collect();
                return Self::new("unnest", arguments, alias.as_ref(), *with_ordinality);
            }
            _ => return None,
        };
        let arguments: Option<Vec<&Expr>> = args.iter().map(expr).collect();
        Self::new(&name.to_lowercase(), arguments?, alias.as_ref(), with_ordinality)
    }

    fn new(
        name: &str,
        arguments: Vec<&'e Expr>,
        alias: Option<&'e TableAlias>,
        with_ordinality: bool,
    ) -> Option<Self> {
        let name = name.trim_start_matches("pg_catalog.").to_owned();
        let one = arguments.len() == 1;
        let kind = match name.trim_start_matches("jsonb_").trim_start_matches("json_") {
            "array_elements" if one => Kind::Values { text: false },
            "array_elements_text" if one => Kind::Values { text: true },
            "each" if one => Kind::Pairs { text: false },
            "each_text" if one => Kind::Pairs { text: true },
            "object_keys" if one => Kind::Keys,
            // One array alone that is no column needs no row before it.
            "unnest" if !one || with_ordinality || literal_array(arguments[0]).is_none() => Kind::Arrays,
            _ => return None,
        };
        let is_json = name.starts_with("json");
        (is_json == (kind != Kind::Arrays) && !arguments.is_empty()).then_some(Self {
            kind,
            arguments,
            alias,
            with_ordinality,
            name,
        })
    }

    fn known(&self) -> String {
        self.alias.map_or_else(|| self.name.clone(), |alias| folded(&alias.name))
    }

    /// Its columns, and what each is in SQLite.
    pub(super) fn relation(&self) -> Relation {
        let known = self.known();
        let of = quoted(&known);
        let value = |text: bool| match text {
            true => format!(
                "CASE {of}.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE CAST({of}.value AS TEXT) END"
            ),
            false => format!("(pg_read({of}.json) -> {of}.fullkey)"),
        };
        let kind_of = |text: bool| if text { Type::Text } else { Type::Jsonb };
        let mut columns: Vec<(String, Type, String)> = match self.kind {
            Kind::Values { text } => vec![("value".to_owned(), kind_of(text), value(text))],
            Kind::Pairs { text } => vec![
                ("key".to_owned(), Type::Text, format!("{of}.key")),
                ("value".to_owned(), kind_of(text), value(text)),
            ],
            Kind::Keys => vec![(self.name.clone(), Type::Text, format!("{of}.key"))],
            Kind::Arrays => {
                let column = |(at, array): (usize, &&Expr)| {
                    let kind = literal_array(array).unwrap_or(Type::Unknown);
                    let source = match self.arguments.len() {
                        1 => format!("{of}.value"),
                        _ => format!("({of}.value ->> {at})"),
                    };
                    ("unnest".to_owned(), kind, source)
                };
                self.arguments.iter().enumerate().map(column).collect()
            }
        };
        if self.with_ordinality {
            columns.push(("ordinality".to_owned(), Type::Int8, format!("({of}.key + 1)")));
        }
        let mut outputs: Vec<Output> =
            columns.iter().map(|(name, kind, _)| Output::plain(name.clone(), *kind, false)).collect();
        match self.alias {
            Some(alias) if alias.columns.is_empty() => {
                if let [only] = outputs.as_mut_slice()
                    && !matches!(self.kind, Kind::Values { .. })
                {
                    only.name.clone_from(&known);
                }
            }
            Some(alias) => {
                for (output, column) in outputs.iter_mut().zip(&alias.columns) {
                    output.name = folded(&column.name);
                }
            }
            None => {}
        }
        let sources = Some(columns.into_iter().map(|(_, _, source)| source).collect());
        Relation { alias: known, table: None, outputs, body: Body::TABLE, pending: false, sources }
    }
}

/// A LATERAL subquery: its rows are lists in a list of JSON.
pub(super) fn lateral(outputs: Vec<Output>, known: String) -> Relation {
    let of = quoted(&known);
    let sources = (0..outputs.len()).map(|at| format!("({of}.value ->> {at})")).collect();
    Relation { alias: known, table: None, outputs, body: Body::TABLE, pending: false, sources: Some(sources) }
}

/// Columns of `json_each`, which SQLite sees in every query that has one in its FROM.
const SHOWN: [&str; 10] = ["key", "value", "type", "atom", "id", "parent", "fullkey", "path", "json", "root"];

fn is_shown(name: &str) -> bool {
    SHOWN.contains(&name)
}

/// Whether a FROM makes a `json_each` of it, or of a part of it.
pub(super) fn is_elements(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Derived { lateral, .. } => *lateral,
        TableFactor::NestedJoin { table_with_joins: inner, .. } => {
            let mut joined = inner.joins.iter().map(|join| &join.relation);
            is_elements(&inner.relation) || joined.any(is_elements)
        }
        other => Elements::of(other).is_some(),
    }
}

/// Whether a name is that of a function in FROM with one column, which means this column.
fn is_whole(relation: &Relation, name: &str) -> bool {
    relation.sources.is_some() && relation.outputs.len() == 1 && relation.alias == name
}

fn beside(name: &str, hint: &str) -> Failure {
    let what = format!("the name {name} alone beside elements of JSON, of arrays or a LATERAL subquery");
    Failure::unsupported(what, hint)
}

impl Translator<'_> {
    /// Whether a `json_each` stands in a FROM around.
    pub(super) fn is_beside_elements(&self) -> bool {
        self.scopes.iter().flatten().any(|relation| relation.sources.is_some())
    }

    /// What has to stand before a column that is named alone: beside a `json_each`, SQLite would take one of
    /// its columns, and in a subquery of a RETURNING, one of the subquery.
    pub(super) fn owner(&self, name: &str) -> Result<Option<String>> {
        let is_returned = self.returning && self.scopes.len() > 1;
        if !is_returned && !self.is_beside_elements() {
            return Ok(None);
        }
        for (at, scope) in self.scopes.iter().enumerate().rev() {
            self.toil(scope.iter().map(|relation| relation.outputs.len()).sum());
            let has = |relation: &&Relation| relation.outputs.iter().any(|output| output.name == name);
            let owners: Vec<&Relation> = scope.iter().filter(has).collect();
            match owners.as_slice() {
                [] if scope.iter().any(|relation| is_whole(relation, name)) => return Ok(None),
                [] => {}
                [only] if only.sources.is_some() => return Ok(None),
                [only] if self.returning && at == 0 => return self.target_behind(only),
                [only] => {
                    let mut inner = self.scopes[at + 1..].iter().flatten();
                    let is_named = !only.alias.is_empty() && !inner.any(|other| other.alias == only.alias);
                    if !is_named && is_shown(name) {
                        let hint = "give each table and subquery an alias of its own";
                        return Err(beside(name, hint));
                    }
                    return Ok(is_named.then(|| only.alias.clone()));
                }
                several if several.iter().any(|relation| relation.sources.is_some()) => {
                    let message = format!("column reference \"{name}\" is ambiguous");
                    return Err(Failure::new(sqlstate::AMBIGUOUS_COLUMN, message)
                        .hint("write the alias of its table before it"));
                }
                _ if is_shown(name) => return Err(beside(name, "write the alias of its table before it")),
                _ => return Ok(None),
            }
        }
        let is_open = |relation: &Relation| relation.outputs.is_empty() && relation.sources.is_none();
        match is_shown(name) && !is_returned && !self.scopes.iter().flatten().any(is_open) {
            true => Err(undefined_column(name)),
            false => Ok(None),
        }
    }

    /// The name of the table that a statement changes, for a subquery in its RETURNING: SQLite has no aliases
    /// there.
    pub(super) fn target_behind(&self, target: &Relation) -> Result<Option<String>> {
        let table = target.table.as_ref().filter(|_| self.scopes.len() > 1);
        let mut inner = self.scopes.iter().skip(1).flatten();
        match table {
            Some(table) if inner.any(|other| other.alias == *table) => Err(Failure::unsupported(
                format!("a subquery in RETURNING that reads {table} by this name"),
                "give it another alias in the subquery",
            )),
            table => Ok(table.cloned()),
        }
    }

    /// A term of an ORDER BY: the name of a column of the result comes before those of the FROM. `united` is
    /// the ORDER BY of a UNION, which has no others.
    pub(super) fn sorted_by(&mut self, term: &Expr, united: bool) -> Result<()> {
        if let Expr::Identifier(name) = term
            && self.is_beside_elements()
        {
            let name = folded(name);
            let mut aliases = self.aliases.last().into_iter().flatten();
            if united || aliases.any(|(alias, _)| *alias == name) {
                self.names_alias(&name);
                self.name(&name);
                return Ok(());
            }
        }
        self.expr(term, Type::Unknown)
    }

    /// A term of a GROUP BY: the names of columns of the FROM come before those of the result.
    pub(super) fn grouped_by(&mut self, term: &Expr) -> Result<()> {
        if let Expr::Identifier(name) = term
            && self.is_beside_elements()
        {
            let name = folded(name);
            let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
            let is_own = |relation: &Relation| {
                is_whole(relation, &name) || relation.outputs.iter().any(|output| output.name == name)
            };
            let aliases = self.aliases.last().map(Vec::as_slice).unwrap_or_default();
            if !scope.iter().any(is_own)
                && let Some(at) = aliases.iter().position(|(alias, _)| *alias == name)
            {
                self.names_alias(&name);
                self.put(&(at + 1).to_string());
                return Ok(());
            }
        }
        self.expr(term, Type::Unknown)
    }

    /// Does `write` for the arguments of a `json_each`, whose own columns SQLite sees there.
    pub(super) fn inside_elements(&mut self, write: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let (body, sources) = (Body::TABLE, Some(Vec::new()));
        let own = Relation {
            alias: String::new(),
            table: None,
            outputs: Vec::new(),
            body,
            pending: false,
            sources,
        };
        self.scopes.push(vec![own]);
        let written = write(self);
        self.scopes.pop();
        written
    }

    /// Fails if a join by name would join by a column of a `json_each`.
    pub(super) fn joins_elements(&self, columns: Option<&[String]>) -> Result<()> {
        let scope = self.scopes.last().map(Vec::as_slice).unwrap_or_default();
        let elements = || scope.iter().filter(|relation| relation.sources.is_some());
        let has = |name: &String| elements().flat_map(|one| &one.outputs).any(|output| output.name == *name);
        if columns.is_some_and(|columns| !columns.iter().any(|name| is_shown(name) || has(name))) {
            return Ok(());
        }
        let hint = "write ON, as in JOIN … ON a.id = b.id, and name the columns with their aliases";
        Err(Failure::unsupported(
            "a join by name with elements of JSON, of arrays or a LATERAL subquery",
            hint,
        ))
    }

    pub(super) fn elements_of(&mut self, elements: &Elements<'_>) -> Result<()> {
        self.put("json_each(");
        match (elements.kind, elements.arguments.as_slice()) {
            (Kind::Arrays, [array]) => self.array(array)?,
            (Kind::Arrays, arrays) => {
                self.put("pg_zip(");
                self.list(arrays, |this, array| this.array(array))?;
                self.put(")");
            }
            (kind, [json]) => {
                let bracket = if matches!(kind, Kind::Values { .. }) { "[" } else { "{" };
                self.inside("pg_json_of(pg_read(", json, Type::Unknown, &format!("), '{bracket}')"))?;
            }
            _ => {}
        }
        self.put(") AS ");
        self.name(&elements.known());
        Ok(())
    }

    pub(super) fn lateral(&mut self, subquery: &Query, alias: &TableAlias) -> Result<()> {
        let width = self.describe(subquery)?.len();
        let columns: Vec<String> = (1..=width).map(|at| format!("c{at}")).collect();
        let columns = columns.join(", ");
        self.put(&format!("json_each((WITH pg_lateral({columns}) AS ("));
        self.query(subquery)?;
        let row = format!("json(pg_gathered(json_array({columns})))");
        self.put(&format!(") SELECT pg_read(json_group_array({row})) FROM pg_lateral)) AS "));
        self.name(&folded(&alias.name));
        Ok(())
    }

    pub(super) fn array(&mut self, array: &Expr) -> Result<()> {
        match array {
            Expr::Nested(inner) => self.array(inner),
            Expr::Cast { expr, data_type, .. } => match Type::of_elements(data_type) {
                Some(kind) => self.array_of(expr, kind?),
                None => Err(unsupported(array)),
            },
            other => self.array_of(other, Type::Unknown),
        }
    }

    /// An array whose elements are of type `kind`, as a list of JSON.
    pub(super) fn array_of(&mut self, array: &Expr, kind: Type) -> Result<()> {
        match array {
            Expr::Nested(inner) => self.array_of(inner, kind),
            Expr::Array(array) => {
                self.put("json_array(");
                self.list(&array.elem, |this, element| this.expr(element, kind))?;
                self.put(")");
                Ok(())
            }
            Expr::Value(_) | Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_) => {
                self.inside("pg_array(", array, Type::Unknown, &format!(", {})", kind.code()))
            }
            other => Err(unsupported(other)),
        }
    }
}

/// The type of the elements of an array that is no column: a constant or a parameter.
pub(super) fn literal_array(expr: &Expr) -> Option<Type> {
    match expr {
        Expr::Nested(inner) => literal_array(inner),
        Expr::Value(_) => Some(Type::Unknown),
        Expr::Array(array) => Some(match array.elem.first() {
            Some(Expr::Value(value)) => match &value.value {
                Literal::Number(digits, _) if digits.parse::<i32>().is_ok() => Type::Int4,
                Literal::Number(..) => Type::Numeric(None),
                Literal::SingleQuotedString(_) => Type::Text,
                Literal::Boolean(_) => Type::Bool,
                _ => Type::Unknown,
            },
            _ => Type::Unknown,
        }),
        Expr::Cast { expr, data_type, .. } => {
            literal_array(expr)?;
            Type::of_elements(data_type)?.ok()
        }
        _ => None,
    }
}

//! What a FROM makes of the values in a row before it: elements of JSON and arrays, LATERAL subqueries.
//!
//! SQLite has no LATERAL, and a function of tables whose arguments may be of other tables: `json_each`.

use sqlparser::ast::{Expr, FunctionArg, FunctionArgExpr, Query, TableAlias, TableFactor, Value as Literal};

use super::expr::unsupported;
use super::{Relation, Translator, folded, quoted};
use crate::catalogue::{Body, Output};
use crate::error::Result;
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

impl Translator<'_> {
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
        self.put(&format!(") SELECT pg_read(json_group_array(json_array({columns}))) FROM pg_lateral)) AS "));
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

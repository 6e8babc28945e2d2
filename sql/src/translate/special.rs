//! Functions that are more than their name in SQLite: with rows, arrays, JSON or constants of PostgreSQL.

use sqlparser::ast::{Expr, Function, FunctionArguments, OrderBySort, Value as Literal};

use super::call::{arguments, name_of};
use super::{Translator, folded, literal, quoted};
use crate::error::{Failure, Result, sqlstate};
use crate::types::{Category, Type};

/// Aggregates whose values stand in WITHIN GROUP.
pub(super) const ORDERED: [&str; 3] = ["percentile_cont", "percentile_disc", "mode"];

/// Aggregates that are NULL, and no empty list, if there are no rows.
const LISTS: [(&str, &str); 6] = [
    ("json_agg", "[]"),
    ("jsonb_agg", "[]"),
    ("array_agg", "[]"),
    ("json_object_agg", "{}"),
    ("jsonb_object_agg", "{}"),
    ("", ""),
];

/// What to write around the call of an aggregate that makes a list.
pub(super) fn around(name: &str) -> Option<(&'static str, String)> {
    let (_, empty) = LISTS.iter().find(|(known, empty)| *known == name && !empty.is_empty())?;
    let before = if name == "array_agg" { "pg_array_text(nullif(" } else { "json(pg_read(nullif(" };
    let behind = if name == "array_agg" { ")" } else { "))" };
    Some((before, format!(", '{empty}'){behind}")))
}

/// The type of a call that has a rule here.
pub(super) fn type_of(translator: &Translator<'_>, name: &str, function: &Function) -> Option<Type> {
    Some(match name {
        "percentile_disc" | "mode" => {
            function.within_group.first().map_or(Type::Unknown, |term| translator.type_of(&term.expr))
        }
        "percentile_cont" | "stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop" => {
            Type::Float8
        }
        "to_json" | "row_to_json" => Type::Json,
        "to_jsonb" | "jsonb_set" | "jsonb_extract_path" => Type::Jsonb,
        "jsonb_typeof" | "json_typeof" | "jsonb_extract_path_text" | "json_extract_path_text" => Type::Text,
        "version"
        | "current_schema"
        | "current_database"
        | "current_catalog"
        | "current_user"
        | "session_user"
        | "user"
        | "current_role"
        | "current_setting"
        | "pg_get_serial_sequence" => Type::Text,
        "jsonb_exists" => Type::Bool,
        "grouping" | "cardinality" | "array_length" | "num_nulls" | "num_nonnulls" => Type::Int4,
        "to_date" | "make_date" => Type::Date,
        "make_timestamp" => Type::Timestamp,
        "make_timestamptz" => Type::Timestamptz,
        "bit_length" => Type::Int4,
        "timezone" => match arguments(function).get(1).map(|moment| translator.type_of(moment)) {
            Some(Type::Timestamptz) => Type::Timestamp,
            _ => Type::Timestamptz,
        },
        _ => return None,
    })
}

impl Translator<'_> {
    /// Writes a call that has a rule here; nothing if it has none.
    pub(super) fn special(&mut self, function: &Function) -> Option<Result<()>> {
        let name = name_of(function);
        let args = arguments(function);
        Some(match (name.as_str(), args.as_slice()) {
            (name, _) if ORDERED.contains(&name) => self.ordered(name, function, &args),
            ("stddev" | "stddev_samp" | "stddev_pop" | "variance" | "var_samp" | "var_pop", [value]) => {
                self.variance(&name, value, function)
            }
            ("jsonb_set", _) => self.json_set(&args),
            ("jsonb_exists", [json, key]) => {
                self.json_operation(json, &sqlparser::ast::BinaryOperator::Question, key)
            }
            ("row_to_json" | "to_json" | "to_jsonb", [value]) => self.json_of(value),
            ("jsonb_typeof" | "json_typeof", [json]) => self
                .inside("CASE json_type(pg_read(", json, Type::Unknown, ")) WHEN 'text' THEN 'string' ")
                .map(|()| {
                    self.put(
                        "WHEN 'integer' THEN 'number' WHEN 'real' THEN 'number' WHEN 'true' THEN 'boolean' ",
                    );
                    self.put("WHEN 'false' THEN 'boolean' WHEN 'object' THEN 'object' ");
                    self.put("WHEN 'array' THEN 'array' WHEN 'null' THEN 'null' END");
                }),
            ("jsonb_extract_path_text" | "json_extract_path_text", [json, path @ ..]) if !path.is_empty() => {
                self.extracted(json, path, true)
            }
            ("jsonb_extract_path" | "json_extract_path", [json, path @ ..]) if !path.is_empty() => {
                self.extracted(json, path, false)
            }
            ("cardinality", [array]) => {
                self.put("json_array_length(");
                self.array_argument(array, ")")
            }
            ("array_length", [array, Expr::Value(one)]) if one.value.to_string() == "1" => {
                self.put("nullif(json_array_length(");
                self.array_argument(array, "), 0)")
            }
            ("array_to_string", [array, rest @ ..]) if !rest.is_empty() && rest.len() < 3 => {
                self.put("pg_array_join(");
                let written = self.array_argument(array, "");
                let rest = rest.iter().try_for_each(|text| self.inside(", ", text, Type::Text, ""));
                self.put(")");
                written.and(rest)
            }
            ("num_nulls" | "num_nonnulls", values) => {
                let word = if name == "num_nulls" { "NULL" } else { "NOT NULL" };
                self.put("(0");
                let written = values.iter().try_for_each(|value| {
                    self.inside(" + ((", value, Type::Unknown, &format!(") IS {word})"))
                });
                self.put(")");
                written
            }
            ("bit_length", [text]) => self.inside("(8 * octet_length(", text, Type::Text, "))"),
            ("to_timestamp", [text, pattern]) => self.parsed(text, pattern, Type::Timestamptz),
            ("to_date", [text, pattern]) => self.parsed(text, pattern, Type::Date),
            ("make_date", parts @ [_, _, _]) => self.made_moment(parts, Type::Date),
            ("make_timestamp", parts @ [_, _, _, _, _, _]) => self.made_moment(parts, Type::Timestamp),
            ("make_timestamptz", parts @ [_, _, _, _, _, _]) => self.made_moment(parts, Type::Timestamptz),
            ("timezone", [zone, moment]) => self.at_time_zone(moment, zone),
            ("date_trunc", [_, _, zone]) if super::operator::is_utc(zone) => {
                self.put("pg_date_trunc(");
                let written = self.inside("", args[0], Type::Text, ", ").and_then(|()| self.moment(args[1]));
                self.put(")");
                written
            }
            ("current_setting", [Expr::Value(setting), ..]) => self.current_setting(&setting.value),
            ("version" | "current_schema" | "current_database" | "current_catalog", []) => {
                self.put(&literal(match name.as_str() {
                    "version" => super::settings::VERSION,
                    "current_schema" => "public",
                    _ => "postgres",
                }));
                Ok(())
            }
            ("current_user" | "session_user" | "user" | "current_role", []) => {
                self.put("'postgres'");
                Ok(())
            }
            ("pg_get_serial_sequence", [table, column]) => self.serial_sequence(table, column),
            _ => return None,
        })
    }

    /// `percentile_cont(0.95) WITHIN GROUP (ORDER BY x)`.
    fn ordered(&mut self, name: &str, function: &Function, args: &[&Expr]) -> Result<()> {
        let ([term], None) = (function.within_group.as_slice(), &function.over) else {
            let hint = format!(
                "write {name}({}) WITHIN GROUP (ORDER BY x)",
                if name == "mode" { "" } else { "0.95" }
            );
            return Err(Failure::new(sqlstate::WRONG_OBJECT, format!("WITHIN GROUP is required for {name}"))
                .hint(hint));
        };
        let kind = self.type_of(&term.expr);
        if name == "percentile_cont" && !matches!(kind.category(), Category::Number | Category::Unknown) {
            let message = format!("function percentile_cont({}) does not exist", kind.name());
            return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("give it numbers"));
        }
        let order = if matches!(term.options.sort, Some(OrderBySort::Desc)) { " desc" } else { "" };
        self.inside("pg_percentile(", &term.expr, Type::Unknown, ", ")?;
        match (name, args) {
            ("mode", []) => self.put(&format!("0, 'mode{order}')")),
            ("percentile_cont" | "percentile_disc", [fraction]) => {
                let what = name.trim_start_matches("percentile_");
                self.inside("", fraction, Type::Float8, &format!(", '{what}{order}')"))?;
            }
            _ => {
                let message = format!("function {name} with {} arguments does not exist", args.len());
                return Err(
                    Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("give one fraction: 0.95")
                );
            }
        }
        self.filter_of(function)
    }

    fn variance(&mut self, name: &str, value: &Expr, function: &Function) -> Result<()> {
        let kind = self.type_of(value);
        if !matches!(kind.category(), Category::Number | Category::Unknown) {
            let message = format!("function {name}({}) does not exist", kind.name());
            return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint("give it numbers"));
        }
        if function.over.is_some() {
            let hint = "calculate it in a subquery with GROUP BY";
            return Err(Failure::unsupported(format!("{name} over a window"), hint));
        }
        let distinct = match &function.args {
            FunctionArguments::List(list) => list.duplicate_treatment.is_some(),
            _ => false,
        };
        if distinct {
            let hint = "select distinct values in a subquery";
            return Err(Failure::unsupported(format!("DISTINCT in {name}"), hint));
        }
        self.inside("pg_variance(", value, Type::Float8, &format!(", {})", literal(name)))?;
        self.filter_of(function)
    }

    pub(super) fn filter_of(&mut self, function: &Function) -> Result<()> {
        if let Some(filter) = &function.filter {
            self.put(" FILTER (WHERE ");
            self.condition(filter)?;
            self.put(")");
        }
        Ok(())
    }

    fn parsed(&mut self, text: &Expr, pattern: &Expr, kind: Type) -> Result<()> {
        self.inside("pg_cast(pg_parse_moment(", text, Type::Text, ", ")?;
        self.inside("", pattern, Type::Text, &format!("), {})", kind.code()))
    }

    fn made_moment(&mut self, parts: &[&Expr], kind: Type) -> Result<()> {
        self.put("pg_cast(pg_make_moment(");
        self.list(parts, |this, part| this.expr(part, Type::Float8))?;
        self.put(&format!("), {})", kind.code()));
        Ok(())
    }

    fn array_argument(&mut self, array: &Expr, behind: &str) -> Result<()> {
        self.array(array)?;
        self.put(behind);
        Ok(())
    }

    fn extracted(&mut self, json: &Expr, path: &[&Expr], text: bool) -> Result<()> {
        let path = super::json::path_of(path)?;
        let (before, op, behind) = if text { ("CAST(", " ->> ", " AS TEXT)") } else { ("(", " -> ", ")") };
        self.put(before);
        self.inside("pg_read(", json, Type::Unknown, ")")?;
        self.put(&format!("{op}{}{behind}", literal(&path)));
        Ok(())
    }

    /// A value as JSON that is a text of its own.
    fn json_of(&mut self, value: &Expr) -> Result<()> {
        if self.is_row(value) || matches!(self.type_of(value).category(), Category::Bool | Category::Json) {
            return self.json_value(value);
        }
        self.inside("json_quote(", value, Type::Text, ")")
    }

    /// A value as a part of JSON: truth values and JSON are no texts and numbers there.
    pub(super) fn json_value(&mut self, value: &Expr) -> Result<()> {
        if let Expr::Identifier(name) = value
            && self.is_row(value)
        {
            return self.json_row(&folded(name));
        }
        match self.type_of(value).category() {
            Category::Bool => {
                let behind = " WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END)";
                self.inside("json(CASE ", value, Type::Bool, behind)
            }
            Category::Json if !matches!(value, Expr::Function(_)) => {
                self.inside("json(pg_read(", value, Type::Unknown, "))")
            }
            _ => self.expr(value, Type::Unknown),
        }
    }

    /// Whether it is written in another way as a part of JSON than alone.
    pub(super) fn is_json_apart(&self, value: &Expr) -> bool {
        self.is_row(value)
            || match self.type_of(value).category() {
                Category::Bool => true,
                Category::Json => !matches!(value, Expr::Function(_)),
                _ => false,
            }
    }

    /// Whether it is the name of a table, which stands for its rows.
    fn is_row(&self, expr: &Expr) -> bool {
        let Expr::Identifier(name) = expr else { return false };
        let known = folded(name);
        self.resolve(std::slice::from_ref(name)).is_none()
            && self.scopes.iter().flatten().any(|relation| relation.alias == known)
    }

    /// A row as an object of JSON.
    fn json_row(&mut self, alias: &str) -> Result<()> {
        let found = self.scopes.iter().rev().flatten().find(|relation| relation.alias == alias);
        let Some(relation) = found else { return Ok(()) };
        let columns: Vec<(String, String, Category)> = relation
            .outputs
            .iter()
            .enumerate()
            .map(|(at, output)| {
                let source = match &relation.sources {
                    Some(sources) => sources[at].clone(),
                    None => format!("{}.{}", quoted(alias), quoted(&output.name)),
                };
                (output.name.clone(), source, output.kind.category())
            })
            .collect();
        self.result_columns(columns.len())?;
        self.put("json_object(");
        self.list(&columns, |this, (name, source, category)| {
            this.put(&format!("{}, ", literal(name)));
            this.put(&match category {
                Category::Bool => {
                    format!("json(CASE {source} WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END)")
                }
                Category::Json => format!("json(pg_read({source}))"),
                _ => source.clone(),
            });
            Ok(())
        })?;
        self.put(")");
        Ok(())
    }

    /// `pg_get_serial_sequence('table', 'column')`, which is a constant.
    fn serial_sequence(&mut self, table: &Expr, column: &Expr) -> Result<()> {
        let name = self.sequence_of(table, column)?;
        self.put(&name.map_or("NULL".to_owned(), |name| literal(&format!("public.{name}"))));
        Ok(())
    }

    pub(super) fn sequence_of(&self, table: &Expr, column: &Expr) -> Result<Option<String>> {
        let constant = |expr: &Expr| match expr {
            Expr::Value(value) => match &value.value {
                Literal::SingleQuotedString(text) => Ok(text.clone()),
                _ => Err(()),
            },
            _ => Err(()),
        };
        let (Ok(table), Ok(column)) = (constant(table), constant(column)) else {
            let hint = "write the names as constants: pg_get_serial_sequence('table', 'column')";
            return Err(Failure::unsupported("pg_get_serial_sequence of these arguments", hint));
        };
        let table = table.trim_start_matches("public.").replace('"', "");
        let known = self
            .catalogue
            .tables
            .get(&table)
            .ok_or_else(|| super::undefined_table(&table).hint("name a table, without its schema"))?;
        let column = known.column(&column).ok_or_else(|| super::undefined_column(&column))?;
        let number = column.sequence;
        let mut named = self.catalogue.sequences.iter();
        Ok(number.and_then(|number| named.find(|(_, known)| **known == number)).map(|(name, _)| name.clone()))
    }
}

//! Calls of functions: those that there are, and what they are in SQLite.

mod table;

use sqlparser::ast::{
    DataType, DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArguments, Value as Literal, WindowType,
};

use super::{Translator, folded, literal, special};
use crate::error::{Failure, Result, sqlstate};
use crate::text::SYMMETRIC;
use crate::types::{Category, Type};
use table::Gives::{Is, Same, Sum};
use table::{AGGREGATES, Known, REFUSED, SCALARS, Takes, WINDOWS};

fn find(name: &str) -> Option<&'static Known> {
    SCALARS.iter().chain(AGGREGATES).chain(WINDOWS).find(|known| known.0 == name)
}

pub(super) fn name_of(function: &Function) -> String {
    let name = function.name.to_string().to_lowercase();
    name.trim_start_matches("pg_catalog.").trim_matches('"').to_owned()
}

pub(super) fn is_count(function: &Function) -> bool {
    name_of(function) == "count"
}

/// The first bound of a BETWEEN SYMMETRIC.
pub(super) fn symmetric(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Function(function) if name_of(function) == SYMMETRIC => arguments(function).pop(),
        _ => None,
    }
}

/// Whether it makes one value of many rows.
pub(super) fn is_aggregate(function: &Function) -> bool {
    let name = name_of(function);
    function.over.is_none() && AGGREGATES.iter().any(|known| known.0 == name)
}

/// Whether an aggregate stands in `expr`, outside of its subqueries.
pub(super) fn aggregates(expr: &Expr) -> bool {
    match expr {
        Expr::Function(function) => is_aggregate(function) || arguments(function).into_iter().any(aggregates),
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } | Expr::UnaryOp { expr: inner, .. } => {
            aggregates(inner)
        }
        Expr::BinaryOp { left, right, .. } => aggregates(left) || aggregates(right),
        Expr::Case { operand, conditions, else_result, .. } => {
            let parts = conditions.iter().flat_map(|when| [&when.condition, &when.result]);
            let rest = operand.as_deref().into_iter().chain(else_result.as_deref());
            parts.chain(rest).any(aggregates)
        }
        _ => false,
    }
}

/// The arguments that are expressions.
pub(super) fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let expr = |arg| match arg {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().filter_map(expr).collect()
}

/// Bits of the whole numbers that a call gives.
pub(super) fn bits(translator: &Translator<'_>, function: &Function) -> u32 {
    let name = name_of(function);
    match find(&name).map(|known| known.5) {
        Some(Is(kind)) => kind.bits(),
        Some(Same) => translator.most_bits(arguments(function).into_iter()),
        Some(Sum) | None => 64,
    }
}

pub(super) fn type_of(translator: &Translator<'_>, function: &Function) -> Type {
    let name = name_of(function);
    let arguments = arguments(function);
    let first = || translator.first_type(arguments.iter().copied());
    match name.as_str() {
        // A moment without a zone stays without one.
        "date_trunc" => match arguments.get(1).map(|arg| translator.type_of(arg)) {
            Some(Type::Timestamp) => Type::Timestamp,
            _ => Type::Timestamptz,
        },
        "nextval" | "currval" | "setval" => Type::Int8,
        "to_timestamp" => Type::Timestamptz,
        name if let Some(kind) = special::type_of(translator, name, function) => kind,
        _ => match find(&name).map(|known| known.5) {
            Some(Is(kind)) => kind,
            Some(Same) => first(),
            Some(Sum) => match first() {
                kind if kind.is_integer() => Type::Int8,
                Type::Unknown => Type::Unknown,
                _ => Type::Float8,
            },
            None => Type::Unknown,
        },
    }
}

impl Translator<'_> {
    pub(super) fn call(&mut self, function: &Function, expected: Type) -> Result<()> {
        let name = name_of(function);
        if ["nextval", "currval", "setval"].contains(&name.as_str()) {
            return self.sequence(&name, function);
        }
        if let Some(written) = self.special(function) {
            return written;
        }
        let known = find(&name).ok_or_else(|| unknown(&name))?;
        let windows = WINDOWS.iter().any(|known| known.0 == name);
        if windows && function.over.is_none() {
            let message = format!("window function {name} requires an OVER clause");
            return Err(
                Failure::new(sqlstate::WRONG_OBJECT, message).hint("write OVER (ORDER BY …) behind it")
            );
        }
        if function.over.is_some() && !windows && !AGGREGATES.iter().any(|known| known.0 == name) {
            let message =
                format!("OVER specified, but {name} is not a window function nor an aggregate function");
            return Err(Failure::new(sqlstate::WRONG_OBJECT, message).hint("leave OVER out"));
        }
        let (before, behind) = special::around(&name).unwrap_or_default();
        self.put(before);
        self.arguments(&name, known, function, expected)?;
        self.filter_of(function)?;
        match &function.over {
            None => {}
            Some(WindowType::NamedWindow(window)) => {
                self.names_window(&folded(window))?;
                self.put(" OVER ");
                self.name(&folded(window));
            }
            Some(WindowType::WindowSpec(spec)) => {
                self.put(" OVER ");
                self.window(spec)?;
            }
        }
        self.put(&behind);
        Ok(())
    }

    fn arguments(&mut self, name: &str, known: &Known, function: &Function, expected: Type) -> Result<()> {
        let odd = !function.within_group.is_empty() || function.null_treatment.is_some();
        let (list, distinct, clauses) = match &function.args {
            FunctionArguments::None => (&[][..], false, &[][..]),
            FunctionArguments::List(list) => {
                let distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
                (list.args.as_slice(), distinct, list.clauses.as_slice())
            }
            FunctionArguments::Subquery(_) => {
                return Err(Failure::unsupported(
                    format!("{name} of a subquery"),
                    "put it in parentheses twice",
                ));
            }
        };
        if odd {
            return Err(Failure::unsupported(
                format!("this form of {name}"),
                "leave WITHIN GROUP and NULLS out",
            ));
        }
        let &Known(_, fewest, most, emitted, takes, _) = known;
        let star = matches!(list, [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]);
        if !(fewest..=most).contains(&list.len())
            || (star && name != "count")
            || (name == "count" && list.is_empty())
        {
            let message = format!("function {name} with {} arguments does not exist", list.len());
            let many = if fewest == most { format!("{fewest}") } else { format!("{fewest} to {most}") };
            return Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint(format!("it takes {many}")));
        }
        let exprs = arguments(function);
        if !star && exprs.len() != list.len() {
            return Err(Failure::unsupported("an argument with a name", "write the value alone"));
        }
        let exprs = match name {
            // A moment keeps the digits that it has.
            "current_timestamp" | "localtimestamp" => Vec::new(),
            // SQLite's has no other separator for distinct texts.
            "string_agg" if distinct && is_comma(exprs[1]) => exprs[..1].to_vec(),
            _ => exprs,
        };
        for (at, expr) in exprs.iter().enumerate() {
            self.takes(name, takes, at, expr)?;
        }
        // SQLite's needs two.
        let emitted = if name == "coalesce" && exprs.len() == 1 { "" } else { emitted };
        self.put(emitted);
        self.put("(");
        if distinct {
            if exprs.len() != 1 {
                return Err(Failure::unsupported(
                    format!("DISTINCT in {name}"),
                    "select distinct rows in a subquery",
                ));
            }
            self.put("DISTINCT ");
        }
        let same = match takes {
            Takes::Same => self.first_type(exprs.iter().copied()),
            _ => Type::Unknown,
        };
        let same = if same == Type::Unknown && type_follows(name) { expected } else { same };
        for (at, expr) in exprs.iter().enumerate() {
            if at > 0 {
                self.put(", ");
            }
            // A separator, an offset: arguments that are not like the first.
            let same = if type_follows(name) || at == 0 { same } else { Type::Unknown };
            self.argument(emitted, takes, at, expr, same)?;
        }
        if star {
            self.put(if self.counts_rows { "1" } else { "*" });
        }
        self.clauses(name, clauses)?;
        self.put(")");
        Ok(())
    }

    /// Writes an argument; one without a type is of type `same`, where the others say it.
    fn argument(&mut self, emitted: &str, takes: Takes, at: usize, expr: &Expr, same: Type) -> Result<()> {
        // What SQLite parses as JSON or writes as JSON is read for a price. JSON that is made stays JSON.
        let is_json = emitted.starts_with("json_") && emitted != "json_array_length";
        let is_key = emitted.ends_with("object") && at.is_multiple_of(2);
        let category = self.type_of(expr).category();
        let gathers = emitted.starts_with("json_group_");
        if is_json && !is_key && (self.is_json_apart(expr) || gathers && category == Category::Json) {
            self.put(if gathers { "json(pg_gathered(" } else { "" });
            self.json_value(expr)?;
            self.put(if gathers { "))" } else { "" });
            return Ok(());
        }
        // What an aggregate keeps is paid for by each row.
        let read = match category {
            Category::Text | Category::Bytea | Category::Unknown if gathers => "pg_gathered(",
            Category::Text if is_json => "pg_read(",
            _ if emitted == "json_array_length" => "pg_read(",
            _ => "",
        };
        self.put(read);
        match (takes, at) {
            (Takes::Texts, _) | (Takes::TextNumbers | Takes::PartMoment, 0) => self.expr(expr, Type::Text)?,
            (Takes::PartMoment, _) => self.moment(expr)?,
            (Takes::TextNumbers, _) => self.expr(expr, Type::Int4)?,
            (Takes::Numbers | Takes::Any, _) => self.expr(expr, Type::Unknown)?,
            (Takes::Same, _) => self.expr(expr, same)?,
        }
        if !read.is_empty() {
            self.put(")");
        }
        Ok(())
    }

    /// Fails if there is no such function of the type of this argument.
    fn takes(&self, name: &str, takes: Takes, at: usize, expr: &Expr) -> Result<()> {
        let kind = self.type_of(expr);
        let category = kind.category();
        let fits = category == Category::Unknown
            || match (takes, at) {
                (Takes::Numbers, _) => category == Category::Number,
                (Takes::Texts, _) | (Takes::TextNumbers, 0) => {
                    matches!(category, Category::Text | Category::Bytea)
                }
                (Takes::Same, _) if BOOLS.contains(&name) => category == Category::Bool,
                (Takes::Same, _) if name == "min" || name == "max" => {
                    !matches!(category, Category::Bool | Category::Json)
                }
                _ => true,
            };
        if fits {
            return Ok(());
        }
        let message = format!("function {name}({}) does not exist", kind.name());
        let to = match takes {
            Takes::Numbers => "numeric",
            Takes::Texts | Takes::TextNumbers => "text",
            _ if BOOLS.contains(&name) => "boolean",
            _ if category == Category::Json => "text",
            _ => "integer",
        };
        Err(Failure::new(sqlstate::UNDEFINED_FUNCTION, message).hint(format!("add a cast to it: `::{to}`")))
    }

    fn clauses(&mut self, name: &str, clauses: &[FunctionArgumentClause]) -> Result<()> {
        for clause in clauses {
            match clause {
                FunctionArgumentClause::OrderBy(terms) => {
                    self.put(" ORDER BY ");
                    self.order(terms)?;
                }
                other => return Err(Failure::unsupported(format!("`{other}` in {name}"), "leave it out")),
            }
        }
        Ok(())
    }

    /// nextval('name'), currval('name'), setval('name', value).
    fn sequence(&mut self, name: &str, function: &Function) -> Result<()> {
        let arguments = arguments(function);
        let wrong = || {
            let message = format!("{name} with these arguments");
            Failure::unsupported(message, "write nextval('name'), currval('name') or setval('name', 42)")
        };
        let (Some(first), rest) = (arguments.first(), arguments.get(1..).unwrap_or_default()) else {
            return Err(wrong());
        };
        let (sequence, place) = self.sequence_name(first)?.ok_or_else(wrong)?;
        let fits = if name == "setval" { (1..=2).contains(&rest.len()) } else { rest.is_empty() };
        if !fits {
            return Err(wrong());
        }
        let number =
            *self.catalogue.sequences.get(sequence.trim_start_matches("public.")).ok_or_else(|| {
                Failure::new(sqlstate::UNDEFINED_TABLE, format!("relation \"{sequence}\" does not exist"))
                    .hint("a serial column c of table t has the sequence t_c_seq")
                    .at(place.0, place.1)
            })?;
        if name != "currval" {
            self.changes_rows = true;
        }
        self.put(&format!("pg_{name}({number}, {}", literal(&sequence)));
        for (expr, kind) in rest.iter().zip([Type::Int8, Type::Bool]) {
            self.inside(", ", expr, kind, "")?;
        }
        self.put(")");
        Ok(())
    }

    /// The sequence that an argument names, and where.
    fn sequence_name(&self, expr: &Expr) -> Result<Option<(String, (u64, u64))>> {
        Ok(match expr {
            Expr::Value(value) => match &value.value {
                Literal::SingleQuotedString(name) => {
                    Some((name.replace('"', ""), (value.span.start.line, value.span.start.column)))
                }
                _ => None,
            },
            Expr::Cast { expr, data_type: DataType::Regclass, .. } => self.sequence_name(expr)?,
            Expr::Function(function) if name_of(function) == "pg_get_serial_sequence" => {
                match arguments(function).as_slice() {
                    [table, column] => self.sequence_of(table, column)?.map(|name| (name, (0, 0))),
                    _ => None,
                }
            }
            _ => None,
        })
    }
}

fn is_comma(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if value.value == Literal::SingleQuotedString(",".to_owned()))
}

/// Aggregates of truth values.
const BOOLS: [&str; 3] = ["bool_and", "bool_or", "every"];

/// Functions whose arguments are all of the type that they give.
fn type_follows(name: &str) -> bool {
    ["coalesce", "nullif", "greatest", "least", "min", "max"].contains(&name)
}

fn unknown(name: &str) -> Failure {
    if let Some((_, hint)) = REFUSED.iter().find(|(known, _)| *known == name) {
        return Failure::unsupported(format!("the function {name}"), *hint);
    }
    Failure::new(sqlstate::UNDEFINED_FUNCTION, format!("function {name} does not exist"))
        .hint("use another function, or let the service compute the value")
}

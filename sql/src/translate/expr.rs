//! Expressions.

use sqlparser::ast::{AccessExpr, CaseWhen, DataType, Expr, Ident, Query, Value as Literal, ValueWithSpan};

use super::{Translator, folded, literal, quoted, undefined_column};
use crate::error::{Failure, Result, sqlstate};
use crate::failure;
use crate::types::{Category, Type, convert};
use crate::value::Value;

impl Translator<'_> {
    /// Writes `expr`. A literal in quotes or a parameter becomes one of type `expected`.
    pub(super) fn expr(&mut self, expr: &Expr, expected: Type) -> Result<()> {
        self.within()?;
        match expr {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(names) => self.column(names),
            Expr::Value(value) => self.value(value, expected),
            Expr::Nested(inner) => self.inside("(", inner, expected, ")"),
            Expr::TypedString(typed) => {
                let (kind, _) = Type::of(&typed.data_type)?;
                self.value(&typed.value, kind)
            }
            Expr::Cast { expr, data_type, .. } => self.cast(expr, data_type),
            Expr::BinaryOp { left, op, right } => self.operation(left, op, right, expected),
            Expr::UnaryOp { op, expr } => self.unary(op, expr, expected),
            Expr::Function(function) => self.call(function, expected),
            Expr::Case { operand, conditions, else_result, .. } => {
                self.case(operand.as_deref(), conditions, else_result.as_deref(), expected)
            }
            Expr::Subquery(query) => self.subquery("(", query),
            Expr::Exists { subquery, negated } => {
                self.subquery(if *negated { "NOT EXISTS (" } else { "EXISTS (" }, subquery)
            }
            Expr::Array(_) => {
                self.put("pg_array_text(");
                self.array_of(expr, Type::Unknown)?;
                self.put(")");
                Ok(())
            }
            Expr::Tuple(items) => {
                self.put("(");
                self.list(items, |this, item| this.expr(item, Type::Unknown))?;
                self.put(")");
                Ok(())
            }
            other => self.predicate(other),
        }
    }

    pub(super) fn inside(&mut self, before: &str, expr: &Expr, expected: Type, behind: &str) -> Result<()> {
        self.put(before);
        self.expr(expr, expected)?;
        self.put(behind);
        Ok(())
    }

    fn column(&mut self, names: &[Ident]) -> Result<()> {
        let Some(last) = names.last() else { return Ok(()) };
        let name = folded(last);
        let resolved = self.resolve(names).map(|output| output.size);
        self.grow(resolved.unwrap_or(0));
        if names.len() == 1 {
            self.names_alias(&name);
        }
        if let ([only], None) = (names, &resolved)
            && only.quote_style.is_none()
            && name == "current_schema"
        {
            self.put("'public'");
            return Ok(());
        }
        // SQLite's names of the row itself are no columns.
        let hidden = ["rowid", "oid", "_rowid_"].contains(&name.as_str());
        if hidden && resolved.is_none() {
            return Err(undefined_column(&name).at(last.span.start.line, last.span.start.column));
        }
        if resolved.is_none() && self.generated.contains(&name) {
            let message = format!("cannot use generated column \"{name}\" in column generation expression");
            return Err(Failure::new(sqlstate::INVALID_DEFINITION, message)
                .hint("write what that column is made of")
                .at(last.span.start.line, last.span.start.column));
        }
        if let [relation, _] = names {
            self.in_scope(&folded(relation), &name)
                .map_err(|failure| failure.at(relation.span.start.line, relation.span.start.column))?;
            if !self.generated.is_empty() {
                // SQLite's generated columns know one table, and do not name it.
                self.put(&quoted(&name));
                return Ok(());
            }
            if self.is_returned(&folded(relation)) && resolved.is_some() && self.source(names).is_none() {
                // SQLite's RETURNING has no aliases.
                let scope = self.scopes.first().map(Vec::as_slice).unwrap_or_default();
                let target = scope.iter().find(|target| target.alias == folded(relation));
                let before = target.map_or(Ok(None), |target| self.target_behind(target))?;
                let before = before.map(|table| format!("{}.", quoted(&table))).unwrap_or_default();
                self.put(&format!("{before}{}", quoted(&name)));
                return Ok(());
            }
        }
        if let [only] = names {
            let owner = self.owner(&name);
            let owner = owner.map_err(|failure| failure.at(only.span.start.line, only.span.start.column))?;
            if let Some(alias) = owner {
                self.put(&format!("{}.{}", quoted(&alias), quoted(&name)));
                return Ok(());
            }
        }
        if let Some(source) = self.source(names).map(str::to_owned) {
            self.put(&source);
            return Ok(());
        }
        let parts = match names {
            [schema, rest @ ..] if names.len() == 3 && folded(schema) == "public" => rest,
            whole if whole.len() <= 2 => whole,
            _ => return Err(undefined_column(&name).at(last.span.start.line, last.span.start.column)),
        };
        let text: Vec<String> = parts.iter().map(|part| quoted(&folded(part))).collect();
        self.put(&text.join("."));
        Ok(())
    }

    /// Whether an alias is that of what a RETURNING gives back, and of nothing in a subquery of it.
    fn is_returned(&self, alias: &str) -> bool {
        self.returning && !self.scopes.iter().skip(1).flatten().any(|relation| relation.alias == alias)
    }

    /// Fails if no relation has this alias, or it has no such column.
    fn in_scope(&self, alias: &str, column: &str) -> Result<()> {
        let mut named = self.scopes.iter().rev().flatten().filter(|relation| relation.alias == alias);
        match named.next() {
            None => {
                let message = format!("missing FROM-clause entry for table \"{alias}\"");
                Err(Failure::new(sqlstate::UNDEFINED_TABLE, message)
                    .hint("use the alias that stands in the FROM"))
            }
            Some(relation) if relation.outputs.iter().any(|output| output.name == column) => Ok(()),
            Some(relation) if relation.outputs.is_empty() => Ok(()),
            Some(_) => Err(undefined_column(&format!("{alias}.{column}"))),
        }
    }

    fn value(&mut self, value: &ValueWithSpan, expected: Type) -> Result<()> {
        let place = value.span.start;
        let text = match &value.value {
            Literal::Number(digits, _) => {
                if digits.parse().is_ok_and(f64::is_infinite) {
                    let failure = convert(Value::Text(digits.clone()), Type::Float8, false);
                    return failure.map(|_| ()).map_err(|failure| failure.at(place.line, place.column));
                }
                self.put(digits);
                return Ok(());
            }
            Literal::Boolean(truth) => {
                self.put(if *truth { "TRUE" } else { "FALSE" });
                return Ok(());
            }
            Literal::Null => {
                self.put("NULL");
                return Ok(());
            }
            Literal::Placeholder(name) => {
                return self
                    .parameter(name, expected)
                    .map_err(|failure| failure.at(place.line, place.column));
            }
            Literal::SingleQuotedString(text)
            | Literal::EscapedStringLiteral(text)
            | Literal::UnicodeStringLiteral(text)
            | Literal::NationalStringLiteral(text) => text,
            Literal::DollarQuotedString(dollar) => &dollar.value,
            other => {
                let failure =
                    Failure::unsupported(format!("the literal {other}"), "write a text in single quotes");
                return Err(failure.at(place.line, place.column));
            }
        };
        // A text for a number must read as one; what is too long for a column is said by the assignment.
        let value = convert(Value::Text(text.clone()), expected, false)
            .map_err(|failure| failure.at(place.line, place.column))?;
        if text.contains('\0') {
            return Err(failure::nul().at(place.line, place.column));
        }
        self.constant(&value);
        Ok(())
    }

    pub(super) fn constant(&mut self, value: &Value) {
        match value {
            Value::Null => self.put("NULL"),
            Value::Bool(truth) => self.put(if *truth { "TRUE" } else { "FALSE" }),
            Value::Int(number) => self.put(&number.to_string()),
            Value::Float(number) => self.put(&format!("{number:?}")),
            Value::Text(text) => self.put(&literal(text)),
            Value::Bytes(bytes) => {
                self.put("X'");
                for byte in bytes {
                    self.put(&format!("{byte:02x}"));
                }
                self.put("'");
            }
        }
    }

    fn parameter(&mut self, name: &str, expected: Type) -> Result<()> {
        let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
        let number =
            number.filter(|number| (1..=self.bounds.parameters).contains(number)).ok_or_else(|| {
                let message = format!("there is no parameter {name}");
                let hint = format!("write $1, $2 … up to ${}", self.bounds.parameters);
                Failure::new(sqlstate::UNDEFINED_PARAMETER, message).hint(hint)
            })?;
        if self.params.len() < number {
            self.params.resize(number, Type::Unknown);
        }
        if self.params[number - 1] == Type::Unknown {
            self.params[number - 1] = expected;
        }
        self.put(&format!("?{number}"));
        Ok(())
    }

    /// `expr::type`.
    pub(super) fn cast(&mut self, expr: &Expr, data: &DataType) -> Result<()> {
        if let Expr::Value(value) = expr
            && let Literal::SingleQuotedString(text) = &value.value
            && !matches!(data, DataType::Interval { .. } | DataType::JSON | DataType::JSONB)
        {
            let (to, _) = Type::of(data)?;
            let value = convert(Value::Text(text.clone()), to, true)
                .map_err(|failure| failure.at(value.span.start.line, value.span.start.column))?;
            self.constant(&value);
            return Ok(());
        }
        let (to, _) = Type::of(data)?;
        let from = self.type_of(expr);
        if let Expr::Value(ValueWithSpan { value: Literal::Placeholder(_), .. }) = expr
            && from == Type::Unknown
        {
            return self.expr(expr, to);
        }
        if matches!(to, Type::Json | Type::Jsonb) {
            return self.inside("json(pg_read(", expr, Type::Unknown, "))");
        }
        let same = from == to || (from.category() == to.category() && to.takes_all() && !to.is_integer());
        if same || (to == Type::Int8 && from.is_integer()) {
            return self.inside("(", expr, to, ")");
        }
        self.put("pg_cast(");
        if from == Type::Bool && to.category() == Category::Text {
            self.inside("CASE ", expr, Type::Bool, " WHEN TRUE THEN 'true' WHEN FALSE THEN 'false' END")?;
        } else {
            self.expr(expr, Type::Unknown)?;
        }
        self.put(&format!(", {})", to.code()));
        Ok(())
    }

    fn case(
        &mut self,
        operand: Option<&Expr>,
        conditions: &[CaseWhen],
        otherwise: Option<&Expr>,
        expected: Type,
    ) -> Result<()> {
        let results = self.first_type(conditions.iter().map(|when| &when.result).chain(otherwise));
        let results = if results == Type::Unknown { expected } else { results };
        let compared = operand.map(|operand| self.type_of(operand));
        self.put("CASE");
        if let Some(operand) = operand {
            self.inside(" ", operand, Type::Unknown, "")?;
        }
        for when in conditions {
            self.put(" WHEN ");
            match compared {
                Some(kind) => self.expr(&when.condition, kind)?,
                None => self.condition(&when.condition)?,
            }
            self.inside(" THEN ", &when.result, results, "")?;
        }
        if let Some(otherwise) = otherwise {
            self.inside(" ELSE ", otherwise, results, "")?;
        }
        self.put(" END");
        Ok(())
    }

    pub(super) fn subquery(&mut self, before: &str, query: &Query) -> Result<()> {
        self.put(before);
        self.query(query)?;
        self.put(")");
        Ok(())
    }
}

pub(super) fn unsupported(expr: &Expr) -> Failure {
    let mut text = expr.to_string();
    if let Some((end, _)) = text.char_indices().nth(80) {
        text.truncate(end);
        text.push('…');
    }
    let hint = match expr {
        Expr::CompoundFieldAccess { .. } => "use unnest(…) WITH ORDINALITY in FROM, a table or JSON",
        Expr::Collate { .. } => "texts compare by their bytes: write COLLATE \"C\", or leave it out",
        Expr::RLike { .. } => "use ~, or LIKE",
        Expr::Interval(_) => "add an interval to a timestamp, or subtract it",
        Expr::AnyOp { .. } | Expr::AllOp { .. } => "use `= ANY (…)`, `<> ALL (…)`, or a subquery with EXISTS",
        Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => "use UNION ALL of several GROUP BY",
        _ => "see which statements work in the reference of databases",
    };
    if let Expr::CompoundFieldAccess { access_chain, .. } = expr
        && access_chain.iter().all(|access| matches!(access, AccessExpr::Dot(_)))
    {
        return Failure::unsupported(format!("`{text}`"), "write the name of a column");
    }
    Failure::unsupported(format!("`{text}`"), hint)
}

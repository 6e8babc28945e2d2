//! Statements, parsed once, and the cache of them.

use std::sync::{Arc, OnceLock};

use rustc_hash::FxHashMap;
use sqlparser::ast;
use sqlparser::tokenizer::TokenWithSpan;

use crate::bounds::Bounds;
use crate::catalogue::Catalogue;
use crate::error::{Failure, Result, sqlstate};
use crate::place;
use crate::text;
use crate::translate::{Control, Plan, translate};
use crate::types::Type;

/// A statement as [`Database::prepare`](crate::Database::prepare) gives it.
#[derive(Debug)]
pub struct Statement {
    text: String,
    class: Class,
    summary: String,
    shown: String,
    parameters: bool,
    pub(crate) plan: Plan,
    /// The version of the schema that it was translated for.
    pub(crate) version: u64,
    pub(crate) columns: OnceLock<Arc<[Column]>>,
    pub(crate) loops: OnceLock<Vec<String>>,
    pub(crate) temporary: OnceLock<Temporary>,
    /// The fewest steps for each row of its temporary results; nothing if these do not grow.
    pub(crate) steps_per_row: OnceLock<Option<u64>>,
}

/// What results a plan has that are kept while it runs, other than the numbers of `generate_series`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Temporary {
    /// Its own result, to be sorted.
    pub sorted: bool,
    pub others: bool,
}

impl Temporary {
    /// Of a statement whose plan has these loops.
    pub(crate) fn of(text: &str, loops: &[String]) -> Self {
        let is_sorted = |line: &str| line.starts_with("USE TEMP B-TREE FOR") && line.ends_with("ORDER BY");
        let is_kept = |line: &str| {
            let line = line.trim_start();
            let apart = line.strip_prefix("CO-ROUTINE ").or_else(|| line.strip_prefix("MATERIALIZE "));
            apart.is_some_and(|name| name != "pg_series")
                || ["TEMP B-TREE", "LIST SUBQUERY", "AUTOMATIC"].iter().any(|part| line.contains(part))
        };
        let is_chain = is_chain(text, loops);
        Self {
            sorted: loops.iter().any(|line| is_sorted(line)),
            others: loops.iter().enumerate().any(|(at, line)| {
                let is_small = is_chain && begins_recursion(loops, at) || is_list_of_json(loops, at);
                !is_sorted(line) && is_kept(line) && !is_small
            }),
        }
    }
}

fn depth(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether these are the rows of a WITH RECURSIVE, given on one by one.
fn begins_recursion(loops: &[String], at: usize) -> bool {
    let is_setup = |next: &String| next.trim_start() == "SETUP" && depth(next) > depth(&loops[at]);
    loops[at].trim_start().starts_with("CO-ROUTINE ") && loops.get(at + 1).is_some_and(is_setup)
}

/// Whether these are the values of one JSON text, as an array is: they are no more than the text.
fn is_list_of_json(loops: &[String], at: usize) -> bool {
    let mut inside = loops[at + 1..].iter().take_while(|line| depth(line) > depth(&loops[at])).peekable();
    let is_of_json = |line: &String| {
        line.trim_start().starts_with("SCAN json_each VIRTUAL") || line.trim_start() == "CREATE BLOOM FILTER"
    };
    loops[at].trim_start().starts_with("LIST SUBQUERY") && inside.peek().is_some() && inside.all(is_of_json)
}

/// Whether its only recursion makes one row at most of each row, and keeps none: nothing is joined, and no
/// row is looked for among those that were there.
fn is_chain(text: &str, loops: &[String]) -> bool {
    let words: Vec<String> = text.split_whitespace().map(str::to_uppercase).collect();
    let all = words.iter().enumerate().filter(|(_, word)| word.contains("UNION"));
    let keeps_all =
        all.clone().all(|(at, word)| word == "UNION" && words.get(at + 1).is_some_and(|next| next == "ALL"));
    let mut steps = loops.iter().enumerate().filter(|(_, line)| line.trim_start() == "RECURSIVE STEP");
    let (Some((at, step)), None) = (steps.next(), steps.next()) else { return false };
    let inside = loops[at + 1..].iter().take_while(|line| depth(line) > depth(step)).count();
    words.iter().any(|word| word == "RECURSIVE") && all.count() == 1 && keeps_all && inside == 1
}

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Select,
    Insert,
    Update,
    Delete,
    Truncate,
    /// CREATE, ALTER, DROP.
    Ddl,
    /// LOCK TABLE.
    Lock,
    Explain,
    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    Savepoint,
    /// SET, RESET, DISCARD: nothing happens.
    Set,
    /// BEGIN, COMMIT, ROLLBACK: the caller calls the functions for them.
    Control(Control),
}

/// A column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub kind: Type,
}

impl Statement {
    pub(crate) fn parse(sql: &str, catalogue: &Catalogue, version: u64, bounds: &Bounds) -> Result<Self> {
        if sql.len() > bounds.statement_bytes {
            let message =
                format!("a statement of {} bytes is longer than {}", sql.len(), bounds.statement_bytes);
            return Err(Failure::new(sqlstate::LIMIT, message).hint("send several statements"));
        }
        let parsed = Self::of_tokens(text::tokens(sql)?, catalogue, version, bounds);
        let mut statement = parsed.map_err(|mut failure| {
            if let Ok(tokens) = text::tokens(sql) {
                place::locate_in(&mut failure, &tokens);
            }
            failure
        })?;
        if statement.parameters {
            sql.trim().clone_into(&mut statement.shown);
        }
        sql.clone_into(&mut statement.text);
        Ok(statement)
    }

    /// A statement of a schema, which is run once: it has no text.
    pub(crate) fn of_tokens(
        tokens: Vec<TokenWithSpan>,
        catalogue: &Catalogue,
        version: u64,
        bounds: &Bounds,
    ) -> Result<Self> {
        let parameters = text::has_parameters(&tokens);
        let summary = text::summary(&tokens);
        let shown = text::without_values(&tokens);
        let parsed = text::parse(tokens, bounds)?;
        let plan = translate(&parsed, catalogue, bounds)?;
        let class = class(of_with(&parsed), &plan);
        Ok(Self {
            text: String::new(),
            class,
            summary,
            shown,
            parameters,
            plan,
            version,
            columns: OnceLock::new(),
            loops: OnceLock::new(),
            temporary: OnceLock::new(),
            steps_per_row: OnceLock::new(),
        })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn class(&self) -> Class {
        self.class
    }

    /// `db.query.summary`, which is the name of the span: `SELECT stock`. At most 255 characters.
    pub fn summary(&self) -> &str {
        &self.summary
    }

    /// `db.query.text`: as it was written if it has parameters, else with `?` for each value.
    pub fn query_text(&self) -> &str {
        &self.shown
    }

    pub fn has_parameters(&self) -> bool {
        self.parameters
    }

    /// The types of its parameters, Unknown where none follows from the statement.
    pub fn parameters(&self) -> &[Type] {
        match &self.plan {
            Plan::Run(run) | Plan::Explain(run) => &run.params,
            _ => &[],
        }
    }

    /// The statement that SQLite runs.
    pub fn translated(&self) -> &str {
        match &self.plan {
            Plan::Run(run) | Plan::Explain(run) => &run.sql,
            Plan::Ddl(ddl) => ddl.statements.first().map_or("", String::as_str),
            _ => "",
        }
    }

    /// Whether it changes rows or tables, so that a commit is charged.
    pub fn writes(&self) -> bool {
        match &self.plan {
            Plan::Run(run) => run.writes,
            Plan::Truncate { .. } => true,
            Plan::Ddl(ddl) => !ddl.changes.is_empty(),
            _ => false,
        }
    }

    /// Whether its WITH changes rows, so that it may change some of which its result says nothing.
    pub fn has_parts(&self) -> bool {
        matches!(&self.plan, Plan::Run(run) if !run.parts.is_empty())
    }

    /// Whether it gives locks of its transaction back that goes on: ROLLBACK TO does.
    pub fn releases(&self) -> bool {
        matches!(self.plan, Plan::RollbackTo(_))
    }

    fn weight(&self) -> usize {
        // Text, text without values, and the translation, beside the tree that is gone.
        let parts: usize = match &self.plan {
            Plan::Run(run) => run.parts.iter().map(|part| 512 + part.sql.len()).sum(),
            _ => 0,
        };
        512 + self.text.len() + self.shown.len() + self.translated().len() + parts
    }
}

/// The summary of a text that is no statement, and the text without its values; both empty if it has no
/// tokens.
pub fn described(text: &str) -> (String, String) {
    match text::tokens(text) {
        Ok(tokens) => (text::summary(&tokens), text::without_values(&tokens)),
        Err(_) => (String::new(), String::new()),
    }
}

/// The change of rows that stands behind a WITH; else the statement itself.
fn of_with(statement: &ast::Statement) -> &ast::Statement {
    let ast::Statement::Query(query) = statement else { return statement };
    match query.body.as_ref() {
        ast::SetExpr::Insert(change) | ast::SetExpr::Update(change) | ast::SetExpr::Delete(change) => change,
        _ => statement,
    }
}

fn class(statement: &ast::Statement, plan: &Plan) -> Class {
    match (plan, statement) {
        (Plan::Explain(_), _) => Class::Explain,
        (Plan::Ddl(_), _) => Class::Ddl,
        (Plan::Truncate { .. }, _) => Class::Truncate,
        (Plan::Lock { .. }, _) => Class::Lock,
        (Plan::Savepoint(_) | Plan::Release(_) | Plan::RollbackTo(_), _) => Class::Savepoint,
        (Plan::Nothing, _) => Class::Set,
        (Plan::Control(control), _) => Class::Control(*control),
        (Plan::Run(_), ast::Statement::Insert(_)) => Class::Insert,
        (Plan::Run(_), ast::Statement::Update(_)) => Class::Update,
        (Plan::Run(_), ast::Statement::Delete(_)) => Class::Delete,
        (Plan::Run(_), _) => Class::Select,
    }
}

/// Statements by their texts, in two generations: what is not used while one fills, is gone with the next.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    young: FxHashMap<String, Arc<Statement>>,
    old: FxHashMap<String, Arc<Statement>>,
    bytes: usize,
}

impl Cache {
    pub(crate) fn get(&mut self, text: &str, version: u64, bytes: usize) -> Option<Arc<Statement>> {
        if let Some(found) = self.young.get(text) {
            return (found.version == version).then(|| found.clone());
        }
        let found = self.old.remove(text).filter(|found| found.version == version)?;
        self.put(found.clone(), bytes);
        Some(found)
    }

    pub(crate) fn put(&mut self, statement: Arc<Statement>, bytes: usize) {
        self.bytes += statement.weight();
        if self.bytes > bytes / 2 {
            self.old = std::mem::take(&mut self.young);
            self.bytes = statement.weight();
        }
        self.young.insert(statement.text.clone(), statement);
    }
}

//! A WITH that changes rows: its queries run before the statement, once each and in their order, and the rows
//! that they give are kept meanwhile.
//!
//! PostgreSQL lets all of them see the rows as they were before the statement. Here each sees what those
//! before it have changed, so a part that reads a table is refused if one before it changes that table.

use std::collections::BTreeSet;

use sqlparser::ast::{self, Cte as Definition, Query, SetExpr, Statement, With};
use sqlparser::tokenizer::Token;

use super::size::Size;
use super::{Cte, Run, Translator, folded, quoted};
use crate::bounds::{Bounds, PARTS};
use crate::catalogue::{Body, Catalogue, Output};
use crate::error::{Failure, Result, sqlstate};
use crate::lock::{Strength, TableMode};
use crate::text;
use crate::types::Type;

/// A statement whose WITH changes rows: the WITH, and the statement without it.
pub(super) fn of(statement: &Statement) -> Option<(&With, Statement)> {
    match statement {
        Statement::Query(query) => {
            let with = changing(query)?;
            Some((with, Statement::Query(Box::new(Query { with: None, ..(**query).clone() }))))
        }
        Statement::Insert(insert) => {
            let with = changing(insert.source.as_deref()?)?;
            let mut insert = insert.clone();
            if let Some(source) = &mut insert.source {
                source.with = None;
            }
            Some((with, Statement::Insert(insert)))
        }
        _ => None,
    }
}

fn changing(query: &Query) -> Option<&With> {
    query.with.as_ref().filter(|with| with.cte_tables.iter().any(|cte| changes(&cte.query)))
}

/// Whether a query of a WITH changes rows.
pub(super) fn changes(query: &Query) -> bool {
    matches!(query.body.as_ref(), SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_))
}

/// A query of the WITH.
struct Part<'s> {
    definition: &'s Definition,
    name: String,
    /// The words of its text: what it can name.
    words: BTreeSet<String>,
    /// It runs once, before the statement; else it is written where it is named.
    is_kept: bool,
    /// Its columns, once it is translated.
    outputs: Option<Vec<Output>>,
    /// The place of its rows among those that are kept.
    place: usize,
}

impl<'s> Part<'s> {
    fn of(definition: &'s Definition) -> Result<Self> {
        Ok(Self {
            definition,
            name: folded(&definition.alias.name),
            words: words(&definition.query.to_string())?,
            is_kept: changes(&definition.query),
            outputs: None,
            place: 0,
        })
    }
}

pub(super) fn translate(
    with: &With,
    main: &Statement,
    catalogue: &Catalogue,
    bounds: &Bounds,
) -> Result<Run> {
    let count = with.cte_tables.len();
    if count > PARTS {
        let message = format!("a WITH that changes rows has more than {PARTS} queries");
        return Err(Failure::new(sqlstate::TOO_COMPLEX, message).hint("use several statements"));
    }
    let mut parts = with.cte_tables.iter().map(Part::of).collect::<Result<Vec<_>>>()?;
    let named = words(&main.to_string())?;
    keep_shared(&mut parts, &named);
    let mut all = Whole {
        catalogue,
        bounds,
        recursive: with.recursive,
        size: Size::default(),
        done: Vec::new(),
        changed: BTreeSet::new(),
    };
    for at in 0..count {
        if parts[at].is_kept {
            all.keep(&mut parts, at)?;
        }
    }
    let needed = needed(&parts, count, &named);
    let last = all.translated(&parts, &needed, main)?;
    Ok(all.joined(last))
}

/// A query that only reads runs once as well, if several parts read it: each is to see the same rows.
fn keep_shared(parts: &mut [Part<'_>], main: &BTreeSet<String>) {
    loop {
        let mut readers = vec![0; parts.len()];
        let roots = (0..parts.len()).filter(|at| parts[*at].is_kept).map(|at| (at, &parts[at].words));
        for (at, words) in roots.chain([(parts.len(), main)]) {
            needed(parts, at, words).into_iter().for_each(|needed| readers[needed] += 1);
        }
        let shared = parts.iter_mut().zip(readers).find(|(part, readers)| !part.is_kept && *readers > 1);
        match shared {
            Some((part, _)) => part.is_kept = true,
            None => return,
        }
    }
}

/// The parts before `at` that have to stand in the WITH of a text with these words, in their order.
fn needed(parts: &[Part<'_>], at: usize, words: &BTreeSet<String>) -> Vec<usize> {
    let mut needed = vec![false; at];
    let mut open: Vec<(usize, &BTreeSet<String>)> = vec![(at, words)];
    while let Some((before, words)) = open.pop() {
        for (other, part) in parts[..before].iter().enumerate() {
            if !needed[other] && words.contains(&part.name) {
                needed[other] = true;
                if !part.is_kept {
                    open.push((other, &part.words));
                }
            }
        }
    }
    (0..at).filter(|at| needed[*at]).collect()
}

/// The words and names of a text.
fn words(text: &str) -> Result<BTreeSet<String>> {
    let word = |token: Token| match token {
        Token::Word(word) if word.quote_style.is_some() => Some(word.value),
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    };
    Ok(text::tokens(text)?.into_iter().filter_map(|token| word(token.token)).collect())
}

/// The parts of a statement that are translated so far.
struct Whole<'a> {
    catalogue: &'a Catalogue,
    bounds: &'a Bounds,
    recursive: bool,
    size: Size,
    done: Vec<Run>,
    /// Tables that they change.
    changed: BTreeSet<String>,
}

impl Whole<'_> {
    /// Translates a part that runs before the statement.
    fn keep(&mut self, parts: &mut [Part<'_>], at: usize) -> Result<()> {
        let definition = parts[at].definition;
        if changes(&definition.query) && definition.query.with.is_some() {
            let hint = "name its queries in the first WITH, before this one";
            return Err(Failure::unsupported("a WITH inside of a WITH that changes rows", hint));
        }
        let needed = needed(parts, at, &parts[at].words);
        let run = self.translated(parts, &needed, &Statement::Query(definition.query.clone()))?;
        let hint = "name its columns in place of *";
        let mut outputs = run.outputs.clone().ok_or_else(|| {
            Failure::unsupported("a * over a join by name in a WITH that changes rows", hint)
        })?;
        for (output, column) in outputs.iter_mut().zip(&definition.alias.columns) {
            output.name = folded(&column.name);
        }
        parts[at].place = self.done.len();
        parts[at].outputs = Some(outputs);
        self.done.push(run);
        Ok(())
    }

    /// Translates a part, or the statement itself, behind a WITH with the parts that it needs.
    fn translated(&mut self, parts: &[Part<'_>], needed: &[usize], statement: &Statement) -> Result<Run> {
        let mut translator = Translator::new(self.catalogue, self.bounds);
        translator.size = self.size.clone();
        translator.changes_rows = match statement {
            Statement::Query(query) => changes(query),
            _ => true,
        };
        translator.with_parts(parts, needed, self.recursive)?;
        let run = match statement {
            Statement::Query(query) => match query.body.as_ref() {
                SetExpr::Insert(change) | SetExpr::Update(change) | SetExpr::Delete(change) => {
                    translator.with_change(query, change)
                }
                // Another WITH stands inside of it.
                _ if query.with.is_some() && !needed.is_empty() => translator.nested_query(query),
                _ => translator.top_query(query),
            },
            Statement::Insert(insert) => translator.top_insert(insert),
            _ => Err(Failure::unsupported(
                "this statement behind WITH",
                "use SELECT, INSERT, UPDATE or DELETE",
            )),
        }?;
        (self.size.text, self.size.named) = (run.size, 0);
        self.sees_what_was(&run)?;
        self.note_changes(&run);
        Ok(run)
    }

    /// Fails if a part reads what one before it has changed, or makes rows that those of one before it refer
    /// to: it would see other rows than in PostgreSQL.
    fn sees_what_was(&self, run: &Run) -> Result<()> {
        if let Some(table) = run.reads.iter().find(|table| self.changed.contains(*table)) {
            let hint = "read its rows from the RETURNING, or run two statements in one transaction";
            let what = format!("a statement that reads \"{table}\", which its WITH has changed,");
            return Err(Failure::unsupported(what, hint));
        }
        let Some(target) = run.changed() else { return Ok(()) };
        let before = self.done.iter().filter_map(Run::changed);
        let refers = |child: &str| {
            let foreign = self.catalogue.tables.get(child).map(|table| table.foreign.as_slice());
            foreign.unwrap_or_default().iter().any(|foreign| foreign.parent == target)
        };
        match before.into_iter().find(|child| *child != target && refers(child)) {
            None => Ok(()),
            Some(child) if run.is_insert => {
                let what =
                    format!("a WITH that changes \"{child}\" before the \"{target}\" that it refers to");
                Err(Failure::unsupported(what, format!("change \"{target}\" in the WITH")))
            }
            Some(_) => Ok(()),
        }
    }

    /// A part changes its table; if rows or keys go away, the tables that refer to it as well.
    fn note_changes(&mut self, run: &Run) {
        let Some(target) = run.changed() else { return };
        let mut open = vec![target.to_owned()];
        while let Some(table) = open.pop() {
            if !run.is_insert && run.strength == Strength::Update {
                let refers = |other: &&String| {
                    let foreign = &self.catalogue.tables[*other].foreign;
                    !self.changed.contains(*other)
                        && **other != table
                        && foreign.iter().any(|f| f.parent == table)
                };
                open.extend(self.catalogue.tables.keys().filter(refers).cloned());
            }
            self.changed.insert(table);
        }
    }

    /// The statement with its parts before it.
    fn joined(self, mut last: Run) -> Run {
        for part in &self.done {
            for (table, mode) in &part.tables {
                let held = last.tables.entry(table.clone()).or_insert(TableMode::AccessShare);
                *held = (*held).max(*mode);
            }
            last.params.resize(last.params.len().max(part.params.len()), Type::Unknown);
            for (own, other) in last.params.iter_mut().zip(&part.params) {
                *own = if *own == Type::Unknown { *other } else { *own };
            }
            last.limits.extend(&part.limits);
        }
        (last.writes, last.inserts_one, last.first) = (true, false, None);
        last.parts = self.done;
        last
    }
}

impl Translator<'_> {
    fn with_parts(&mut self, parts: &[Part<'_>], needed: &[usize], recursive: bool) -> Result<()> {
        for (at, part) in needed.iter().map(|at| &parts[*at]).enumerate() {
            let word = if recursive { "WITH RECURSIVE " } else { "WITH " };
            self.put(if at > 0 { ", " } else { word });
            match &part.outputs {
                None => self.cte(part.definition, recursive)?,
                Some(outputs) if outputs.is_empty() => {
                    let message = format!("WITH query \"{}\" does not have a RETURNING clause", part.name);
                    return Err(Failure::new(sqlstate::NOT_SUPPORTED, message).hint("add RETURNING to it"));
                }
                Some(outputs) => self.kept(part, outputs),
            }
        }
        self.put(if needed.is_empty() { "" } else { " " });
        self.within()
    }

    /// The rows that are kept of a part.
    fn kept(&mut self, part: &Part<'_>, outputs: &[Output]) {
        let Part { name, place, .. } = part;
        let columns: Vec<String> = outputs.iter().map(|output| quoted(&output.name)).collect();
        let values: Vec<String> = (0..outputs.len()).map(|at| format!("pg_kept({place}, v, {at})")).collect();
        let (name, columns, values) = (quoted(name), columns.join(", "), values.join(", "));
        self.put(&format!(
            "{name}({columns}) AS (SELECT {values} FROM (WITH RECURSIVE pg_series(v) AS (SELECT 0 WHERE \
             pg_kept({place}) > 0 UNION ALL SELECT v + 1 FROM pg_series WHERE v + 1 < pg_kept({place})) \
             SELECT v FROM pg_series))"
        ));
        let outputs = outputs.iter().map(|output| Output { size: 0, ..output.clone() }).collect();
        self.ctes.push(Cte { name: part.name.clone(), outputs, body: Body::TABLE });
    }

    fn nested_query(mut self, query: &ast::Query) -> Result<Run> {
        let outputs = self.describe(query)?;
        self.put("SELECT * FROM (");
        self.query(query)?;
        self.put(")");
        self.run(Some(outputs), Strength::Update)
    }
}

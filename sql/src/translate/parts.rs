//! A WITH that changes rows: its queries run before the statement, once each and in their order, and the rows
//! that they give are kept meanwhile.
//!
//! PostgreSQL lets all of them see the rows as they were before the statement. Here each sees what those
//! before it have changed, so a part that reads a table is refused if one before it changes that table. A
//! query that stands before the change, and is named behind it, runs where it stands.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{self, Cte as Definition, Query, SetExpr, Statement, With};
use sqlparser::tokenizer::Token;

use super::size::Size;
use super::{Cte, Run, Translator, folded, quoted};
use crate::bounds::{Bounds, PARTS};
use crate::catalogue::{Body, Catalogue, Foreign, Loss, Output};
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
    // A query that is read behind a change of what it reads itself is kept the next time around.
    loop {
        keep_shared(&mut parts, &named);
        let mut all = Whole::of(catalogue, bounds, with.recursive);
        match all.translate(&mut parts, main, &named) {
            Ok(last) => return Ok(all.joined(last)),
            Err(failure) if all.late.is_empty() => return Err(failure),
            Err(_) => all.late.iter().for_each(|at| parts[*at].is_kept = true),
        }
    }
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
    /// The references to each table, with the tables that have them.
    referring: BTreeMap<&'a str, Vec<(&'a str, &'a Foreign)>>,
    /// Tables that they change, and the first part that does.
    changed: BTreeMap<String, usize>,
    /// Tables whose rows must not refer to what they have taken from another table.
    held: BTreeMap<String, String>,
    /// Parts whose rows would be read after a change of them, unless they were kept.
    late: Vec<usize>,
}

impl<'a> Whole<'a> {
    fn of(catalogue: &'a Catalogue, bounds: &'a Bounds, recursive: bool) -> Self {
        let mut referring: BTreeMap<&str, Vec<(&str, &Foreign)>> = BTreeMap::new();
        for (child, table) in &catalogue.tables {
            for foreign in &table.foreign {
                referring.entry(&foreign.parent).or_default().push((child, foreign));
            }
        }
        Self {
            catalogue,
            bounds,
            recursive,
            size: Size::default(),
            done: Vec::new(),
            referring,
            changed: BTreeMap::new(),
            held: BTreeMap::new(),
            late: Vec::new(),
        }
    }

    /// Translates the parts that are kept, and then the statement, which it gives.
    fn translate(
        &mut self,
        parts: &mut [Part<'_>],
        main: &Statement,
        named: &BTreeSet<String>,
    ) -> Result<Run> {
        for at in 0..parts.len() {
            if parts[at].is_kept {
                self.keep(parts, at)?;
            }
        }
        let needed = needed(parts, parts.len(), named);
        let run = self.written(parts, &needed, main)?;
        self.add(parts, parts.len(), &needed, &run)?;
        Ok(run)
    }

    /// Translates a part that runs before the statement.
    fn keep(&mut self, parts: &mut [Part<'_>], at: usize) -> Result<()> {
        let definition = parts[at].definition;
        if changes(&definition.query) && definition.query.with.is_some() {
            let hint = "name its queries in the first WITH, before this one";
            return Err(Failure::unsupported("a WITH inside of a WITH that changes rows", hint));
        }
        parts[at].outputs = None;
        let needed = needed(parts, at, &parts[at].words);
        let run = self.part(parts, at, &needed)?;
        self.add(parts, at, &needed, &run)?;
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

    /// What runs for a part, behind a WITH with the parts that it needs.
    fn part(&self, parts: &[Part<'_>], at: usize, needed: &[usize]) -> Result<Run> {
        let Part { definition, name, words, .. } = &parts[at];
        let is_union = matches!(definition.query.body.as_ref(), SetExpr::SetOperation { .. });
        if !self.recursive || !is_union || !words.contains(name) {
            return self.written(parts, needed, &Statement::Query(definition.query.clone()));
        }
        // It reads itself, by its name.
        let mut translator = self.translator();
        translator.with_parts(parts, &[needed, &[at]].concat(), true)?;
        let outputs = translator.ctes.last().map(|cte| cte.outputs.clone());
        translator.put(&format!("SELECT * FROM {}", quoted(name)));
        translator.run(outputs, Strength::Update)
    }

    fn translator(&self) -> Translator<'a> {
        let mut translator = Translator::new(self.catalogue, self.bounds);
        translator.size = self.size.clone();
        translator
    }

    /// What runs for a statement, behind a WITH with the parts that it needs.
    fn written(&self, parts: &[Part<'_>], needed: &[usize], statement: &Statement) -> Result<Run> {
        let mut translator = self.translator();
        translator.changes_rows = match statement {
            Statement::Query(query) => changes(query),
            _ => true,
        };
        translator.with_parts(parts, needed, self.recursive)?;
        match statement {
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
        }
    }

    /// Notes what a part does; fails if those before it must not have run by then.
    fn add(&mut self, parts: &[Part<'_>], at: usize, needed: &[usize], run: &Run) -> Result<()> {
        (self.size.text, self.size.named) = (run.size, 0);
        self.sees_what_was(parts, needed, run)?;
        self.finds_what_it_needs(run)?;
        self.note_changes(at, run);
        Ok(())
    }

    /// Fails if a part reads what one before it has changed: it would see other rows than in PostgreSQL.
    fn sees_what_was(&mut self, parts: &[Part<'_>], needed: &[usize], run: &Run) -> Result<()> {
        let Some(table) = run.reads.iter().find(|table| self.changed.contains_key(*table)) else {
            return Ok(());
        };
        let is_late = |at: usize| {
            let own = self::needed(parts, at, &parts[at].words);
            let changes_later = |table: &String| self.changed.get(table).is_some_and(|since| at < *since);
            self.part(parts, at, &own).is_ok_and(|part| part.reads.iter().any(changes_later))
        };
        let read = needed.iter().copied().filter(|at| !parts[*at].is_kept);
        self.late = read.filter(|at| is_late(*at)).collect();
        let hint = "read its rows from the RETURNING, or run two statements in one transaction";
        let what = format!("a statement that reads \"{table}\", which its WITH has changed,");
        Err(Failure::unsupported(what, hint))
    }

    /// Fails if a part makes rows that those of one before it refer to, or changes rows that keep others from
    /// going away before it: PostgreSQL looks at references when all parts have run.
    fn finds_what_it_needs(&self, run: &Run) -> Result<()> {
        let Some(target) = run.changed() else { return Ok(()) };
        let changes = |first: &str, then: &str, refers: &str, remedy: String| {
            let what = format!("a WITH that changes \"{first}\" before the \"{then}\" that {refers}");
            Err(Failure::unsupported(what, remedy))
        };
        if run.is_insert {
            let to_target = self.referring.get(target).map(Vec::as_slice).unwrap_or_default();
            let refers = |child: &str| child != target && to_target.iter().any(|(other, _)| *other == child);
            // What deletes makes no row that refers.
            let making = self.done.iter().filter(|part| part.loses != Some(Loss::Row));
            if let Some(child) = making.filter_map(Run::changed).find(|child| refers(child)) {
                return changes(child, target, "it refers to", format!("change \"{target}\" in the WITH"));
            }
        } else if let Some(parent) = self.held.get(target) {
            return changes(parent, target, "refers to it", format!("change \"{target}\" first"));
        }
        Ok(())
    }

    /// A part changes its table; if rows or keys go away, the tables that follow it as well.
    fn note_changes(&mut self, at: usize, run: &Run) {
        let Some(target) = run.changed() else { return };
        // Tables with what they lose, and the columns that get other values: any of them if none is named.
        let (mut open, mut seen) = (vec![(target, run.loses, &[][..])], BTreeSet::new());
        while let Some((table, loss, columns)) = open.pop() {
            if !seen.insert((table, loss, columns)) {
                continue;
            }
            self.changed.entry(table.to_owned()).or_insert(at);
            let Some(loss) = loss else { continue };
            for (child, foreign) in self.referring.get(table).into_iter().flatten() {
                let is_other = |column| !foreign.parent_columns.contains(column);
                if loss == Loss::Key && !columns.is_empty() && columns.iter().all(is_other) {
                    continue;
                }
                let followed = foreign.follows(loss);
                if followed.is_some() {
                    open.push((*child, followed, &foreign.columns));
                } else {
                    self.held.entry((*child).to_owned()).or_insert_with(|| table.to_owned());
                }
            }
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
        let mut word = if recursive { "WITH RECURSIVE " } else { "WITH " };
        for part in needed.iter().map(|at| &parts[*at]) {
            if part.outputs.as_ref().is_some_and(Vec::is_empty) {
                let (name, outputs) = (part.name.clone(), Vec::new());
                self.ctes.push(Cte { name, outputs, body: Body::TABLE, returns: false });
                continue;
            }
            self.put(word);
            word = ", ";
            match &part.outputs {
                None => self.cte(part.definition, recursive)?,
                Some(outputs) => self.kept(part, outputs),
            }
        }
        self.put(if word == ", " { " " } else { "" });
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
        self.ctes.push(Cte { name: part.name.clone(), outputs, body: Body::TABLE, returns: true });
    }

    fn nested_query(mut self, query: &ast::Query) -> Result<Run> {
        let outputs = self.describe(query)?;
        self.put("SELECT * FROM (");
        self.query(query)?;
        self.put(")");
        self.run(Some(outputs), Strength::Update)
    }
}

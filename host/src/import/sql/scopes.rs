//! The tables of a statement: where each is named, and which a name without one means.

use std::collections::BTreeSet;
use std::ops::Range;

use super::lexer::{Token, is_keyword};

/// The columns that an INSERT gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Insert {
    pub table: usize,
    pub columns: Vec<String>,
    /// The tokens of their list.
    pub range: Range<usize>,
}

#[derive(Debug, Default)]
pub struct Scopes {
    /// Names in lower case, each once.
    pub tables: Vec<String>,
    /// Of each token, whether it is part of the name of a table or its alias.
    pub used: Vec<bool>,
    /// Of each token, whether it names a schema, and is left out.
    pub dropped: Vec<bool>,
    pub insert: Option<Insert>,
    /// Of each token.
    of: Vec<usize>,
    all: Vec<Scope>,
}

/// One query: what its names mean.
#[derive(Debug, Default)]
struct Scope {
    around: Option<usize>,
    /// Aliases and names; no table where they stand for a query or a function.
    names: Vec<(String, Option<usize>)>,
}

/// A pair of parentheses, or the whole.
#[derive(Clone, Copy)]
struct Level {
    scope: usize,
    has_statement: bool,
}

/// Words that begin a query.
const STATEMENTS: [&str; 4] = ["SELECT", "INSERT", "UPDATE", "DELETE"];

pub fn scopes(tokens: &[Token]) -> Scopes {
    let mut scopes = Scopes {
        used: vec![false; tokens.len()],
        dropped: vec![false; tokens.len()],
        all: vec![Scope::default()],
        ..Scopes::default()
    };
    let derived = derived(tokens);
    let mut levels = vec![Level { scope: 0, has_statement: false }];
    for (at, token) in tokens.iter().enumerate() {
        let before = |words: &[&str]| at > 0 && words.iter().any(|word| tokens[at - 1].is_word(word));
        let level = *levels.last().expect("the whole is a level");
        let begins =
            STATEMENTS.iter().any(|word| token.is_word(word)) && !before(&["FOR", "DO", "ON", "KEY", "OR"]);
        if token.is_sign("(") {
            levels.push(Level { has_statement: false, ..level });
        } else if token.is_sign(")") && levels.len() > 1 {
            levels.pop();
        } else if begins {
            let is_within = level.has_statement || levels.len() > 1;
            if is_within {
                scopes.all.push(Scope { around: Some(level.scope), names: Vec::new() });
            }
            let scope = if is_within { scopes.all.len() - 1 } else { level.scope };
            *levels.last_mut().expect("the whole is a level") = Level { scope, has_statement: true };
        }
        let Level { scope, has_statement } = *levels.last().expect("the whole is a level");
        scopes.of.push(scope);
        let names_tables = has_statement
            && match token {
                Token::Word(word) => match word.to_ascii_uppercase().as_str() {
                    "FROM" => !before(&["DISTINCT"]),
                    "JOIN" | "INTO" => true,
                    "UPDATE" => begins,
                    "USING" => !tokens.get(at + 1).is_some_and(|next| next.is_sign("(")),
                    _ => false,
                },
                _ => false,
            };
        if names_tables {
            scopes.add_tables(tokens, at, scope, &derived);
        }
    }
    scopes
}

/// Names of queries: `WITH name AS (SELECT …)`.
fn derived(tokens: &[Token]) -> BTreeSet<String> {
    let is_query = |at: usize| {
        tokens[at].is_word("AS")
            && tokens.get(at + 1).is_some_and(|next| next.is_sign("("))
            && tokens.get(at + 2).is_some_and(|next| STATEMENTS.iter().any(|word| next.is_word(word)))
    };
    let found = (1..tokens.len()).filter(|at| is_query(*at));
    found.filter_map(|at| name(&tokens[at - 1])).collect()
}

/// A name as the database has it; none of another token.
fn name(token: &Token) -> Option<String> {
    match token {
        Token::Word(word) if !is_keyword(word) => Some(word.to_lowercase()),
        Token::Name(name) => Some(name.clone()),
        _ => None,
    }
}

impl Scopes {
    /// Adds the tables behind the word at `at`: one, or several with commas between them.
    fn add_tables(&mut self, tokens: &[Token], at: usize, scope: usize, derived: &BTreeSet<String>) {
        let is_into = tokens[at].is_word("INTO");
        let is_sign = |at: usize, sign: &str| tokens.get(at).is_some_and(|token| token.is_sign(sign));
        let mut here = at + 1;
        loop {
            while tokens.get(here).is_some_and(|token| token.is_word("ONLY") || token.is_word("LATERAL")) {
                here += 1;
            }
            let Some(mut table) = tokens.get(here).and_then(name) else { return };
            let first = here;
            while is_sign(here + 1, ".") {
                let Some(next) = tokens.get(here + 2).and_then(name) else { return };
                self.dropped[here] = true;
                self.dropped[here + 1] = true;
                (table, here) = (next, here + 2);
            }
            let is_function = !is_into && is_sign(here + 1, "(");
            let number = (!is_function && !derived.contains(&table)).then(|| self.table(&table));
            self.used[first..=here].fill(true);
            here = if is_function { closing(tokens, here + 1) } else { here } + 1;
            let called =
                if tokens.get(here).is_some_and(|token| token.is_word("AS")) { here + 1 } else { here };
            let alias = tokens.get(called).and_then(name);
            if alias.is_some() {
                self.used[called] = true;
                here = called + 1;
            }
            self.all[scope].names.push((alias.unwrap_or_else(|| table.clone()), number));
            if is_into {
                self.add_insert(tokens, here, number);
            }
            if is_into || !is_sign(here, ",") {
                return;
            }
            here += 1;
        }
    }

    fn table(&mut self, name: &str) -> usize {
        let known = self.tables.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            self.tables.push(name.to_owned());
            self.tables.len() - 1
        })
    }

    /// The columns of an INSERT, in parentheses from `at` on.
    fn add_insert(&mut self, tokens: &[Token], at: usize, table: Option<usize>) {
        let is_list = tokens.get(at).is_some_and(|token| token.is_sign("("));
        if let (true, Some(table), None) = (is_list, table, &self.insert) {
            let range = at + 1..closing(tokens, at).min(tokens.len());
            let columns = tokens[range.clone()].iter().filter_map(name).collect();
            self.insert = Some(Insert { table, columns, range });
        }
    }

    /// The table that a qualifier at a token means.
    pub fn named(&self, at: usize, qualifier: &str) -> Option<usize> {
        let mut scope = Some(self.of[at]);
        while let Some(here) = scope {
            let names = &self.all[here].names;
            if let Some((_, table)) = names.iter().find(|(name, _)| name == qualifier) {
                return *table;
            }
            scope = self.all[here].around;
        }
        let excluded = || self.insert.as_ref().map(|insert| insert.table);
        (qualifier == "excluded").then(excluded).flatten()
    }

    /// The table of a column without a qualifier at a token: one that is known to have it, else the first.
    pub fn nearest(&self, at: usize, has: impl Fn(usize) -> bool) -> Option<usize> {
        let mut scope = Some(self.of[at]);
        while let Some(here) = scope {
            let tables = || self.all[here].names.iter().filter_map(|(_, table)| *table);
            if let Some(table) = tables().find(|table| has(*table)).or_else(|| tables().next()) {
                return Some(table);
            }
            scope = self.all[here].around;
        }
        None
    }
}

/// Where the parenthesis that opens at a token is closed; behind the end if it is not.
fn closing(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0;
    for (here, token) in tokens.iter().enumerate().skip(at) {
        depth += i64::from(token.is_sign("(")) - i64::from(token.is_sign(")"));
        if depth == 0 {
            return here;
        }
    }
    tokens.len()
}

//! What a statement needs of a schema: its tables, their columns, and what its values stand for.
//!
//! It is read by its words alone: what is understood wrongly, a database refuses later.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::{Lexed, Token, is_keyword, tokens};
use super::scopes::{Scopes, scopes};

/// What a column holds, as far as a statement tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    #[default]
    Number,
    Text,
    Time,
}

/// A table, as one statement uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableUse {
    pub name: String,
    pub columns: BTreeMap<String, Kind>,
    /// Columns by which rows are looked up, joined or sorted.
    pub keys: BTreeSet<String>,
    /// The columns of `ON CONFLICT`.
    pub unique: Option<BTreeSet<String>>,
    /// Columns that an INSERT gives.
    pub inserted: BTreeSet<String>,
}

/// What a value stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// A row is looked up by it.
    Lookup,
    /// A column of a new row gets it.
    Inserted,
    /// A column is compared with it or set to it.
    Of,
    Limit,
    Offset,
    /// Anything else, such as what is added to a number.
    Other,
}

/// A value that the statement does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    pub fill: Fill,
    /// Table and column.
    pub column: Option<(usize, String)>,
}

/// A part of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Text(String),
    Value(Value),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    pub tables: Vec<TableUse>,
    pub pieces: Vec<Piece>,
}

/// Functions whose arguments are texts.
const OF_TEXTS: [&str; 6] = ["lower", "upper", "trim", "length", "concat", "substring"];

/// Words that give a time.
const TIMES: [&str; 4] = ["now", "current_timestamp", "current_date", "interval"];

/// The part of a statement in which a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clause {
    Set,
    Values,
    Order,
    Conflict,
    Other,
}

/// A pair of parentheses, or the whole.
#[derive(Clone, Debug)]
struct Level {
    clause: Clause,
    /// Commas so far.
    commas: usize,
    /// The column before `IN (`.
    list_of: Option<(usize, String)>,
}

struct Reader<'a> {
    tokens: &'a [Token],
    scopes: &'a Scopes,
    shape: Shape,
    levels: Vec<Level>,
    /// The column that ends with the token before.
    before: Option<(usize, String)>,
    /// Whether the statement takes but a part of what it sorts.
    has_limit: bool,
}

/// What a statement needs, and how it is written; none of one that cannot be read.
pub fn shape(text: &str) -> Option<Shape> {
    let lexed = tokens(text)?;
    let scopes = scopes(&lexed.tokens);
    let tables = scopes.tables.iter().map(|name| TableUse { name: name.clone(), ..TableUse::default() });
    let mut reader = Reader {
        tokens: &lexed.tokens,
        scopes: &scopes,
        shape: Shape { tables: tables.collect(), pieces: Vec::new() },
        levels: vec![Level { clause: Clause::Other, commas: 0, list_of: None }],
        before: None,
        has_limit: lexed.tokens.iter().any(|token| token.is_word("LIMIT") || token.is_word("FETCH")),
    };
    reader.read(&lexed);
    Some(reader.shape)
}

impl Reader<'_> {
    fn read(&mut self, lexed: &Lexed) {
        let mut at = 0;
        while at < self.tokens.len() {
            if lexed.spaced[at] && !self.shape.pieces.is_empty() {
                self.write(" ");
            }
            let token = &self.tokens[at];
            match token {
                Token::Parameter(_) => self.value(at),
                _ if self.scopes.dropped[at] => {}
                token => self.write(&token.written()),
            }
            let column = self.column(at);
            if let Some((_, more)) = &column {
                for part in at + 1..=at + more {
                    self.write(&self.tokens[part].written());
                }
            }
            let ends = at + column.as_ref().map_or(0, |(_, more)| *more);
            self.note(at, ends, column.as_ref().map(|(column, _)| column));
            self.before = column.map(|(column, _)| column);
            at = ends + 1;
        }
    }

    fn write(&mut self, text: &str) {
        match self.shape.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.shape.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    fn level(&mut self) -> &mut Level {
        self.levels.last_mut().expect("the whole is a level")
    }

    /// The column that begins at a token, and of how many further tokens it consists.
    fn column(&self, at: usize) -> Option<((usize, String), usize)> {
        let name = |at: usize| match self.token(at)? {
            Token::Word(word) if !is_keyword(word) => Some(word.to_lowercase()),
            Token::Name(name) => Some(name.clone()),
            _ => None,
        };
        let is_sign = |at: usize, sign: &str| self.token(at).is_some_and(|token| token.is_sign(sign));
        if self.scopes.used[at] || at > 0 && (is_sign(at - 1, "::") || is_sign(at - 1, ".")) {
            return None;
        }
        let first = name(at)?;
        if is_sign(at + 1, ".") {
            let column = match self.token(at + 2)? {
                Token::Word(word) => word.to_lowercase(),
                Token::Name(name) => name.clone(),
                _ => return None,
            };
            return Some(((self.scopes.named(at, &first)?, column), 2));
        }
        let is_alias = at > 0 && self.tokens[at - 1].is_word("AS");
        if is_alias || is_sign(at + 1, "(") || TIMES.contains(&first.as_str()) {
            return None;
        }
        let known = |table: usize| self.shape.tables[table].columns.contains_key(&first);
        Some(((self.scopes.nearest(at, known)?, first), 0))
    }

    /// What the tokens from `at` to `ends` tell, which are `column` or another token.
    fn note(&mut self, at: usize, ends: usize, column: Option<&(usize, String)>) {
        if let Some((table, name)) = column {
            let kind = self.kind(at, ends);
            let before = at.checked_sub(1).map(|at| self.tokens[at].clone());
            let clause = self.level().clause;
            let used = &mut self.shape.tables[*table];
            let known = used.columns.entry(name.clone()).or_default();
            *known = (*known).max(kind);
            let is_key = match clause {
                Clause::Set | Clause::Values | Clause::Conflict => false,
                Clause::Order => self.has_limit && before.is_some_and(|before| before.is_word("BY")),
                Clause::Other => {
                    let is = |at: Option<usize>| {
                        at.and_then(|at| self.tokens.get(at))
                            .is_some_and(|token| token.is_sign("=") || token.is_word("IN"))
                    };
                    is(Some(ends + 1)) || is(at.checked_sub(1))
                }
            };
            if is_key {
                used.keys.insert(name.clone());
            }
            if clause == Clause::Conflict {
                used.unique.get_or_insert_default().insert(name.clone());
            }
            if self.scopes.insert.as_ref().is_some_and(|insert| insert.range.contains(&at)) {
                used.inserted.insert(name.clone());
            }
            return;
        }
        match &self.tokens[at] {
            Token::Sign(sign) if sign == "(" => self.open(at),
            Token::Sign(sign) if sign == ")" && self.levels.len() > 1 => {
                self.levels.pop();
                if self.level().clause == Clause::Conflict {
                    self.level().clause = Clause::Other;
                }
            }
            Token::Sign(sign) if sign == "," => self.level().commas += 1,
            Token::Word(word) => self.word(&word.to_ascii_uppercase()),
            _ => {}
        }
    }

    fn open(&mut self, at: usize) {
        let before = |word: &str| at > 0 && self.tokens[at - 1].is_word(word);
        let clause = self.levels.last().map_or(Clause::Other, |level| level.clause);
        let list_of = match at.checked_sub(2) {
            Some(column) if before("IN") => self.column_ending(column),
            _ => None,
        };
        self.levels.push(Level { clause, commas: 0, list_of });
    }

    /// The column that ends with a token.
    fn column_ending(&self, at: usize) -> Option<(usize, String)> {
        let at = if self.tokens[at].is_word("NOT") { at.checked_sub(1)? } else { at };
        let is_qualified = at >= 2 && self.tokens[at - 1].is_sign(".");
        self.column(if is_qualified { at - 2 } else { at }).map(|(column, _)| column)
    }

    fn word(&mut self, word: &str) {
        let clause = match word {
            "SET" => Clause::Set,
            "VALUES" => Clause::Values,
            "ORDER" => Clause::Order,
            "CONFLICT" => Clause::Conflict,
            "WHERE" | "ON" | "FROM" | "SELECT" | "GROUP" | "LIMIT" | "RETURNING" | "HAVING" | "DO" => {
                Clause::Other
            }
            time if TIMES.contains(&time.to_lowercase().as_str()) => return self.time_in_values(),
            _ => return,
        };
        self.level().clause = clause;
    }

    /// A time among the values of a new row.
    fn time_in_values(&mut self) {
        if let Some((table, column)) = self.value_column() {
            self.shape.tables[table].columns.insert(column, Kind::Time);
        }
    }

    /// The column that gets the value which stands here among VALUES.
    fn value_column(&self) -> Option<(usize, String)> {
        let level =
            self.levels.last().filter(|level| level.clause == Clause::Values && self.levels.len() > 1)?;
        let insert = self.scopes.insert.as_ref()?;
        Some((insert.table, insert.columns.get(level.commas)?.clone()))
    }

    /// What a column holds, by what stands beside it.
    fn kind(&self, at: usize, ends: usize) -> Kind {
        let word = |at: Option<usize>, words: &[&str]| {
            let token = at.and_then(|at| self.tokens.get(at));
            token.is_some_and(|token| words.iter().any(|word| token.is_word(word)))
        };
        let is_compared =
            matches!(self.token(ends + 1), Some(Token::Sign(sign)) if sign.contains(['=', '<', '>']));
        if is_compared && word(Some(ends + 2), &TIMES) {
            return Kind::Time;
        }
        let is_text = word(Some(ends + 1), &["LIKE", "ILIKE"])
            || self.token(ends + 1).is_some_and(|token| token.is_sign("||"))
            || self.token(at.wrapping_sub(1)).is_some_and(|token| token.is_sign("("))
                && word(at.checked_sub(2), &OF_TEXTS);
        if is_text { Kind::Text } else { Kind::Number }
    }

    /// A value that the text does not have.
    fn value(&mut self, at: usize) {
        let before = |back: usize| at.checked_sub(back).map(|at| &self.tokens[at]);
        let is_word = |back: usize, word: &str| before(back).is_some_and(|token| token.is_word(word));
        let level = self.levels.last().cloned().expect("the whole is a level");
        let compared = || at.checked_sub(2).and_then(|column| self.column_ending(column));
        let of = |fill: Fill, column: Option<(usize, String)>| Value { fill, column };
        let value = match before(1) {
            _ if is_word(1, "LIMIT") || is_word(1, "FIRST") || is_word(1, "NEXT") => of(Fill::Limit, None),
            _ if is_word(1, "OFFSET") => of(Fill::Offset, None),
            _ if self.value_column().is_some() => of(Fill::Inserted, self.value_column()),
            _ if level.list_of.is_some() => of(Fill::Lookup, level.list_of),
            Some(Token::Sign(sign)) if sign == "=" && level.clause == Clause::Other => match compared() {
                None => of(Fill::Other, None),
                column => of(Fill::Lookup, column),
            },
            Some(Token::Sign(sign)) if sign.contains(['=', '<', '>']) => of(Fill::Of, compared()),
            _ if ["LIKE", "ILIKE", "BETWEEN"].iter().any(|word| is_word(1, word)) => of(Fill::Of, compared()),
            _ => of(Fill::Other, None),
        };
        let missing = self.missing_values(at);
        self.shape.pieces.push(Piece::Value(value));
        for column in missing {
            self.write(", ");
            self.shape.pieces.push(Piece::Value(of_insert(column)));
        }
    }

    /// The further columns of a row of which a recorder has written `(?)` in place of all values.
    fn missing_values(&self, at: usize) -> Vec<(usize, String)> {
        let is_sign = |at: Option<usize>, sign: &str| {
            at.and_then(|at| self.tokens.get(at)).is_some_and(|token| token.is_sign(sign))
        };
        let is_alone = is_sign(at.checked_sub(1), "(") && is_sign(Some(at + 1), ")");
        match (&self.scopes.insert, self.value_column()) {
            (Some(insert), Some(_)) if is_alone => {
                insert.columns.iter().skip(1).map(|column| (insert.table, column.clone())).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn of_insert(column: (usize, String)) -> Value {
    Value { fill: Fill::Inserted, column: Some(column) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tables with their columns and keys, and what each value stands for.
    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let Shape { tables, pieces } = shape(text).expect("SQL");
        let table = |table: &TableUse| {
            let column = |(name, kind): (&String, &Kind)| match (table.keys.contains(name), kind) {
                (true, _) => format!("*{name}"),
                (false, Kind::Number) => name.clone(),
                (false, kind) => format!("{name}:{kind:?}"),
            };
            let columns: Vec<_> = table.columns.iter().map(column).collect();
            format!("{}({})", table.name, columns.join(" "))
        };
        let value = |piece: &Piece| match piece {
            Piece::Text(_) => None,
            Piece::Value(Value { fill, column }) => {
                let column = column.as_ref().map_or("", |(_, column)| column.as_str());
                Some(format!("{fill:?} {column}").trim().to_owned())
            }
        };
        (tables.iter().map(table).collect(), pieces.iter().filter_map(value).collect())
    }

    #[test]
    fn tables_columns_keys_and_values_are_found() {
        let cases: [(&str, &[&str], &[&str]); 8] = [
            (
                "SELECT id, name FROM items WHERE id = $1 AND price > $2",
                &["items(*id name price)"],
                &["Lookup id", "Of price"],
            ),
            (
                "INSERT INTO orders (id, user_id, placed) VALUES ($1, $2, now()) RETURNING id",
                &["orders(id placed:Time user_id)"],
                &["Inserted id", "Inserted user_id"],
            ),
            (
                "UPDATE stock SET reserved = reserved + $1, n = $2 WHERE sku = $3",
                &["stock(n reserved *sku)"],
                &["Other", "Of n", "Lookup sku"],
            ),
            (
                "SELECT o.id FROM shop.orders o JOIN lines AS l ON l.order_id = o.id WHERE l.sku IN (?, ?)",
                &["orders(*id)", "lines(*order_id *sku)"],
                &["Lookup sku", "Lookup sku"],
            ),
            (
                "SELECT id FROM items ORDER BY id DESC LIMIT $1 OFFSET $2",
                &["items(*id)"],
                &["Limit", "Offset"],
            ),
            (
                "INSERT INTO t (a, b) VALUES (?) ON CONFLICT (a) DO UPDATE SET b = excluded.b",
                &["t(a b)"],
                &["Inserted a", "Inserted b"],
            ),
            (
                "WITH low AS (SELECT sku FROM stock WHERE n < ?) SELECT count(*) AS c FROM low",
                &["stock(n sku)"],
                &["Of n"],
            ),
            (
                "SELECT name FROM users WHERE lower(name) LIKE ? AND seen < now() AND id IN (SELECT user_id FROM o)",
                &["users(*id name:Text seen:Time)", "o(user_id)"],
                &["Of"],
            ),
        ];
        for (text, tables, values) in cases {
            let (found, filled) = read(text);
            assert_eq!(
                (found, filled),
                (
                    tables.iter().map(|t| (*t).to_owned()).collect(),
                    values.iter().map(|v| (*v).to_owned()).collect()
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn the_schema_of_a_table_is_left_out() {
        let Shape { pieces, .. } = shape("SELECT a FROM shop.t WHERE a = 1").expect("SQL");
        assert_eq!(pieces, [Piece::Text("SELECT a FROM t WHERE a = 1".to_owned())]);
    }
}

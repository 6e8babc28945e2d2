//! Statements of any dialect, as text: which tables, columns and values one has, and how the scripted
//! guest writes it.
//!
//! [`plain`] gives a statement as it is kept, [`shape()`] says what it needs of a schema.

mod lexer;
mod scopes;
mod shape;

pub use shape::{Fill, Kind, Piece, Shape, TableUse, Value, shape};

use super::bounds::MAX_STATEMENT_BYTES;
use super::names::Asks;
use lexer::{Lexed, Token, tokens};

/// What a statement asks for: SQL as it is kept, with `?` for values, or the beginning or the end of a
/// transaction. [`Asks::Other`] is what is too long, is no SQL, or has several statements.
pub fn asked(text: &str) -> Asks {
    if text.len() > MAX_STATEMENT_BYTES {
        return Asks::Other;
    }
    let Some(lexed) = tokens(text) else { return Asks::Other };
    let Some(Token::Word(first)) = lexed.tokens.first() else { return Asks::Other };
    match first.to_ascii_uppercase().as_str() {
        "BEGIN" | "START" => Asks::Begin,
        "COMMIT" | "END" => Asks::Commit,
        "ROLLBACK" | "ABORT" => Asks::Rollback,
        "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "WITH" | "VALUES" => Asks::Sql(plain(&lexed)),
        _ => Asks::Other,
    }
}

/// The statement in one line, with `?` for values that would make every one of them another statement.
fn plain(lexed: &Lexed) -> String {
    let mut text = String::new();
    // Of each open parenthesis, whether it has values.
    let mut lists: Vec<bool> = Vec::new();
    let (mut closed_values, mut before): (bool, Option<&Token>) = (false, None);
    for (token, is_spaced) in lexed.tokens.iter().zip(&lexed.spaced) {
        let after_word = |word: &str| before.is_some_and(|before| before.is_word(word));
        let after_comparison = matches!(before, Some(Token::Sign(sign)) if sign.contains(['=', '<', '>']));
        let in_list = lists.last().copied().unwrap_or(false);
        match token {
            Token::Sign(sign) if sign == "(" => {
                let goes_on = closed_values && before.is_some_and(|before| before.is_sign(","));
                lists.push(goes_on || ["VALUES", "IN", "ANY", "ALL"].into_iter().any(after_word));
            }
            Token::Sign(sign) if sign == ")" => closed_values = lists.pop().unwrap_or(false),
            Token::Sign(sign) if sign == "," => {}
            _ => closed_values = false,
        }
        if *is_spaced {
            text.push(' ');
        }
        match token {
            Token::Text(inside) if after_word("INTERVAL") && inside.chars().all(is_of_interval) => {
                text.push_str(&token.written());
            }
            Token::Text(_) => text.push('?'),
            Token::Number(_) if in_list || after_comparison => text.push('?'),
            other => text.push_str(&other.written()),
        }
        before = Some(token);
    }
    text
}

/// Whether a character stands in `'1 day'`.
fn is_of_interval(c: char) -> bool {
    c.is_ascii_alphanumeric() || " :-".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_that_differ_in_their_values_are_one() {
        let plain = |text: &str| match asked(text) {
            Asks::Sql(text) => text,
            other => panic!("{text}: {other:?}"),
        };
        for (text, expected) in [
            ("select a from t where b='it''s' and c = 17 -- why", "select a from t where b=? and c = ?"),
            (
                "SELECT `a` FROM `t`\n WHERE x IN (1, 2)  LIMIT 10;",
                "SELECT \"a\" FROM \"t\" WHERE x IN (?, ?) LIMIT 10",
            ),
            ("INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y')", "INSERT INTO t (a, b) VALUES (?, ?), (?, ?)"),
            ("SELECT now() - interval '1 day' FROM t", "SELECT now() - interval '1 day' FROM t"),
            (
                "SELECT count(*) FROM s.t WHERE a=%(id)s AND b = :b",
                "SELECT count(*) FROM s.t WHERE a=%(id)s AND b = :b",
            ),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
        assert_eq!(asked("begin"), Asks::Begin);
        assert_eq!(asked("START TRANSACTION READ ONLY"), Asks::Begin);
        assert_eq!(asked("/* x */ COMMIT"), Asks::Commit);
    }

    #[test]
    fn what_is_no_single_statement_is_none() {
        for text in
            ["", "SELECT 'open", "SELECT 1; DROP TABLE t", "SELECT '{' || \"a{b\"", "VACUUM", "SELECT \0"]
        {
            assert_eq!(asked(text), Asks::Other, "{text:?}");
        }
        assert_eq!(asked(&"SELECT 1, ".repeat(100_000)), Asks::Other);
    }
}

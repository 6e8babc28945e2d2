//! A statement as text: its tokens, what it is called in a span, and how it reads without its values.

mod parse;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::bounds::SUMMARY_CHARACTERS;
use crate::error::{Failure, Result, sqlstate};

pub(crate) use parse::{SYMMETRIC, WEAK, parse};

/// The tokens of `text`, white space and comments included.
pub(crate) fn tokens(text: &str) -> Result<Vec<TokenWithSpan>> {
    if text.contains('\0') {
        return Err(Failure::new(sqlstate::SYNTAX, "a statement cannot hold the character NUL")
            .hint("give such bytes as a parameter of type bytea"));
    }
    let dialect = PostgreSqlDialect {};
    Tokenizer::new(&dialect, text).tokenize_with_location().map_err(|error| {
        Failure::new(sqlstate::SYNTAX, error.message)
            .hint("close the text or the comment; a quote inside of a text is written twice")
            .at(error.location.line, error.location.column)
    })
}

/// The words that stand in a summary.
const OPERATIONS: [Keyword; 18] = [
    Keyword::SELECT,
    Keyword::INSERT,
    Keyword::UPDATE,
    Keyword::DELETE,
    Keyword::MERGE,
    Keyword::CREATE,
    Keyword::ALTER,
    Keyword::DROP,
    Keyword::TRUNCATE,
    Keyword::BEGIN,
    Keyword::START,
    Keyword::COMMIT,
    Keyword::ROLLBACK,
    Keyword::SAVEPOINT,
    Keyword::RELEASE,
    Keyword::LOCK,
    Keyword::EXPLAIN,
    Keyword::VALUES,
];

/// Behind which the name of a table or an index follows.
const BEFORE_TARGETS: [Keyword; 8] = [
    Keyword::FROM,
    Keyword::JOIN,
    Keyword::INTO,
    Keyword::UPDATE,
    Keyword::TABLE,
    Keyword::INDEX,
    Keyword::VIEW,
    Keyword::TRUNCATE,
];

/// Words between the one before and the name.
const IN_BETWEEN: [Keyword; 7] = [
    Keyword::ONLY,
    Keyword::IF,
    Keyword::NOT,
    Keyword::EXISTS,
    Keyword::CONCURRENTLY,
    Keyword::LATERAL,
    Keyword::TABLE,
];

/// `db.query.summary`: operations and their targets in the order of the text, such as `SELECT orders items`.
///
/// By the semantic conventions for database spans, "Generating a summary of the query".
pub(crate) fn summary(tokens: &[TokenWithSpan]) -> String {
    let words: Vec<&Token> = tokens
        .iter()
        .map(|token| &token.token)
        .filter(|token| !matches!(token, Token::Whitespace(_)))
        .collect();
    let keyword = |at: usize| match words.get(at) {
        Some(Token::Word(word)) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let this = keyword(at);
        let of_before = at > 0
            && match this {
                // FOR UPDATE, DO UPDATE, ON DELETE and VALUES of an INSERT are no operations.
                Keyword::UPDATE | Keyword::DELETE => {
                    matches!(keyword(at - 1), Keyword::FOR | Keyword::DO | Keyword::ON | Keyword::KEY)
                }
                Keyword::VALUES => !parts.is_empty(),
                _ => parts.first().is_some_and(|_| this != Keyword::SELECT && !is_dml(this)),
            };
        if OPERATIONS.contains(&this) && !of_before {
            parts.push(words[at].to_string());
            if [Keyword::CREATE, Keyword::DROP, Keyword::ALTER].contains(&this) {
                let kind =
                    (at + 1..words.len().min(at + 4)).find(|at| BEFORE_TARGETS.contains(&keyword(*at)));
                parts.extend(kind.map(|at| words[at].to_string()));
            }
        }
        if BEFORE_TARGETS.contains(&this)
            && !(this == Keyword::UPDATE && of_before)
            && !inside_call(&words, at)
        {
            at = targets(&words, at + 1, &mut parts);
        } else {
            at += 1;
        }
    }
    cut(&parts)
}

fn is_dml(keyword: Keyword) -> bool {
    [Keyword::INSERT, Keyword::UPDATE, Keyword::DELETE].contains(&keyword)
}

/// Words before a name that say what it is: a summary has room for a few names alone.
const LOOKED_BACK: usize = 1_000;

/// Whether the FROM at `at` is that of `extract(… FROM …)`, `trim` or `substring`.
fn inside_call(words: &[&Token], at: usize) -> bool {
    let mut depth = 0;
    for token in words[..at].iter().rev().take(LOOKED_BACK) {
        match token {
            Token::RParen => depth += 1,
            Token::LParen if depth == 0 => return true,
            Token::LParen => depth -= 1,
            Token::Word(word) if depth == 0 && (word.keyword == Keyword::SELECT || is_dml(word.keyword)) => {
                return false;
            }
            _ => {}
        }
    }
    false
}

/// Adds the names that stand from `at` on, with commas between them; gives where they end.
fn targets(words: &[&Token], mut at: usize, parts: &mut Vec<String>) -> usize {
    loop {
        while matches!(words.get(at), Some(Token::Word(word)) if word.quote_style.is_none()
            && IN_BETWEEN.contains(&word.keyword))
        {
            at += 1;
        }
        let Some(Token::Word(word)) = words.get(at) else { return at };
        if word.quote_style.is_none() && (word.keyword == Keyword::SELECT || word.keyword == Keyword::SET) {
            return at;
        }
        let mut name = word.to_string();
        at += 1;
        while let (Some(Token::Period), Some(Token::Word(word))) = (words.get(at), words.get(at + 1)) {
            name = format!("{name}.{word}");
            at += 2;
        }
        // A function in place of a table has arguments.
        if !(matches!(words.get(at), Some(Token::LParen)) && is_function(words, at)) {
            parts.push(name);
        }
        // An alias, then a comma and the next table.
        let comma = (at..words.len().min(at + 3)).find(|at| matches!(words[*at], Token::Comma));
        let only_names = |end: usize| words[at..end].iter().all(|word| matches!(word, Token::Word(_)));
        match comma.filter(|end| only_names(*end)) {
            Some(comma) => at = comma + 1,
            None => return at,
        }
    }
}

/// `INTO stock (sku)` has columns in its parentheses, `FROM generate_series(1, 2)` has arguments.
fn is_function(words: &[&Token], at: usize) -> bool {
    let opening = words[..at].iter().rev().take(LOOKED_BACK).find_map(|token| match token {
        Token::Word(word) if BEFORE_TARGETS.contains(&word.keyword) => Some(word.keyword),
        _ => None,
    });
    matches!(opening, Some(Keyword::FROM | Keyword::JOIN))
}

/// The parts with blanks between them, as many as have room.
fn cut(parts: &[String]) -> String {
    let mut summary = String::new();
    for part in parts {
        let length = summary.chars().count() + part.chars().count() + 1;
        if length > SUMMARY_CHARACTERS {
            break;
        }
        if !summary.is_empty() {
            summary.push(' ');
        }
        summary.push_str(part);
    }
    summary
}

/// The statement with `?` for each value, lists of them in parentheses as one, and without comments.
pub(crate) fn without_values(tokens: &[TokenWithSpan]) -> String {
    let mut text = String::new();
    for token in tokens {
        match &token.token {
            literal if is_literal(literal) => {
                if text.ends_with("(?, ") || text.ends_with("(?,") {
                    text.truncate(text.trim_end_matches([',', ' ']).len());
                } else {
                    text.push('?');
                }
            }
            Token::Whitespace(_) => {
                if !text.ends_with(' ') && !text.is_empty() {
                    text.push(' ');
                }
            }
            Token::EOF => {}
            other => text.push_str(&other.to_string()),
        }
    }
    text.truncate(text.trim_end().len());
    text
}

fn is_literal(token: &Token) -> bool {
    matches!(
        token,
        Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::DollarQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::SingleQuotedByteStringLiteral(_)
    )
}

pub(crate) fn has_parameters(tokens: &[TokenWithSpan]) -> bool {
    tokens.iter().any(|token| matches!(token.token, Token::Placeholder(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_operations_and_their_targets_in_the_order_of_the_text() {
        for (sql, expected) in [
            ("SELECT * FROM wuser_table WHERE username = $1", "SELECT wuser_table"),
            ("select id from public.stock s where id = 1 for update", "select public.stock"),
            (
                "INSERT INTO shipping_details (a, b) SELECT a, b FROM orders",
                "INSERT shipping_details SELECT orders",
            ),
            ("INSERT INTO stock (sku) VALUES ('a') ON CONFLICT (sku) DO UPDATE SET n = 1", "INSERT stock"),
            ("SELECT * FROM songs, artists WHERE x", "SELECT songs artists"),
            ("SELECT * FROM songs AS s JOIN artists a ON true, labels", "SELECT songs artists"),
            ("SELECT a FROM (SELECT b FROM t) AS x", "SELECT SELECT t"),
            ("WITH low AS (SELECT * FROM stock) SELECT count(*) FROM low", "SELECT stock SELECT low"),
            ("UPDATE stock SET a = (SELECT max(x) FROM other) WHERE id = 1", "UPDATE stock SELECT other"),
            ("DELETE FROM ONLY \"Odd name\" WHERE true", "DELETE \"Odd name\""),
            ("SELECT extract(epoch FROM at), trim(both 'x' from a) FROM t", "SELECT t"),
            ("SELECT n FROM generate_series(1, 3) AS n", "SELECT"),
            ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON stock (sku)", "CREATE INDEX i"),
            (
                "CREATE TABLE t (id INT REFERENCES p (id) ON DELETE CASCADE ON UPDATE CASCADE)",
                "CREATE TABLE t",
            ),
            ("DROP TABLE IF EXISTS a", "DROP TABLE a"),
            ("TRUNCATE TABLE a, b", "TRUNCATE a b"),
            ("VALUES (1)", "VALUES"),
            ("BEGIN", "BEGIN"),
        ] {
            assert_eq!(summary(&tokens(sql).expect("it has tokens")), expected, "{sql}");
        }
        let many: Vec<String> = (0..50).map(|n| format!("a_table_{n}")).collect();
        let long = summary(&tokens(&format!("SELECT 1 FROM {}", many.join(", "))).expect("it has tokens"));
        assert!(long.len() <= 255 && long.ends_with("a_table_22"), "{long}");
    }

    #[test]
    fn values_do_not_show_and_lists_of_them_are_one() {
        for (sql, expected) in [
            ("SELECT a FROM t WHERE b = 'secret' AND c > -1.5", "SELECT a FROM t WHERE b = ? AND c > -?"),
            ("SELECT 1 WHERE a IN (1, 2,3) -- why\n AND b = E'x\\n'", "SELECT ? WHERE a IN (?) AND b = ?"),
            ("INSERT INTO t VALUES ('a', 1), ('b', 2)", "INSERT INTO t VALUES (?), (?)"),
            ("SELECT $$it's$$,   /* a */ \"Name\", true", "SELECT ?, \"Name\", true"),
        ] {
            assert_eq!(without_values(&tokens(sql).expect("it has tokens")), expected, "{sql}");
        }
    }
}

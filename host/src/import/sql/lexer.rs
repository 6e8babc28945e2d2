//! The tokens of a statement, in PostgreSQL's, MySQL's or another dialect.

/// A token. White space and comments are none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A keyword or a name that is not in quotes.
    Word(String),
    /// A name in quotes.
    Name(String),
    /// A literal in quotes.
    Text(String),
    Number(String),
    /// A value that the text does not have: `?`, `$1`, `%s`, `%(name)s`, `:name`, `@name`.
    Parameter(String),
    Sign(String),
}

/// The tokens of a statement, and of each whether white space or a comment stands before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexed {
    pub tokens: Vec<Token>,
    pub spaced: Vec<bool>,
}

/// Characters that the scripted guest reads otherwise in a statement.
const FORBIDDEN: [char; 2] = ['{', '}'];

/// Words that are no names of columns. Those of types are among them.
const KEYWORDS: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "AS",
    "ASC",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BOTH",
    "BY",
    "CASE",
    "CAST",
    "CHAR",
    "CONFLICT",
    "CONSTRAINT",
    "CROSS",
    "CURRENT_DATE",
    "CURRENT_TIMESTAMP",
    "DATE",
    "DAY",
    "DEFAULT",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DOUBLE",
    "DUPLICATE",
    "ELSE",
    "END",
    "EPOCH",
    "EXCEPT",
    "EXISTS",
    "FALSE",
    "FETCH",
    "FILTER",
    "FIRST",
    "FOR",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "HOUR",
    "IGNORE",
    "ILIKE",
    "IN",
    "INNER",
    "INSERT",
    "INT",
    "INTEGER",
    "INTERSECT",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LAST",
    "LATERAL",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LOCKED",
    "MINUTE",
    "MONTH",
    "NATURAL",
    "NEXT",
    "NO",
    "NOT",
    "NOTHING",
    "NOWAIT",
    "NULL",
    "NULLS",
    "NUMERIC",
    "OF",
    "OFFSET",
    "ON",
    "ONLY",
    "OR",
    "ORDER",
    "OUTER",
    "OVER",
    "PARTITION",
    "PRECISION",
    "RECURSIVE",
    "REPLACE",
    "RETURNING",
    "RIGHT",
    "ROW",
    "ROWS",
    "SECOND",
    "SELECT",
    "SET",
    "SHARE",
    "SKIP",
    "SOME",
    "TABLE",
    "TEXT",
    "THEN",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMPTZ",
    "TO",
    "TRUE",
    "UNION",
    "UPDATE",
    "USING",
    "UUID",
    "VALUES",
    "VARCHAR",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHOUT",
    "YEAR",
    "ZONE",
];

pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own.eq_ignore_ascii_case(word))
    }

    pub fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(own) if own == sign)
    }

    /// As it stands in a statement of PostgreSQL.
    pub fn written(&self) -> String {
        match self {
            Self::Word(text) | Self::Number(text) | Self::Parameter(text) | Self::Sign(text) => text.clone(),
            Self::Name(text) => format!("\"{}\"", text.replace('"', "\"\"")),
            Self::Text(text) => format!("'{}'", text.replace('\'', "''")),
        }
    }
}

/// The tokens of one statement; none of what cannot be read, or is several.
pub fn tokens(text: &str) -> Option<Lexed> {
    let mut lexed = Lexed::default();
    let (mut rest, mut is_spaced) = (text.trim(), false);
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            c if c.is_whitespace() => (None, c.len_utf8()),
            '-' if rest.starts_with("--") => (None, rest.find('\n').unwrap_or(rest.len())),
            '#' => (None, rest.find('\n').unwrap_or(rest.len())),
            '/' if rest.starts_with("/*") => (None, rest.find("*/")? + 2),
            '\'' => quoted(rest, '\'').map(|(text, length)| (Some(Token::Text(text)), length))?,
            '"' | '`' => quoted(rest, first).map(|(text, length)| (Some(Token::Name(text)), length))?,
            ';' if rest[1..].trim().is_empty() => (None, 1),
            ';' | '\0' => return None,
            _ => of_one(rest, first),
        };
        rest = &rest[length..];
        is_spaced |= token.is_none();
        if let Some(token) = token {
            if token.written().contains(FORBIDDEN) && !matches!(token, Token::Text(_)) {
                return None;
            }
            if matches!(&token, Token::Name(name) if name.contains(|c: char| c.is_control() || c == ';')) {
                return None;
            }
            lexed.tokens.push(token);
            lexed.spaced.push(std::mem::take(&mut is_spaced));
        }
    }
    Some(lexed)
}

/// What is in quotes, and how long it is with them. A doubled quote is one of the text.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let (mut inside, mut at) = (String::new(), 1);
    loop {
        let end = at + text[at..].find(quote)?;
        inside.push_str(&text[at..end]);
        at = end + 1;
        if !text[at..].starts_with(quote) {
            return Some((inside, at));
        }
        inside.push(quote);
        at += 1;
    }
}

fn of_one(rest: &str, first: char) -> (Option<Token>, usize) {
    let until = |from: usize, is_part: fn(char) -> bool| {
        rest[from..].find(|c| !is_part(c)).map_or(rest.len(), |end| from + end)
    };
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let second = rest[first.len_utf8()..].chars().next();
    let (length, make): (usize, fn(String) -> Token) = match first {
        '?' => (1, Token::Parameter),
        '%' if rest.starts_with("%(") && rest.contains(")s") => {
            (rest.find(")s").map_or(1, |end| end + 2), Token::Parameter)
        }
        '%' if rest.starts_with("%s") => (2, Token::Parameter),
        '$' | '@' if second.is_some_and(char::is_alphanumeric) => (until(1, word), Token::Parameter),
        ':' if second.is_some_and(char::is_alphanumeric) => (until(1, word), Token::Parameter),
        c if c.is_ascii_digit() => (until(1, |c| c.is_ascii_alphanumeric() || c == '.'), Token::Number),
        c if c.is_alphabetic() || c == '_' => (until(c.len_utf8(), word), Token::Word),
        _ => {
            let signs = ["::", "<=", ">=", "<>", "!=", "||", "->>", "->"];
            let sign = signs.into_iter().find(|sign| rest.starts_with(sign));
            (sign.map_or(first.len_utf8(), str::len), Token::Sign)
        }
    };
    (Some(make(rest[..length].to_owned())), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_sorted_so_that_they_are_found() {
        assert!(KEYWORDS.is_sorted() && is_keyword("select") && !is_keyword("sku"));
    }

    #[test]
    fn names_and_values_of_every_dialect_are_told_apart() {
        let read = tokens("SELECT `a`.\"b\"\"c\", 'x''y' /* {n} */ FROM t WHERE c = @p1 AND d::int >= 1.5")
            .expect("SQL");
        let shown: Vec<_> = read.tokens.iter().map(Token::written).collect();
        let expected = "SELECT \"a\" . \"b\"\"c\" , 'x''y' FROM t WHERE c = @p1 AND d :: int >= 1.5";
        assert_eq!(shown.join(" "), expected);
        assert!(read.tokens.contains(&Token::Parameter("@p1".to_owned())));
        assert_eq!(tokens("SELECT a FROM t WHERE b = '{'").map(|read| read.tokens.len()), Some(8));
        assert_eq!(tokens("SELECT \"a;b\""), None);
    }
}

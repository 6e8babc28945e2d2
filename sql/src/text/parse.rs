//! The tokens of a statement as its tree.

use sqlparser::ast;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::OPERATIONS;
use crate::bounds::Bounds;
use crate::error::{Failure, Result, sqlstate};

/// The one statement of `tokens`.
pub(crate) fn parse(tokens: Vec<TokenWithSpan>, bounds: &Bounds) -> Result<ast::Statement> {
    let tokens = weak_locks(symmetric(tokens));
    within_depth(&tokens, bounds)?;
    let empty = || Failure::new(sqlstate::SYNTAX, "the statement is empty").hint("write one statement");
    let last = tokens.iter().rev().find(|token| !is_blank(&token.token)).ok_or_else(empty)?.span.start;
    let dialect = PostgreSqlDialect {};
    let mut parser =
        Parser::new(&dialect).with_recursion_limit(bounds.depth).with_tokens_with_locations(tokens);
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token().token == Token::EOF {
        return Err(empty());
    }
    let statement = parser.parse_statement().map_err(|error| syntax(error, (last.line, last.column)))?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(statement);
    }
    let place = next.span.start;
    let failure = if begins_statement(&next.token) {
        Failure::new(sqlstate::SYNTAX, "cannot insert multiple commands into a prepared statement")
            .hint("send one statement at a time")
    } else {
        let word = next.token.to_string();
        unread(&word)
            .unwrap_or_else(|| remedied(format!("syntax error at or near \"{word}\""), &word, &next.token))
    };
    Err(failure.at(place.line, place.column))
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::SemiColon | Token::EOF)
}

fn begins_statement(token: &Token) -> bool {
    matches!(token, Token::Word(Word { keyword, .. }) if OPERATIONS.contains(keyword))
}

/// Refuses chains of operators that would be nested too deep for the stack: a parser makes a tree of
/// `1 + 1 + 1 …` that is as deep as it is long.
fn within_depth(tokens: &[TokenWithSpan], bounds: &Bounds) -> Result<()> {
    let mut levels = vec![0_usize];
    let mut sum = 0;
    for token in tokens {
        match &token.token {
            Token::Whitespace(_) => continue,
            Token::LParen | Token::LBracket => levels.push(0),
            Token::RParen | Token::RBracket if levels.len() > 1 => {
                sum -= levels.pop().unwrap_or_default();
            }
            Token::Comma | Token::SemiColon => {
                if let Some(level) = levels.last_mut() {
                    sum -= std::mem::take(level);
                }
                continue;
            }
            _ => {}
        }
        if let Some(level) = levels.last_mut() {
            *level += 1;
        }
        sum += 1;
        if sum > bounds.chain_tokens {
            let place = token.span.start;
            let message = format!("an expression has more than {} tokens", bounds.chain_tokens);
            return Err(Failure::new(sqlstate::TOO_COMPLEX, message)
                .hint("use IN (…), = ANY($1) or a join in place of a long chain")
                .at(place.line, place.column));
        }
    }
    Ok(())
}

/// A parser's error: `… at Line: 1, Column: 8`, or `found: EOF`.
fn syntax(error: ParserError, end: (u64, u64)) -> Failure {
    let text = match error {
        ParserError::RecursionLimitExceeded => {
            return Failure::new(sqlstate::TOO_COMPLEX, "the statement is nested too deep")
                .hint("use fewer parentheses and subqueries inside of one another");
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
    };
    let (message, place) = text.rsplit_once(" at Line: ").unwrap_or((&text, ""));
    let mut numbers = place.split(", Column: ").map(|number| number.trim().parse().unwrap_or(0));
    let (line, column) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let place = if line > 0 { (line, column) } else { end };
    let word = message.rsplit_once("found: ").map_or("", |(_, word)| word.trim());
    let token = super::tokens(word).ok().and_then(|tokens| tokens.into_iter().next());
    let token = token.map_or(Token::EOF, |token| token.token);
    let failure = unread(word).unwrap_or_else(|| remedied(format!("syntax error: {message}"), word, &token));
    failure.at(place.0, place.1)
}

/// What PostgreSQL has and the parser does not read, by the word at which it stops; and what to write.
const UNREAD: [(&str, &str, &str); 15] = [
    ("EXCLUDE", "EXCLUDE", "leave it out of a window; a constraint is a unique index"),
    ("INCLUDING", "LIKE … INCLUDING", "write the columns"),
    ("TABLE", "TABLE as a statement", "write SELECT * FROM the table"),
    ("DO", "DO", "put the logic into the service"),
    ("CLUSTER", "CLUSTER", "leave it out"),
    ("REINDEX", "REINDEX", "leave it out"),
    ("CHECKPOINT", "CHECKPOINT", "leave it out"),
    ("SEQUENCE", "ALTER SEQUENCE", "call setval('name', 42), or create the sequence with START WITH"),
    ("DATABASE", "ALTER DATABASE", "settings belong to the topology: leave it out"),
    ("SYSTEM", "ALTER SYSTEM", "settings belong to the topology: leave it out"),
    ("SCHEMA", "ALTER SCHEMA", "leave it out: all tables are in public"),
    ("DEFAULT", "ALTER DEFAULT PRIVILEGES", "leave it out"),
    ("FUNCTION", "ALTER FUNCTION", "put the logic into the service"),
    ("RECURSIVE", "a recursive view", "write CREATE VIEW … AS WITH RECURSIVE …"),
    ("XMLELEMENT", "XML", "use json_build_object"),
];

/// The failure of a statement that PostgreSQL takes.
fn unread(word: &str) -> Option<Failure> {
    let found = UNREAD.iter().find(|(known, ..)| known.eq_ignore_ascii_case(word));
    found.map(|(_, what, hint)| Failure::unsupported(what, *hint))
}

/// The failure of a statement that is none, with what is mostly meant.
fn remedied(message: String, word: &str, token: &Token) -> Failure {
    let hint = match token {
        _ if word == "EOF" => {
            "the statement ends too early: close what is open, and leave no comma at the end"
        }
        Token::Comma | Token::RParen => "an expression is missing before it, or a comma is too much",
        Token::Word(name) if name.keyword != Keyword::NoKeyword && message.contains("an expression") => {
            "an expression is missing before it, or a comma is too much"
        }
        Token::Word(name) if name.keyword != Keyword::NoKeyword => {
            "write a name that is also a keyword in double quotes; clauses have an order of their own"
        }
        _ if word.starts_with('`') => "write names in double quotes",
        _ if word.starts_with('?') => "write parameters as $1, $2 …",
        Token::SingleQuotedString(_) => "write names in double quotes; an operator or a comma may be missing",
        _ => "an operator, a comma or a parenthesis may be missing before it",
    };
    Failure::new(sqlstate::SYNTAX, message).hint(hint)
}

/// The function as which the parser reads the first bound of `BETWEEN SYMMETRIC`.
pub(crate) const SYMMETRIC: &str = "symmetric";

/// `BETWEEN SYMMETRIC a AND b` as `BETWEEN symmetric(a) AND b`, which the parser reads.
fn symmetric(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |token: &Token, keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
    if !tokens.iter().any(|token| is(&token.token, Keyword::SYMMETRIC)) {
        return tokens;
    }
    let mut written = Vec::with_capacity(tokens.len() + 2);
    // How deep each BETWEEN stands that has no AND yet, and whether it is such a one.
    let (mut open, mut depth, mut behind): (Vec<(i64, bool)>, i64, bool) = (Vec::new(), 0, false);
    for token in tokens {
        let blank = matches!(token.token, Token::Whitespace(_));
        let beside = |kind: Token| TokenWithSpan { token: kind, span: token.span };
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth -= 1;
                while open.last().is_some_and(|(level, _)| *level > depth) {
                    open.pop();
                }
            }
            word if is(word, Keyword::BETWEEN) => open.push((depth, false)),
            word if behind && is(word, Keyword::SYMMETRIC) => {
                if let Some((_, is_symmetric)) = open.last_mut() {
                    *is_symmetric = true;
                }
                let opening = beside(Token::LParen);
                written.extend([beside(Token::make_word(SYMMETRIC, None)), opening]);
                behind = false;
                continue;
            }
            word if is(word, Keyword::AND) && open.last().is_some_and(|(level, _)| *level == depth) => {
                let closes = open.pop().is_some_and(|(_, is_symmetric)| is_symmetric);
                if closes {
                    written.push(beside(Token::RParen));
                }
            }
            _ => {}
        }
        behind = if blank { behind } else { is(&token.token, Keyword::BETWEEN) };
        written.push(token);
    }
    written
}

/// The schema in which the parser finds the table of FOR NO KEY UPDATE and FOR KEY SHARE: one without a name
/// where there is no OF.
pub(crate) const WEAK: &str = "no key";

/// `FOR NO KEY UPDATE OF t` as `FOR UPDATE OF "no key".t`, and `FOR KEY SHARE` as `FOR SHARE OF "no key".""`,
/// which the parser reads.
fn weak_locks(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |token: Option<&TokenWithSpan>, keyword| {
        token.is_some_and(|token| matches!(&token.token, Token::Word(word) if word.keyword == keyword))
    };
    if !tokens.iter().any(|token| is(Some(token), Keyword::KEY)) {
        return tokens;
    }
    let tokens: Vec<TokenWithSpan> =
        tokens.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_))).collect();
    let mut written = Vec::with_capacity(tokens.len() + 4);
    let mut at = 0;
    while at < tokens.len() {
        let begins = |words: &[Keyword]| {
            words.iter().enumerate().all(|(behind, word)| is(tokens.get(at + behind), *word))
        };
        let width = if begins(&[Keyword::FOR, Keyword::NO, Keyword::KEY, Keyword::UPDATE]) {
            4
        } else if begins(&[Keyword::FOR, Keyword::KEY, Keyword::SHARE]) {
            3
        } else {
            written.push(tokens[at].clone());
            at += 1;
            continue;
        };
        let span = tokens[at].span;
        let beside = |token| TokenWithSpan { token, span };
        let name = |text: &str| beside(Token::make_word(text, Some('"')));
        written.extend([tokens[at].clone(), tokens[at + width - 1].clone()]);
        at += width;
        let of = beside(Token::make_word("OF", None));
        written.extend([of, name(WEAK), beside(Token::Period)]);
        if is(tokens.get(at), Keyword::OF) {
            at += 1;
        } else {
            written.push(name(""));
        }
    }
    written
}

//! Where a failure stands in its statement, if the rule that refused it has not said so: at the first part of
//! the text that its message names.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::Failure;
use crate::text;

/// Words of messages behind which a name follows without quotes.
const BEFORE_NAMES: [&str; 3] = ["function ", "operator ", "type "];

/// Gives a failure of a statement that was running its place. What became of its values has none: no part of
/// the text is wrong.
pub(crate) fn locate(failure: &mut Failure, statement: &str) {
    if failure.place.is_none()
        && failure.sqlstate.starts_with("42")
        && let Ok(tokens) = text::tokens(statement)
    {
        locate_in(failure, &tokens);
    }
}

/// Gives a failure of the statement with these tokens its place.
pub(crate) fn locate_in(failure: &mut Failure, tokens: &[TokenWithSpan]) {
    if failure.place.is_some() {
        return;
    }
    let found = named(&failure.message).into_iter().find_map(|name| find(&name, tokens));
    if let Some((line, column)) = found {
        failure.place = Some(crate::error::Place { line: line as usize, column: column as usize });
    }
}

/// What a message names, in its order: in quotes, in backticks, or behind a word that says what it is.
fn named(message: &str) -> Vec<String> {
    let mut names: Vec<(usize, String)> = Vec::new();
    for quote in ['"', '`'] {
        let mut parts = message.split(quote);
        let mut at = parts.next().map_or(0, str::len) + 1;
        while let (Some(name), Some(between)) = (parts.next(), parts.next()) {
            names.push((at, name.to_owned()));
            at += name.len() + between.len() + 2;
        }
    }
    for word in BEFORE_NAMES {
        for (at, _) in message.match_indices(word) {
            let rest = &message[at + word.len()..];
            let name = rest.split(' ').next().unwrap_or_default();
            names.push((at, name.trim_matches('"').to_owned()));
        }
    }
    names.sort();
    names.into_iter().map(|(_, name)| name).collect()
}

/// Where `name` begins: a word, a text in quotes, or several tokens in a row.
fn find(name: &str, tokens: &[TokenWithSpan]) -> Option<(u64, u64)> {
    let solid: Vec<&TokenWithSpan> = tokens.iter().filter(|token| !is_blank(&token.token)).collect();
    // A text that was too long for its message ends in the middle.
    let wanted = text::tokens(name.trim_end_matches('…')).ok()?;
    let wanted: Vec<&Token> =
        wanted.iter().map(|token| &token.token).filter(|token| !is_blank(token)).collect();
    let same = |at: usize| {
        let parts = solid[at..].iter().zip(&wanted);
        solid.len() - at >= wanted.len()
            && parts.into_iter().all(|(token, wanted)| reads(&token.token, wanted))
    };
    let whole = (!wanted.is_empty()).then(|| (0..solid.len()).find(|at| same(*at))).flatten();
    let last = name.rsplit('.').next().unwrap_or(name);
    let found = whole.or_else(|| {
        solid.iter().position(|token| match &token.token {
            Token::SingleQuotedString(text) => text == name,
            Token::Word(word) => word.value.eq_ignore_ascii_case(last),
            _ => false,
        })
    })?;
    let start = solid[found].span.start;
    Some((start.line, start.column))
}

/// Whether a token of a statement reads as one of a message, which has small and capital letters of its own.
fn reads(token: &Token, wanted: &Token) -> bool {
    match (token, wanted) {
        (Token::Word(word), Token::Word(wanted)) => word.value.eq_ignore_ascii_case(&wanted.value),
        (token, wanted) => token.to_string() == wanted.to_string(),
    }
}

fn is_blank(token: &Token) -> bool {
    matches!(token, Token::Whitespace(_) | Token::EOF)
}

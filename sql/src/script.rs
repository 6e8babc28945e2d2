//! Several statements in one text, with `;` between them.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Place, Result};
use crate::text;

/// One statement of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where its first word stands.
    pub place: Place,
    /// Bytes before that.
    pub start: usize,
    /// Without the `;`.
    pub text: String,
}

impl Part {
    /// A place in the statement as a place in the whole text.
    pub fn locate(&self, place: Place) -> Place {
        let Place { line, column } = self.place;
        match place.line {
            1 => Place { line, column: column + place.column - 1 },
            later => Place { line: line + later - 1, column: place.column },
        }
    }
}

/// The statements of a text, in order; those that are empty are left out.
///
/// # Errors
/// A text or a comment has no end.
pub fn statements(script: &str) -> Result<Vec<Part>> {
    let tokens = text::tokens(script)?;
    let places = offsets(script, &tokens);
    let mut parts = Vec::new();
    for tokens in tokens.iter().zip(&places).collect::<Vec<_>>().split(|(token, _)| is_end(token)) {
        let blank = |token: &TokenWithSpan| matches!(token.token, Token::Whitespace(_) | Token::EOF);
        let Some((first, start)) = tokens.iter().find(|(token, _)| !blank(token)) else { continue };
        // What follows the last token is the `;`, or the end.
        let last = tokens.last().map_or(**start, |(_, last)| **last);
        let end = places.iter().copied().find(|place| *place > last).unwrap_or(script.len());
        let (line, column) = (first.span.start.line as usize, first.span.start.column as usize);
        let text = script[**start..end].trim_end().to_owned();
        parts.push(Part { place: Place { line, column }, start: **start, text });
    }
    Ok(parts)
}

fn is_end(token: &TokenWithSpan) -> bool {
    token.token == Token::SemiColon
}

/// Where each token begins, in bytes.
fn offsets(script: &str, tokens: &[TokenWithSpan]) -> Vec<usize> {
    let mut chars = script.char_indices();
    let (mut line, mut column, mut at) = (1, 1, 0);
    let mut offset = |wanted: (u64, u64)| {
        while (line, column) < wanted {
            let Some((begins, char)) = chars.next() else { return script.len() };
            (line, column) = if char == '\n' { (line + 1, 1) } else { (line, column + 1) };
            at = begins + char.len_utf8();
        }
        at
    };
    tokens.iter().map(|token| offset((token.span.start.line, token.span.start.column))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_apart_where_no_text_and_no_comment_goes_on() {
        let script = "-- first; not yet\nSELECT 'a;ü'  ;\n ; /* ; */\n  SELECT $$;$$,\n 2;SELECT 3";
        let parts = statements(script).expect("it has an end");
        let found: Vec<_> =
            parts.iter().map(|part| (part.place.line, part.place.column, part.text.as_str())).collect();
        assert_eq!(
            found,
            [(2, 1, "SELECT 'a;ü'"), (4, 3, "SELECT $$;$$,\n 2"), (5, 4, "SELECT 3")],
            "{parts:?}"
        );
        assert!(parts.iter().all(|part| script[part.start..].starts_with(&part.text)));
        let in_second = parts[1].locate(Place { line: 1, column: 8 });
        assert_eq!(in_second, Place { line: 4, column: 10 });
        assert_eq!(parts[1].locate(Place { line: 2, column: 2 }), Place { line: 5, column: 2 });
        assert_eq!(statements(" ; ").expect("nothing"), []);
        assert_eq!(statements("SELECT 'a").expect_err("it has no end").sqlstate, "42601");
    }
}

//! The patterns of SIMILAR TO as regular expressions.

use crate::error::{Failure, Result, sqlstate};

/// A pattern of SIMILAR TO, which matches a whole text; `escape` is nothing if no character escapes.
pub(crate) fn similar(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut made = String::from("^(?:");
    let mut letters = pattern.chars().peekable();
    let mut in_bracket = false;
    while let Some(c) = letters.next() {
        if Some(c) == escape {
            let Some(next) = letters.next() else {
                return Err(Failure::new(
                    sqlstate::INVALID_ESCAPE,
                    "the pattern ends with its escape character",
                )
                .hint("write it twice for the character itself"));
            };
            plain(next, &mut made);
            continue;
        }
        match c {
            '[' if !in_bracket => {
                in_bracket = true;
                made.push('[');
                made.extend(letters.next_if_eq(&'^'));
                made.extend(letters.next_if_eq(&']'));
            }
            '[' if letters.peek() == Some(&':') => {
                // The name of a class, up to its end.
                made.push('[');
                for c in letters.by_ref() {
                    made.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            ']' if in_bracket => {
                in_bracket = false;
                made.push(']');
            }
            '\\' | '[' if in_bracket => made.extend(['\\', c]),
            c if in_bracket => made.push(c),
            '%' => made.push_str(".*"),
            '_' => made.push('.'),
            '(' => made.push_str("(?:"),
            '|' | '*' | '+' | '?' | '{' | '}' | ')' => made.push(c),
            c => plain(c, &mut made),
        }
    }
    made.push_str(")$");
    Ok(made)
}

/// A character that stands for itself.
fn plain(c: char, made: &mut String) {
    if !c.is_alphanumeric() && !c.is_whitespace() && c != '_' {
        made.push('\\');
    }
    made.push(c);
}

//! Texts that stand in the topology and have places of their own, such as SQL: which byte of the file each of
//! their bytes comes from.

use super::reader::Value;
use crate::model::Inline;

/// A string of the file, with its text as it is read.
pub(super) fn inline(value: &Value<'_>, text: &str) -> Inline {
    Inline { text: text.into(), parts: parts(value.written(), value.place().start) }
}

/// The parts of a string that are the same in its text and in the file, where `written` begins at `start`.
fn parts(written: &str, start: usize) -> Vec<(usize, usize)> {
    let is_basic = written.starts_with('"');
    let mut at = 1;
    if written.starts_with("\"\"\"") || written.starts_with("'''") {
        // A newline directly behind the quotes is no part of the text.
        at = 3;
        let inside = &written[at..];
        at +=
            inside.len() - inside.strip_prefix("\r\n").or(inside.strip_prefix('\n')).unwrap_or(inside).len();
    }
    let (mut parts, mut read) = (vec![(0, start + at)], 0);
    while let Some(before) = written[at..].find('\\').filter(|_| is_basic) {
        let (taken, made) = escape(&written[at + before..]);
        (at, read) = (at + before + taken, read + before + made);
        parts.push((read, start + at));
    }
    parts
}

/// The bytes of the escape sequence that a text begins with, and of what it stands for.
fn escape(written: &str) -> (usize, usize) {
    let code = |digits: usize| {
        let number = written.get(2..2 + digits).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        (2 + digits, number.and_then(char::from_u32).map_or(0, char::len_utf8))
    };
    match written[1..].chars().next() {
        Some('x') => code(2),
        Some('u') => code(4),
        Some('U') => code(8),
        // The end of a line, and all blanks behind it.
        Some(' ' | '\t' | '\r' | '\n') => {
            let behind = written[1..].trim_start_matches([' ', '\t', '\r', '\n']);
            (written.len() - behind.len(), 0)
        }
        _ => (2, 1),
    }
}

#[cfg(test)]
mod tests {
    use toml::de::{DeTable, DeValue};

    use super::*;

    #[test]
    fn each_character_of_a_string_is_found_in_the_file_however_it_is_written() {
        for written in [
            r#""CREATE x""#,
            "'CREATE\\x'",
            "\"\"\"\nCREATE\n  x\"\"\"",
            "\"\"\"\r\nCREATE\r\n  x\"\"\"",
            "'''\nCREATE \\n\n  x'''",
            "\"\"\"CREATE \\\n    y, \\\r\n\n  x\"\"\"",
            r#""\tä \"CREATE\" \u00e4 \U0001F600 \x41 \\ x""#,
            r#""""a "quoted" one, \\n x""""#,
        ] {
            let file = format!("# é\nkey = {written} # end");
            let document = DeTable::parse(&file).expect(written);
            let value = document.get_ref().get("key").expect("a value");
            let DeValue::String(text) = value.get_ref() else { panic!("{written} is a string") };
            let span = value.span();
            let inline = Inline { text: (&**text).into(), parts: parts(&file[span.clone()], span.start) };
            let mut last = span.start;
            for (at, char) in text.char_indices() {
                let place = inline.place(at..at + char.len_utf8());
                assert!(last < place.end && place.end <= span.end, "{written}: {char:?} at {place:?}");
                last = place.start;
                let found = file[place.start..].chars().next();
                assert!(found == Some(char) || found == Some('\\'), "{written}: {found:?}, not {char:?}");
            }
            let x = text.rfind('x').expect("the last of each");
            assert_eq!(&file[inline.place(x..x + 1)], "x", "{written}");
        }
    }
}

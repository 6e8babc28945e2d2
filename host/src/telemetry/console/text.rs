//! Text that is safe to print, its width in columns, and numbers in columns.

use std::borrow::Cow;
use std::fmt::Write;

use jiff::Timestamp;
use unicode_width::UnicodeWidthChar;

pub use crate::error::width;
use crate::error::{INFALLIBLE, columns};

/// Digits of an id where whole ones have no room: as many as tell two traces of a file apart.
pub const SHORT_ID: usize = 12;

/// Marks that may sit on one character; what is stacked higher only smears over other lines.
const MAX_MARKS: usize = 3;

/// `text` with nothing in it that a terminal would obey: control characters,
/// and those that turn or hide text, are written out as escapes. A guest
/// names its spans and writes its log lines as it likes.
pub fn safe(text: &str, unicode: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for char in text.chars() {
        let zero = char.width() == Some(0);
        marks = if zero { marks + 1 } else { 0 };
        let shown = char.width().is_some()
            && !is_invisible(char)
            && (unicode || char.is_ascii())
            && (!zero || (marks <= MAX_MARKS && !out.is_empty()));
        match char {
            _ if shown => out.push(char),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // A String takes whatever is written to it.
            '\0'..='\x7f' => drop(write!(out, "\\x{:02x}", u32::from(char))),
            _ => drop(write!(out, "\\u{{{:x}}}", u32::from(char))),
        }
    }
    out
}

/// JSON with nothing in it that a terminal would obey: what strings have of it is written as escapes, which
/// mean the same. JSON itself escapes no more than the first 32 characters.
pub fn safe_json(json: &str) -> Cow<'_, str> {
    let is_plain = |byte: &u8| *byte < 0x7f;
    if json.as_bytes().iter().all(is_plain) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        if char == '\n' || !char.is_control() && !is_invisible(char) {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            write!(out, "\\u{unit:04x}").expect(INFALLIBLE);
        }
    }
    Cow::Owned(out)
}

/// Joiners, selectors, direction marks and line separators: they change what
/// stands around them, or how wide it is, and show nothing themselves.
const fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// `text` in at most `max` columns, the middle left out: the start of a name
/// says what it is, its end tells it from its siblings.
pub fn shorten(text: &str, max: usize, ellipsis: &str) -> String {
    if width(text) <= max {
        return text.to_owned();
    }
    let room = max.saturating_sub(width(ellipsis));
    if room == 0 {
        return take(text.chars(), max).collect();
    }
    let head: String = take(text.chars(), room.div_ceil(2)).collect();
    let tail: Vec<char> = take(text.chars().rev(), room - width(&head)).collect();
    let tail = tail.into_iter().rev().skip_while(|char| columns(*char) == 0);
    head.chars().chain(ellipsis.chars()).chain(tail).collect()
}

/// The leading characters that fit in `max` columns.
fn take(chars: impl Iterator<Item = char>, max: usize) -> impl Iterator<Item = char> {
    let mut used = 0;
    chars.take_while(move |char| {
        used += columns(*char);
        used <= max
    })
}

/// An instant as RFC 3339 writes it, to the millisecond; nanoseconds since the Unix epoch.
/// None where it is beyond the calendar.
pub fn moment(at: u64) -> Option<String> {
    let instant = Timestamp::from_nanosecond(i128::from(at)).ok()?;
    Some(format!("{instant:.3}"))
}

/// `1 span`, `17 spans`.
pub fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `180,000`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The one unit in which a trace writes its times, so that its columns can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    nanos: u64,
    name: &'static str,
}

impl Unit {
    /// The unit for a trace of this many nanoseconds.
    pub const fn of(longest: u64) -> Self {
        match longest {
            0..1_000 => Self { nanos: 1, name: "ns" },
            1_000..1_000_000 => Self { nanos: 1_000, name: "us" },
            1_000_000..10_000_000_000 => Self { nanos: 1_000_000, name: "ms" },
            _ => Self { nanos: 1_000_000_000, name: "s" },
        }
    }

    /// Two digits after the point; what is not nothing is not shown as nothing.
    pub fn show(self, nanos: u64) -> String {
        let Self { nanos: unit, name } = self;
        if unit == 1 {
            return format!("{nanos}ns");
        }
        let hundredths = (u128::from(nanos) * 100 + u128::from(unit / 2)) / u128::from(unit);
        if hundredths == 0 && nanos > 0 {
            return format!("<0.01{name}");
        }
        format!("{}.{:02}{name}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(safe("a\x1b[31mb\r\n\t\u{9b}2J\x7f", true), "a\\x1b[31mb\\r\\n\\t\\u{9b}2J\\x7f");
        assert_eq!(safe("abc\u{202e}fed\u{200d}\u{fe0f}", true), "abc\\u{202e}fed\\u{200d}\\u{fe0f}");
        assert_eq!(safe("Größe 訂單", true), "Größe 訂單");
        assert_eq!(safe("Größe", false), "Gr\\u{f6}\\u{df}e");
    }

    #[test]
    fn json_that_is_safe_means_the_same() {
        let odd = "Größe 訂單 \u{9b}2J \u{85} \u{2028} \u{202e} \u{7f} \u{e0041} \x1b\n \"";
        let json = serde_json::to_string(odd).expect("a text");
        let safe = safe_json(&json);
        assert!(
            safe.contains("Größe 訂單 \\u009b2J \\u0085 \\u2028 \\u202e \\u007f \\udb40\\udc41"),
            "{safe}"
        );
        assert!(safe.chars().all(|char| !char.is_control() && !is_invisible(char)), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).expect("a text"), odd);
        assert!(matches!(safe_json("[1,\n2]\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn marks_do_not_pile_up() {
        let shown = safe(&format!("a{}", "\u{301}".repeat(5)), true);
        assert_eq!(shown, format!("a{}\\u{{301}}\\u{{301}}", "\u{301}".repeat(3)));
        assert_eq!(safe("\u{301}a", true), "\\u{301}a");
    }

    #[test]
    fn a_name_loses_its_middle() {
        assert_eq!(shorten("notification-service", 11, "…"), "notif…rvice");
        assert_eq!(shorten("notification", 12, "…"), "notification");
        assert_eq!(shorten("訂單處理服務", 6, "…"), "訂…務");
        assert_eq!(shorten("abcdef", 1, "…"), "a");
        assert_eq!(shorten("abcdef", 0, "…"), "");
    }

    #[test]
    fn a_trace_writes_all_its_times_in_one_unit() {
        let unit = Unit::of(307_850_000);
        let shown = [0, 1, 9_030_000, 307_850_000].map(|nanos| unit.show(nanos));
        assert_eq!(shown, ["0.00ms", "<0.01ms", "9.03ms", "307.85ms"]);
        assert_eq!(Unit::of(999).show(7), "7ns");
        assert_eq!(Unit::of(u64::MAX).show(u64::MAX), "18446744073.71s");
    }
}

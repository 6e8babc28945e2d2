//! How many columns of a terminal text takes: wide characters have two, marks on others none.

use unicode_width::UnicodeWidthChar as _;

/// Columns of a text without tabs.
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// Columns of a character. One that is not shown has none.
pub fn columns(char: char) -> usize {
    char.width().unwrap_or(0)
}

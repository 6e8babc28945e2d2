//! What a remedy repeats of a value that is not of the kind that is wanted.

use toml::Spanned;
use toml::de::DeValue;

use crate::error::quote;

/// Characters of what was written that a message repeats.
const CLIPPED: usize = 40;

/// The texts of a value: itself, those of a list, or that of a table with one entry.
pub(super) fn texts<'v>(item: &'v DeValue<'_>) -> Vec<&'v str> {
    let text = |item: &'v Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(text) => Some(&**text),
        _ => None,
    };
    let found: Option<Vec<_>> = match item {
        DeValue::String(text) => Some(vec![&**text]),
        DeValue::Array(items) => items.iter().map(text).collect(),
        DeValue::Table(table) if table.len() == 1 => table.values().map(text).collect(),
        _ => None,
    };
    let is_short = |text: &str| text.len() <= CLIPPED && !text.contains(char::is_control);
    let found = found.filter(|found| found.iter().all(|text| is_short(text)));
    found.into_iter().flatten().collect()
}

/// The names that tables should have: texts, or the `name` of tables in a list.
pub(super) fn named<'v>(item: &'v DeValue<'_>) -> Vec<&'v str> {
    let name = |item: &'v Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::Table(table) => match table.get("name").map(Spanned::get_ref) {
            Some(DeValue::String(name)) => Some(&**name),
            _ => None,
        },
        _ => None,
    };
    let of_tables = || match item {
        DeValue::Array(items) => items.iter().filter_map(name).collect(),
        _ => Vec::new(),
    };
    let found = Some(texts(item)).filter(|texts| !texts.is_empty()).unwrap_or_else(of_tables);
    if found.is_empty() { vec!["NAME"] } else { found }
}

/// A name as a key of TOML.
pub(super) fn bare(name: &str) -> String {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let is_bare = !name.is_empty() && name.bytes().all(is_part);
    if is_bare { name.to_owned() } else { quote(name) }
}

/// The beginning of what was written, for messages.
pub(super) fn clip(written: &str) -> String {
    match written.char_indices().nth(CLIPPED) {
        Some((end, _)) => format!("{}…", &written[..end]),
        None => written.to_owned(),
    }
}

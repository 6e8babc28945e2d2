//! Numbers as texts by a pattern.

use crate::error::{Failure, Result};
use crate::state::Shared;
use crate::types::round;

/// A pattern by its parts.
struct Pattern {
    /// `FM`: without blanks, and without zeros at the end.
    compact: bool,
    /// `S`: with `+`, too.
    signed: bool,
    /// `9`, `0` and `,` before the point.
    whole: String,
    /// `9` and `0` behind it.
    fraction: Option<String>,
    /// What stands behind the digits.
    suffix: String,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self> {
        let refused = |what: String| {
            let hint = "write the pattern by 9, 0, a point, commas, S before the digits and FM, and put \
                        other text before it or behind it by ||";
            Failure::unsupported(format!("{what} in the pattern \"{text}\" of a number"), hint)
        };
        let mut pattern = Self {
            compact: false,
            signed: false,
            whole: String::new(),
            fraction: None,
            suffix: String::new(),
        };
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
                (pattern.compact, rest) = (true, behind);
                continue;
            }
            rest = &rest[letter.len_utf8()..];
            let first = pattern.whole.is_empty() && pattern.fraction.is_none();
            match (letter, &mut pattern.fraction) {
                _ if letter.is_alphanumeric() && !pattern.suffix.is_empty() => {
                    return Err(refused(format!("`{letter}` behind `{}`", pattern.suffix)));
                }
                ('9' | '0', None) => pattern.whole.push(letter),
                ('9' | '0', Some(fraction)) => fraction.push(letter),
                (',' | 'G' | 'g', None) if pattern.suffix.is_empty() && !first => pattern.whole.push(','),
                ('.' | 'D' | 'd', None) if pattern.suffix.is_empty() => {
                    pattern.fraction = Some(String::new())
                }
                ('S' | 's', None) if first && !pattern.signed => pattern.signed = true,
                ('"' | '\\' | '.' | ',', _) => return Err(refused(format!("this `{letter}`"))),
                _ if letter.is_alphanumeric() || first => return Err(refused(format!("`{letter}`"))),
                _ => pattern.suffix.push(letter),
            }
        }
        Ok(pattern)
    }
}

/// A number by a pattern of `9`, `0`, `.`, `,`, `S` and `FM`.
pub(super) fn written(number: f64, pattern: &str, shared: &Shared) -> Result<String> {
    shared.take(pattern.len() as u64)?;
    let Pattern { compact, signed, whole, fraction, suffix } = Pattern::parse(pattern)?;
    let places = fraction.as_ref().map_or(0, String::len);
    let rounded = round(number, places as i64);
    let digits = format!("{:.places$}", rounded.abs());
    let (mut integer, decimals) = digits.split_once('.').unwrap_or((&digits, ""));
    let slots = whole.chars().filter(|slot| *slot != ',').count();
    if integer == "0" && places > 0 {
        integer = "";
    }
    let sign = match (rounded < 0.0, signed) {
        (true, _) => "-",
        (false, true) => "+",
        (false, false) if compact => "",
        (false, false) => " ",
    };
    if whole.is_empty() && fraction.is_none() {
        return Ok(suffix);
    }
    if integer.len() > slots {
        let hashes = |slots: &str| slots.replace(['9', '0'], "#");
        let point = fraction.map_or(String::new(), |fraction| format!(".{}", hashes(&fraction)));
        return Ok(format!("{sign}{}{point}{suffix}", hashes(&whole)));
    }
    // From the first `0` on there are zeros in place of blanks.
    let zeros = whole.find('0').unwrap_or(whole.len());
    let mut left: Vec<char> = integer.chars().collect();
    let mut written: Vec<char> = Vec::new();
    for (at, slot) in whole.char_indices().rev() {
        let blank = if at >= zeros { '0' } else { ' ' };
        match slot {
            ',' if left.is_empty() && at < zeros => written.push(' '),
            ',' => written.push(','),
            _ => written.push(left.pop().unwrap_or(blank)),
        }
    }
    let mut text: String = written.into_iter().rev().collect();
    let blanks = text.len() - text.trim_start().len();
    text = format!("{}{sign}{}", &text[..blanks], &text[blanks..]);
    if let Some(fraction) = fraction {
        let fixed = fraction.trim_end_matches('9').len().min(decimals.len());
        let kept = if compact { decimals.trim_end_matches('0').len().max(fixed) } else { decimals.len() };
        text = format!("{text}.{}", &decimals[..kept]);
    }
    text.push_str(&suffix);
    Ok(if compact { text.trim_start().to_owned() } else { text })
}

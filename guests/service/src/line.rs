//! Log records that the configuration asks for.

use simhost_notation::parse_share;
use simhost_sdk::prelude::*;

/// A log record that a share of the requests leaves: `5% cache miss`.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    chance: f64,
    text: String,
}

impl Line {
    /// Reads `looked up`, or `5% cache miss` and `0.05 cache miss` for a share of the requests.
    ///
    /// A number without `%` is a share if it has a decimal point and is at most 1. Any other number belongs to
    /// the text: `3 items left`, `2.5 seconds late`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &text[..text.len() - rest.len()];
        let is_number = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
        let (share, rest) = match rest.trim_start().strip_prefix('%').filter(|_| is_number) {
            Some(rest) => {
                let percent = format!("{number}%");
                (parse_share(&percent).map_err(|problem| format!("`{percent}`: {problem}"))?, rest)
            }
            None => {
                let is_word = rest.is_empty() || rest.starts_with(char::is_whitespace);
                let is_fraction = is_number && is_word && number.contains('.');
                match parse_share(number).ok().filter(|_| is_fraction) {
                    Some(share) => (share, rest),
                    None => return Ok(Self { chance: 1.0, text: text.to_owned() }),
                }
            }
        };
        match rest.trim() {
            "" => Err("it has no text behind the share; write `5% cache miss`".to_owned()),
            rest => Ok(Self { chance: share, text: rest.to_owned() }),
        }
    }

    pub fn say(&self, level: log::Level) {
        if random::chance(self.chance) {
            log::write(level, &self.text, []);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_record_is_of_every_request_or_of_a_share() {
        let line = |chance: f64, text: &str| Ok(Line { chance, text: text.to_owned() });
        assert_eq!(Line::parse("looked up"), line(1.0, "looked up"));
        for text in ["2.5% cache miss", "2.5 % cache miss", "0.025 cache miss"] {
            assert_eq!(Line::parse(text), line(0.025, "cache miss"), "{text}");
        }
        assert_eq!(Line::parse("7% late"), Line::parse("0.07 late"), "to the last bit");
    }

    #[test]
    fn a_number_that_is_no_share_is_part_of_the_text_of_a_log_record() {
        for text in
            ["disk is 80% full", "3 items left", "2.5 seconds late", "1. step", "... again", "-5% drift"]
        {
            assert_eq!(Line::parse(text), Ok(Line { chance: 1.0, text: text.to_owned() }));
        }
    }
}

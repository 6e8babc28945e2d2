//! Shares of a whole.

/// Reads `20%` or `0.2`: a share, `0.0..=1.0`. Both ways to write one give the same number, to the last bit.
///
/// # Errors
/// Says what is wrong, and the form that is right.
pub fn parse_share(text: &str) -> Result<f64, String> {
    let (number, percent) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), true),
        None => (text, false),
    };
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    // Dividing by 100 would round a second time.
    let read = if percent { format!("{number}e-2").parse() } else { number.parse::<f64>() };
    let form = "write 0% to 100%, or 0 to 1";
    match read {
        Ok(share) if is_plain && (0.0..=1.0).contains(&share) => Ok(share),
        Ok(number) if is_plain && !percent && number <= 100.0 => {
            Err(format!("a share is at most 1; for {text} percent write {text}%"))
        }
        Ok(_) => Err(format!("that is no share from 0 to 1; {form}")),
        Err(_) => Err(format!("that is no share; {form}")),
    }
}

/// A share as it was written, with all its digits: `12.345%`.
pub fn show_share(share: f64) -> String {
    // What a product of binary fractions adds behind the twelfth digit, nobody wrote.
    format!("{}%", (share * 100.0 * 1e9).round() / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_write_a_share_give_the_same_number() {
        for (text, share) in [("20%", 0.2), ("0.1%", 0.001), ("2.5 %", 0.025), ("0.07", 0.07), ("7%", 0.07)] {
            assert_eq!(parse_share(text), Ok(share), "{text}");
        }
        assert_eq!(
            ["0", "1", "0%", "100%", "1.0"].map(|text| parse_share(text).unwrap()),
            [0.0, 1.0, 0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn what_is_no_share_is_refused_with_the_form_that_is_right() {
        for text in ["", "%", "-1%", "101%", "-0.1", "1e-3", "NaN", "inf", "half", "1.2.3%", "+5%", "101"] {
            let problem = parse_share(text).expect_err(text);
            assert!(problem.contains("write 0% to 100%, or 0 to 1"), "{text}: {problem}");
        }
        assert_eq!(parse_share("20"), Err("a share is at most 1; for 20 percent write 20%".to_owned()));
    }
}

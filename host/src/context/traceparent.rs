//! `traceparent`: which span of which trace called.
//!
//! Rules are quoted by the titles of W3C Trace Context Level 2,
//! <https://www.w3.org/TR/trace-context-2/>.

use std::num::{NonZeroU64, NonZeroU128};

use super::{SpanId, TraceFlags, TraceId};

/// `00-{32}-{16}-{2}`: the whole of version 00, the beginning of every later one
/// ("Versioning of traceparent").
const LENGTH: usize = 55;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// What a byte is worth as a digit. Upper case is worth nothing: "traceparent
/// Header Field Values" allows `HEXDIGLC` only.
const WORTH: [u8; 256] = {
    let mut worth = [NO_DIGIT; 256];
    let mut digit = 0;
    while digit < DIGITS.len() {
        worth[DIGITS[digit] as usize] = digit as u8;
        digit += 1;
    }
    worth
};

/// Above every digit, so that one test after the loop finds it among the digits.
const NO_DIGIT: u8 = 0xf0;

/// Reads a field value. None where the rules say that the header is ignored.
pub(super) fn parse(value: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
    // HTTP does not count white space around a field's value as part of it (RFC 9110, 5.5).
    let value = value.trim_matches([' ', '\t']).as_bytes();
    let (known, rest) = value.split_first_chunk::<LENGTH>()?;
    if known[2] != b'-' || known[35] != b'-' || known[52] != b'-' {
        return None;
    }
    match number(&known[..2])? {
        // "version": ff is forbidden.
        0xff => return None,
        // "version-format": nothing follows the flags.
        0 if !rest.is_empty() => return None,
        // "Versioning of traceparent": the flags are at the end, or a dash follows them.
        _ if !matches!(rest.first(), None | Some(b'-')) => return None,
        _ => {}
    }
    // "trace-id" and "parent-id": all zeroes are forbidden.
    let trace_id = (u128::from(number(&known[3..19])?) << 64) | u128::from(number(&known[19..35])?);
    let trace_id = TraceId(NonZeroU128::new(trace_id)?);
    let span_id = SpanId(NonZeroU64::new(number(&known[36..52])?)?);
    // "Other Flags": reserved bits are set to zero; "A traceparent is Received":
    // so are those of a later version, of which only what this one knows is read.
    let flags = TraceFlags(number(&known[53..55])? as u8 & TraceFlags::KNOWN);
    Some((trace_id, span_id, flags))
}

/// Writes the field value of version 00: the highest that this host knows is
/// what goes out, whatever came in ("Versioning of traceparent").
pub(super) fn format(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> String {
    let mut text = [b'-'; LENGTH];
    text[..2].copy_from_slice(b"00");
    write_hex(&mut text[3..35], &trace_id.0.get().to_be_bytes());
    write_hex(&mut text[36..52], &span_id.0.get().to_be_bytes());
    write_hex(&mut text[53..], &[flags.0 & TraceFlags::KNOWN]);
    ascii(&text).to_owned()
}

/// Writes bytes as lower-case digits, two for each.
pub(super) fn write_hex(text: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0x0f)];
    }
}

/// Digits as text. The check that they are ASCII costs less than the formatting machinery.
pub(super) fn ascii(text: &[u8]) -> &str {
    str::from_utf8(text).expect("hexadecimal digits and dashes are ASCII")
}

/// The number that at most 16 lower-case digits stand for; none when one of them is no digit.
fn number(digits: &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    let mut seen = 0_u8;
    for &digit in digits {
        let worth = WORTH[usize::from(digit)];
        seen |= worth;
        value = (value << 4) | u64::from(worth & 0x0f);
    }
    (seen < NO_DIGIT).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn read(version: &str, trace: &str, span: &str, flags: &str) -> Option<(TraceId, SpanId, TraceFlags)> {
        parse(&format!("{version}-{trace}-{span}-{flags}"))
    }

    #[test]
    fn the_example_of_the_specification_is_read_field_by_field() {
        let (trace_id, span_id, flags) = read("00", TRACE, SPAN, "01").expect("valid");
        assert_eq!(trace_id.0.get(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!(span_id.0.get(), 0x00f0_67aa_0ba9_02b7);
        assert_eq!(flags, TraceFlags(TraceFlags::SAMPLED));
        assert_eq!(format(trace_id, span_id, flags), format!("00-{TRACE}-{SPAN}-01"));
    }

    #[test]
    fn every_field_has_its_length_and_its_alphabet() {
        let zero_trace = "0".repeat(32);
        let cases = [
            ["0", TRACE, SPAN, "01"],
            ["000", TRACE, SPAN, "01"],
            ["", TRACE, SPAN, "01"],
            [".0", TRACE, SPAN, "01"],
            ["0.", TRACE, SPAN, "01"],
            ["CC", TRACE, SPAN, "01"],
            ["ff", TRACE, SPAN, "01"],
            ["00", &TRACE[1..], SPAN, "01"],
            ["00", &format!("{TRACE}a"), SPAN, "01"],
            ["00", &TRACE.to_uppercase(), SPAN, "01"],
            ["00", &TRACE.replacen('4', "g", 1), SPAN, "01"],
            ["00", &TRACE.replacen('4', "é", 1), SPAN, "01"],
            ["00", &zero_trace, SPAN, "01"],
            ["00", "", SPAN, "01"],
            ["00", TRACE, &SPAN[1..], "01"],
            ["00", TRACE, &format!("{SPAN}7"), "01"],
            ["00", TRACE, &SPAN.to_uppercase(), "01"],
            ["00", TRACE, &SPAN.replacen('f', "-", 1), "01"],
            ["00", TRACE, "0000000000000000", "01"],
            ["00", TRACE, "", "01"],
            ["00", TRACE, SPAN, "1"],
            ["00", TRACE, SPAN, "001"],
            ["00", TRACE, SPAN, "0A"],
            ["00", TRACE, SPAN, "+1"],
            ["00", TRACE, SPAN, "0x"],
            ["00", TRACE, SPAN, ""],
        ];
        for [version, trace, span, flags] in cases {
            assert_eq!(read(version, trace, span, flags), None, "{version}-{trace}-{span}-{flags}");
        }
    }

    #[test]
    fn a_wrong_delimiter_anywhere_is_an_error() {
        let valid = format!("00-{TRACE}-{SPAN}-01");
        for at in [2, 35, 52] {
            for wrong in ["_", "0", " ", "."] {
                let mut text = valid.clone();
                text.replace_range(at..=at, wrong);
                assert_eq!(parse(&text), None, "{text}");
            }
        }
    }

    #[test]
    fn a_later_version_may_go_on_behind_a_dash_and_is_forwarded_as_version_00() {
        for version in ["01", "cc", "fe"] {
            for rest in ["", "-", "-what-the-future-will-be-like", "-é"] {
                let read = parse(&format!("{version}-{TRACE}-{SPAN}-01{rest}")).expect("valid");
                assert_eq!(format(read.0, read.1, read.2), format!("00-{TRACE}-{SPAN}-01"));
            }
            for rest in [".what", "0", ",", "é"] {
                assert_eq!(parse(&format!("{version}-{TRACE}-{SPAN}-01{rest}")), None);
            }
            assert_eq!(read(version, TRACE, SPAN, "1"), None, "shorter than 55 characters");
            assert_eq!(read(version, TRACE, SPAN, "zz"), None);
        }
    }

    #[test]
    fn sampled_and_random_are_kept_and_reserved_bits_are_zeroed() {
        for version in ["00", "cc"] {
            for bits in 0..=u8::MAX {
                let (.., flags) = read(version, TRACE, SPAN, &format!("{bits:02x}")).expect("valid");
                assert_eq!(flags.0, bits & 0x03);
            }
        }
        let (trace_id, span_id, _) = read("00", TRACE, SPAN, "00").expect("valid");
        assert!(format(trace_id, span_id, TraceFlags(0xfe)).ends_with("-02"));
    }

    #[test]
    fn blanks_and_tabs_around_the_value_do_not_belong_to_it() {
        let valid = format!("00-{TRACE}-{SPAN}-01");
        for (before, after) in [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")] {
            assert!(parse(&format!("{before}{valid}{after}")).is_some());
        }
        for other in ["\n", "\r", "\u{a0}", "\0"] {
            assert_eq!(parse(&format!("{valid}{other}")), None);
            assert_eq!(parse(&format!("{other}{valid}")), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(trace in 1_u128.., span in 1_u64.., flags in 0_u8..4) {
            let ids = (TraceId(NonZeroU128::new(trace).unwrap()), SpanId(NonZeroU64::new(span).unwrap()));
            let text = format(ids.0, ids.1, TraceFlags(flags));
            prop_assert_eq!(&text, &format!("00-{trace:032x}-{span:016x}-{flags:02x}"));
            prop_assert_eq!(parse(&text), Some((ids.0, ids.1, TraceFlags(flags))));
        }

        #[test]
        fn a_changed_byte_is_an_error_or_another_valid_value(at in 0_usize..55, to in any::<char>()) {
            let mut text = format!("00-{TRACE}-{SPAN}-01");
            text.replace_range(at..=at, to.encode_utf8(&mut [0; 4]));
            if let Some((trace_id, span_id, flags)) = parse(&text) {
                prop_assert_eq!(parse(&format(trace_id, span_id, flags)), Some((trace_id, span_id, flags)));
                prop_assert!(matches!(to, '0'..='9' | 'a'..='f' | '-'));
            }
        }
    }
}

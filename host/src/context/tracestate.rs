//! `tracestate`: what each tracing system says about the trace, opaque to all others.
//!
//! Rules are quoted by the titles of W3C Trace Context Level 2,
//! <https://www.w3.org/TR/trace-context-2/>.

use std::sync::Arc;

use smallvec::SmallVec;

/// Members of a list ("tracestate Header Field Values").
const MAX_MEMBERS: usize = 32;

/// Bytes of a key ("Key") and of a value ("Value").
const MAX_PART: usize = 256;

/// Bytes of the value that travels on. "tracestate Limits" asks for at least
/// 512, which is what a sender may rely on anywhere; a simulated system that
/// relies on more should find out here and not in production.
const MAX_LENGTH: usize = 512;

/// A longer member is the first to go when the value is too long ("tracestate Limits").
const LONG_MEMBER: usize = 128;

type Members<'a> = SmallVec<[&'a str; MAX_MEMBERS]>;

/// Reads the values of all fields, in order, and returns their normal form:
/// members joined by `,`, within [`MAX_MEMBERS`] and [`MAX_LENGTH`]. None when
/// nothing is left, and when a member is invalid: then none of them is trusted.
pub(super) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Option<Arc<str>> {
    let mut members = Members::new();
    // RFC 9110, 5.3: several fields are one, joined by commas. Splitting each says the same.
    for member in values.flat_map(|value| value.split(',')) {
        // "tracestate Header Field Values": blanks and tabs around members are
        // ignored, and so are empty members, which joining fields leaves behind.
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let key = key(member)?;
        // "Mutating the tracestate Field": duplicates may be discarded. The left-most is the most recent.
        if members.iter().any(|earlier| is_of(earlier, key)) {
            continue;
        }
        if members.len() == MAX_MEMBERS {
            return None;
        }
        members.push(member);
    }
    shorten(&mut members);
    (!members.is_empty()).then(|| join(&members))
}

/// The value of a member of a valid list.
pub(super) fn value<'a>(list: &'a str, key: &str) -> Option<&'a str> {
    list.split(',').find_map(|member| member.strip_prefix(key)?.strip_prefix('='))
}

/// A valid list with a member in front, in place of the one of its key; without the latter if `value` is
/// empty.
pub(super) fn with_first(list: &str, key: &str, value: &str) -> Option<Arc<str>> {
    let first = format!("{key}={value}");
    let mut members: Members<'_> = (!value.is_empty()).then_some(first.as_str()).into_iter().collect();
    members.extend(list.split(',').filter(|member| !member.is_empty() && !is_of(member, key)));
    members.truncate(MAX_MEMBERS);
    shorten(&mut members);
    (!members.is_empty()).then(|| join(&members))
}

/// The key of a valid member.
fn key(member: &str) -> Option<&str> {
    let (key, value) = member.split_once('=')?;
    (is_key(key.as_bytes()) && is_value(value.as_bytes())).then_some(key)
}

/// Whether a valid member has this key.
fn is_of(member: &str, key: &str) -> bool {
    member.strip_prefix(key).is_some_and(|rest| rest.starts_with('='))
}

/// "Key": up to 256 of `a-z 0-9 _ - * / @`, of which the first is a letter or a digit.
/// A Level 1 key of tenant and system (`tenant@system`) is one of these.
fn is_key(key: &[u8]) -> bool {
    let Some((first, rest)) = key.split_first() else { return false };
    let simple = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    key.len() <= MAX_PART
        && simple(first)
        && rest.iter().all(|byte| simple(byte) || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@'))
}

/// "Value": 1 to 256 printable characters but `,` and `=`, the last of them no
/// blank, which trimming the member has seen to.
fn is_value(value: &[u8]) -> bool {
    (1..=MAX_PART).contains(&value.len())
        && value.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'=')
}

/// "tracestate Limits": whole members are removed, long ones first, then from the end.
fn shorten(members: &mut Members<'_>) {
    while length(members) > MAX_LENGTH {
        let last_long = members.iter().rposition(|member| member.len() > LONG_MEMBER);
        members.remove(last_long.unwrap_or(members.len() - 1));
    }
}

/// The length of the members, joined.
fn length(members: &[&str]) -> usize {
    members.iter().map(|member| member.len() + 1).sum::<usize>().saturating_sub(1)
}

fn join(members: &[&str]) -> Arc<str> {
    match members {
        [only] => Arc::from(*only),
        several => several.join(",").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Option<String> {
        parse([value].into_iter()).map(|state| state.to_string())
    }

    /// `count` members of `length` bytes each, with keys of their own.
    fn members(count: usize, length: usize) -> Vec<String> {
        (0..count).map(|number| format!("{:x<length$}", format!("k{number:02}="))).collect()
    }

    #[test]
    fn keys_and_values_are_held_to_their_length_and_alphabet() {
        let key = "z".repeat(MAX_PART);
        let blank_first = format!("a={}~", " ".repeat(MAX_PART - 1));
        for valid in [
            "foo=1",
            "1=1",
            "1foo=1",
            "abcdefghijklmnopqrstuvwxyz0123456789_-*/=1",
            "tenant@system=1",
            "foo@=1",
            "foo@@bar=1",
            "a= 1",
            "a=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~",
            &format!("{key}=1"),
            &format!("a={key}"),
            &blank_first,
        ] {
            assert_eq!(read(valid).as_deref(), Some(valid));
        }
        for invalid in [
            "foo",
            "=1",
            "=",
            "foo=",
            "foo =1",
            "FOO=1",
            "foo.bar=1",
            "@foo=1",
            "_foo=1",
            "-foo=1",
            "é=1",
            "foo=bar=baz",
            "foo==",
            "foo=é",
            "foo=a\tb",
            "foo=\u{7f}",
            "foo=\0",
            "foo\t=1",
            &format!("{key}z=1"),
            &format!("a={key}z"),
        ] {
            assert_eq!(read(invalid), None, "{invalid}");
            assert_eq!(read(&format!("bar=2,{invalid}")), None, "one invalid member discards all: {invalid}");
        }
    }

    #[test]
    fn fields_are_joined_in_order_and_written_as_one() {
        let state = parse(["foo=1,bar=2", "", " \t", "rojo=1 , congo=2\t,,", "baz= 3 "].into_iter());
        assert_eq!(state.as_deref(), Some("foo=1,bar=2,rojo=1,congo=2,baz= 3"));
    }

    #[test]
    fn nothing_is_left_of_empty_members() {
        for value in ["", " ", "\t", ",", " ,\t, "] {
            assert_eq!(read(value), None);
        }
    }

    #[test]
    fn of_duplicate_keys_the_left_most_stays_because_it_is_the_most_recent() {
        assert_eq!(read("foo=1,bar=2,foo=3,fo=4").as_deref(), Some("foo=1,bar=2,fo=4"));
        assert_eq!(parse(["foo=1", "foo=2"].into_iter()).as_deref(), Some("foo=1"));
    }

    #[test]
    fn thirty_two_members_are_the_most() {
        let full = members(MAX_MEMBERS, 6).join(",");
        assert_eq!(read(&full).as_deref(), Some(full.as_str()));
        assert_eq!(read(&format!("{full},,k00=again")).as_deref(), Some(full.as_str()));
        assert_eq!(read(&format!("{full},more=1")), None);
    }

    #[test]
    fn a_value_of_512_bytes_is_kept_whole() {
        let mut full = members(4, 100);
        full.push(format!("{:x<108}", "last="));
        let full = full.join(",");
        assert_eq!(full.len(), MAX_LENGTH);
        assert_eq!(read(&full).as_deref(), Some(full.as_str()));
    }

    #[test]
    fn what_is_too_long_loses_whole_members_long_ones_first_and_then_the_last() {
        let short = members(4, LONG_MEMBER);
        let (long, longer) = (format!("{:x<129}", "long="), format!("{:x<200}", "longer="));
        let all = [&long, &short[0], &longer, &short[1], &short[2], &short[3]];
        let value = all.map(String::as_str).join(",");
        assert_eq!(read(&value), Some(short[..3].join(",")), "four and their commas are 515");

        let value = [&long, &short[0], &longer, &short[1]].map(String::as_str).join(",");
        let left = [&long, &short[0], &short[1]].map(String::as_str).join(",");
        assert_eq!(read(&value), Some(left), "no more goes than has to");
    }

    /// Members that are mostly valid, many and long enough to reach the limits, and any text.
    const SENT: &str = "([ \t]{0,2}[a-c]{1,2}@?[d-f0-9]{0,3}=[ -+./:a-z]{1,200}[a-z][ \t]?,){0,9}|\\PC*";
    const KEY: &str = "[a-z0-9][a-z0-9_*/@-]{0,6}";
    const VALUE: &str = "[ -+.-<>-~]{0,5}[!-+.-<>-~]";

    proptest! {
        #[test]
        fn what_comes_out_is_within_bounds_and_reads_as_itself(
            values in prop::collection::vec(SENT, 0..5),
        ) {
            if let Some(state) = parse(values.iter().map(String::as_str)) {
                prop_assert!(state.len() <= MAX_LENGTH);
                prop_assert!(state.split(',').count() <= MAX_MEMBERS);
                prop_assert_eq!(read(&state), Some(state.to_string()));
            }
        }

        #[test]
        fn a_valid_list_passes_unchanged(
            list in prop::collection::btree_map(KEY, VALUE, 1..=MAX_MEMBERS),
        ) {
            let value = list.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
            prop_assert_eq!(read(&value), Some(value));
        }
    }
}

//! `baggage`: what the application tells every service downstream.
//!
//! Rules are quoted by the titles of W3C Baggage, <https://www.w3.org/TR/baggage/>.

use std::borrow::Cow;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Members that travel on ("Limits", of which these are the least that is allowed).
const MAX_MEMBERS: usize = 64;

/// Bytes of the whole header value that travels on ("Limits").
const MAX_LENGTH: usize = 8192;

/// What "value" wants percent-encoded: all but `baggage-octet`, and `%` itself.
/// Bytes above ASCII are always encoded.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b',').add(b';').add(b'\\').add(b'%');

/// Names and values that travel with a request, in order.
///
/// It is kept as it goes over the wire, valid, without optional white space and
/// within its limits: most services pass it on and look at none of it, so that
/// passing on is a copy, cloning a count, and decoding paid by who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Option<Arc<str>>);

/// One entry of [`Baggage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member<'a> {
    pub key: &'a str,
    /// Decoded.
    pub value: Cow<'a, str>,
    /// As they travel, `;` between them; empty when there are none.
    pub properties: &'a str,
}

/// Why baggage does not take a member.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BaggageError {
    #[error("`{0}` is no key of baggage: use letters, digits and any of !#$%&'*+-.^_`|~")]
    InvalidKey(String),
    #[error("baggage is full: it has {MAX_MEMBERS} members")]
    TooManyMembers,
    #[error("baggage is full: it would take {0} bytes or more, and {MAX_LENGTH} are the most")]
    TooLong(usize),
}

impl Baggage {
    /// Reads the values of all fields, in order, which count as one ("Limits").
    ///
    /// A member that is invalid is skipped ("Mutating baggage" allows it), as is
    /// one that does not fit; what is kept of a member is all of it ("Limits").
    pub(super) fn parse<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        let mut text = String::new();
        let mut count = 0;
        for member in values.flat_map(|value| value.split(',')) {
            if count == MAX_MEMBERS {
                break;
            }
            let before = text.len();
            separate(&mut text);
            if write_member(&mut text, member).is_some() && text.len() <= MAX_LENGTH {
                count += 1;
            } else {
                text.truncate(before);
            }
        }
        Self((count > 0).then(|| text.into()))
    }

    /// The header's value; none when there is nothing to say.
    pub fn header(&self) -> Option<&str> {
        self.0.as_deref()
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The members in order. A key may come twice: "baggage-string" does not forbid it.
    pub fn iter(&self) -> impl Iterator<Item = Member<'_>> {
        self.members().map(Member::read)
    }

    /// The value of a key, decoded. Of several the last, as it was added last.
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        let of_key = self.members().filter(|member| split(member).0 == key);
        of_key.last().map(|member| Member::read(member).value)
    }

    /// This baggage with one value more, in place of those that the key has;
    /// this baggage as it is when [`Self::try_with`] refuses.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        self.try_with(key, value).unwrap_or_else(|_| self.clone())
    }

    /// This baggage with one value more, in place of those that the key has.
    pub fn try_with(&self, key: &str, value: &str) -> Result<Self, BaggageError> {
        // Encoding shortens nothing: what a guest makes too long is not even encoded.
        if key.len() + value.len() >= MAX_LENGTH {
            return Err(BaggageError::TooLong(key.len() + value.len() + 1));
        }
        if !is_token(key) {
            return Err(BaggageError::InvalidKey(key.to_owned()));
        }
        let mut text = String::new();
        let mut count = 1;
        for member in self.members().filter(|member| split(member).0 != key) {
            separate(&mut text);
            text.push_str(member);
            count += 1;
        }
        separate(&mut text);
        text.push_str(key);
        text.push('=');
        text.extend(utf8_percent_encode(value, ENCODED));
        if count > MAX_MEMBERS {
            return Err(BaggageError::TooManyMembers);
        }
        if text.len() > MAX_LENGTH {
            return Err(BaggageError::TooLong(text.len()));
        }
        Ok(Self(Some(text.into())))
    }

    fn members(&self) -> impl Iterator<Item = &str> {
        self.0.as_deref().into_iter().flat_map(|text| text.split(','))
    }
}

impl<'a> Member<'a> {
    /// Reads a member that is valid.
    fn read(member: &'a str) -> Self {
        let (pair, properties) = member.split_once(';').unwrap_or((member, ""));
        let (key, value) = split(pair);
        // "value": what is no UTF-8 becomes U+FFFD.
        Self { key, value: percent_decode_str(value).decode_utf8_lossy(), properties }
    }
}

/// What stands before and behind the first `=` of a valid member.
fn split(member: &str) -> (&str, &str) {
    member.split_once('=').unwrap_or((member, ""))
}

fn separate(text: &mut String) {
    if !text.is_empty() {
        text.push(',');
    }
}

/// Writes a member ("Definition": `list-member`) without optional white space.
/// None when it is invalid, with part of it written.
fn write_member(text: &mut String, member: &str) -> Option<()> {
    let mut parts = member.split(';');
    let (key, value) = parts.next()?.split_once('=')?;
    write_pair(text, key, Some(value))?;
    for property in parts {
        let (key, value) =
            property.split_once('=').map_or((property, None), |(key, value)| (key, Some(value)));
        // The grammar knows no empty property, but `key=value;` is easily sent and harms nobody.
        if value.is_some() || !trim(key).is_empty() {
            text.push(';');
            write_pair(text, key, value)?;
        }
    }
    Some(())
}

fn write_pair(text: &mut String, key: &str, value: Option<&str>) -> Option<()> {
    let key = trim(key);
    if !is_token(key) {
        return None;
    }
    text.push_str(key);
    if let Some(value) = value {
        text.push('=');
        write_value(text, trim(value))?;
    }
    Some(())
}

/// Writes a value as it was encoded. A `%` that encodes nothing means itself,
/// and "value" wants that encoded.
fn write_value(text: &mut String, value: &str) -> Option<()> {
    if !value.bytes().all(is_octet) {
        return None;
    }
    let mut parts = value.split('%');
    text.push_str(parts.next()?);
    for part in parts {
        let encodes = part.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        text.push_str(if encodes { "%" } else { "%25" });
        text.push_str(part);
    }
    Some(())
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// "key": a `token` of RFC 9110, 5.6.2.
fn is_token(text: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_tchar)
}

/// "Definition": `baggage-octet`. `,` and `;` do not get here: they end the value.
fn is_octet(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~') && !matches!(byte, b'"' | b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> Baggage {
        Baggage::parse([value].into_iter())
    }

    /// What is written for a value that was read, empty for nothing.
    fn normal(value: &str) -> String {
        read(value).header().unwrap_or_default().to_owned()
    }

    #[test]
    fn members_are_read_with_key_value_and_properties() {
        let baggage =
            read("SomeKey \t = \t SomeValue \t ; \t SomeProp \t , \t Key2 = a%20b==; p \t = \t %22v ;q\t");
        let members: Vec<_> = baggage.iter().collect();
        assert_eq!(members.len(), 2);
        assert_eq!(members[0], Member { key: "SomeKey", value: "SomeValue".into(), properties: "SomeProp" });
        assert_eq!(members[1], Member { key: "Key2", value: "a b==".into(), properties: "p=%22v;q" });
        assert_eq!(baggage.header(), Some("SomeKey=SomeValue;SomeProp,Key2=a%20b==;p=%22v;q"));
    }

    #[test]
    fn properties_keep_their_order_and_number_and_their_names_are_not_decoded() {
        for kept in ["k=v;p;p=1;p=2", "k=v;ValueProp%20%09%20%3D%20%09%20PropVal", "k=;p="] {
            assert_eq!(normal(kept), kept);
        }
        assert_eq!(normal("k=v;;p; "), "k=v;p");
    }

    #[test]
    fn an_invalid_member_is_skipped_whole_and_the_others_are_kept() {
        for invalid in [
            "",
            " ",
            "k",
            "=v",
            "k k=v",
            "ké=v",
            "k(=v",
            "\"k\"=v",
            "k=a b",
            "k=\"v\"",
            "k=a\\b",
            "k=é",
            "k=\u{7f}",
            "k=v;p q",
            "k=v;=1",
            "k=v;p=a b",
            ";p",
            "k;p=v",
        ] {
            assert_eq!(normal(invalid), "", "{invalid}");
            assert_eq!(normal(&format!("a=1,{invalid},b=2")), "a=1,b=2", "{invalid}");
        }
    }

    #[test]
    fn values_are_decoded_when_asked_for_and_travel_as_they_were_encoded() {
        for (sent, value) in [
            ("", ""),
            ("Am%C3%A9lie", "Amélie"),
            ("Am%c3%a9lie", "Amélie"),
            ("%09%20%22%27%3B%3Dasdf%21%40%23%24%25%5E%26%2A%28%29", "\t \"';=asdf!@#$%^&*()"),
            ("a%FFb", "a\u{fffd}b"),
            ("%C3", "\u{fffd}"),
            ("=a=b=", "=a=b="),
            ("%2541", "%41"),
        ] {
            let baggage = read(&format!("k={sent}"));
            assert_eq!(baggage.get("k").as_deref(), Some(value));
            assert_eq!(baggage.header(), Some(format!("k={sent}").as_str()));
        }
    }

    #[test]
    fn a_percent_sign_that_encodes_nothing_is_encoded() {
        for (sent, kept, value) in
            [("%", "%25", "%"), ("%4", "%254", "%4"), ("%zz%", "%25zz%25", "%zz%"), ("%%41", "%25%41", "%A")]
        {
            let baggage = read(&format!("k={sent}"));
            assert_eq!(baggage.header(), Some(format!("k={kept}").as_str()));
            assert_eq!(baggage.get("k").as_deref(), Some(value));
        }
    }

    #[test]
    fn of_several_members_with_one_key_all_travel_and_the_last_is_its_value() {
        let baggage = read("k=1,other=2,k=3");
        assert_eq!(baggage.header(), Some("k=1,other=2,k=3"));
        assert_eq!(baggage.get("k").as_deref(), Some("3"));
        assert_eq!(baggage.with("k", "4").header(), Some("other=2,k=4"));
        assert_eq!(baggage.get("K"), None);
    }

    #[test]
    fn a_value_is_set_beside_the_others_and_leaves_the_original_alone() {
        let empty = Baggage::default();
        let one = empty.with("user", "Amélie, \"the\" 1st;\\%");
        assert!(empty.is_empty() && !one.is_empty());
        assert_eq!(one.header(), Some("user=Am%C3%A9lie%2C%20%22the%22%201st%3B%5C%25"));
        assert_eq!(one.get("user").as_deref(), Some("Amélie, \"the\" 1st;\\%"));
        assert_eq!(one.with("tier", "").header().map(|text| text.ends_with(",tier=")), Some(true));
    }

    #[test]
    fn a_key_that_is_no_token_is_refused() {
        for key in ["", " ", "a b", "a=b", "a,b", "é"] {
            assert_eq!(Baggage::default().try_with(key, "v"), Err(BaggageError::InvalidKey(key.to_owned())));
            assert_eq!(read("a=1").with(key, "v"), read("a=1"));
        }
    }

    #[test]
    fn sixty_four_members_are_the_most() {
        let full = (0..MAX_MEMBERS).map(|number| format!("key{number}=value")).collect::<Vec<_>>().join(",");
        assert_eq!(normal(&full), full);
        assert_eq!(normal(&format!("{full},more=1")), full);
        let full = read(&full);
        assert_eq!(full.try_with("more", "1"), Err(BaggageError::TooManyMembers));
        assert_eq!(full.with("key0", "new").iter().count(), MAX_MEMBERS);
    }

    #[test]
    fn eight_kibibytes_are_the_most_and_only_whole_members_are_left_out() {
        let full = format!("a={}", "x".repeat(MAX_LENGTH - 2));
        assert_eq!(normal(&full), full);
        assert_eq!(normal(&format!("{full}x,b=1")), "b=1");
        let room = format!("a={}", "x".repeat(MAX_LENGTH - 6));
        assert_eq!(normal(&format!("{room},long=1,b=1")), format!("{room},b=1"));
        assert_eq!(read(&room).try_with("b", "%"), Err(BaggageError::TooLong(MAX_LENGTH + 2)));
        let empty = Baggage::default();
        assert_eq!(empty.with("a", &full[2..]).header(), Some(full.as_str()));
        assert_eq!(empty.try_with("aa", &full[2..]), Err(BaggageError::TooLong(MAX_LENGTH + 1)));
        assert_eq!(empty.with("aa", &full[2..]), empty);
    }

    /// Members that are mostly valid, many and long enough to reach the limits, and any text.
    const SENT: &str = "([a-z%é ]{1,3}=[!-~ \t]{0,400}(;[a-z=% ]{0,3})?,?){0,20}|\\PC*";

    proptest! {
        #[test]
        fn every_text_travels_as_a_value(key in "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,9}", value in any::<String>()) {
            let baggage = Baggage::default().with(&key, &value);
            let arrived = read(baggage.header().expect("fits"));
            prop_assert_eq!(arrived.get(&key), Some(Cow::from(&value)));
            prop_assert_eq!(arrived, baggage);
        }

        #[test]
        fn what_comes_out_is_within_bounds_and_reads_as_itself(
            values in prop::collection::vec(SENT, 0..6),
        ) {
            let baggage = Baggage::parse(values.iter().map(String::as_str));
            let header = baggage.header().unwrap_or_default();
            prop_assert!(header.len() <= MAX_LENGTH && baggage.iter().count() <= MAX_MEMBERS);
            prop_assert_eq!(&read(header), &baggage);
            for member in baggage.iter() {
                prop_assert!(baggage.get(member.key).is_some());
            }
        }
    }
}

//! Percent-encoding of paths and queries.

/// Encodes text so that it can stand as one segment of a path, or as a name or value in a query:
/// `format!("/stock/{}", percent_encode(&item))`. Everything but letters, digits and `-._~` is encoded.
pub fn percent_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte.into());
        } else {
            let digit = |nibble: u8| char::from(HEX[usize::from(nibble)]);
            encoded.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

/// Decodes what [`percent_encode`] and others encoded. A `%` without two digits stays as it is; bytes that are no
/// UTF-8 become U+FFFD.
pub fn percent_decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The fields of a query. As in forms, `+` is a space.
pub(crate) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode(&text.replace('+', " "));
    let fields = query.split('&').filter(|field| !field.is_empty());
    fields
        .map(|field| {
            let (name, value) = field.split_once('=').unwrap_or((field, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_segment_is_encoded() {
        assert_eq!(percent_encode("book-1._~"), "book-1._~");
        assert_eq!(percent_encode("a b/c?d#e%"), "a%20b%2Fc%3Fd%23e%25");
        assert_eq!(percent_encode("über"), "%C3%BCber");
    }

    #[test]
    fn decoding_undoes_encoding_and_leaves_what_is_not_encoded() {
        for text in ["a b/c?d#e%", "über", "", "100%", "%zz", "%2"] {
            assert_eq!(percent_decode(&percent_encode(text)), text);
        }
        assert_eq!(percent_decode("100% %zz %4"), "100% %zz %4");
        assert_eq!(percent_decode("%ff"), "\u{fffd}");
    }

    #[test]
    fn a_query_is_split_and_decoded() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            parse_query("a=1&b=x+y%2B&c&&d=e=f"),
            [pair("a", "1"), pair("b", "x y+"), pair("c", ""), pair("d", "e=f")]
        );
        assert_eq!(parse_query(""), []);
    }
}

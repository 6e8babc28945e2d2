//! Ids in base64, as protobuf's JSON has bytes. OTLP has an exception for ids (OTLP specification, "JSON
//! Protobuf Encoding"), and Tempo's API has none.

use serde_json::Value;

/// Writes an id in hexadecimal that is in base64. Its length tells which it is: 16 bytes are 24 characters or
/// 32 digits, 8 bytes are 12 characters or 16 digits.
pub fn id(value: &mut Value, key: &str) {
    if let Some(id) = value.get_mut(key)
        && let Some(digits) = id.as_str().and_then(hexadecimal)
    {
        *id = digits.into();
    }
}

fn hexadecimal(base64: &str) -> Option<String> {
    let (bytes, padding) = match base64.len() {
        24 => (16, "=="),
        12 => (8, "="),
        _ => return None,
    };
    let mut sextets = base64.strip_suffix(padding)?.bytes().map(sextet).collect::<Option<Vec<_>>>()?;
    let last = sextets.pop()?;
    // The lowest bits of the last character belong to no byte.
    let kept = 8 * bytes - 6 * sextets.len();
    let bits = sextets.into_iter().fold(0, |bits, sextet| (bits << 6) | u128::from(sextet));
    let bits = (bits << kept) | u128::from(last >> (6 - kept));
    Some(format!("{bits:0digits$x}", digits = 2 * bytes))
}

/// What a character stands for (RFC 4648, section 4).
const fn sextet(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_both_lengths_are_written_in_hexadecimal() {
        let cases = [
            ("S/kvNXezTaajzpKdDg5HNg==", Some("4bf92f3577b34da6a3ce929d0e0e4736")),
            ("APBnqgupArc=", Some("00f067aa0ba902b7")),
            ("AAAAAAAAAAA=", Some("0000000000000000")),
            ("4bf92f3577b34da6a3ce929d0e0e4736", None),
            ("S/kvNXezTaajzpKdDg5HNgAA", None),
            ("S!kvNXezTaajzpKdDg5HNg==", None),
            ("", None),
        ];
        for (base64, digits) in cases {
            assert_eq!(hexadecimal(base64).as_deref(), digits, "{base64}");
        }
    }
}

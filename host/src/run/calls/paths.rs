//! Paths of which some parts vary from request to request, and the routes that they may meet.

/// A path of which some parts vary: `/items/{id}` of a call, `/v{n}/items` of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    tokens: Vec<Token>,
    /// The path with a value in each part that varies which no route has as fixed text.
    unlike: String,
    varies: bool,
}

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// As it is sent.
    Fixed(&'a str),
    /// Varies: one of these values, of one byte at least.
    Varying(Values),
}

/// The bytes of which a value consists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Digits,
    /// Percent-encoded text: any byte but a slash.
    Text,
    /// What a catch-all takes: any byte.
    Rest,
}

/// What a pattern consists of, a byte at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// One of these bytes.
    One(Values),
    /// Any number of these bytes.
    Many(Values),
}

/// Stands for a value that no route has as fixed text: routes have braces around names only.
const UNLIKE: &str = "{}";

impl Pattern {
    /// The pattern of a path; its query does not count.
    pub fn of<'a>(parts: impl IntoIterator<Item = Part<'a>>) -> Self {
        let mut pattern = Self::default();
        for part in parts {
            match part {
                Part::Fixed(text) => {
                    let path = text.split('?').next().unwrap_or(text);
                    pattern.tokens.extend(path.bytes().map(Token::Byte));
                    pattern.unlike.push_str(path);
                    if path.len() < text.len() {
                        break;
                    }
                }
                Part::Varying(values) => {
                    pattern.tokens.extend([Token::One(values), Token::Many(values)]);
                    pattern.unlike.push_str(UNLIKE);
                    pattern.varies = true;
                }
            }
        }
        pattern
    }

    /// That of a route's path: `/stock/{item}`, `/files/{*path}`.
    fn of_route(path: &str) -> Self {
        let parts = path.split(['{', '}']).enumerate();
        Self::of(parts.map(|(at, part)| match part {
            fixed if at % 2 == 0 => Part::Fixed(fixed),
            name if name.starts_with('*') => Part::Varying(Values::Rest),
            _ => Part::Varying(Values::Text),
        }))
    }

    /// Whether any part varies.
    pub const fn varies(&self) -> bool {
        self.varies
    }

    /// A path with values that are unlike the fixed text of all routes: it meets the route that most
    /// values meet.
    pub fn unlike(&self) -> &str {
        &self.unlike
    }

    /// Whether some values lead to this path of a route.
    pub fn may_meet(&self, path: &str) -> bool {
        may_be_alike(&self.tokens, &Self::of_route(path).tokens)
    }
}

impl Values {
    const fn have(self, byte: u8) -> bool {
        match self {
            Self::Digits => byte.is_ascii_digit(),
            Self::Text => byte != b'/',
            Self::Rest => true,
        }
    }
}

impl Token {
    /// Whether both may be the same byte.
    const fn may_be(self, other: Self) -> bool {
        match (self, other) {
            (Self::Byte(one), Self::Byte(other)) => one == other,
            (Self::Byte(byte), Self::One(values) | Self::Many(values))
            | (Self::One(values) | Self::Many(values), Self::Byte(byte)) => values.have(byte),
            // All have digits.
            (Self::One(_) | Self::Many(_), Self::One(_) | Self::Many(_)) => true,
        }
    }

    const fn is_many(self) -> bool {
        matches!(self, Self::Many(_))
    }
}

/// Whether there is a text that both describe. The table says it of what is left of one from a row on
/// and of what is left of the other from a column on, the ends first; it keeps two rows.
fn may_be_alike(one: &[Token], other: &[Token]) -> bool {
    let mut below = vec![false; other.len() + 1];
    below[other.len()] = true;
    for at in (0..other.len()).rev() {
        below[at] = other[at].is_many() && below[at + 1];
    }
    for &token in one.iter().rev() {
        let mut row = vec![false; other.len() + 1];
        row[other.len()] = token.is_many() && below[other.len()];
        for (at, &facing) in other.iter().enumerate().rev() {
            let is_over = token.is_many() && below[at] || facing.is_many() && row[at + 1];
            row[at] = is_over
                || token.may_be(facing)
                    && match (token.is_many(), facing.is_many()) {
                        (true, true) => false,
                        (true, false) => row[at + 1],
                        (false, true) => below[at],
                        (false, false) => below[at + 1],
                    };
        }
        below = row;
    }
    below[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str, values: Values) -> Pattern {
        let parts = path.split(['{', '}']).enumerate();
        Pattern::of(parts.map(|(at, part)| match at % 2 {
            0 => Part::Fixed(part),
            _ => Part::Varying(values),
        }))
    }

    #[test]
    fn a_name_meets_any_fixed_segment_and_any_name() {
        let met = [
            ("/{kind}", "/books"),
            ("/{kind}", "/{other}"),
            ("/books", "/{kind}"),
            ("/{a}/{b}", "/books/new"),
            ("/v{n}/items", "/v2/items"),
            ("/v{n}/items", "/{version}/items"),
            ("/{a}-{b}", "/x-y-z"),
            ("/files/{name}", "/files/{*path}"),
            ("/files/a/b", "/files/{*path}"),
            ("/items?x={id}", "/items"),
        ];
        for (path, route) in met {
            assert!(pattern(path, Values::Text).may_meet(route), "{path} meets {route}");
        }
        let missed = [
            ("/{kind}", "/books/new"),
            ("/{kind}", "/"),
            ("/a/{kind}", "/b/{kind}"),
            ("/v{n}/items", "/w2/items"),
            ("/v{n}/items", "/v/items"),
            ("/{a}/{b}", "/{a}"),
            ("/files", "/files/{*path}"),
        ];
        for (path, route) in missed {
            assert!(!pattern(path, Values::Text).may_meet(route), "{path} does not meet {route}");
        }
    }

    #[test]
    fn a_number_meets_digits_only() {
        let path = pattern("/items/{id}", Values::Digits);
        assert!(path.may_meet("/items/{name}") && path.may_meet("/items/42"));
        assert!(!path.may_meet("/items/new") && !path.may_meet("/items/4a"));
    }
}

//! Fields of text, as a path's parameters and a query are, read into any type that serde knows.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use std::fmt;

/// Reads names and values into a struct by name, a tuple by order, or, if there is but one, into a single value.
pub(crate) fn from_pairs<T: DeserializeOwned>(pairs: &[(String, String)]) -> Result<T, FieldError> {
    T::deserialize(Fields(pairs))
}

/// Why the fields do not make the type. Names the field.
#[derive(Debug)]
pub(crate) struct FieldError(String);

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FieldError {}

impl de::Error for FieldError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self(message.to_string())
    }
}

struct Fields<'a>(&'a [(String, String)]);

impl<'a> Fields<'a> {
    fn only(&self) -> Result<Field<'a>, FieldError> {
        match self.0 {
            [(name, value)] => Ok(Field { name, value }),
            several => Err(FieldError(format!("there are {} values for one argument", several.len()))),
        }
    }

    fn each(&self) -> impl Iterator<Item = Field<'a>> + use<'a> {
        self.0.iter().map(|(name, value)| Field { name, value })
    }
}

macro_rules! from_the_only_field {
    ($($method:ident)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
                self.only()?.$method(visitor)
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Fields<'_> {
    type Error = FieldError;

    from_the_only_field! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_char
        deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_map(MapDeserializer::new(self.each().map(|field| (field.name, field))))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_seq(SeqDeserializer::new(self.each()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, FieldError> {
        if self.0.len() != len {
            return Err(FieldError(format!("there are {} values for {len} arguments", self.0.len())));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        self.only()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_unit()
    }
}

/// One value, which knows its name so that an error can say it.
struct Field<'a> {
    name: &'a str,
    value: &'a str,
}

impl IntoDeserializer<'_, FieldError> for Field<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $type:ty;)*) => {
        $(
            fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
                match self.value.parse::<$type>() {
                    Ok(value) => visitor.$visit(value),
                    Err(error) => Err(FieldError(format!("{}: {:?} is invalid: {error}", self.name, self.value))),
                }
            }
        )*
    };
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = FieldError;

    parsed! {
        deserialize_bool visit_bool bool;
        deserialize_i8 visit_i8 i8;
        deserialize_i16 visit_i16 i16;
        deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64;
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_f32 visit_f32 f32;
        deserialize_f64 visit_f64 f64;
        deserialize_char visit_char char;
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_str(self.value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, FieldError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, FieldError> {
        let named = |error: FieldError| FieldError(format!("{}: {error}", self.name));
        visitor.visit_enum(IntoDeserializer::<FieldError>::into_deserializer(self.value)).map_err(named)
    }

    serde::forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn error<T: DeserializeOwned>(of: &[(&str, &str)]) -> String {
        from_pairs::<T>(&pairs(of)).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Tier {
        Gold,
        Silver,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Search {
        tier: Tier,
        limit: Option<u8>,
    }

    #[test]
    fn fields_become_single_values_tuples_and_structs() {
        assert_eq!(from_pairs::<String>(&pairs(&[("item", "a b")])).unwrap(), "a b");
        assert_eq!(from_pairs::<u64>(&pairs(&[("ms", "250")])).unwrap(), 250);
        assert_eq!(from_pairs::<(String, i8)>(&pairs(&[("a", "x"), ("b", "-1")])).unwrap(), ("x".into(), -1));
        let gold = Search { tier: Tier::Gold, limit: None };
        assert_eq!(from_pairs::<Search>(&pairs(&[("tier", "gold"), ("other", "1")])).unwrap(), gold);
        let silver = Search { tier: Tier::Silver, limit: Some(9) };
        assert_eq!(from_pairs::<Search>(&pairs(&[("limit", "9"), ("tier", "silver")])).unwrap(), silver);
    }

    #[test]
    fn an_error_names_the_field() {
        assert_eq!(error::<u64>(&[("ms", "soon")]), "ms: \"soon\" is invalid: invalid digit found in string");
        assert_eq!(error::<Search>(&[]), "missing field `tier`");
        assert!(
            error::<Search>(&[("tier", "gold"), ("limit", "900")]).starts_with("limit: \"900\" is invalid")
        );
        assert!(error::<Search>(&[("tier", "tin")]).starts_with("tier: unknown variant `tin`"));
        assert_eq!(error::<String>(&[("a", ""), ("b", "")]), "there are 2 values for one argument");
        assert_eq!(error::<(u8, u8)>(&[("a", "1")]), "there are 1 values for 2 arguments");
    }
}

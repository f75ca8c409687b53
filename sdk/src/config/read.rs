//! The deserializer: fields are looked up by name, values are parsed as what the field's type asks for.

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde_json::Value;

use super::Config;
use super::error::Problem;
use super::source::Found;

/// A place among the settings, and the value if one stands there.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    config: &'a Config,
    path: Vec<&'static str>,
    found: Option<Found>,
}

impl<'a> Reader<'a> {
    pub(super) fn root(config: &'a Config) -> Self {
        Self { config, path: Vec::new(), found: None }
    }

    /// The field's value or the settings below it; `None` if there is neither.
    fn field(&self, name: &'static str) -> Result<Option<Self>, Problem> {
        let path: Vec<&'static str> = self.path.iter().copied().chain([name]).collect();
        let found = self.config.find(&path).map_err(|problem| problem.within(name))?;
        let is_there = found.is_some() || self.config.has_below(&path);
        Ok(is_there.then_some(Self { config: self.config, path, found }))
    }

    fn text(&self) -> Result<&str, Problem> {
        match &self.found {
            Some(found) => Ok(&found.text),
            None => Err(Problem::not_a("a struct: only settings below it are there")),
        }
    }

    fn parse<T: std::str::FromStr>(&self, expected: &str) -> Result<T, Problem> {
        self.text()?.trim().parse().map_err(|_| Problem::not_a(expected))
    }

    /// The value as JSON, if it looks like that.
    fn json(&self) -> Result<Option<Value>, Problem> {
        match self.text()?.trim_start() {
            text if text.starts_with(['{', '[']) => {
                serde_json::from_str(text).map(Some).map_err(|error| Problem::not_a(&format!("valid JSON ({error})")))
            }
            _ => Ok(None),
        }
    }

    fn wanted_json(&self, expected: &str) -> Result<Value, Problem> {
        self.json()?.ok_or_else(|| Problem::not_a(expected))
    }

    /// Says which value a problem is about.
    fn located<T>(&self, result: Result<T, Problem>) -> Result<T, Problem> {
        result.map_err(|problem| match &self.found {
            Some(found) => problem.with_value(found),
            None => problem,
        })
    }
}

/// A problem inside of a JSON value is the type's own.
fn from_json(error: serde_json::Error) -> Problem {
    serde::de::Error::custom(error)
}

macro_rules! numbers {
    ($($method:ident $visit:ident $kind:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let expected = format!("a whole number from {} to {}", <$kind>::MIN, <$kind>::MAX);
            self.located(self.parse(&expected).and_then(|number| visitor.$visit(number)))
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Problem;

    numbers!(
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16, deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64
    );

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.located(self.parse("a number").and_then(|number| visitor.visit_f32(number)))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.located(self.parse("a number").and_then(|number| visitor.visit_f64(number)))
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.located(self.parse("a single character").and_then(|character| visitor.visit_char(character)))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let value = self.text().and_then(|text| match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Problem::not_a("true or false")),
        });
        self.located(value.and_then(|value| visitor.visit_bool(value)))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.located(self.text().and_then(|text| visitor.visit_str(text)))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.located(self.text().and_then(|text| visitor.visit_bytes(text.as_bytes())))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_bytes(visitor)
    }

    /// A variable that is set to nothing is one that is not set.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match &self.found {
            Some(found) if found.text.is_empty() => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let result = match self.json() {
            Ok(Some(list)) => list.deserialize_seq(visitor).map_err(from_json),
            Ok(None) => {
                let items = self.text()?.split(',').map(str::trim).filter(|item| !item.is_empty());
                visitor.visit_seq(SeqDeserializer::new(items.map(|item| Item { reader: &self, text: item })))
            }
            Err(problem) => Err(problem),
        };
        self.located(result)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _length: usize, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _length: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.path.is_empty() {
            let message =
                "the settings must be a struct without #[serde(flatten)]: give the inner struct a field of its own";
            return Err(serde::de::Error::custom(message));
        }
        let map = self.wanted_json("a JSON object");
        self.located(map.and_then(|map| map.deserialize_map(visitor).map_err(from_json)))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        if self.found.is_some() {
            let object = self.wanted_json("a JSON object");
            return self
                .located(object.and_then(|value| value.deserialize_struct(name, fields, visitor).map_err(from_json)));
        }
        visitor.visit_map(Fields { reader: &self, rest: fields.iter(), next: None })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let result = match self.json() {
            Ok(Some(value)) => value.deserialize_enum(name, variants, visitor).map_err(from_json),
            Ok(None) => {
                let text = self.text()?.trim();
                match variants.contains(&text) {
                    true => visitor.visit_enum(StrDeserializer::new(text)),
                    false => Err(Problem::not_a(&format!("one of {}", variants.join(", ")))),
                }
            }
            Err(problem) => Err(problem),
        };
        self.located(result)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }
}

/// One of a list.
struct Item<'a, 'b> {
    reader: &'b Reader<'a>,
    text: &'b str,
}

impl<'a, 'b> IntoDeserializer<'_, Problem> for Item<'a, 'b> {
    type Deserializer = Reader<'a>;

    fn into_deserializer(self) -> Reader<'a> {
        let found =
            self.reader.found.as_ref().map(|found| Found { text: self.text.to_owned(), origin: found.origin.clone() });
        Reader { found, ..self.reader.clone() }
    }
}

/// The fields of a struct that are there.
struct Fields<'a, 'b> {
    reader: &'b Reader<'a>,
    rest: std::slice::Iter<'static, &'static str>,
    next: Option<(&'static str, Reader<'a>)>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        for field in self.rest.by_ref() {
            if let Some(reader) = self.reader.field(field)? {
                self.next = Some((field, reader));
                return seed.deserialize(StrDeserializer::new(field)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (field, reader) = self.next.take().expect("invariant: a value follows its key");
        let at = reader.found.clone();
        let problem = |problem: Problem| match &at {
            Some(found) => problem.with_value(found).within(field),
            None => problem.within(field),
        };
        seed.deserialize(reader).map_err(problem)
    }
}

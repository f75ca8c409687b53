use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// More are not told: one is enough to see what happened.
const DUPLICATES_MAX: usize = 100;

/// A document as it was sent: of a field that is there twice the last one counts, but it is not forgotten.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Document {
    pub(crate) value: Value,
    /// Paths of fields that are there more than once, as in `spec.containers[0].name`.
    pub(crate) duplicates: Vec<String>,
}

impl Document {
    /// One `duplicate field "spec.foo"` a field.
    pub(crate) fn duplicate_warnings(&self) -> impl Iterator<Item = String> {
        self.duplicates.iter().map(|path| format!("duplicate field {path:?}"))
    }

    fn plain(value: impl Into<Value>) -> Self {
        Self { value: value.into(), duplicates: Vec::new() }
    }

    /// Takes over what was found below `step`.
    fn adopt(&mut self, step: &str, found: Vec<String>) {
        for path in found {
            let dot = if path.starts_with('[') { "" } else { "." };
            self.tell(format!("{step}{dot}{path}"));
        }
    }

    fn tell(&mut self, path: String) {
        if self.duplicates.len() < DUPLICATES_MAX && !self.duplicates.contains(&path) {
            self.duplicates.push(path);
        }
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Document;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Document, E> {
        Ok(Document::plain(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Document, E> {
        Ok(Document::plain(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Document, E> {
        Ok(Document::plain(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Document, E> {
        Ok(Document::plain(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Document, E> {
        Ok(Document::plain(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Document, E> {
        Ok(Document::plain(value))
    }

    fn visit_unit<E>(self) -> Result<Document, E> {
        Ok(Document::default())
    }

    fn visit_none<E>(self) -> Result<Document, E> {
        Ok(Document::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Document, D::Error> {
        Document::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Document, A::Error> {
        let (mut document, mut values) = (Document::default(), Vec::new());
        while let Some(item) = items.next_element::<Document>()? {
            if !item.duplicates.is_empty() {
                document.adopt(&format!("[{}]", values.len()), item.duplicates);
            }
            values.push(item.value);
        }
        document.value = Value::Array(values);
        Ok(document)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Document, A::Error> {
        let (mut document, mut values) = (Document::default(), Map::new());
        while let Some((key, field)) = fields.next_entry::<String, Document>()? {
            if values.contains_key(&key) {
                document.tell(key.clone());
            }
            document.adopt(&key, field.duplicates);
            values.insert(key, field.value);
        }
        document.value = Value::Object(values);
        Ok(document)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_last_of_two_counts_and_the_first_is_told() {
        let text = r#"{"a": 1, "b": [{"c": {"d": 1, "d": 2}}], "a": {"x": null}, "a": 3.5}"#;
        let document: Document = serde_json::from_str(text).unwrap();
        assert_eq!(document.value, json!({"a": 3.5, "b": [{"c": {"d": 2}}]}));
        assert_eq!(document.duplicates, ["b[0].c.d", "a"]);
    }

    #[test]
    fn many_duplicates_are_not_all_told() {
        let fields: Vec<String> = (0..500).map(|number| format!("\"k{number}\":0,\"k{number}\":1")).collect();
        let document: Document = serde_json::from_str(&format!("{{{}}}", fields.join(","))).unwrap();
        assert_eq!((document.value.as_object().unwrap().len(), document.duplicates.len()), (500, DUPLICATES_MAX));
    }
}

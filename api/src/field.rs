//! Reading a value along its path, and collecting what is wrong on the way.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::{Cause, Selector, names};

/// A value with the path that leads to it; absent fields are null.
#[derive(Clone, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) path: String,
    pub(crate) value: &'a Value,
}

impl<'a> Field<'a> {
    pub(crate) fn root(value: &'a Value) -> Self {
        Self { path: String::new(), value }
    }

    pub(crate) fn get(&self, name: &str) -> Field<'a> {
        Field { path: join(&self.path, name), value: &self.value[name] }
    }

    /// The items of a list; nothing if it is none.
    pub(crate) fn items(&self) -> impl Iterator<Item = Field<'a>> {
        let values = self.value.as_array().into_iter().flatten();
        values.enumerate().map(|(index, value)| Field { path: format!("{}[{index}]", self.path), value })
    }

    pub(crate) fn get_index(&self, index: usize) -> Field<'a> {
        Field { path: format!("{}[{index}]", self.path), value: &self.value[index] }
    }

    /// Key and value of a map; the path is that of the map.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
    }

    /// Path of a map's entry: `spec.selector[a]`.
    pub(crate) fn key_path(&self, key: &str) -> String {
        if self.path.len() > PATH_BYTES_MAX { self.path.clone() } else { format!("{}[{}]", self.path, shortened(key)) }
    }

    pub(crate) fn str(&self) -> Option<&'a str> {
        self.value.as_str()
    }

    /// Empty when absent.
    pub(crate) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    pub(crate) fn int(&self) -> Option<i64> {
        self.value.as_i64()
    }

    pub(crate) fn is_set(&self) -> bool {
        !self.value.is_null()
    }

    /// Absent, null, or the empty string, list or object.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        }
    }
}

/// What is wrong with an object, in the order in which it was found.
#[derive(Default, Debug)]
pub(crate) struct Faults {
    pub(crate) causes: Vec<Cause>,
}

impl Faults {
    pub(crate) fn push(&mut self, cause: Cause) {
        self.causes.push(cause);
    }

    /// True if the field has a value.
    pub(crate) fn require(&mut self, field: &Field, detail: &str) -> bool {
        if field.is_empty() {
            self.push(Cause::required(&field.path, detail));
        }
        !field.is_empty()
    }

    /// An absent value shows as the empty text that Go's types make of it.
    pub(crate) fn invalid(&mut self, field: &Field, detail: &str) {
        let empty = Value::String(String::new());
        let shown = if field.is_set() { field.value } else { &empty };
        self.push(Cause::invalid(&field.path, shown, detail));
    }

    pub(crate) fn forbid(&mut self, path: &str, detail: &str) {
        self.push(Cause::forbidden(path, detail));
    }

    pub(crate) fn duplicate(&mut self, field: &Field) {
        self.push(Cause::duplicate(&field.path, field.value));
    }

    /// Set, and none of `supported`.
    pub(crate) fn one_of(&mut self, field: &Field, supported: &[&str]) {
        if !field.is_empty() && !supported.contains(&field.text()) {
            self.push(Cause::unsupported(&field.path, field.value, supported));
        }
    }

    pub(crate) fn non_negative(&mut self, field: &Field) {
        if field.int().is_some_and(|number| number < 0) {
            self.invalid(field, "must be greater than or equal to 0");
        }
    }

    /// What one of the checks of [`names`] found.
    pub(crate) fn named(&mut self, field: &Field, found: Vec<String>) {
        self.causes.extend(names::causes(&field.path, field.text(), found));
    }

    pub(crate) fn labels(&mut self, field: &Field) {
        for (key, value) in field.entries() {
            self.causes.extend(names::causes(&field.path, key, names::check_qualified_name(key)));
            let text = value.as_str().unwrap_or_default();
            self.causes.extend(names::causes(&field.path, text, names::check_label_value(text)));
        }
    }

    /// A LabelSelector, well formed if it is there.
    pub(crate) fn selector(&mut self, selector: &Field) {
        self.equalities(&selector.get("matchLabels"));
        let expressions = json!({"matchExpressions": selector.value["matchExpressions"]});
        if let Err(error) = Selector::from_json(&expressions) {
            self.invalid(selector, &error.to_string());
        }
    }

    /// Labels that are to be selected by.
    pub(crate) fn equalities(&mut self, labels: &Field) {
        for (key, value) in labels.entries() {
            self.causes.extend(names::causes(&labels.path, key, names::check_qualified_name(key)));
            let entry = Field { path: labels.key_path(key), value };
            self.named(&entry, names::check_label_value(entry.text()));
        }
    }

    /// `new` differs from `old` though it may not.
    pub(crate) fn immutable(&mut self, new: &Field, old: &Value) {
        if new.value != old {
            self.invalid(new, "field is immutable");
        }
    }
}

/// Bytes of a path, beyond which nothing is added, and of a name in it. Those that people read are a tenth of it, and keys
/// of maps can be as long as an object.
const PATH_BYTES_MAX: usize = 2048;
const NAME_BYTES_MAX: usize = 512;

pub(crate) fn join(path: &str, name: &str) -> String {
    match (path, shortened(name)) {
        ("", name) => name.into_owned(),
        (path, _) if path.len() > PATH_BYTES_MAX => path.to_owned(),
        (path, name) => format!("{path}.{name}"),
    }
}

fn shortened(name: &str) -> Cow<'_, str> {
    match name.floor_char_boundary(NAME_BYTES_MAX) {
        end if end < name.len() => Cow::Owned(format!("{}…", &name[..end])),
        _ => Cow::Borrowed(name),
    }
}

/// Sets a field that is absent or null.
pub(crate) fn set_default(object: &mut Value, field: &str, default: impl Into<Value>) {
    if object[field].is_null() {
        object[field] = default.into();
    }
}

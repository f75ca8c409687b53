use jiff::Timestamp;
use serde_json::{Value, json};

use super::keep_text;
use crate::jsonpath::Template;
use crate::table::{self, Column, Rows};

/// The `additionalPrinterColumns` of a version. Source: `apiextensions-apiserver/pkg/registry/customresource/tableconvertor`.
pub(super) struct PrinterColumns {
    definitions: Vec<Column>,
    /// One a definition but the first, which is the name; `None` for a path that cannot be read.
    paths: Vec<Option<Template>>,
}

const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names",
};

const AGE_DESCRIPTION: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What one cell may cost: some thousand times what cells cost, and a few milliseconds.
const CELL_WORK_MAX: usize = 100_000;

impl PrinterColumns {
    /// Age alone when the version names none.
    pub(super) fn parse(version: &Value) -> Self {
        let age = json!([{
            "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp", "description": AGE_DESCRIPTION,
        }]);
        let given = version["additionalPrinterColumns"].as_array().filter(|columns| !columns.is_empty());
        let columns = given.or(age.as_array()).map(Vec::as_slice).unwrap_or_default();
        let definitions = std::iter::once(NAME).chain(columns.iter().map(definition)).collect();
        Self { definitions, paths: columns.iter().map(template).collect() }
    }
}

impl Rows for PrinterColumns {
    fn definitions(&self) -> &[Column] {
        &self.definitions
    }

    fn row(&self, object: &Value, now: Timestamp) -> Vec<Value> {
        let columns = self.definitions[1..].iter().zip(&self.paths);
        let cells = columns.map(|(column, path)| match path {
            Some(path) => cell(column.kind, path, object, now),
            None => Value::Null,
        });
        std::iter::once(table::name(object)).chain(cells).collect()
    }
}

fn definition(column: &Value) -> Column {
    let text = |field: &str| column[field].as_str().unwrap_or_default();
    let described = match text("description") {
        "" => format!("Custom resource definition column (in JSONPath format): {}", path(column)),
        description => description.to_owned(),
    };
    Column {
        name: keep_text(text("name")),
        kind: keep_text(text("type")),
        format: keep_text(text("format")),
        priority: column["priority"].as_i64().and_then(|priority| i32::try_from(priority).ok()).unwrap_or(0),
        description: keep_text(&described),
    }
}

/// `None` for a path that cannot be read.
pub(super) fn template(column: &Value) -> Option<Template> {
    let template: Template = format!("{{{}}}", path(column)).parse().ok()?;
    Some(template.bounded(CELL_WORK_MAX))
}

fn path(column: &Value) -> &str {
    column["jsonPath"].as_str().unwrap_or_default()
}

/// A value that is not of the column's type shows as nothing.
pub(super) fn cell(column_type: &str, path: &Template, object: &Value, now: Timestamp) -> Value {
    let Some(found) = path.values(object).into_iter().next().filter(|found| !found.is_null()) else {
        return Value::Null;
    };
    match column_type {
        "string" => json!(path.render(object)),
        "integer" => {
            found.as_i64().or_else(|| found.as_f64().map(|number| number as i64)).map_or(Value::Null, Value::from)
        }
        "number" if found.is_number() => found.clone(),
        "boolean" if found.is_boolean() => found.clone(),
        "date" => match found.as_str().map(|text| text.parse::<Timestamp>()) {
            None => Value::Null,
            Some(Ok(then)) => json!(table::human_duration(now.as_second() - then.as_second())),
            Some(Err(_)) => json!("<invalid>"),
        },
        _ => Value::Null,
    }
}

//! Columns as kubectl aligns them: upper-case headings, three spaces between.

use serde_json::Value;

/// Which columns of a server's Table are shown.
pub(crate) struct Columns {
    pub(crate) wide: bool,
    pub(crate) headings: bool,
    pub(crate) show_namespace: bool,
    pub(crate) show_labels: bool,
    /// `pod/` before each name when several kinds are listed.
    pub(crate) name_prefix: Option<String>,
}

impl Columns {
    /// The lines of a `meta.k8s.io/v1` Table, whose column definitions may come from an earlier event of a watch.
    pub(crate) fn lines(&self, table: &Value, definitions: &Value) -> Vec<Vec<String>> {
        let definitions = definitions.as_array().map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<usize> = (0..definitions.len())
            .filter(|index| self.wide || definitions[*index]["priority"].as_i64().unwrap_or(0) == 0)
            .collect();
        let mut lines = Vec::new();
        if self.headings {
            let names =
                shown.iter().map(|index| definitions[*index]["name"].as_str().unwrap_or_default().to_uppercase());
            lines.push(self.line("NAMESPACE", names.collect(), "LABELS"));
        }
        for row in table["rows"].as_array().into_iter().flatten() {
            let metadata = &row["object"]["metadata"];
            let mut cells: Vec<String> = shown.iter().map(|index| cell(&row["cells"][*index])).collect();
            if let (Some(prefix), Some(first)) = (&self.name_prefix, cells.first_mut()) {
                first.insert_str(0, prefix);
            }
            lines.push(self.line(
                metadata["namespace"].as_str().unwrap_or_default(),
                cells,
                &labels(&metadata["labels"]),
            ));
        }
        lines
    }

    fn line(&self, namespace: &str, cells: Vec<String>, labels: &str) -> Vec<String> {
        let before = self.show_namespace.then(|| namespace.to_owned());
        let after = self.show_labels.then(|| labels.to_owned());
        before.into_iter().chain(cells).chain(after).collect()
    }
}

/// Prints lines in columns. `widths` keeps what earlier lines needed, so that a watch stays aligned.
pub(crate) fn print_aligned(lines: &[Vec<String>], widths: &mut Vec<usize>) {
    for line in lines {
        for (index, text) in line.iter().enumerate() {
            let length = text.chars().count();
            match widths.get_mut(index) {
                Some(width) => *width = length.max(*width),
                None => widths.push(length),
            }
        }
    }
    for line in lines {
        let padded = line.iter().zip(widths.iter()).map(|(text, width)| format!("{text:<width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("   ").trim_end());
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "<none>".to_owned(),
        Value::String(text) => text.replace('\n', "\\n"),
        other => other.to_string(),
    }
}

fn labels(value: &Value) -> String {
    let pairs: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() { "<none>".to_owned() } else { pairs.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wide_columns_show_only_when_asked() {
        let definitions = json!([{"name": "Name", "priority": 0}, {"name": "IP", "priority": 1}]);
        let table = json!({"rows": [{"cells": ["a", null], "object": {"metadata": {"namespace": "x"}}}]});
        let columns =
            |wide| Columns { wide, headings: true, show_namespace: true, show_labels: false, name_prefix: None };
        assert_eq!(columns(false).lines(&table, &definitions), [["NAMESPACE", "NAME"], ["x", "a"]]);
        assert_eq!(columns(true).lines(&table, &definitions)[1], ["x", "a", "<none>"]);
    }
}

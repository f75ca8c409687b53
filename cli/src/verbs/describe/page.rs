use serde_json::Value;

/// The text of a description: names at the left, values in a column, nested parts indented by two.
#[derive(Default)]
pub(super) struct Page {
    text: String,
}

const VALUE_COLUMN: usize = 18;

impl Page {
    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn line(&mut self, depth: usize, name: &str, value: &str) {
        let indent = "  ".repeat(depth);
        let width = VALUE_COLUMN.saturating_sub(indent.len());
        let line =
            format!("{indent}{name:<width$}{}{value}", if name.len() >= width && !value.is_empty() { " " } else { "" });
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// `Name:  value`; left out when there is no value.
    pub(super) fn text(&mut self, name: &str, value: &Value) {
        self.text_at(0, name, value);
    }

    pub(super) fn text_at(&mut self, depth: usize, name: &str, value: &Value) {
        if !value.is_null() {
            self.line(depth, &format!("{name}:"), &plain(value));
        }
    }

    pub(super) fn labels(&mut self, object: &Value) {
        self.map("Labels", &object["metadata"]["labels"]);
        self.map("Annotations", &object["metadata"]["annotations"]);
        self.text("Created", &object["metadata"]["creationTimestamp"]);
    }

    /// `Name:  key=value`, one line a pair.
    pub(super) fn map(&mut self, name: &str, map: &Value) {
        let pairs: Vec<String> =
            map.as_object().into_iter().flatten().map(|(key, value)| format!("{key}={}", plain(value))).collect();
        match pairs.split_first() {
            None => self.line(0, &format!("{name}:"), "<none>"),
            Some((first, rest)) => {
                self.line(0, &format!("{name}:"), first);
                rest.iter().for_each(|pair| self.line(0, "", pair));
            }
        }
    }

    pub(super) fn conditions(&mut self, object: &Value) {
        let conditions = object["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        if conditions.is_empty() {
            return;
        }
        self.line(0, "Conditions:", "");
        let mut rows = vec![
            ["Type", "Status", "Reason", "Message"].map(str::to_owned),
            ["----", "------", "------", "-------"].map(str::to_owned),
        ];
        rows.extend(conditions.iter().map(|condition| {
            ["type", "status", "reason", "message"]
                .map(|field| condition[field].as_str().unwrap_or_default().to_owned())
        }));
        self.rows(1, &rows);
    }

    /// Rows with aligned columns.
    pub(super) fn rows<const N: usize>(&mut self, depth: usize, rows: &[[String; N]]) {
        let widths: [usize; N] =
            std::array::from_fn(|index| rows.iter().map(|row| row[index].chars().count()).max().unwrap_or(0));
        for row in rows {
            let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            self.text.push_str(&"  ".repeat(depth));
            self.text.push_str(cells.join("  ").trim_end());
            self.text.push('\n');
        }
    }

    /// The limits and requests of a container.
    pub(super) fn resources(&mut self, depth: usize, container: &Value) {
        for (kind, title) in [("limits", "Limits:"), ("requests", "Requests:")] {
            let amounts = container["resources"][kind].as_object().into_iter().flatten();
            let amounts: Vec<String> = amounts.map(|(name, amount)| format!("{name}={}", plain(amount))).collect();
            if !amounts.is_empty() {
                self.line(depth, title, &amounts.join(", "));
            }
        }
    }

    /// Every field of a JSON object but the given ones, nested.
    pub(super) fn fields(&mut self, object: &Value, without: &[&str]) {
        for (name, value) in
            object.as_object().into_iter().flatten().filter(|(name, _)| !without.contains(&name.as_str()))
        {
            self.field(0, name, value);
        }
    }

    fn field(&mut self, depth: usize, name: &str, value: &Value) {
        let title = format!("{}:", title(name));
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.line(depth, &title, "");
                map.iter().for_each(|(name, value)| self.field(depth + 1, name, value));
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                self.line(depth, &title, "");
                for item in items {
                    item.as_object().into_iter().flatten().for_each(|(name, value)| self.field(depth + 1, name, value));
                }
            }
            Value::Array(items) => self.line(depth, &title, &items.iter().map(plain).collect::<Vec<_>>().join(", ")),
            other => self.line(depth, &title, &plain(other)),
        }
    }
}

pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `nodeName` becomes `Node Name`; names that are no identifiers stay.
fn title(name: &str) -> String {
    if !name.chars().all(|character| character.is_ascii_alphanumeric()) {
        return name.to_owned();
    }
    let mut title = String::new();
    for (index, character) in name.chars().enumerate() {
        match index {
            0 => title.extend(character.to_uppercase()),
            _ if character.is_uppercase() && !title.ends_with(|last: char| last.is_uppercase()) => {
                title.extend([' ', character])
            }
            _ => title.push(character),
        }
    }
    title
}

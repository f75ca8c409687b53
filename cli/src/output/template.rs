//! The part of Go's templates that people write after `--format`: `{{.Name}}`, `{{json .Config}}`.

use anyhow::{Result, bail};
use serde_json::Value;

/// A template that was checked.
#[derive(Clone, Debug)]
pub(crate) struct GoTemplate(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Field { path: Vec<String>, as_json: bool },
}

impl std::str::FromStr for GoTemplate {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            pieces.push(Piece::Text(unescape(before)));
            let Some((action, after)) = after.split_once("}}") else { bail!("{text:?} has {{{{ without }}}}") };
            pieces.push(Piece::action(action.trim())?);
            rest = after;
        }
        pieces.push(Piece::Text(unescape(rest)));
        Ok(Self(pieces))
    }
}

impl GoTemplate {
    pub(crate) fn render(&self, value: &Value) -> Result<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Field { path, as_json } => {
                    let mut found = value;
                    for name in path {
                        found = match found.get(name) {
                            Some(inner) => inner,
                            None if found.is_object() => bail!("there is no {name}; there is {}", names(found)),
                            None => &Value::Null,
                        };
                    }
                    text.push_str(&if *as_json { found.to_string() } else { plain(found) });
                }
            }
        }
        Ok(text)
    }
}

impl Piece {
    fn action(action: &str) -> Result<Self> {
        let (as_json, field) = match action.strip_prefix("json ") {
            Some(field) => (true, field.trim()),
            None => (false, action),
        };
        match field.strip_prefix('.') {
            Some(path) => {
                let path = path.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
                Ok(Self::Field { path, as_json })
            }
            None => bail!("{{{{{action}}}}} is not understood; write {{{{.Field}}}} or {{{{json .Field}}}}"),
        }
    }
}

/// As Go prints values.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}:{}", plain(value))).collect();
            format!("map[{}]", pairs.join(" "))
        }
        other => other.to_string(),
    }
}

fn names(value: &Value) -> String {
    let names = value.as_object().into_iter().flatten().map(|(name, _)| format!(".{name}"));
    names.collect::<Vec<_>>().join(", ")
}

fn unescape(text: &str) -> String {
    text.replace("\\t", "\t").replace("\\n", "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let value = json!({"Name": "a", "List": ["x", "y"], "Inner": {"Size": 3}});
        assert_eq!(template.parse::<GoTemplate>().unwrap().render(&value).unwrap(), expected);
    }

    #[test]
    fn fields_are_filled_in() {
        check("{{.Name}}:{{ .Inner.Size }}", "a:3");
        check(r"{{.List}}\t{{json .List}}", "[x y]\t[\"x\",\"y\"]");
        check("{{json .Inner}} {{.Inner}}", "{\"Size\":3} map[Size:3]");
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!("{{.Name".parse::<GoTemplate>().unwrap_err().to_string().contains("without"));
        assert!("{{range .List}}".parse::<GoTemplate>().unwrap_err().to_string().contains("not understood"));
        let unknown = "{{.Nam}}".parse::<GoTemplate>().unwrap().render(&json!({"Name": "a"})).unwrap_err();
        assert_eq!(unknown.to_string(), "there is no Nam; there is .Name");
    }
}

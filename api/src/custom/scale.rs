use serde_json::{Value, json};

/// Where a custom kind keeps what its Scale shows.
pub(crate) struct ScalePaths {
    spec_replicas: Vec<Box<str>>,
    status_replicas: Vec<Box<str>>,
    selector: Option<Vec<Box<str>>>,
}

impl ScalePaths {
    pub(super) fn parse(scale: &Value) -> Option<Self> {
        let path = |field: &str| steps(scale[field].as_str()?);
        Some(Self {
            spec_replicas: path("specReplicasPath")?,
            status_replicas: path("statusReplicasPath")?,
            selector: path("labelSelectorPath"),
        })
    }

    pub(crate) fn spec_replicas(&self, object: &Value) -> i64 {
        at(object, &self.spec_replicas).as_i64().unwrap_or(0)
    }

    pub(crate) fn status_replicas(&self, object: &Value) -> i64 {
        at(object, &self.status_replicas).as_i64().unwrap_or(0)
    }

    /// As the object writes it; empty when it does not.
    pub(crate) fn selector(&self, object: &Value) -> String {
        let found = self.selector.as_ref().map(|path| at(object, path));
        found.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    pub(crate) fn set_spec_replicas(&self, object: &mut Value, replicas: i64) {
        let mut place = object;
        for step in &self.spec_replicas {
            if !place.is_object() {
                *place = json!({});
            }
            place = &mut place[&**step];
        }
        *place = json!(replicas);
    }
}

/// A dotted path without brackets, as Kubernetes asks for one here.
fn steps(path: &str) -> Option<Vec<Box<str>>> {
    let steps: Vec<Box<str>> = path.strip_prefix('.')?.split('.').map(Box::from).collect();
    (!path.contains(['[', ']']) && steps.iter().all(|step| !step.is_empty())).then_some(steps)
}

fn at<'a>(object: &'a Value, path: &[Box<str>]) -> &'a Value {
    path.iter().fold(object, |value, step| &value[&**step])
}

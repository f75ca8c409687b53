//! A manifest that runs what was explained.

use anyhow::{Result, bail};
use serde_json::{Value, json};
use wasmk_host::{Explanation, Reference};

use super::is_served;
use crate::output::to_yaml;

/// Where handlers are called; a server on TCP has a port of its own, which nobody can see from outside.
const PORT: u16 = 8080;

pub(super) fn yaml(what: &str, image: Option<&Reference>, explained: &Explanation) -> Result<String> {
    if let Some(problem) = &explained.problem {
        bail!("{what} cannot run: {problem}");
    }
    let name = name(what, image);
    let (heading, image) = match image {
        Some(_) => (String::new(), what.to_owned()),
        None => (format!("# First: wasmk build {what} -t {name}:v1\n"), format!("{name}:v1")),
    };
    let mut text = heading;
    if explained.needs.listens && !explained.needs.http_in {
        text += "# The port is a guess: put the one here that the program listens on, in both places.\n";
    }
    if explained.needs.files {
        text += "# It can open files: mount what it reads and writes by volumes and volumeMounts.\n";
    }
    let objects = objects(&name, &image, explained);
    let documents: Vec<String> = objects.iter().map(to_yaml).collect::<Result<_>>()?;
    Ok(text + &documents.join("---\n"))
}

/// The end of a path or an image's name, as objects may be called.
fn name(what: &str, image: Option<&Reference>) -> String {
    let base = image.map_or(what, |reference| reference.repository.as_str());
    let base = base.rsplit(['/', '\\']).next().unwrap_or_default();
    let base = base.strip_suffix(".wasm").unwrap_or(base).to_lowercase();
    let fit: String = base.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let fit = fit.trim_matches('-');
    if fit.starts_with(|letter: char| letter.is_ascii_lowercase()) { fit.to_owned() } else { format!("app-{fit}") }
}

/// A Deployment with its Service for what serves, a Pod for what runs to its end.
fn objects(name: &str, image: &str, explained: &Explanation) -> Vec<Value> {
    let labels = json!({"app": name});
    let mut container = json!({
        "name": name,
        "image": image,
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
    });
    if !is_served(explained) {
        let spec = json!({"restartPolicy": "Never", "containers": [container]});
        let metadata = json!({"name": name, "labels": labels});
        return vec![json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})];
    }
    container["ports"] = json!([{"name": "main", "containerPort": PORT}]);
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "type": "LoadBalancer",
            "selector": labels,
            "ports": [{"name": "main", "port": PORT, "targetPort": "main"}],
        },
    });
    vec![deployment, service]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_named_after_files_and_images() {
        let image = |text: &str| text.parse::<Reference>().unwrap();
        assert_eq!(name("target/wasm32-wasip2/release/My_App.wasm", None), "my-app");
        assert_eq!(name("x", Some(&image("reg:5000/team/web:v1"))), "web");
        assert_eq!(name("2048.wasm", None), "app-2048");
    }
}

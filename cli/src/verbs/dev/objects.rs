//! Which objects a project is made of, and with which image.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use wasmk_host::{Explanation, Reference};

use crate::manifest::{self, Files};

const MANIFESTS: [&str; 2] = ["deploy.yaml", "deploy.yml"];

/// A project, as far as its cluster objects go.
pub(super) struct Project {
    /// Of the image: the manifest's name for it, or the directory's.
    pub(super) image: String,
    objects: Option<Vec<Value>>,
}

/// What is applied together, with a Deployment of the image among it.
pub(super) struct Objects {
    all: Vec<Value>,
    workload: usize,
}

impl Objects {
    pub(super) fn new(all: Vec<Value>, image: &str) -> Result<Self> {
        let workload = all.iter().position(|object| is_deployment(object) && has_image(object, image));
        let workload = workload.with_context(|| format!("the manifest has no Deployment with the image {image}"))?;
        Ok(Self { all, workload })
    }

    pub(super) fn all(&self) -> &[Value] {
        &self.all
    }

    pub(super) fn workload(&self) -> &Value {
        &self.all[self.workload]
    }
}

impl Project {
    pub(super) fn read(dir: &Path, file: Option<&Path>, name: Option<&str>) -> Result<Self> {
        let found = MANIFESTS.iter().map(|name| dir.join(name)).find(|path| path.is_file());
        let file = file.map(Path::to_owned).or(found);
        let real = dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
        let own = name.map_or_else(|| fit(&real.file_name().unwrap_or_default().to_string_lossy()), str::to_owned);
        let Some(file) = file else { return Ok(Self { image: own, objects: None }) };
        let files = Files { filenames: vec![file.clone()], recursive: false };
        let objects: Vec<Value> = manifest::read(&files)?.into_iter().map(|manifest| manifest.value).collect();
        let image = choose(&objects, &own).with_context(|| file.display().to_string())?;
        Ok(Self { image, objects: Some(objects) })
    }

    /// The project's own objects with this build of the image; `None` when it has no manifest.
    pub(super) fn manifests(&self, image: &str) -> Option<Vec<Value>> {
        let mut objects = self.objects.clone()?;
        for container in objects.iter_mut().flat_map(containers_mut) {
            if container["image"].as_str().is_some_and(|wanted| repository(wanted) == self.image) {
                container["image"] = json!(image);
            }
        }
        Some(objects)
    }
}

/// The image of the manifest that this project builds: the only one, or the one with the project's name.
fn choose(objects: &[Value], own: &str) -> Result<String> {
    let deployments = objects.iter().filter(|object| is_deployment(object));
    let mut images: Vec<String> =
        deployments.flat_map(containers).filter_map(|container| container["image"].as_str().map(repository)).collect();
    images.sort_unstable();
    images.dedup();
    match images.as_slice() {
        [] => bail!("there is no Deployment with a container in it"),
        [one] => Ok(one.clone()),
        several if several.iter().any(|image| image == own) => Ok(own.to_owned()),
        several => bail!(
            "the Deployments have several images ({}), and none is named {own}; say which one by --name",
            several.join(", ")
        ),
    }
}

/// Without tag and digest.
fn repository(image: &str) -> String {
    match image.parse::<Reference>() {
        Ok(Reference { registry: Some(registry), repository, .. }) => format!("{registry}/{repository}"),
        Ok(Reference { repository, .. }) => repository,
        Err(_) => image.to_owned(),
    }
}

fn is_deployment(object: &Value) -> bool {
    object["kind"] == "Deployment"
}

fn has_image(object: &Value, image: &str) -> bool {
    containers(object).any(|container| container["image"] == image)
}

fn containers(object: &Value) -> impl Iterator<Item = &Value> {
    let spec = &object["spec"]["template"]["spec"];
    ["containers", "initContainers"].into_iter().flat_map(|list| spec[list].as_array()).flatten()
}

fn containers_mut(object: &mut Value) -> impl Iterator<Item = &mut Value> {
    let spec = object.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut);
    let lists = spec.into_iter().flatten().filter(|(name, _)| *name == "containers" || *name == "initContainers");
    lists.filter_map(|(_, list)| list.as_array_mut()).flatten()
}

/// One replica, and a Service if it serves.
pub(super) fn generated(
    name: &str,
    image: &str,
    explained: &Explanation,
    port: u16,
    container_port: u16,
) -> Vec<Value> {
    let name = name.rsplit('/').next().unwrap_or(name);
    let labels = json!({"app": name});
    let needs = &explained.needs;
    let is_served = needs.http_in || needs.listens;
    let mut container = json!({"name": name, "image": image});
    if is_served {
        container["ports"] = json!([{"name": "main", "containerPort": container_port}]);
    }
    if needs.listens && !needs.http_in {
        // A server of its own is ready when it listens, not when it starts.
        container["readinessProbe"] = json!({"tcpSocket": {"port": "main"}, "periodSeconds": 1});
    }
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            // The new one is there before the old one goes.
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    });
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "type": "LoadBalancer",
            "allocateLoadBalancerNodePorts": false,
            "selector": labels,
            "ports": [{"name": "main", "port": port, "targetPort": "main"}],
        },
    });
    if is_served { vec![deployment, service] } else { vec![deployment] }
}

/// Where a Service is reached from this machine.
pub(super) fn urls(object: &Value) -> Vec<String> {
    let spec = &object["spec"];
    let ports = spec["ports"].as_array().into_iter().flatten().filter_map(|port| match spec["type"].as_str() {
        Some("LoadBalancer") => port["port"].as_u64(),
        Some("NodePort") => port["nodePort"].as_u64(),
        _ => None,
    });
    let is_service = object["kind"] == "Service";
    ports.filter(|_| is_service).map(|port| format!("http://localhost:{port}/")).collect()
}

/// Why pods of this very image will not start, if one says so.
pub(super) fn stuck(pods: &Value, workload: &Value) -> Option<String> {
    const HOPELESS: [&str; 6] = [
        "CreateContainerError",
        "CreateContainerConfigError",
        "RunContainerError",
        "CrashLoopBackOff",
        "ErrImagePull",
        "InvalidImageName",
    ];
    let wanted: Vec<&Value> = containers(workload).map(|container| &container["image"]).collect();
    let pods = pods["items"].as_array().into_iter().flatten();
    let own = pods.filter(|pod| {
        let images = pod["spec"]["containers"].as_array().into_iter().flatten().map(|container| &container["image"]);
        images.into_iter().all(|image| wanted.contains(&image))
    });
    let statuses = own.flat_map(|pod| pod["status"]["containerStatuses"].as_array()).flatten();
    let mut waiting = statuses.map(|status| (&status["state"]["waiting"], &status["lastState"]["terminated"]));
    waiting.find_map(|(waiting, last)| {
        let reason = waiting["reason"].as_str().filter(|reason| HOPELESS.contains(reason))?;
        let said = [&last["message"], &waiting["message"]].into_iter().find_map(Value::as_str).unwrap_or_default();
        Some(format!("{reason}: {said}"))
    })
}

/// A directory's name as objects and images may be called.
fn fit(name: &str) -> String {
    let fit: String =
        name.to_lowercase().chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let fit = fit.trim_matches('-');
    if fit.starts_with(|letter: char| letter.is_ascii_lowercase()) { fit.to_owned() } else { format!("app-{fit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(images: &[&str]) -> Value {
        let containers: Vec<Value> = images.iter().map(|image| json!({"name": "c", "image": image})).collect();
        json!({"kind": "Deployment", "spec": {"template": {"spec": {"containers": containers}}}})
    }

    #[test]
    fn the_image_is_the_manifests_only_one_or_the_projects() {
        assert_eq!(choose(&[deployment(&["web:v1"])], "shop").unwrap(), "web");
        assert_eq!(
            choose(&[deployment(&["web:v1", "shop@sha256:0"]), deployment(&["shop:v2"])], "web").unwrap(),
            "web"
        );
        let unclear = choose(&[deployment(&["a:v1", "b:v1"])], "shop").unwrap_err().to_string();
        assert!(unclear.contains("a, b") && unclear.contains("--name"), "{unclear}");
        assert!(choose(&[json!({"kind": "Service"})], "shop").is_err());
    }

    #[test]
    fn only_the_projects_image_is_replaced() {
        let project = Project { image: "web".into(), objects: Some(vec![deployment(&["web:v1", "proxy:v1"])]) };
        let objects = project.manifests("web@sha256:1").unwrap();
        assert!(has_image(&objects[0], "web@sha256:1") && has_image(&objects[0], "proxy:v1"));
    }

    #[test]
    fn urls_are_those_of_ports_that_are_open() {
        let service =
            |kind: &str| json!({"kind": "Service", "spec": {"type": kind, "ports": [{"port": 80, "nodePort": 30080}]}});
        assert_eq!(urls(&service("LoadBalancer")), ["http://localhost:80/"]);
        assert_eq!(urls(&service("NodePort")), ["http://localhost:30080/"]);
        assert!(urls(&service("ClusterIP")).is_empty());
    }

    #[test]
    fn a_new_version_that_does_not_start_says_why() {
        let pod = |image: &str, reason: &str| {
            json!({"spec": {"containers": [{"image": image}]}, "status": {"containerStatuses": [
                {"state": {"waiting": {"reason": reason, "message": "no"}}}]}})
        };
        let workload = deployment(&["web@sha256:2"]);
        let stuck = |pods: &[Value]| stuck(&json!({"items": pods}), &workload);
        assert_eq!(stuck(&[pod("web@sha256:1", "CrashLoopBackOff")]), None);
        assert_eq!(stuck(&[pod("web@sha256:2", "ContainerCreating")]), None);
        assert_eq!(stuck(&[pod("web@sha256:2", "CreateContainerError")]).unwrap(), "CreateContainerError: no");
    }
}

//! Flags to objects.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use super::flags::{ContainerFlags, Pull, Restart};
use super::mount::Mount;
use super::publish::{Published, encode};
use super::{CREATED_GATE, NAME_LABEL, PUBLISH, REMOVE_WHEN_ENDED, env, publish};

/// What there is to say of a container beyond its flags.
pub(super) struct Wanted<'a> {
    pub(super) flags: &'a ContainerFlags,
    pub(super) image: &'a str,
    pub(super) arguments: &'a [String],
    /// Not to be started yet.
    pub(super) is_gated: bool,
    /// Removed by the control plane, since nobody will be there to do it.
    pub(super) removed_by_cluster: bool,
    /// What makes generated names differ.
    pub(super) suffix: &'a str,
}

/// The Pod of a container.
pub(super) fn pod(wanted: &Wanted<'_>) -> Result<Value> {
    let Wanted { flags, image, arguments, .. } = wanted;
    let name = flags.name.clone().unwrap_or_else(|| generated_name(image, wanted.suffix));
    if let [problem, ..] = wasmk_api::names::check_dns1035_label(&name).as_slice() {
        bail!("{name:?} cannot be the name of a container, by which others reach it: {problem}; choose one by --name");
    }
    let ports: Vec<_> = flags.publish.iter().flat_map(|publish| publish.0.iter().copied()).collect();
    let ports = publish::assign(&ports)?;
    let mut labels = json!({});
    for label in &flags.label {
        let (key, value) = label.split_once('=').unwrap_or((label, ""));
        labels[key] = json!(value);
    }
    labels[NAME_LABEL] = json!(name);
    let mut annotations = json!({});
    if !ports.is_empty() {
        annotations[PUBLISH] = json!(encode(&ports));
    }
    if wanted.removed_by_cluster {
        annotations[REMOVE_WHEN_ENDED] = json!("true");
    }
    let mut spec = json!({
        "containers": [container(&name, image, flags, arguments, &ports)?],
        "restartPolicy": match flags.restart { Restart::No => "Never", Restart::OnFailure => "OnFailure", Restart::Always => "Always" },
        "volumes": flags.volume.iter().enumerate().map(|(number, mount)| volume(number, mount)).collect::<Vec<_>>(),
        // What Docker gives a container between being asked to stop and being killed.
        "terminationGracePeriodSeconds": 10,
    });
    if wanted.is_gated {
        spec["schedulingGates"] = json!([{"name": CREATED_GATE}]);
    }
    let metadata = json!({"name": name, "labels": labels, "annotations": annotations});
    Ok(json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
}

fn container(
    name: &str,
    image: &str,
    flags: &ContainerFlags,
    arguments: &[String],
    ports: &[Published],
) -> Result<Value> {
    let variables = env::variables(&flags.env_file, &flags.env)?;
    let variables: Vec<Value> =
        variables.iter().map(|(name, value)| json!({"name": name, "value": literal(value)})).collect();
    let mounts = flags.volume.iter().enumerate();
    let mounts: Vec<Value> = mounts
        .map(|(number, mount)| {
            let mut entry = json!({"name": volume_name(number), "mountPath": mount.guest, "readOnly": mount.read_only});
            if let Some(file) = &mount.file {
                entry["subPath"] = json!(file);
            }
            entry
        })
        .collect();
    let mut numbers: Vec<u16> = ports.iter().map(|port| port.container).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let numbers: Vec<Value> = numbers.iter().map(|port| json!({"containerPort": port})).collect();
    let mut container =
        json!({"name": name, "image": image, "env": variables, "volumeMounts": mounts, "ports": numbers});
    if let Some(entrypoint) = &flags.entrypoint {
        container["command"] = json!([literal(entrypoint)]);
    }
    if !arguments.is_empty() {
        container["args"] = arguments.iter().map(|argument| json!(literal(argument))).collect();
    }
    if let Some(dir) = &flags.workdir {
        container["workingDir"] = json!(dir);
    }
    for (resource, limit) in
        [("memory", flags.memory.as_ref().map(|memory| &memory.0)), ("cpu", flags.cpus.as_ref().map(|cpus| &cpus.0))]
    {
        if let Some(limit) = limit {
            container["resources"]["limits"][resource] = json!(limit);
            // A limit is no claim: as many containers fit as there is room for what they really use.
            container["resources"]["requests"][resource] = json!("0");
        }
    }
    if flags.interactive {
        container["stdin"] = json!(true);
        container["stdinOnce"] = json!(true);
    }
    if flags.tty {
        container["tty"] = json!(true);
    }
    if let Some(policy) = pull_policy(flags.pull, image) {
        container["imagePullPolicy"] = json!(policy);
    }
    Ok(container)
}

/// `$(NAME)` is a reference in a Pod, and only text to Docker.
fn literal(text: &str) -> String {
    text.replace("$(", "$$(")
}

/// Images of the cluster's own registry are as near as Docker's local ones: `latest` is looked up each time.
fn pull_policy(pull: Option<Pull>, image: &str) -> Option<&'static str> {
    match pull {
        Some(Pull::Always) => Some("Always"),
        Some(Pull::Missing) => Some("IfNotPresent"),
        Some(Pull::Never) => Some("Never"),
        None => {
            let is_outside = image.parse::<wasmk_host::Reference>().is_ok_and(|name| name.registry.is_some());
            is_outside.then_some("IfNotPresent")
        }
    }
}

fn volume_name(number: usize) -> String {
    format!("volume-{number}")
}

fn volume(number: usize, mount: &Mount) -> Value {
    match &mount.host {
        // As Docker does, a directory that is not there is made.
        Some(host) => json!({"name": volume_name(number), "hostPath": {"path": host, "type": "DirectoryOrCreate"}}),
        None => json!({"name": volume_name(number), "emptyDir": {}}),
    }
}

/// The Service that opens the ports of a container whose Pod is this one; `None` where none is mapped.
pub(super) fn service(pod: &Value, ports: &[Published]) -> Option<Value> {
    let name = super::name(pod);
    let entries = ports.iter().map(|port| {
        json!({"name": format!("port-{}", port.host), "port": port.host, "targetPort": port.container, "protocol": "TCP"})
    });
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]});
    let labels = json!({NAME_LABEL: name});
    (!ports.is_empty()).then(|| {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "spec": {
                "type": "LoadBalancer",
                "allocateLoadBalancerNodePorts": false,
                "selector": labels,
                "ports": entries.collect::<Vec<_>>(),
            },
        })
    })
}

/// The same container once more: a Pod's record without what its first life added.
pub(super) fn again(pod: &Value, is_gated: bool) -> Value {
    let mut spec = pod["spec"].clone();
    if let Some(fields) = spec.as_object_mut() {
        for field in ["nodeName", "activeDeadlineSeconds", "schedulingGates"] {
            fields.remove(field);
        }
        if is_gated {
            fields.insert("schedulingGates".to_owned(), json!([{"name": CREATED_GATE}]));
        }
    }
    let mut annotations = json!({});
    for key in [PUBLISH, REMOVE_WHEN_ENDED] {
        if let Some(value) = pod["metadata"]["annotations"].get(key) {
            annotations[key] = value.clone();
        }
    }
    let metadata =
        json!({"name": pod["metadata"]["name"], "labels": pod["metadata"]["labels"], "annotations": annotations});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

/// `registry/team/web:v1` becomes `web-` and the suffix.
fn generated_name(image: &str, suffix: &str) -> String {
    const LABEL_CHARS_MAX: usize = 63;
    let base = image.split('@').next().unwrap_or_default();
    let base = base.rsplit('/').next().unwrap_or_default();
    let base = base.split(':').next().unwrap_or_default().to_lowercase();
    let fit: String = base.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let fit = fit.trim_matches('-');
    let fit =
        if fit.starts_with(|letter: char| letter.is_ascii_lowercase()) { fit.to_owned() } else { format!("c-{fit}") };
    let room = LABEL_CHARS_MAX - suffix.len() - 1;
    let kept: String = fit.chars().take(room).collect();
    format!("{}-{suffix}", kept.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use expect_test::expect;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        flags: ContainerFlags,
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
    }

    fn made(line: &str) -> Result<Value> {
        let line = Line::parse_from(std::iter::once("run").chain(line.split(' ')));
        let (image, arguments) = line.command.split_first().unwrap();
        pod(&Wanted {
            flags: &line.flags,
            image,
            arguments,
            is_gated: false,
            removed_by_cluster: line.flags.remove,
            suffix: "k7x2",
        })
    }

    #[test]
    fn flags_become_a_pod() {
        let pod = made(
            "--rm -p 8080:80 -e A=$(B) -v /srv/data:/data:ro -v /cache -m 64m --cpus .5 -i -t -w /data --entrypoint x \
             --restart on-failure --pull always -l tier=front --name web hello:v1 -v $(C) --rm",
        )
        .unwrap();
        expect![[r#"
            apiVersion: v1
            kind: Pod
            metadata:
              annotations:
                wasmk.dev/publish: 8080:80
                wasmk.dev/remove-when-ended: "true"
              labels:
                tier: front
                wasmk.dev/container: web
              name: web
            spec:
              containers:
              - args:
                - -v
                - $$(C)
                - --rm
                command:
                - x
                env:
                - name: A
                  value: $$(B)
                image: hello:v1
                imagePullPolicy: Always
                name: web
                ports:
                - containerPort: 80
                resources:
                  limits:
                    cpu: 500m
                    memory: 64Mi
                  requests:
                    cpu: "0"
                    memory: "0"
                stdin: true
                stdinOnce: true
                tty: true
                volumeMounts:
                - mountPath: /data
                  name: volume-0
                  readOnly: true
                - mountPath: /cache
                  name: volume-1
                  readOnly: false
                workingDir: /data
              restartPolicy: OnFailure
              terminationGracePeriodSeconds: 10
              volumes:
              - hostPath:
                  path: /srv/data
                  type: DirectoryOrCreate
                name: volume-0
              - emptyDir: {}
                name: volume-1
        "#]]
        .assert_eq(&crate::output::to_yaml(&pod).unwrap());
    }

    #[test]
    fn a_container_is_remade_from_its_pod() {
        let mut first = made("--rm -p 8080:80 --name web hello:v1").unwrap();
        let expected = first.clone();
        first["metadata"]["uid"] = json!("u");
        first["metadata"]["annotations"]["wasmk.dev/stop-grace-seconds"] = json!("0");
        first["spec"]["nodeName"] = json!("n");
        first["spec"]["activeDeadlineSeconds"] = json!(1);
        first["status"] = json!({"phase": "Failed"});
        assert_eq!(again(&first, false), expected);
        assert_eq!(again(&first, true)["spec"]["schedulingGates"][0]["name"], CREATED_GATE);
    }

    #[test]
    fn ports_become_a_service_that_goes_with_the_pod() {
        let pod = json!({"metadata": {"name": "web", "uid": "u"}});
        assert!(service(&pod, &[]).is_none());
        let service = service(&pod, &[Published { host: 8080, container: 80 }]).unwrap();
        assert_eq!(
            service["spec"]["ports"][0],
            json!({"name": "port-8080", "port": 8080, "targetPort": 80, "protocol": "TCP"})
        );
        assert_eq!(service["metadata"]["ownerReferences"][0]["uid"], "u");
    }

    #[test]
    fn names_come_from_images() {
        assert_eq!(generated_name("hello", "k7x2"), "hello-k7x2");
        assert_eq!(generated_name("reg:5000/team/Hello_World:v1@sha256:00", "k7x2"), "hello-world-k7x2");
        assert_eq!(generated_name("2048", "k7x2"), "c-2048-k7x2");
        assert_eq!(generated_name(&"a".repeat(80), "k7x2").len(), 63);
        let error = made("--name Web_1 hello").unwrap_err().to_string();
        assert!(error.contains("Web_1") && error.contains("--name"), "{error}");
    }
}

//! What a new pod takes from objects beside it. Source: Kubernetes' admission plugins ServiceAccount and Priority.

use serde_json::{Value, json};

use crate::write::Context;
use crate::{Key, Object, Reason, Status};

/// Where Kubernetes' client libraries look for what they need inside the cluster.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_VOLUME_PREFIX: &str = "kube-api-access-";
/// As in Kubernetes: an hour, and a little for whoever renews in time.
const TOKEN_SECONDS: i64 = 3607;
/// Every namespace has it; while one is fresh its controller is still at it.
const DEFAULT_ACCOUNT: &str = "default";
/// The ConfigMap that holds the authority's certificate, in each namespace.
const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";

/// Refuses a pod that names what is not there.
pub(in crate::kind) fn admit(pod: &mut Value, context: &Context) -> Result<(), Status> {
    let namespace = text(&pod["metadata"]["namespace"]).to_owned();
    service_account(pod, &namespace, context)?;
    priority(pod, context)
}

/// Whoever updates a pod from the manifest that it was made of means its priority too.
pub(in crate::kind) fn keep_priority(spec: &mut Value, old: &Value) {
    for field in ["priority", "preemptionPolicy"] {
        if spec.is_object() && spec[field].is_null() && !old[field].is_null() {
            spec[field] = old[field].clone();
        }
    }
}

fn service_account(pod: &mut Value, namespace: &str, context: &Context) -> Result<(), Status> {
    let name = text(&pod["spec"]["serviceAccountName"]).to_owned();
    let account = context.snapshot.get(&Key::new("serviceaccounts", namespace, &name));
    if account.is_none() && name != DEFAULT_ACCOUNT {
        let why = format!("error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found");
        return Err(forbidden(pod, &why));
    }
    let Some(account) = account else { return Ok(()) };
    if pod["spec"].get("imagePullSecrets").is_none_or(|own| own.as_array().is_none_or(|own| own.is_empty()))
        && let Some(secrets) = account.value().get("imagePullSecrets")
    {
        pod["spec"]["imagePullSecrets"] = secrets.clone();
    }
    if wants_token(pod, account) {
        mount_token(&mut pod["spec"], context);
    }
    Ok(())
}

/// Unlike in Kubernetes only when somebody says so: a token costs each replica a request before it can start.
fn wants_token(pod: &Value, account: &Object) -> bool {
    let (own, of_account) =
        (&pod["spec"]["automountServiceAccountToken"], &account.value()["automountServiceAccountToken"]);
    own.as_bool().or(of_account.as_bool()).unwrap_or(false)
}

fn mount_token(spec: &mut Value, context: &Context) {
    let mounts_there = |mount: &Value| mount["mountPath"] == MOUNT_PATH;
    let volume = TOKEN_VOLUME_PREFIX.to_owned() + &(context.name_suffix)();
    let mut mounted = false;
    for list in ["initContainers", "containers"] {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
        for container in containers.iter_mut().filter(|container| container.is_object()) {
            let mut mounts = container["volumeMounts"].as_array().cloned().unwrap_or_default();
            if !mounts.iter().any(mounts_there) {
                mounts.push(json!({"name": volume, "mountPath": MOUNT_PATH, "readOnly": true}));
                container["volumeMounts"] = json!(mounts);
                mounted = true;
            }
        }
    }
    if mounted {
        let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        volumes.push(token_volume(&volume));
        spec["volumes"] = json!(volumes);
    }
}

fn token_volume(name: &str) -> Value {
    let field = json!({"apiVersion": "v1", "fieldPath": "metadata.namespace"});
    let certificate = json!([{"key": "ca.crt", "path": "ca.crt"}]);
    let sources = json!([
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": ROOT_CERTIFICATE, "items": certificate}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": field}]}},
    ]);
    json!({"name": name, "projected": {"defaultMode": 0o644, "sources": sources}})
}

fn priority(pod: &mut Value, context: &Context) -> Result<(), Status> {
    let name = text(&pod["spec"]["priorityClassName"]).to_owned();
    let class = if name.is_empty() {
        default_class(context)
    } else {
        let class = context.snapshot.get(&Key::new("priorityclasses.scheduling.k8s.io", "", &name));
        let missing = || forbidden(pod, &format!("no PriorityClass with name {name} was found"));
        Some(class.ok_or_else(missing)?.as_ref())
    };
    let value = class.map_or(0, |class| class.value()["value"].as_i64().unwrap_or(0));
    let policy = class.and_then(|class| class.value()["preemptionPolicy"].as_str()).unwrap_or("PreemptLowerPriority");
    if let Some(given) = pod["spec"]["priority"].as_i64().filter(|given| *given != value) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {value} from the given PriorityClass name"
        );
        return Err(forbidden(pod, &why));
    }
    if let Some(class) = class {
        pod["spec"]["priorityClassName"] = json!(class.name());
    }
    pod["spec"]["priority"] = json!(value);
    if pod["spec"]["preemptionPolicy"].is_null() {
        pod["spec"]["preemptionPolicy"] = json!(policy);
    }
    Ok(())
}

/// The class of pods that name none; the least of several, as in Kubernetes.
fn default_class<'a>(context: &Context<'a>) -> Option<&'a Object> {
    let start = Key::new("priorityclasses.scheduling.k8s.io", "", "");
    let classes = context.snapshot.list_from(start).map(AsRef::as_ref);
    classes.filter(|class| class.value()["globalDefault"] == true).min_by_key(|class| class.value()["value"].as_i64())
}

fn forbidden(pod: &Value, why: &str) -> Status {
    let metadata = &pod["metadata"];
    let name = metadata["name"].as_str().or(metadata["generateName"].as_str()).unwrap_or_default();
    Status::new(Reason::Forbidden, format!("pods \"{name}\" is forbidden: {why}")).about("pods", "", name)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

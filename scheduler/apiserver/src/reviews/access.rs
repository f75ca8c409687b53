//! Whether somebody may do something. Source: `k8s.io/kubernetes/pkg/apis/authorization/validation`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wasmk_api::{Cause, FieldSelector, Snapshot, Status};

use crate::Identity;
use crate::authz::{self, Attributes, What};
use crate::request::ResourcePath;
use crate::rest::Call;

const GROUP: &str = "authorization.k8s.io";

/// `kubectl auth can-i`
pub(super) fn self_subject(call: &Call, snapshot: &Snapshot, review: &Value) -> Result<Value, Status> {
    let spec = &review["spec"];
    refuse(call, exactly_one(spec).into_iter().collect())?;
    Ok(decide(&call.identity, spec, snapshot))
}

pub(super) fn subject(call: &Call, snapshot: &Snapshot, review: &Value) -> Result<Value, Status> {
    let spec = &review["spec"];
    refuse(call, exactly_one(spec).into_iter().chain(somebody(spec)).collect())?;
    Ok(decide(&identity(spec), spec, snapshot))
}

pub(super) fn local_subject(call: &Call, snapshot: &Snapshot, review: &Value) -> Result<Value, Status> {
    let spec = &review["spec"];
    let mut causes: Vec<Cause> = exactly_one(spec).into_iter().chain(somebody(spec)).collect();
    let attributes = &spec["resourceAttributes"];
    if attributes.is_object() && attributes["namespace"] != call.path.namespace.as_str() {
        let namespace = json!(attributes["namespace"].as_str().unwrap_or_default());
        let detail = "must match metadata.namespace";
        causes.push(Cause::invalid("spec.resourceAttributes.namespace", &namespace, detail));
    }
    if spec["nonResourceAttributes"].is_object() {
        let detail = "disallowed on this kind of request";
        causes.push(Cause::invalid("spec.nonResourceAttributes", &spec["nonResourceAttributes"], detail));
    }
    refuse(call, causes)?;
    Ok(decide(&identity(spec), spec, snapshot))
}

fn refuse(call: &Call, causes: Vec<Cause>) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid(call.kind.kind, GROUP, "", causes)) }
}

fn exactly_one(spec: &Value) -> Option<Cause> {
    let both = ["resourceAttributes", "nonResourceAttributes"].map(|field| spec[field].is_object());
    let [resource, path] = both;
    let detail = match resource == path {
        false => return None,
        true if resource => "cannot be specified in combination with resourceAttributes",
        true => "exactly one of nonResourceAttributes or resourceAttributes must be specified",
    };
    let field = if resource { "spec.nonResourceAttributes" } else { "spec.resourceAttributes" };
    Some(Cause::invalid(field, &spec[field.trim_start_matches("spec.")], detail))
}

fn somebody(spec: &Value) -> Option<Cause> {
    let nobody = spec["user"].as_str().unwrap_or_default().is_empty()
        && spec["groups"].as_array().is_none_or(|groups| groups.is_empty());
    nobody.then(|| Cause::invalid("spec.user", &json!(""), "at least one of user or group must be specified"))
}

fn identity(spec: &Value) -> Identity {
    let texts =
        |list: &Value| list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let extra = spec["extra"].as_object().into_iter().flatten();
    let extra: BTreeMap<String, Vec<String>> = extra.map(|(key, values)| (key.clone(), texts(values))).collect();
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    Identity { user: text("user"), uid: text("uid"), groups: texts(&spec["groups"]), extra }
}

fn decide(identity: &Identity, spec: &Value, snapshot: &Snapshot) -> Value {
    let of = |attributes: &Value, field: &str| attributes[field].as_str().unwrap_or_default().to_owned();
    let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let decision = if resource.is_object() {
        let asked = ResourcePath {
            group: of(resource, "group"),
            version: of(resource, "version"),
            namespace: of(resource, "namespace"),
            resource: of(resource, "resource"),
            name: of(resource, "name"),
            subresource: of(resource, "subresource"),
            tail: String::new(),
            fields: FieldSelector::default(),
        };
        let verb = of(resource, "verb");
        authz::decide(&Attributes { identity, verb: &verb, what: What::Resource(&asked) }, snapshot)
    } else {
        let (verb, path) = (of(path, "verb"), of(path, "path"));
        authz::decide(&Attributes { identity, verb: &verb, what: What::Path(&path) }, snapshot)
    };
    let mut status = json!({"allowed": decision.allowed});
    if !decision.reason.is_empty() {
        status["reason"] = json!(decision.reason);
    }
    status
}

//! `CertificateSigningRequest`: who asked is written down, who may approves, and the cluster's authority signs what is for
//! clients of this API. Source: `k8s.io/kubernetes/pkg/registry/certificates` and `pkg/controller/certificates/signer`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use wasmk_api::{Cause, Reason, Snapshot, Status};

use crate::authz::{Attributes, What, decide};
use crate::identity::MASTERS_GROUP;
use crate::pki::CertificateAuthority;
use crate::request::ResourcePath;
use crate::rest::Call;

const GROUP: &str = "certificates.k8s.io";
const KIND: &str = "CertificateSigningRequest";
/// The one signer that is here: certificates by which users come in.
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client";
const CLIENT_USAGES: [&str; 3] = ["client auth", "digital signature", "key encipherment"];
const LIFE_SECONDS_DEFAULT: i64 = 365 * 24 * 60 * 60;

fn is_request(call: &Call) -> bool {
    call.kind.group == GROUP && call.kind.kind == KIND
}

/// A new request says who asks; its status is for others to write. Answers with a warning when nobody will sign it.
pub(crate) fn begin(call: &Call, value: &mut Value) -> Result<Option<String>, Status> {
    if !is_request(call) {
        return Ok(None);
    }
    let info = call.identity.to_json();
    for field in ["username", "uid", "groups", "extra"] {
        value["spec"][field] = info[field].clone();
    }
    if let Some(spec) = value["spec"].as_object_mut() {
        spec.retain(|_, field| !field.is_null());
    }
    value["status"] = json!({});
    let subject = subject(value)?;
    let signer = value["spec"]["signerName"].as_str().unwrap_or_default();
    if signer != CLIENT_SIGNER {
        return Ok(Some(format!("nobody here signs for {signer}; {CLIENT_SIGNER} is the signer that there is")));
    }
    if subject.iter().any(|group| group == MASTERS_GROUP) {
        let why = format!("use of {CLIENT_SIGNER} signer with {MASTERS_GROUP} group is not allowed");
        return Err(forbidden(value, &why));
    }
    Ok(None)
}

/// What a write through a subresource means: `approval` is for those who may approve, and has the request signed;
/// `status` leaves the approval as it is.
pub(crate) fn follow(call: &Call, snapshot: &Snapshot, old: &Value, new: &mut Value) -> Result<(), Status> {
    if !is_request(call) {
        return Ok(());
    }
    match call.path.subresource.as_str() {
        "approval" => {
            check_approver(call, snapshot, new)?;
            let certificate = old["status"]["certificate"].clone();
            keep(&mut new["status"], "certificate", certificate);
            sign(&call.server.settings.authority, new);
        }
        "status" if approval(old) != approval(new) => {
            return Err(forbidden(new, "conditions Approved and Denied are set through the approval subresource"));
        }
        _ => {}
    }
    Ok(())
}

fn keep(status: &mut Value, field: &str, value: Value) {
    match (value, status.as_object_mut()) {
        (Value::Null, Some(fields)) => drop(fields.remove(field)),
        (value, _) => status[field] = value,
    }
}

fn approval(request: &Value) -> Vec<&str> {
    let conditions = request["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter_map(|one| one["type"].as_str()).filter(|kind| ["Approved", "Denied"].contains(kind)).collect()
}

/// `approve` on the signer, or on all of its domain.
fn check_approver(call: &Call, snapshot: &Snapshot, request: &Value) -> Result<(), Status> {
    let signer = request["spec"]["signerName"].as_str().unwrap_or_default();
    let domain = signer.split('/').next().unwrap_or_default();
    let may = |name: String| {
        let signer = ResourcePath {
            group: GROUP.to_owned(),
            version: "v1".to_owned(),
            resource: "signers".to_owned(),
            name,
            ..ResourcePath::default()
        };
        let attributes = Attributes { identity: &call.identity, verb: "approve", what: What::Resource(&signer) };
        decide(&attributes, snapshot).allowed
    };
    if may(signer.to_owned()) || may(format!("{domain}/*")) {
        return Ok(());
    }
    Err(forbidden(request, &format!("user not permitted to approve requests with signerName {signer:?}")))
}

/// What was approved and not denied gets its certificate, or the reason why it gets none.
fn sign(authority: &CertificateAuthority, request: &mut Value) {
    let spec = &request["spec"];
    let is_ours = spec["signerName"] == CLIENT_SIGNER && request["status"]["certificate"].is_null();
    if !is_ours || approval(request) != ["Approved"] {
        return;
    }
    match signed(authority, spec) {
        Ok(pem) => request["status"]["certificate"] = json!(STANDARD.encode(pem)),
        Err(why) => {
            let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string();
            let condition = json!({
                "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
                "lastUpdateTime": now, "lastTransitionTime": now,
            });
            let mut conditions = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.push(condition);
            request["status"]["conditions"] = json!(conditions);
        }
    }
}

fn signed(authority: &CertificateAuthority, spec: &Value) -> Result<String, String> {
    let usages: Vec<&str> = spec["usages"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !usages.contains(&"client auth") || usages.iter().any(|usage| !CLIENT_USAGES.contains(usage)) {
        return Err(format!("the usages must be {}, the first of them among them", CLIENT_USAGES.join(", ")));
    }
    let life = spec["expirationSeconds"].as_i64().unwrap_or(LIFE_SECONDS_DEFAULT).min(LIFE_SECONDS_DEFAULT);
    let pem = pem(spec).ok_or("the request is no PEM")?;
    authority.sign_user(&pem, life.unsigned_abs(), Timestamp::now()).map_err(|error| error.to_string())
}

fn pem(spec: &Value) -> Option<String> {
    let bytes = STANDARD.decode(spec["request"].as_str()?).ok()?;
    String::from_utf8(bytes).ok()
}

/// The groups that the certificate would name.
fn subject(request: &Value) -> Result<Vec<String>, Status> {
    let groups = pem(&request["spec"]).and_then(|pem| CertificateAuthority::requested_groups(&pem));
    groups.ok_or_else(|| {
        let name = request["metadata"]["name"].as_str().unwrap_or_default();
        let cause =
            Cause::invalid("spec.request", &request["spec"]["request"], "PEM block type must be CERTIFICATE REQUEST");
        Status::invalid(KIND, GROUP, name, vec![cause])
    })
}

fn forbidden(request: &Value, why: &str) -> Status {
    let name = request["metadata"]["name"].as_str().unwrap_or_default();
    let resource = "certificatesigningrequests";
    Status::new(Reason::Forbidden, format!("{resource}.{GROUP} {name:?} is forbidden: {why}"))
        .about(resource, GROUP, name)
}

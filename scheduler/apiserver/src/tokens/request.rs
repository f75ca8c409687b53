use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use wasmk_api::{Cause, Key, Object, Reason, Snapshot, Status, schema};

use super::{Bound, Claims, ISSUER, Reference};
use crate::request::{Body, WriteOptions};
use crate::respond::add_warnings;
use crate::rest::{Call, Expected, place};

const TOKEN_REQUEST: Expected = Expected { group: "authentication.k8s.io", version: "v1", kind: "TokenRequest" };

const LIFE_SECONDS_DEFAULT: i64 = 60 * 60;
/// As in Kubernetes: less would have holders ask all the time.
const LIFE_SECONDS_MIN: i64 = 10 * 60;
/// A year: what is to last longer is a Secret, which can be taken away.
const LIFE_SECONDS_MAX: i64 = 365 * 24 * 60 * 60;
/// Beyond this Kubernetes calls it a mistake.
const LIFE_SECONDS_SANE: i64 = 1 << 32;

/// `POST …/serviceaccounts/<name>/token`: a token for the account, which is answered and not stored.
pub(crate) async fn request(call: &Call, body: Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let mut asked = body.document(TOKEN_REQUEST.kind)?.value;
    TOKEN_REQUEST.identify(&mut asked)?;
    place(call, &mut asked, &call.path.name)?;
    let findings = schema::check(TOKEN_REQUEST.group, TOKEN_REQUEST.version, TOKEN_REQUEST.kind, &asked);
    if let Some(fault) = findings.and_then(|findings| findings.type_error(TOKEN_REQUEST.version, TOKEN_REQUEST.kind)) {
        return Err(fault);
    }
    let (snapshot, now) = (call.server.store.snapshot(), Timestamp::now());
    let account = call.find(&snapshot)?;
    let (seconds, warnings) = life(&asked["spec"])?;
    let bound = bound(account, &asked["spec"]["boundObjectRef"], &snapshot)?;
    if let Some(node) = call.identity.node_name() {
        check_node(node, account, &asked["spec"]["boundObjectRef"], &snapshot)?;
    }
    let audiences = audiences(&asked["spec"]);
    asked["spec"]["audiences"] = json!(audiences);
    asked["spec"]["expirationSeconds"] = json!(seconds);
    let claims = Claims::new(bound, audiences, Uuid::new_v4().to_string(), now, Some(seconds));
    let token = match options.dry_run {
        true => String::new(),
        false => call.server.settings.tokens.sign(&claims)?,
    };
    let until = Timestamp::from_second(now.as_second().saturating_add(seconds)).unwrap_or(Timestamp::MAX);
    asked["metadata"]["creationTimestamp"] = json!(Timestamp::from_second(now.as_second()).unwrap_or(now).to_string());
    asked["status"] = json!({"token": token, "expirationTimestamp": until.to_string()});
    let mut response = call.style()?.respond(StatusCode::CREATED, &asked);
    add_warnings(&mut response, &warnings);
    Ok(response)
}

fn audiences(spec: &Value) -> Vec<String> {
    let asked = spec["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let asked: Vec<String> = asked.map(str::to_owned).collect();
    if asked.is_empty() { vec![ISSUER.to_owned()] } else { asked }
}

/// How long the token counts, and what to say about that.
fn life(spec: &Value) -> Result<(i64, Vec<String>), Status> {
    let field = "spec.expirationSeconds";
    let asked = spec["expirationSeconds"].as_i64().unwrap_or(LIFE_SECONDS_DEFAULT);
    let refused = |detail: &str| {
        let cause = Cause::invalid(field, &json!(asked), detail);
        Err(Status::invalid(TOKEN_REQUEST.kind, TOKEN_REQUEST.group, "", vec![cause]))
    };
    match asked {
        ..LIFE_SECONDS_MIN => refused("may not specify a duration less than 10 minutes"),
        LIFE_SECONDS_SANE.. => refused("may not specify a duration larger than 2^32 seconds"),
        LIFE_SECONDS_MIN..=LIFE_SECONDS_MAX => Ok((asked, Vec::new())),
        _ => {
            let warning = format!("requested expiration of {asked} seconds shortened to {LIFE_SECONDS_MAX} seconds");
            Ok((LIFE_SECONDS_MAX, vec![warning]))
        }
    }
}

/// The account, and the object that a token is to be bound to.
fn bound(account: &Object, reference: &Value, snapshot: &Snapshot) -> Result<Bound, Status> {
    let (namespace, serviceaccount) = (account.namespace().to_owned(), Reference::to(account));
    let mut bound = Bound { namespace, serviceaccount, ..Bound::default() };
    if reference.is_null() {
        return Ok(bound);
    }
    let text = |field: &str| reference[field].as_str().unwrap_or_default();
    let (resource, namespace) = match (text("apiVersion"), text("kind")) {
        ("v1", "Pod") => ("pods", account.namespace()),
        ("v1", "Secret") => ("secrets", account.namespace()),
        ("v1", "Node") => ("nodes", ""),
        (version, kind) => {
            let (group, version) = version.rsplit_once('/').unwrap_or(("", version));
            let message = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(Status::bad_request(message));
        }
    };
    let found = snapshot.get(&Key::new(resource, namespace, text("name")));
    let found = found.ok_or_else(|| Status::not_found(resource, "", text("name")))?;
    if !text("uid").is_empty() && text("uid") != found.uid() {
        let message = format!(
            "Operation cannot be fulfilled on {resource} \"{}\": the UID in the bound object reference ({}) does not match the UID in record. The object might have been deleted and then recreated",
            text("name"),
            text("uid")
        );
        return Err(Status::new(Reason::Conflict, message).about(resource, "", text("name")));
    }
    match resource {
        "pods" => {
            if found.value()["spec"]["serviceAccountName"] != account.name() {
                return Err(Status::bad_request(format!(
                    "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                    account.name()
                )));
            }
            let node = found.value()["spec"]["nodeName"].as_str().unwrap_or_default();
            bound.node = snapshot.get(&Key::new("nodes", "", node)).map(|node| Reference::to(node));
            bound.pod = Some(Reference::to(found));
        }
        "secrets" => bound.secret = Some(Reference::to(found)),
        _ => bound.node = Some(Reference::to(found)),
    }
    Ok(bound)
}

/// A node gets tokens for its own pods only. Source: `NodeRestriction` of Kubernetes' admission.
fn check_node(node: &str, account: &Object, reference: &Value, snapshot: &Snapshot) -> Result<(), Status> {
    let refused = |why: &str| {
        let message = format!("serviceaccounts {:?} is forbidden: {why}", account.name());
        Err(Status::new(Reason::Forbidden, message).about("serviceaccounts", "", account.name()))
    };
    if reference["kind"] != "Pod" {
        return refused("node requested token not bound to a pod");
    }
    if reference["uid"].as_str().unwrap_or_default().is_empty() {
        return refused("node requested token with a pod binding without a uid");
    }
    let name = reference["name"].as_str().unwrap_or_default();
    let pod = snapshot.get(&Key::new("pods", account.namespace(), name));
    match pod.is_some_and(|pod| pod.value()["spec"]["nodeName"] == node) {
        true => Ok(()),
        false => refused("node requested token bound to a pod scheduled on a different node"),
    }
}

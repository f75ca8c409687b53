//! Kinds that are asked, not stored: one table of what each one's answer is.

mod access;
mod identity;
mod rules;

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::{Kind, Snapshot, Status, write};

use crate::request::{Body, WriteOptions};
use crate::respond::add_warnings;
use crate::rest::{Call, Expected, place};

/// What becomes the `status` of the object that asks.
type Answer = fn(&Call, &Snapshot, &Value) -> Result<Value, Status>;

/// Kinds of `authentication.k8s.io` and `authorization.k8s.io`, by name.
const REVIEWS: [(&str, Answer); 6] = [
    ("TokenReview", identity::token_review),
    ("SelfSubjectReview", identity::self_subject_review),
    ("SubjectAccessReview", access::subject),
    ("LocalSubjectAccessReview", access::local_subject),
    ("SelfSubjectAccessReview", access::self_subject),
    ("SelfSubjectRulesReview", rules::self_subject),
];

/// How objects of `kind` are answered; `None` when they are stored instead.
pub(crate) fn find(kind: &Kind) -> Option<Answer> {
    let is_asked = ["authentication.k8s.io", "authorization.k8s.io"].contains(&kind.group);
    let (_, answer) = REVIEWS.iter().find(|(name, _)| is_asked && *name == kind.kind)?;
    Some(*answer)
}

/// Answers with the object that was sent, and its status.
pub(crate) fn review(call: &Call, answer: Answer, body: &Body) -> Result<Response, Status> {
    let options = WriteOptions::parse(&call.query, "CreateOptions")?;
    let expected = Expected::object(call);
    let (mut object, mut warnings) = expected.accept(body.document(expected.kind)?, options.field_validation)?;
    expected.identify(&mut object)?;
    place(call, &mut object, "")?;
    warnings.extend(write::decode(call.kind, &mut object, options.field_validation)?);
    object["status"] = answer(call, &call.server.store.snapshot(), &object)?;
    let mut response = call.style()?.respond(StatusCode::CREATED, &object);
    add_warnings(&mut response, &warnings);
    Ok(response)
}

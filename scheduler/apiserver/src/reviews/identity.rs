//! Who somebody is.

use jiff::Timestamp;
use serde_json::{Value, json};
use wasmk_api::{Snapshot, Status};

use crate::rest::Call;
use crate::tokens::ISSUER;

/// `kubectl auth whoami`
pub(super) fn self_subject_review(call: &Call, _: &Snapshot, _: &Value) -> Result<Value, Status> {
    Ok(json!({"userInfo": call.identity.to_json()}))
}

/// For servers in the cluster that let our accounts in.
pub(super) fn token_review(call: &Call, snapshot: &Snapshot, review: &Value) -> Result<Value, Status> {
    let Some(token) = review["spec"]["token"].as_str().filter(|token| !token.is_empty()) else {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    };
    let asked: Vec<&str> =
        review["spec"]["audiences"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let audiences = if asked.is_empty() { vec![ISSUER] } else { asked };
    let tokens = &call.server.settings.tokens;
    Ok(match tokens.verify(token, &audiences, snapshot, Timestamp::now()) {
        Ok(identity) => {
            let known = tokens.claims(token).map(|claims| claims.aud).unwrap_or_default();
            let shared: Vec<&str> = audiences.into_iter().filter(|one| known.iter().any(|own| own == one)).collect();
            json!({"authenticated": true, "user": identity.authenticated().to_json(), "audiences": shared})
        }
        Err(fault) => json!({"user": {}, "error": format!("[invalid bearer token, {fault}]")}),
    })
}

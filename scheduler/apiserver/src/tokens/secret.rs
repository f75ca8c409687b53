use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;
use wasmk_api::{Key, Snapshot};

use super::{Bound, Claims, ISSUER, Reference};
use crate::ApiServer;

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// Puts a token into a new Secret that is there to hold one, with what a client needs beside it. Answers with a warning
/// when there is no such account (yet).
pub(crate) fn fill(server: &ApiServer, secret: &mut Value, snapshot: &Snapshot) -> Option<String> {
    if secret["kind"] != "Secret" || secret["type"] != TYPE {
        return None;
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &secret["metadata"];
    let own = Reference { name: text(&metadata["name"]), uid: text(&metadata["uid"]) };
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["annotations"][ACCOUNT_NAME]));
    let Some(account) = snapshot.get(&Key::new("serviceaccounts", &namespace, &name)) else {
        return Some(format!("serviceaccount {name:?} not found: the secret gets no token; create the account first"));
    };
    let serviceaccount = Reference::to(account);
    let bound = Bound { namespace: namespace.clone(), serviceaccount, secret: Some(own), ..Bound::default() };
    let claims = Claims::new(bound, vec![ISSUER.to_owned()], Uuid::new_v4().to_string(), Timestamp::now(), None);
    let token = match server.settings.tokens.sign(&claims) {
        Ok(token) => token,
        Err(error) => return Some(format!("the secret gets no token: {error}")),
    };
    secret["metadata"]["annotations"][ACCOUNT_UID] = json!(account.uid());
    for (key, value) in
        [("token", token.as_str()), ("ca.crt", server.settings.authority.certificate_pem()), ("namespace", &namespace)]
    {
        secret["data"][key] = json!(STANDARD.encode(value));
    }
    None
}

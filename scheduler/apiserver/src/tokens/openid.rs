//! What others need to verify our tokens themselves: OpenID Connect discovery.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use serde_json::json;

use super::ISSUER;
use crate::ApiServer;

/// `GET /.well-known/openid-configuration`
pub(crate) async fn configuration() -> Response {
    let document = json!({
        "issuer": ISSUER,
        "jwks_uri": format!("{ISSUER}/openid/v1/jwks"),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
    });
    ([(CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

/// `GET /openid/v1/jwks`
pub(crate) async fn keys(State(server): State<Arc<ApiServer>>) -> Response {
    let key = &server.settings.tokens.key;
    let [x, y] = key.coordinates();
    let key = json!({"kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": key.id, "x": x, "y": y});
    ([(CONTENT_TYPE, "application/jwk-set+json")], json!({"keys": [key]}).to_string()).into_response()
}

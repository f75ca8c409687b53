//! Settings from the environment and from mounted volumes, a secret among them, and logs with level and fields.

use std::time::Duration;

use serde::Deserialize;
use wasmk_sdk::http::{Error, HeaderMap, Json, Router, State, StatusCode, get};
use wasmk_sdk::{Config, ConfigError, Secret, tracing};

wasmk_sdk::serve!(app);

#[derive(Clone, Debug, Deserialize)]
struct Settings {
    greeting: String,
    #[serde(default)]
    languages: Vec<String>,
    #[serde(deserialize_with = "wasmk_sdk::config::duration")]
    wait: Duration,
    token: Secret<String>,
}

/// A setting that is missing or wrong is said in the log, and every request is answered with 500, so the replica is not ready.
fn app() -> Result<Router, ConfigError> {
    let settings: Settings = Config::from_env().dir("/etc/settings").dir("/etc/secret").load()?;
    Ok(Router::new().route("/", get(show)).route("/private", get(private)).with_state(settings))
}

async fn show(State(settings): State<Settings>) -> Json<serde_json::Value> {
    // The token is not in this line either.
    tracing::info!(languages = settings.languages.len(), ?settings, "shown");
    Json(serde_json::json!({
        "greeting": settings.greeting,
        "languages": settings.languages,
        "wait_ms": settings.wait.as_millis() as u64,
        "token": settings.token,
    }))
}

async fn private(State(settings): State<Settings>, headers: HeaderMap) -> Result<&'static str, Error> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    match given {
        Some(guess) if settings.token.matches(guess) => Ok("welcome\n"),
        _ => {
            tracing::warn!(given = given.is_some(), "refused");
            Err(Error::new(StatusCode::UNAUTHORIZED, "a bearer token is needed"))
        }
    }
}

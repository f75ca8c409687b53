//! Calls another service by its name: JSON both ways, deadlines, retries where they do no harm.

use std::time::Duration;

use wasmk_sdk::http::{Error, Json, Path, Response, Router, get};
use wasmk_sdk::{Client, Config};

wasmk_sdk::serve!(app);

#[derive(serde::Deserialize)]
struct Settings {
    /// The Service that is called.
    backend: String,
}

fn client() -> Result<Client, Error> {
    let Settings { backend } = Config::from_env().load()?;
    Ok(Client::to(&backend).timeout(Duration::from_secs(4)).attempt_timeout(Duration::from_secs(2)))
}

fn app() -> Router {
    Router::new()
        .route("/quarter/{number}", get(quarter))
        .route("/through/{*path}", get(through))
        .route("/elsewhere/{service}", get(elsewhere))
}

/// A call that fails is a 502 or 504 to our own client, and its reason is in our log.
async fn quarter(Path(number): Path<i64>) -> Result<Json<serde_json::Value>, Error> {
    let division = serde_json::json!({ "dividend": number, "divisor": 4 });
    Ok(Json(client()?.post("/divide").json(&division).send().await?.json().await?))
}

/// Hands the answer on as it comes, whatever it is.
async fn through(Path(path): Path<String>) -> Result<Response, Error> {
    Ok(client()?.get(&format!("/{path}")).send().await?.into_response())
}

async fn elsewhere(Path(service): Path<String>) -> Result<String, Error> {
    Ok(Client::to(&service).get("/").timeout(Duration::from_secs(1)).send().await?.ok().await?.text().await?)
}

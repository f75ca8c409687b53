use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{Router, get};
use serde_json::{Map, Value, json};

const LIVE: &str = "/livez";
const READY: &str = "/readyz";

/// Routes for probes: `/livez` answers that the guest runs, `/readyz` whether what it needs is there.
///
/// ```
/// # use wasmk_sdk::{Client, Config, http::{Health, Router}};
/// # #[derive(serde::Deserialize)] struct Settings {}
/// fn app() -> Router {
///     let health = Health::new()
///         .check("settings", async || Ok(Config::from_env().load::<Settings>().map(drop)?))
///         .check("store", async || {
///             Client::to("store").get("/readyz").send().await?.ok().await?;
///             Ok(())
///         });
///     Router::new().merge(health.routes())
/// }
/// ```
///
/// In the manifest: `readinessProbe: {httpGet: {path: /readyz, port: 8080}}`. While a check fails the answer is a 503 that
/// names it, and the node sends requests elsewhere. Let a check ask for what this replica itself needs: one that asks for
/// what all replicas share takes the whole service away when that is gone.
#[derive(Clone, Default)]
pub struct Health {
    checks: Vec<(&'static str, Check)>,
}

type Checking = Pin<Box<dyn Future<Output = Result<(), anyhow::Error>> + Send>>;
type Check = Arc<dyn Fn() -> Checking + Send + Sync>;

impl Health {
    pub fn new() -> Self {
        Self::default()
    }

    /// One more condition for being ready, asked anew by each probe.
    pub fn check<C, F>(mut self, name: &'static str, check: C) -> Self
    where
        C: Fn() -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), anyhow::Error>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || Box::pin(check()))));
        self
    }

    /// To be merged into the service's own.
    pub fn routes<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        Router::new().route(LIVE, get(async || "ok\n")).route(READY, get(move || self.clone().ready()))
    }

    async fn ready(self) -> Response {
        let mut told = Map::new();
        let mut is_ready = true;
        for (name, check) in &self.checks {
            let result = check().await;
            is_ready &= result.is_ok();
            told.insert(
                (*name).to_owned(),
                result.map_or_else(|error| format!("{error:#}"), |()| "ok".to_owned()).into(),
            );
        }
        let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(json!({ "ready": is_ready, "checks": Value::Object(told) }))).into_response()
    }
}

pub(super) fn is_probe(path: &str) -> bool {
    [LIVE, READY].contains(&path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::tests::{ask, now, shown};
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(health: Health, path: &str, expected: Expect) {
        expected.assert_eq(&shown(now(ask(health.routes(), "GET", path, ""))));
    }

    #[test]
    fn readiness_names_each_check() {
        check(
            Health::new(),
            "/readyz",
            expect![[r#"
                200 application/json
                {"checks":{},"ready":true}"#]],
        );
        let health = Health::new()
            .check("settings", || async { Ok(()) })
            .check("store", || async { Err(anyhow::anyhow!("refused").context("ask store")) });
        check(
            health.clone(),
            "/readyz",
            expect![[r#"
                503 application/json
                {"checks":{"settings":"ok","store":"ask store: refused"},"ready":false}"#]],
        );
        check(
            health,
            "/livez",
            expect![[r#"
                200 text/plain; charset=utf-8
                ok
            "#]],
        );
    }
}

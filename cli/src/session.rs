//! A connection to an API server: where it is, who we are, and requests with readable failures.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use futures::{AsyncBufReadExt, Stream, StreamExt, TryStreamExt};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::args::Global;
use crate::discovery::Discovery;

/// A connection to one cluster, with the namespace to use when none is said.
pub(crate) struct Session {
    client: kube::Client,
    pub(crate) namespace: String,
    discovery: OnceCell<Discovery>,
}

/// The server refused: what it said.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// How a request's body is encoded.
pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE_PATCH: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const APPLY_PATCH: &str = "application/apply-patch+yaml";

impl Session {
    pub(crate) async fn connect(global: &Global) -> Result<Self> {
        let (path, kubeconfig) = load_kubeconfig(global)?;
        let options = KubeConfigOptions { context: global.context.clone(), ..Default::default() };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let mut config = config.with_context(|| format!("read {}", path.display()))?;
        // Watches and log streams are silent for as long as nothing happens.
        config.read_timeout = None;
        let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        let client = kube::Client::try_from(config).context("set up the connection")?;
        Ok(Self { client, namespace, discovery: OnceCell::new() })
    }

    pub(crate) fn client(&self) -> kube::Client {
        self.client.clone()
    }

    pub(crate) async fn discovery(&self) -> Result<&Discovery> {
        self.discovery.get_or_try_init(|| Discovery::read(self)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.get_as(path, JSON).await
    }

    /// GET with an `Accept` header of its own; the answer is JSON.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Result<Value> {
        let request = Request::builder().method(Method::GET).uri(path).header(ACCEPT, accept);
        Ok(self.send(request.body(Body::empty())?).await?.1)
    }

    /// Sends `body` (nothing when it is null); answers the HTTP status and the JSON.
    pub(crate) async fn write(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &Value,
    ) -> Result<(u16, Value)> {
        let request =
            Request::builder().method(method).uri(path).header(CONTENT_TYPE, content_type).header(ACCEPT, JSON);
        let body = if body.is_null() { Body::empty() } else { Body::from(serde_json::to_vec(body)?) };
        self.send(request.body(body)?).await
    }

    /// The lines of a stream of JSON documents, such as a watch.
    pub(crate) async fn stream(&self, path: &str, accept: &str) -> Result<impl Stream<Item = Result<Value>> + use<>> {
        let lines = self.lines(path, accept).await?;
        Ok(lines.map(|line| Ok(serde_json::from_str(&line?)?)))
    }

    /// The lines of a text stream, such as a log.
    pub(crate) async fn lines(&self, path: &str, accept: &str) -> Result<impl Stream<Item = Result<String>> + use<>> {
        let request = Request::builder().method(Method::GET).uri(path).header(ACCEPT, accept).body(Body::empty())?;
        let response = self.client.send(request).await?;
        let response = if response.status().is_success() { response } else { return Err(refusal(response).await) };
        let body = response.into_body().into_data_stream().map_err(std::io::Error::other);
        Ok(body.into_async_read().lines().map_err(anyhow::Error::from))
    }

    async fn send(&self, request: Request<Body>) -> Result<(u16, Value)> {
        let response = self.client.send(request).await?;
        for warning in response.headers().get_all("warning").iter().filter_map(|value| value.to_str().ok()) {
            eprintln!("Warning: {}", warning_text(warning));
        }
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&bytes).context("the server's answer is not JSON")?))
    }
}

pub(crate) async fn refusal(response: Response<Body>) -> anyhow::Error {
    let code = response.status().as_u16();
    let bytes = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return error.into(),
    };
    let status: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let message = match status["message"].as_str() {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    Refusal { code, reason: status["reason"].as_str().unwrap_or_default().to_owned(), message }.into()
}

/// `299 - "text"` of RFC 9111 without what surrounds the text.
fn warning_text(header: &str) -> String {
    let text = header.splitn(3, ' ').nth(2).unwrap_or(header);
    text.trim_matches('"').replace("\\\"", "\"").replace("\\\\", "\\")
}

/// An error in the words that a user of kubectl knows, with the next step where one is known.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return match refusal.reason.as_str() {
            "" => format!("Error from server: {refusal}"),
            "Invalid" | "BadRequest" if !refusal.message.starts_with("the server") => format!("error: {refusal}"),
            reason => format!("Error from server ({reason}): {refusal}"),
        };
    }
    let text = format!("{error:#}");
    if ["Connection refused", "connection refused", "tcp connect error"].iter().any(|sign| text.contains(sign)) {
        return format!(
            "error: the API server does not answer: {text}\nIs the cluster running? Start one with `wasmk up`, or name another by --kubeconfig."
        );
    }
    format!("error: {text}")
}

/// The kubeconfig in use and where it was found.
pub(crate) fn load_kubeconfig(global: &Global) -> Result<(PathBuf, Kubeconfig)> {
    let path = kubeconfig_path(global)?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let kubeconfig = Kubeconfig::from_yaml(&text).map_err(|error| anyhow!("{}: {error}", path.display()))?;
    if kubeconfig.clusters.is_empty() {
        bail!("{} has no cluster", path.display());
    }
    Ok((path, kubeconfig))
}

fn kubeconfig_path(global: &Global) -> Result<PathBuf> {
    if let Some(path) = &global.kubeconfig {
        return Ok(path.clone());
    }
    let from_env = std::env::var_os("KUBECONFIG").map(|paths| std::env::split_paths(&paths).collect::<Vec<_>>());
    let home = std::env::home_dir().map(|home| home.join(".kube").join("config"));
    let written_by_up = crate::verbs::data_dir(None).ok().map(|dir| dir.join("kubeconfig"));
    let candidates: Vec<PathBuf> = match from_env {
        Some(paths) => paths,
        None => written_by_up.into_iter().chain(home).collect(),
    };
    let found = candidates.iter().find(|path| path.is_file()).cloned();
    found.with_context(|| {
        let list: Vec<String> = candidates.iter().map(|path| path.display().to_string()).collect();
        format!("no kubeconfig at {}; start a cluster with `wasmk up`", list.join(" or "))
    })
}

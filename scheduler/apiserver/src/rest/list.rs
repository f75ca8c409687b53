//! Lists: one revision, in key order, in chunks when the client asks for them.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use wasmk_api::{Cause, Key, Object, Reason, ResourceName, Snapshot, Status};
use wasmk_store::{Store, WatchError};

use super::Selection;
use crate::request::{ListOptions, ResourceVersionMatch};

/// What a list found.
pub(crate) struct Page {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<Arc<Object>>,
    /// Given when there is more.
    pub(crate) continue_token: Option<String>,
    /// How many more; unknown when there is a selector.
    pub(crate) remaining: Option<usize>,
}

/// Reads one page. `namespace` is empty for all of them.
pub(crate) fn list(
    store: &dyn Store,
    resource: &ResourceName,
    namespace: &str,
    selection: &Selection,
    options: &ListOptions,
) -> Result<Page, Status> {
    let token = options.continue_token.as_deref().map(ContinueToken::decode).transpose()?;
    let (snapshot, revision) = snapshot_for(store, resource, options, token.as_ref())?;
    let namespace = if namespace.is_empty() { selection.namespace().unwrap_or_default() } else { namespace };
    let start = match &token {
        Some(token) => token.key(resource)?,
        None => Key::new(resource.clone(), namespace, selection.name().filter(|_| !namespace.is_empty()).unwrap_or("")),
    };
    let in_scope = |object: &&Arc<Object>| namespace.is_empty() || object.namespace() == namespace;
    let mut matching = snapshot
        .list_from(start)
        .take_while(in_scope)
        .take_while(|object| namespace.is_empty() || selection.name().is_none_or(|name| object.name() <= name))
        .filter(|object| selection.matches(object));
    let limit = options.limit.unwrap_or(usize::MAX);
    let objects: Vec<Arc<Object>> = matching.by_ref().take(limit).cloned().collect();
    let mut page = Page { revision, objects, continue_token: None, remaining: None };
    if matching.next().is_some() {
        let last = page.objects.last().expect("a limit is never zero");
        page.continue_token = Some(ContinueToken::after(last.key(), revision).encode());
        page.remaining = selection.is_everything().then(|| 1 + matching.count());
    }
    Ok(page)
}

fn snapshot_for(
    store: &dyn Store,
    resource: &ResourceName,
    options: &ListOptions,
    token: Option<&ContinueToken>,
) -> Result<(Snapshot, u64), Status> {
    if let Some(token) = token {
        let snapshot = store.snapshot_at(token.rv, resource).map_err(|error| match error {
            WatchError::Compacted { .. } => Status::new(Reason::Expired, CONTINUE_EXPIRED),
            error => watch_error(error, token.rv),
        })?;
        return Ok((snapshot, token.rv));
    }
    let wanted = options.resource_version.unwrap_or(0);
    // Asking for a limit at a revision has meant that very revision since before the match could be said.
    let exact = options.resource_version_match == Some(ResourceVersionMatch::Exact)
        || options.resource_version_match.is_none() && options.limit.is_some();
    if wanted > 0 && exact {
        let snapshot = store.snapshot_at(wanted, resource).map_err(|error| match error {
            WatchError::Compacted { .. } => {
                Status::new(Reason::Expired, "The resourceVersion for the provided list is too old.")
            }
            error => watch_error(error, wanted),
        })?;
        return Ok((snapshot, wanted));
    }
    let snapshot = store.snapshot();
    if wanted > snapshot.revision() {
        return Err(too_large(wanted, snapshot.revision()));
    }
    let revision = snapshot.revision();
    Ok((snapshot, revision))
}

const CONTINUE_EXPIRED: &str = "The provided continue parameter is too old to display a consistent list result. \
    You must start a new list without the continue parameter.";

/// What a read at revision `wanted` fails with.
pub(crate) fn watch_error(error: WatchError, wanted: u64) -> Status {
    match error {
        WatchError::Compacted { oldest } => {
            Status::new(Reason::Expired, format!("too old resource version: {wanted} ({oldest})"))
        }
        WatchError::Future { current } => too_large(wanted, current),
        WatchError::Closed => Status::new(Reason::ServiceUnavailable, "the server is shutting down"),
    }
}

/// The client has seen a revision that this store has not reached.
pub(crate) fn too_large(wanted: u64, current: u64) -> Status {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    let mut status = Status::new(Reason::Timeout, message);
    status.causes = vec![Cause::new("ResourceVersionTooLarge", "", "Too large resource version")];
    status.retry_after_seconds = Some(1);
    status
}

/// Where a list goes on: the revision it began at, and the first key that may come. The form is Kubernetes' own.
#[derive(Serialize, Deserialize)]
struct ContinueToken {
    v: String,
    rv: u64,
    /// `<namespace>/<name>\0`
    start: String,
}

const TOKEN_VERSION: &str = "meta.k8s.io/v1";

impl ContinueToken {
    fn after(key: &Key, rv: u64) -> Self {
        Self { v: TOKEN_VERSION.to_owned(), rv, start: format!("{}/{}\0", key.namespace, key.name) }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a token always encodes"))
    }

    fn decode(text: &str) -> Result<Self, Status> {
        let refused =
            |why: String| Status::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).map_err(|error| refused(error.to_string()))?;
        let token: Self = serde_json::from_slice(&bytes).map_err(|error| refused(error.to_string()))?;
        if token.v == TOKEN_VERSION { Ok(token) } else { Err(refused(format!("unknown version {:?}", token.v))) }
    }

    fn key(&self, resource: &ResourceName) -> Result<Key, Status> {
        let split = self.start.split_once('/');
        let (namespace, name) = split
            .ok_or_else(|| Status::bad_request("invalid continue token: continue key is not valid: no start key"))?;
        Ok(Key::new(resource.clone(), namespace, name))
    }
}

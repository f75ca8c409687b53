//! Lists: one revision, in key order, in chunks when the client asks for them.

use std::sync::Arc;

use wasmk_api::{Cause, Key, Object, Reason, ResourceName, Snapshot, Status};
use wasmk_store::{Store, WatchError};

use super::Selection;
use super::continuation::{ContinueToken, LATEST};
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
    if token.is_some() && options.resource_version.is_some_and(|wanted| wanted > 0) {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let (snapshot, revision) = snapshot_for(store, resource, options, token.as_ref())?;
    let asked_namespace = namespace;
    let namespace = if namespace.is_empty() { selection.namespace().unwrap_or_default() } else { namespace };
    let start = match &token {
        Some(token) => token.key(resource, asked_namespace),
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
        page.continue_token = Some(ContinueToken::after(last.key(), asked_namespace, revision).encode());
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
    let at = |revision: u64| store.snapshot_at(revision, resource).map(|snapshot| (snapshot, revision));
    let wanted = options.resource_version.unwrap_or(0);
    if let Some(token) = token.filter(|token| token.rv != LATEST) {
        let revision = u64::try_from(token.rv).unwrap_or(0);
        return at(revision).map_err(|error| match error {
            WatchError::Compacted { .. } => token.expired(),
            error => watch_error(error, revision),
        });
    }
    // Asking for a limit at a revision has meant that very revision since before the match could be said.
    let exact = options.resource_version_match == Some(ResourceVersionMatch::Exact)
        || options.resource_version_match.is_none() && options.limit.is_some();
    if wanted > 0 && exact {
        return at(wanted).map_err(|error| match error {
            WatchError::Compacted { .. } => {
                Status::new(Reason::Expired, "The resourceVersion for the provided list is too old.")
            }
            error => watch_error(error, wanted),
        });
    }
    let snapshot = store.snapshot();
    if wanted > snapshot.revision() {
        return Err(too_large(wanted, snapshot.revision()));
    }
    let revision = snapshot.revision();
    Ok((snapshot, revision))
}

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

use std::sync::Arc;

use http::HeaderMap;
use http::header::USER_AGENT;
use wasmk_api::kind::{self, Kind};
use wasmk_api::{Key, Object, Reason, ResourceName, Snapshot, Status};

use crate::heavy::{self, Turn};
use crate::request::{Accept, FIELD_MANAGER_BYTES_MAX, Query, ResourcePath, Target, Verb};
use crate::respond::Style;
use crate::{ApiServer, Identity};

/// One request about objects: who asks for what, and how the answer is to look.
pub(crate) struct Call {
    pub(crate) server: Arc<ApiServer>,
    pub(crate) identity: Identity,
    pub(crate) kind: &'static Kind,
    pub(crate) verb: Verb,
    pub(crate) path: ResourcePath,
    pub(crate) query: Query,
    pub(crate) accept: Accept,
    user_agent: String,
    turn: Turn,
}

/// Why there is no such resource.
pub(crate) enum NoResource {
    /// The group version is not served at all.
    Group,
    /// It has no such resource, or not in this scope.
    Resource,
}

impl Call {
    pub(crate) fn new(
        server: Arc<ApiServer>,
        identity: Identity,
        verb: Verb,
        path: ResourcePath,
        query: Query,
        headers: &HeaderMap,
    ) -> Result<Self, NoResource> {
        let kind = resolve(&path, &server.store.snapshot())?;
        let user_agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let accept = Accept::parse(headers);
        Ok(Self {
            server,
            identity,
            kind,
            verb,
            path,
            query,
            accept,
            user_agent: user_agent.to_owned(),
            turn: Turn::default(),
        })
    }

    /// Waits for a place among those whose requests take more than a moment; it is kept until the answer is there.
    pub(crate) async fn take_turn(&self) {
        self.turn.take(&self.server.heavy_work).await;
    }

    /// As much work as there may be: in its turn, and beside the threads that everybody needs.
    pub(crate) async fn heavily<T>(&self, work: impl FnOnce() -> T) -> T {
        self.take_turn().await;
        heavy::in_place(work)
    }

    pub(crate) fn resource(&self) -> ResourceName {
        self.kind.resource_name()
    }

    /// Of the object that the path names.
    pub(crate) fn key(&self) -> Key {
        Key::new(self.resource(), &self.path.namespace, &self.path.name)
    }

    /// What was authorized, for refusals that only the body brings to light.
    pub(crate) fn target(&self) -> Target {
        Target { verb: self.verb, path: String::new(), resource: Some(self.path.clone()) }
    }

    pub(crate) fn find<'a>(&self, snapshot: &'a Snapshot) -> Result<&'a Arc<Object>, Status> {
        snapshot.get(&self.key()).ok_or_else(|| self.not_found())
    }

    pub(crate) fn not_found(&self) -> Status {
        Status::not_found(self.kind.plural, self.kind.group, &self.path.name)
    }

    /// Who is recorded as the writer of fields: what the query says, else the client's name.
    pub(crate) fn field_manager<'a>(&'a self, asked: &'a str) -> &'a str {
        let client = self.user_agent.split('/').next().unwrap_or_default();
        let client = &client[..client.floor_char_boundary(FIELD_MANAGER_BYTES_MAX)];
        match (asked, client) {
            ("", "") => "unknown",
            ("", client) => client,
            (asked, _) => asked,
        }
    }

    /// For answers that are no objects of a list: no Table, no metadata view.
    pub(crate) fn style(&self) -> Result<Style, Status> {
        Ok(Style { format: self.accept.negotiate_whole()?, pretty: self.pretty() })
    }

    /// People ask for it with `?pretty`, and with a browser or curl.
    pub(crate) fn pretty(&self) -> bool {
        self.query
            .optional_flag("pretty")
            .unwrap_or_else(|| ["curl", "Wget", "Mozilla/5.0"].iter().any(|client| self.user_agent.starts_with(client)))
    }
}

fn resolve(path: &ResourcePath, snapshot: &Snapshot) -> Result<&'static Kind, NoResource> {
    let Some(kind) = kind::find_path(snapshot, &path.group, &path.version, &path.resource) else {
        let served = kind::served(snapshot);
        let known = served.iter().any(|kind| kind.group == path.group && kind.version == path.version);
        return Err(if known { NoResource::Resource } else { NoResource::Group });
    };
    // A namespaced object has an address only within its namespace, a cluster-scoped one only outside of all.
    let placed =
        if kind.namespaced { path.name.is_empty() || !path.namespace.is_empty() } else { path.namespace.is_empty() };
    if placed { Ok(kind) } else { Err(NoResource::Resource) }
}

impl NoResource {
    pub(crate) fn status(&self) -> Status {
        Status::new(Reason::NotFound, "the server could not find the requested resource")
    }
}

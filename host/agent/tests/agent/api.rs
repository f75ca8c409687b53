//! As much of the Kubernetes API as the agent uses, over a map.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Clone)]
pub(crate) struct FakeApi(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    revision: watch::Sender<u64>,
    /// Requests fail and watches break while this holds.
    down: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    /// By collection (`pods`), namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    history: Vec<Change>,
}

#[derive(Clone)]
struct Change {
    revision: u64,
    kind: &'static str,
    collection: String,
    object: Value,
}

struct Target {
    collection: String,
    namespace: String,
    name: Option<String>,
    status: bool,
}

impl FakeApi {
    pub(crate) fn new() -> Self {
        let (revision, down) = (watch::Sender::new(1), watch::Sender::new(false));
        Self(Arc::new(Inner { state: Mutex::default(), revision, down }))
    }

    pub(crate) fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request| {
            let api = api.clone();
            async move { api.serve(request).await }
        });
        kube::Client::new(service, "default")
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.0.down.send_replace(down);
    }

    /// Creates or replaces, as `kubectl apply` does.
    pub(crate) fn put(&self, collection: &str, object: Value) {
        self.write(collection, object);
    }

    pub(crate) fn get(&self, collection: &str, name: &str) -> Option<Value> {
        let state = self.0.state.lock().unwrap();
        let mut found = state.objects.iter().filter(|((of, _, known), _)| of == collection && known == name);
        found.next().map(|(_, object)| object.clone())
    }

    pub(crate) fn list(&self, collection: &str) -> Vec<Value> {
        let state = self.0.state.lock().unwrap();
        state.objects.iter().filter(|((of, ..), _)| of == collection).map(|(_, object)| object.clone()).collect()
    }

    /// Marks the pod for deletion, as `kubectl delete` does.
    pub(crate) fn delete_gracefully(&self, pod: &str, seconds: u64) {
        let mut object = self.get("pods", pod).unwrap();
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        object["metadata"]["deletionGracePeriodSeconds"] = json!(seconds);
        self.write("pods", object);
    }

    pub(crate) fn remove(&self, collection: &str, name: &str) {
        let object = self.get(collection, name).unwrap();
        let mut state = self.0.state.lock().unwrap();
        state.objects.remove(&key(collection, &object));
        self.commit(&mut state, "DELETED", collection, object);
    }

    /// Waits until what `look` sees is there.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> impl Future<Output = T> {
        let (api, what) = (self.clone(), what.to_owned());
        async move {
            let mut changes = api.0.revision.subscribe();
            let wait = async {
                loop {
                    changes.borrow_and_update();
                    if let Some(found) = look(&api) {
                        return found;
                    }
                    changes.changed().await.unwrap();
                }
            };
            let found = tokio::time::timeout(Duration::from_secs(20), wait).await;
            found.unwrap_or_else(|_| panic!("in vain for: {what}\n{:#?}\n{:#?}", api.list("pods"), api.list("events")))
        }
    }

    async fn serve(&self, request: Request<kube::client::Body>) -> Result<Response<Body>, std::io::Error> {
        if *self.0.down.borrow() {
            return Err(std::io::ErrorKind::ConnectionRefused.into());
        }
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.unwrap();
        let query: BTreeMap<String, String> =
            form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let target = Target::parse(parts.uri.path());
        let input = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Ok(match (parts.method, target.name.is_some()) {
            (Method::GET, false) if query.contains_key("watch") => self.watch(&target, &query),
            (Method::GET, false) => self.list_response(&target, &query),
            (Method::GET, true) => self.get_response(&target),
            (Method::POST, _) => self.create(&target, input),
            (Method::PATCH, _) => self.patch(&target, &input),
            (Method::DELETE, _) => self.delete(&target, &input),
            (method, _) => panic!("the agent does not use {method}"),
        })
    }

    fn list_response(&self, target: &Target, query: &BTreeMap<String, String>) -> Response<Body> {
        let state = self.0.state.lock().unwrap();
        let all =
            state.objects.iter().filter(|((of, ..), object)| *of == target.collection && target.selects(object, query));
        let items: Vec<_> = all.map(|(_, object)| object.clone()).collect();
        let revision = self.0.revision.borrow().to_string();
        answer(
            200,
            json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": revision}, "items": items}),
        )
    }

    fn watch(&self, target: &Target, query: &BTreeMap<String, String>) -> Response<Body> {
        let (sender, receiver) = mpsc::channel::<Bytes>(64);
        let mut next: u64 = query["resourceVersion"].parse().unwrap();
        let (api, collection, query) = (self.clone(), target.collection.clone(), query.clone());
        let target =
            Target { collection: collection.clone(), namespace: target.namespace.clone(), name: None, status: false };
        tokio::spawn(async move {
            let (mut changes, mut down) = (api.0.revision.subscribe(), api.0.down.subscribe());
            loop {
                changes.borrow_and_update();
                let new: Vec<_> = {
                    let state = api.0.state.lock().unwrap();
                    let new =
                        state.history.iter().filter(|change| change.revision > next && change.collection == collection);
                    new.filter(|change| target.selects(&change.object, &query)).cloned().collect()
                };
                for change in new {
                    next = change.revision;
                    let line = format!("{}\n", json!({"type": change.kind, "object": change.object}));
                    if sender.send(line.into()).await.is_err() {
                        return;
                    }
                }
                tokio::select! {
                    changed = changes.changed() => changed.unwrap(),
                    _ = down.wait_for(|down| *down) => return,
                    () = sender.closed() => return,
                }
            }
        });
        let frames = ReceiverStream::new(receiver).map(|bytes| Ok(http_body::Frame::data(bytes)));
        Response::new(StreamBody::new(frames).boxed_unsync())
    }

    fn get_response(&self, target: &Target) -> Response<Body> {
        match self.0.state.lock().unwrap().objects.get(&target.key()) {
            Some(object) => answer(200, object.clone()),
            None => failure(404, "NotFound"),
        }
    }

    fn create(&self, target: &Target, mut object: Value) -> Response<Body> {
        if self.0.state.lock().unwrap().objects.contains_key(&target.key_of(&object)) {
            return failure(409, "AlreadyExists");
        }
        if target.collection == "nodes" {
            object["spec"]["podCIDR"] = json!("10.64.16.0/20");
        }
        answer(201, self.write(&target.collection, object))
    }

    fn patch(&self, target: &Target, patch: &Value) -> Response<Body> {
        let known = self.0.state.lock().unwrap().objects.get(&target.key()).cloned();
        let Some(mut object) = known else { return failure(404, "NotFound") };
        let uid = &patch["metadata"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return failure(409, "Conflict");
        }
        if target.status {
            merge(&mut object["status"], &patch["status"]);
        } else {
            let mut patch = patch.clone();
            patch.as_object_mut().unwrap().remove("status");
            merge(&mut object, &patch);
        }
        answer(200, self.write(&target.collection, object))
    }

    fn delete(&self, target: &Target, options: &Value) -> Response<Body> {
        let known = self.0.state.lock().unwrap().objects.get(&target.key()).cloned();
        let Some(object) = known else { return failure(404, "NotFound") };
        assert_eq!(options["gracePeriodSeconds"], 0, "the agent removes what has ended");
        if options["preconditions"]["uid"] != object["metadata"]["uid"] {
            return failure(409, "Conflict");
        }
        self.remove(&target.collection, object["metadata"]["name"].as_str().unwrap());
        answer(200, object)
    }

    fn write(&self, collection: &str, mut object: Value) -> Value {
        let mut state = self.0.state.lock().unwrap();
        let key = key(collection, &object);
        let kind = if state.objects.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        let revision = *self.0.revision.borrow() + 1;
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{revision}"));
        }
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        state.objects.insert(key, object.clone());
        self.commit(&mut state, kind, collection, object.clone());
        object
    }

    fn commit(&self, state: &mut State, kind: &'static str, collection: &str, mut object: Value) {
        let revision = *self.0.revision.borrow() + 1;
        object["metadata"]["resourceVersion"] = json!(revision.to_string());
        state.history.push(Change { revision, kind, collection: collection.to_owned(), object });
        self.0.revision.send_replace(revision);
    }
}

impl Target {
    fn parse(path: &str) -> Self {
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        Self {
            collection: rest[0].to_owned(),
            namespace: namespace.to_owned(),
            name: rest.get(1).map(|name| (*name).to_owned()),
            status: rest.get(2) == Some(&"status"),
        }
    }

    fn key(&self) -> (String, String, String) {
        (self.collection.clone(), self.namespace.clone(), self.name.clone().unwrap())
    }

    fn key_of(&self, object: &Value) -> (String, String, String) {
        (self.collection.clone(), self.namespace.clone(), text(&object["metadata"]["name"]))
    }

    fn selects(&self, object: &Value, query: &BTreeMap<String, String>) -> bool {
        let in_namespace = self.namespace.is_empty() || object["metadata"]["namespace"] == self.namespace.as_str();
        let selector = query.get("fieldSelector").and_then(|selector| selector.split_once('='));
        in_namespace
            && selector.is_none_or(|(field, value)| {
                let pointer = format!("/{}", field.replace('.', "/"));
                object.pointer(&pointer).and_then(Value::as_str) == Some(value)
            })
    }
}

fn key(collection: &str, object: &Value) -> (String, String, String) {
    (collection.to_owned(), text(&object["metadata"]["namespace"]), text(&object["metadata"]["name"]))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn merge(target: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

fn answer(code: u16, value: Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).boxed_unsync();
    Response::builder().status(code).header("content-type", "application/json").body(body).unwrap()
}

fn failure(code: u16, reason: &str) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": code});
    answer(code, status)
}

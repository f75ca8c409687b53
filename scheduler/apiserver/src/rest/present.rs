//! What the client sees of objects: themselves, in the version that was asked for, their metadata, or rows of a Table.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Bytes;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use wasmk_api::kind::Kind;
use wasmk_api::table::{self, IncludeObject};
use wasmk_api::{Object, Status};

use super::Call;
use super::list::Page;
use crate::request::{Format, View};
use crate::respond::Style;

/// How objects of one kind are shown to one client.
#[derive(Clone, Copy)]
pub(crate) struct Presenter {
    kind: &'static Kind,
    format: Format,
    view: View,
    include: IncludeObject,
}

impl Presenter {
    pub(crate) fn of(call: &Call) -> Result<Self, Status> {
        let (format, view) = call.accept.negotiate()?;
        let include = match call.query.text("includeObject") {
            Some("None") => IncludeObject::None,
            Some("Object") => IncludeObject::Object,
            _ => IncludeObject::Metadata,
        };
        Ok(Self { kind: call.kind, format, view, include })
    }

    /// Objects as they are, as JSON.
    #[cfg(test)]
    pub(crate) fn json(kind: &'static Kind) -> Self {
        Self { kind, format: Format::Json, view: View::Whole, include: IncludeObject::None }
    }

    /// A single object as the whole answer.
    pub(crate) fn one(&self, code: StatusCode, object: &Arc<Object>, pretty: bool) -> Response {
        self.style(pretty).respond_encoded(code, self.one_of_many(object, true))
    }

    /// A single object that is in no store, such as what a dry run would write.
    pub(crate) fn value(&self, code: StatusCode, value: &Value, pretty: bool) -> Response {
        let shown = match self.view {
            View::Whole => self.kind.shown(value).into_owned(),
            View::Metadata(version) => self.partial(value, version),
            View::Table(version) => self.table(version, json!({}), std::iter::once(value), true),
        };
        self.style(pretty).respond(code, &shown)
    }

    pub(crate) fn list(&self, page: Page, pretty: bool) -> Response {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), json!(page.revision.to_string()));
        metadata.extend(page.continue_token.map(|token| ("continue".to_owned(), json!(token))));
        metadata.extend(page.remaining.map(|count| ("remainingItemCount".to_owned(), json!(count))));
        let metadata = Value::Object(metadata);
        let encoded = match self.view {
            View::Table(version) => {
                encode(&self.table(version, metadata, page.objects.iter().map(|object| object.value()), true))
            }
            View::Metadata(version) => {
                let items = page.objects.iter().map(|object| encode(&self.partial(object.value(), version)));
                encode_list("PartialObjectMetadataList", &format!("meta.k8s.io/{version}"), &metadata, items)
            }
            View::Whole => {
                let items = page.objects.iter().map(|object| self.whole(object));
                encode_list(self.kind.list_kind, &self.kind.api_version(), &metadata, items)
            }
        };
        self.style(pretty).respond_encoded(StatusCode::OK, encoded)
    }

    /// One object among others, as JSON. A Table's columns are told with the `first` one only.
    pub(crate) fn one_of_many(&self, object: &Arc<Object>, first: bool) -> Bytes {
        match self.view {
            View::Whole => self.whole(object),
            View::Metadata(version) => encode(&self.partial(object.value(), version)),
            View::Table(version) => {
                let metadata = json!({"resourceVersion": object.revision().to_string()});
                encode(&self.table(version, metadata, std::iter::once(object.value()), first))
            }
        }
    }

    /// An object of the view's type that says nothing.
    pub(crate) fn empty(&self) -> Value {
        match self.view {
            View::Whole => json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version()}),
            View::Metadata(version) => self.partial(&json!({}), version),
            View::Table(version) => self.table(version, json!({}), std::iter::empty(), false),
        }
    }

    /// The stored text is shared by all who ask for the stored version.
    fn whole(&self, object: &Arc<Object>) -> Bytes {
        match self.kind.shown(object.value()) {
            Cow::Borrowed(_) => object.encoded(),
            Cow::Owned(shown) => encode(&shown),
        }
    }

    fn partial(&self, object: &Value, version: &str) -> Value {
        json!({
            "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
            "metadata": self.kind.shown(object)["metadata"],
        })
    }

    fn style(&self, pretty: bool) -> Style {
        Style { format: self.format, pretty }
    }

    fn table<'a>(
        &self,
        version: &str,
        metadata: Value,
        objects: impl Iterator<Item = &'a Value>,
        with_columns: bool,
    ) -> Value {
        let mut table = table::render(self.kind, objects, metadata, self.include, with_columns, Timestamp::now());
        table["apiVersion"] = json!(format!("meta.k8s.io/{version}"));
        table
    }
}

fn encode(value: &Value) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("JSON values always encode"))
}

/// A list made of items that are encoded already.
fn encode_list(kind: &str, api_version: &str, metadata: &Value, items: impl Iterator<Item = Bytes>) -> Bytes {
    let mut out = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
        .into_bytes();
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(&item);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

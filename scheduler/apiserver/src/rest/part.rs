use std::sync::Arc;

use axum::response::Response;
use http::StatusCode;
use serde_json::Value;
use wasmk_api::kind::Kind;
use wasmk_api::schema::{self, Node};
use wasmk_api::write::{self, Context, Prepared};
use wasmk_api::{Object, Status};

use super::commit::imagine;
use super::document::Expected;
use super::{Call, Presenter};

/// What of an object a request reads and writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Object,
    Status,
    /// The number of replicas, in a form that is the same for every kind that has some.
    Scale,
    /// The whole object, of which a Scale has been applied.
    AppliedScale,
    /// A namespace's finalizers.
    Finalize,
}

const SCALE: Expected = Expected { group: "autoscaling", version: "v1", kind: "Scale" };

impl Part {
    /// Of a subresource that is a view; empty for the object itself.
    pub(super) fn of(subresource: &str) -> Self {
        match subresource {
            "status" | "approval" => Self::Status,
            "scale" => Self::Scale,
            "finalize" => Self::Finalize,
            _ => Self::Object,
        }
    }

    /// As `managedFields` name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Object | Self::Finalize => "",
            Self::Status => "status",
            Self::Scale | Self::AppliedScale => "scale",
        }
    }

    pub(super) fn expected(self, call: &Call) -> Expected {
        if self == Self::Scale { SCALE } else { Expected::object(call) }
    }

    pub(super) fn schema(self, call: &Call) -> Option<&'static Node> {
        if self == Self::Scale {
            return schema::for_kind(SCALE.group, SCALE.version, SCALE.kind);
        }
        Some(call.kind.schema())
    }

    /// What a reader of the part sees, and what a patch of it applies to.
    pub(super) fn view(self, kind: &Kind, object: &Object) -> Value {
        if self == Self::Scale { write::scale(kind, object) } else { kind.shown(object.value()).into_owned() }
    }

    /// The new object, from the wanted view.
    pub(super) fn prepare(
        self,
        kind: &'static Kind,
        old: &Object,
        wanted: Value,
        context: &Context,
    ) -> Result<Prepared, Status> {
        match self {
            Self::Object => write::update(kind, old, wanted, write::Part::Main, context),
            Self::Status => write::update(kind, old, wanted, write::Part::Status, context),
            Self::Finalize => write::update(kind, old, wanted, write::Part::Finalize, context),
            Self::AppliedScale => write::update(kind, old, wanted, write::Part::Scale, context),
            Self::Scale => {
                let findings = schema::check(SCALE.group, SCALE.version, SCALE.kind, &wanted);
                match findings.and_then(|findings| findings.type_error(SCALE.version, SCALE.kind)) {
                    Some(status) => Err(status),
                    None => write::set_scale(kind, old, &wanted, context),
                }
            }
        }
    }

    pub(super) fn respond(self, call: &Call, code: StatusCode, object: &Arc<Object>) -> Result<Response, Status> {
        match self {
            Self::Scale | Self::AppliedScale => Ok(call.style()?.respond(code, &Self::Scale.view(call.kind, object))),
            _ => Ok(Presenter::of(call)?.one(code, object, call.pretty())),
        }
    }

    /// For an object that is in no store.
    pub(super) fn respond_value(self, call: &Call, code: StatusCode, value: &Value) -> Result<Response, Status> {
        match self {
            Self::Scale | Self::AppliedScale => self.respond(call, code, &imagine(call, value.clone())),
            _ => Ok(Presenter::of(call)?.value(code, value, call.pretty())),
        }
    }
}

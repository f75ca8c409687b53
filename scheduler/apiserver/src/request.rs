//! Reading a request: what it is about, its query options, the media types it accepts, its body.

mod accept;
mod body;
mod document;
mod go_json;
mod options;
mod target;

pub(crate) use accept::{Accept, Format, View};
pub(crate) use body::{Body, BodyType, read_body, unsupported};
pub(crate) use document::Document;
pub(crate) use go_json::json_fault;
pub(crate) use options::{
    DeleteOptions, FIELD_MANAGER_BYTES_MAX, ListOptions, Query, ResourceVersionMatch, WriteOptions, invalid_options,
};
pub(crate) use target::{ResourcePath, Target, Verb};

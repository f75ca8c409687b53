//! Reading a request: its query options, the media types it accepts, its body.

mod accept;
mod body;
mod options;
mod protobuf;

pub(crate) use accept::{Accept, Format, View};
pub(crate) use body::{Body, BodyType, read_body};
pub(crate) use options::{
    DeleteOptions, FieldValidation, ListOptions, Propagation, Query, ResourceVersionMatch, WriteOptions,
};

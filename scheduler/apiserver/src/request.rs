//! Reading a request: what it is about, its query options, the media types it accepts, its body.

mod accept;
mod body;
mod options;
mod target;

pub(crate) use accept::{Accept, Format, View};
pub(crate) use body::{Body, BodyType, read_body, unsupported};
pub(crate) use options::{DeleteOptions, ListOptions, Query, ResourceVersionMatch, WriteOptions, invalid_options};
pub(crate) use target::{ResourcePath, Target, Verb};

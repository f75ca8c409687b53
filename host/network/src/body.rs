use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// An error of a body's producer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of every request and response that passes through the network.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Boxes any body; an empty one costs no allocation.
pub fn boxed<B>(body: B) -> Body
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    if body.is_end_stream() { empty() } else { body.map_err(Into::into).boxed_unsync() }
}

pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// An answer of the network's own: one line of plain text.
pub(crate) fn text_response(status: StatusCode, text: impl std::fmt::Display) -> Response<Body> {
    let mut response = Response::new(full(format!("{text}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

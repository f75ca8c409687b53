//! HTTP services: [`axum`]'s router and extractors on `wasi:http`.
//!
//! [`serve!`](crate::serve) makes the guest's handler of a function that answers a [`Router`]. The node calls it for each request, with an
//! instance that is fresh: what is kept in memory is gone with the response, and what [`Config`](crate::Config) reads is
//! always what is mounted. Everything of [`axum`] that needs no sockets works as its own documentation says.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use wasmk_sdk::http::{Error, Json, OrStatus, Path, Query, Router, StatusCode, get, streamed};
//! # #[derive(Serialize)] struct Order { id: u64, item: String }
//! # #[derive(Deserialize)] struct Page { limit: Option<usize> }
//! # fn find(_: u64) -> Option<Order> { None }
//! # fn read_all() -> std::io::Result<Vec<Order>> { Ok(Vec::new()) }
//!
//! // JSON in and out; an error is a response.
//! async fn order(Path(id): Path<u64>) -> Result<Json<Order>, Error> {
//!     let order = find(id).or_status(StatusCode::NOT_FOUND, format!("there is no order {id}"))?;
//!     Ok(Json(order))
//! }
//!
//! // What nobody foresaw is a 500 whose cause is in the log alone.
//! async fn orders(Query(page): Query<Page>) -> Result<Json<Vec<Order>>, Error> {
//!     let mut orders = read_all()?;
//!     orders.truncate(page.limit.unwrap_or(100));
//!     Ok(Json(orders))
//! }
//!
//! // A body that is sent while it is made.
//! async fn count() -> wasmk_sdk::http::Body {
//!     streamed(async |out| {
//!         for number in 0..1_000_000 {
//!             out.send(format!("{number}\n")).await?;
//!         }
//!         Ok(())
//!     })
//! }
//!
//! fn app() -> Router {
//!     Router::new().route("/orders", get(orders)).route("/orders/{id}", get(order)).route("/count", get(count))
//! }
//! ```
//!
//! **Logs.** Each request is a span with `method`, `path` and, if the client sent one, `request_id` (`x-request-id`), and a line with
//! `status` and `ms` when its head goes out: `info`, `debug` for the paths of [`Health`], `error` for 5xx.

mod error;
mod health;
mod incoming;
mod stream;

pub use axum;
pub use axum::body::Body;
pub use axum::extract::{Path, Query, Request, State};
pub use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use axum::response::{Html, IntoResponse, Redirect, Response};
pub use axum::routing::{any, delete, get, head, patch, post, put};
pub use axum::{Json, Router};
pub use bytes::Bytes;
pub use error::{Error, OrStatus};
pub use health::Health;
pub use stream::{Closed, Sender, next, streamed};

pub(crate) use incoming::Trace;
#[doc(hidden)]
pub use incoming::handle;

/// What [`serve!`](crate::serve) takes: a [`Router`], or the error that kept it from being made, which answers every request with 500.
pub trait App {
    fn into_router(self) -> Result<Router, Error>;
}

impl App for Router {
    fn into_router(self) -> Result<Router, Error> {
        Ok(self)
    }
}

impl<E: Into<Error>> App for Result<Router, E> {
    fn into_router(self) -> Result<Router, Error> {
        self.map_err(Into::into)
    }
}

/// Makes the guest a `wasi:http` handler. Takes a function without arguments that answers an [`App`]: a [`Router`], or a
/// `Result` of one. Belongs into `main.rs`, and makes the `main` that Rust wants to see there.
///
/// [`App`]: crate::http::App
/// [`Router`]: crate::http::Router
#[macro_export]
macro_rules! serve {
    ($app:expr) => {
        struct WasmkService;

        impl $crate::__private::wasip2::exports::http::incoming_handler::Guest for WasmkService {
            fn handle(
                request: $crate::__private::wasip2::http::types::IncomingRequest,
                response: $crate::__private::wasip2::http::types::ResponseOutparam,
            ) {
                $crate::__private::handle(request, response, $app);
            }
        }

        $crate::__private::wasip2::http::proxy::export!(WasmkService with_types_in $crate::__private::wasip2);

        #[allow(dead_code)]
        fn main() {
            eprintln!("this is a wasi:http handler: it is called for each request, and not run as a program");
            std::process::exit(1);
        }
    };
}

#[cfg(test)]
mod tests;

//! An HTTP service: it is called per request, and costs nothing between requests.

use std::env;

use wstd::http::{Body, Error, Request, Response, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    println!("{} {}", request.method(), request.uri().path());
    match request.uri().path() {
        "/" => Ok(Response::new(hello().into())),
        "/healthz" => Ok(Response::new("ok\n".to_owned().into())),
        _ => Ok(Response::builder().status(StatusCode::NOT_FOUND).body("not found\n".to_owned().into())?),
    }
}

fn hello() -> String {
    let host = env::var("HOSTNAME").unwrap_or_else(|_| "nowhere".to_owned());
    let greeting = env::var("GREETING").unwrap_or_else(|_| "Hello".to_owned());
    format!("{greeting} from {} on {host}\n", env!("CARGO_PKG_NAME"))
}

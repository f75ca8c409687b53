//! Serves what is in `site/`, which becomes part of the program when it is built.

use include_dir::{Dir, include_dir};
use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

static SITE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/site");

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let path = request.uri().path();
    println!("{} {path}", request.method());
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
    }
    let name = path.trim_start_matches('/');
    let name = if name.is_empty() || name.ends_with('/') { format!("{name}index.html") } else { name.to_owned() };
    let Some(file) = SITE.get_file(&name) else { return plain(StatusCode::NOT_FOUND, "not found\n") };
    let body = if request.method() == Method::HEAD { Body::empty() } else { file.contents().to_vec().into() };
    Ok(Response::builder().header("content-type", content_type(&name)).body(body)?)
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("json") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("wasm") => "application/wasm",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

fn plain(status: StatusCode, text: &str) -> Result<Response<Body>, Error> {
    Ok(Response::builder().status(status).header("content-type", "text/plain").body(text.to_owned().into())?)
}

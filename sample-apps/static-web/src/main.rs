//! Serves the directory mounted at `/www` (or `$WWW_ROOT`): content types, single byte ranges, `HEAD`, 404 and 405.

use std::path::{Component, Path, PathBuf};
use std::{env, fs};

use wstd::http::{Body, Error, Method, Request, Response, StatusCode};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let answer = answer(&request);
    println!("{} {} {}", request.method(), request.uri().path(), answer.status().as_u16());
    Ok(answer)
}

fn answer(request: &Request<Body>) -> Response<Body> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are served here\n");
    }
    let Some(path) = locate(request.uri().path()) else {
        return plain(StatusCode::NOT_FOUND, "not found\n");
    };
    let Ok(content) = fs::read(&path) else {
        return plain(StatusCode::NOT_FOUND, "not found\n");
    };
    let range = request.headers().get("range").and_then(|value| value.to_str().ok());
    let mut response = serve(content, content_type(&path), range);
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// The file that a URL path names, never outside the root; a directory means its `index.html`.
fn locate(url_path: &str) -> Option<PathBuf> {
    let relative = decode(url_path.trim_start_matches('/'))?;
    let is_inside =
        Path::new(&relative).components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    let path = Path::new(&env::var("WWW_ROOT").unwrap_or_else(|_| "/www".to_owned())).join(&relative);
    match is_inside {
        true if path.is_dir() => Some(path.join("index.html")),
        true => Some(path),
        false => None,
    }
}

/// Undoes percent-encoding; `None` when that is not UTF-8 or not well-formed.
fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let digits = (byte == b'%').then(|| [bytes.next(), bytes.next()]);
        decoded.push(match digits {
            None => byte,
            Some([Some(high), Some(low)]) => u8::from_str_radix(std::str::from_utf8(&[high, low]).ok()?, 16).ok()?,
            Some(_) => return None,
        });
    }
    String::from_utf8(decoded).ok()
}

fn serve(content: Vec<u8>, content_type: &str, range: Option<&str>) -> Response<Body> {
    let total = content.len();
    let builder = Response::builder().header("content-type", content_type).header("accept-ranges", "bytes");
    let built = match range.map(|range| parse_range(range, total)) {
        Some(Range::Unsatisfiable) => builder
            .status(StatusCode::RANGE_NOT_SATISFIABLE)
            .header("content-range", format!("bytes */{total}"))
            .body(Body::empty()),
        Some(Range::Bytes(first, last)) => builder
            .status(StatusCode::PARTIAL_CONTENT)
            .header("content-range", format!("bytes {first}-{last}/{total}"))
            .header("content-length", last - first + 1)
            .body(content[first..=last].to_vec().into()),
        Some(Range::Ignored) | None => builder.header("content-length", total).body(content.into()),
    };
    built.expect("the headers above are valid")
}

enum Range {
    /// First and last byte, both included.
    Bytes(usize, usize),
    Unsatisfiable,
    /// Several ranges or another unit: RFC 9110 allows to answer with the whole.
    Ignored,
}

fn parse_range(header: &str, total: usize) -> Range {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|ranges| ranges.split_once('-')) else {
        return Range::Ignored;
    };
    let end = total.saturating_sub(1);
    let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) => (first, last.min(end)),
        (Ok(first), Err(_)) if last.is_empty() => (first, end),
        (Err(_), Ok(suffix)) if first.is_empty() && suffix > 0 => (total.saturating_sub(suffix), end),
        _ => return Range::Ignored,
    };
    if first >= total || last < first { Range::Unsatisfiable } else { Range::Bytes(first, last) }
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let response = Response::builder().status(status).header("content-type", "text/plain; charset=utf-8");
    response.body(text.to_owned().into()).expect("the headers above are valid")
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()).unwrap_or_default() {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "txt" | "md" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        "wasm" => "application/wasm",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

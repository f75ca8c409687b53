//! A guestbook in two tiers from one image. `ROLE=store` keeps the entries in the volume at `/data`; any other role is
//! the front end, which reaches the store by its Service's name, `http://$STORE` (`guestbook-store`).
//!
//! `GET /` is the page, `GET /entries` the entries as JSON, `POST /entries` adds the body as one.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::{env, io};

use wstd::http::{Body, Client, Error, Method, Request, Response, StatusCode};

const ENTRIES: &str = "/data/entries.txt";
const ENTRY_BYTES_MAX: usize = 1000;

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    match env::var("ROLE").as_deref() {
        Ok("store") => store(request).await,
        _ => front(request).await,
    }
}

async fn store(request: Request<Body>) -> Result<Response<Body>, Error> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    match (method, path.as_str()) {
        (Method::GET, "/entries") => Ok(json(&read_entries()?)),
        (Method::POST, "/entries") => {
            let text = request.into_body().str_contents().await?.replace(['\r', '\n'], " ");
            if text.trim().is_empty() || text.len() > ENTRY_BYTES_MAX {
                return reply(StatusCode::BAD_REQUEST, format!("an entry has 1 to {ENTRY_BYTES_MAX} bytes\n"));
            }
            let mut file = OpenOptions::new().create(true).append(true).open(ENTRIES)?;
            writeln!(file, "{}", text.trim())?;
            file.sync_all()?;
            reply(StatusCode::CREATED, "stored\n".to_owned())
        }
        _ => reply(StatusCode::NOT_FOUND, "not found\n".to_owned()),
    }
}

fn read_entries() -> io::Result<Vec<String>> {
    match fs::read_to_string(ENTRIES) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

async fn front(request: Request<Body>) -> Result<Response<Body>, Error> {
    let is_page = request.method() == Method::GET && request.uri().path() == "/";
    let path = if is_page { "/entries" } else { request.uri().path() };
    let store = env::var("STORE").unwrap_or_else(|_| "guestbook-store".to_owned());
    let (method, url) = (request.method().clone(), format!("http://{store}{path}"));
    let forwarded = Request::builder().method(method).uri(&url).body(request.into_body())?;
    let answer = match Client::new().send(forwarded).await {
        Ok(answer) => answer,
        Err(error) => {
            return reply(StatusCode::BAD_GATEWAY, format!("the store at {url} does not answer: {error:#}\n"));
        }
    };
    let status = answer.status();
    let text = answer.into_body().str_contents().await?.to_owned();
    if !is_page || status != StatusCode::OK {
        return reply(status, text);
    }
    let entries: Vec<String> = serde_json::from_str(&text)?;
    Ok(Response::builder().header("content-type", "text/html; charset=utf-8").body(page(&entries).into())?)
}

fn page(entries: &[String]) -> String {
    let items: String = entries.iter().map(|entry| format!("<li>{}</li>\n", escape(entry))).collect();
    format!("<!doctype html>\n<title>Guestbook</title>\n<h1>Guestbook</h1>\n<ul>\n{items}</ul>\n")
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn json(entries: &[String]) -> Response<Body> {
    let text = serde_json::to_string(entries).expect("strings always encode");
    let builder = Response::builder().header("content-type", "application/json");
    builder.body(text.into()).expect("the header above is valid")
}

fn reply(status: StatusCode, text: String) -> Result<Response<Body>, Error> {
    Ok(Response::builder().status(status).header("content-type", "text/plain; charset=utf-8").body(text.into())?)
}

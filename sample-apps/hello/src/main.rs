//! The smallest useful service: who am I, what was I configured with, is my secret there.
//!
//! `GET /` answers as text. The version is fixed when the image is built: `HELLO_VERSION=v2 wasmk build …`.

use std::{env, fs};

use wstd::http::{Body, Error, Request, Response};

const VERSION: &str = match option_env!("HELLO_VERSION") {
    Some(version) => version,
    None => "v1",
};

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let pod = env::var("POD_NAME").or_else(|_| env::var("HOSTNAME")).unwrap_or_else(|_| "an unnamed pod".to_owned());
    println!("{} {}", request.method(), request.uri().path());
    match request.uri().path() {
        "/healthz" => Ok(Response::new("ok\n".to_owned().into())),
        // One request that fails must not take the replica down.
        "/panic" => panic!("asked to panic by {}", request.uri()),
        _ => Ok(Response::new(page(&pod).into())),
    }
}

fn page(pod: &str) -> String {
    let greeting = env::var("GREETING").unwrap_or_else(|_| "Hello".to_owned());
    let secret = match fs::read("/etc/hello/secret/token") {
        Ok(token) => format!("mounted, {} bytes", token.len()),
        Err(error) => format!("not mounted ({error})"),
    };
    format!("{greeting} from {pod}\nversion: {VERSION}\nsecret: {secret}\n")
}

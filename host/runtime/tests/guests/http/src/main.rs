//! wasi:http 0.2: does what the path says.

use futures_lite::stream::unfold;
use std::convert::Infallible;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use wstd::http::body::{Body, Bytes};
use wstd::http::{Client, Error, Request, Response};
use wstd::time::Duration;

static SERVED: AtomicU32 = AtomicU32::new(0);

#[wstd::http_server]
async fn main(request: Request<Body>) -> Result<Response<Body>, Error> {
    let served = SERVED.fetch_add(1, Ordering::Relaxed) + 1;
    let path = request.uri().path().to_owned();
    match path.as_str() {
        "/" => text(format!("hello {}", request.uri())),
        "/served" => text(format!("{served}")),
        "/echo" => Ok(Response::new(request.into_body())),
        "/ticks" => Ok(Response::new(Body::from_try_stream(unfold(0u32, tick)))),
        "/slow" => {
            wstd::task::sleep(Duration::from_millis(200)).await;
            text("slow".into())
        }
        "/forever" => {
            wstd::task::sleep(Duration::from_secs(1_000_000)).await;
            text("never".into())
        }
        "/env" => text(std::env::var("NAME").unwrap_or_default()),
        "/log" => {
            println!("a line of output");
            text("logged".into())
        }
        "/trap" => {
            println!("before the trap");
            innermost_function()
        }
        "/exit" => std::process::exit(3),
        "/spin" => loop {
            black_box(());
        },
        "/memory" => {
            let mut blocks = Vec::new();
            loop {
                blocks.push(black_box(vec![1u8; 1 << 20]));
            }
        }
        "/out" => out(request).await,
        _ => Ok(Response::builder().status(404).body(Body::empty())?),
    }
}

fn text(text: String) -> Result<Response<Body>, Error> {
    Ok(Response::new(text.into()))
}

/// An endless body, a line every few milliseconds.
async fn tick(count: u32) -> Option<(Result<Bytes, Infallible>, u32)> {
    wstd::task::sleep(Duration::from_millis(5)).await;
    Some((Ok(format!("tick {count}\n").into()), count + 1))
}

#[inline(never)]
fn innermost_function() -> ! {
    panic!("boom")
}

/// Fetches what the query names.
async fn out(request: Request<Body>) -> Result<Response<Body>, Error> {
    let target = request.uri().query().unwrap_or_default().to_owned();
    match Client::new().send(Request::get(&target).body(Body::empty())?).await {
        Ok(response) => {
            let status = response.status();
            let mut body = response.into_body();
            text(format!("{status} {}", body.str_contents().await?))
        }
        Err(error) => text(format!("failed: {error}")),
    }
}

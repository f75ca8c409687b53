//! Routes with parameters and methods, JSON in and out, errors as responses, bodies that stream, readiness.

use serde::{Deserialize, Serialize};
use wasmk_sdk::http::{Body, Error, Health, Json, OrStatus, Path, Request, Router, StatusCode, get, post, streamed};

wasmk_sdk::serve!(app);

fn app() -> Router {
    let health = Health::new().check("volume /data", async || Ok(std::fs::metadata("/data").map(drop)?));
    Router::new()
        .route("/hello/{name}", get(async |Path(name): Path<String>| format!("Hello, {name}\n")))
        .route("/divide", post(divide))
        .route("/entries/{id}", get(entry))
        .route("/count/{to}", get(count))
        .route("/upper", post(upper))
        .merge(health.routes())
}

#[derive(Deserialize)]
struct Division {
    dividend: i64,
    divisor: i64,
}

#[derive(Serialize)]
struct Quotient {
    quotient: i64,
    remainder: i64,
}

async fn divide(Json(Division { dividend, divisor }): Json<Division>) -> Result<Json<Quotient>, Error> {
    let quotient =
        dividend.checked_div(divisor).or_status(StatusCode::UNPROCESSABLE_ENTITY, "divisor must not be 0")?;
    Ok(Json(Quotient { quotient, remainder: dividend % divisor }))
}

/// What went wrong while reading is for the log; the client sees a 500.
async fn entry(Path(id): Path<u32>) -> Result<String, Error> {
    let entries = std::fs::read_to_string("/data/entries")?;
    let entry = entries.lines().nth(id as usize).or_status(StatusCode::NOT_FOUND, format!("there is no entry {id}"))?;
    Ok(format!("{entry}\n"))
}

/// However far it counts, it holds one line.
async fn count(Path(to): Path<u64>) -> Body {
    streamed(async move |out| {
        for number in 1..=to {
            out.send(format!("{number}\n")).await?;
        }
        Ok(())
    })
}

/// Answers each piece of the request's body as it comes.
async fn upper(request: Request) -> Body {
    let mut pieces = request.into_body().into_data_stream();
    streamed(async move |out| {
        while let Some(piece) = wasmk_sdk::http::next(&mut pieces).await {
            out.send(piece?.to_ascii_uppercase()).await?;
        }
        Ok(())
    })
}

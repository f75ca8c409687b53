//! Routers are asked without a node: requests and bodies are in memory.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use expect_test::expect;
use serde::{Deserialize, Serialize};
use tower_service::Service;

use super::*;

/// What a future answers that never has to wait for anything outside.
#[track_caller]
pub(crate) fn now<F: Future>(future: F) -> F::Output {
    const POLLS_MAX: usize = 1000;
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..POLLS_MAX {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
    panic!("still waiting after {POLLS_MAX} polls");
}

pub(crate) async fn ask(mut app: Router, method: &str, path: &str, body: &str) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    app.call(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap()
}

/// Status, content type and body.
#[track_caller]
pub(crate) fn shown(response: Response) -> String {
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let body = now(axum::body::to_bytes(response.into_body(), usize::MAX)).unwrap();
    format!("{status} {}\n{}", kind.unwrap_or_default(), String::from_utf8_lossy(&body))
}

#[derive(Serialize, Deserialize)]
struct Order {
    item: String,
    count: u32,
}

async fn create(Json(order): Json<Order>) -> Result<(StatusCode, Json<Order>), Error> {
    if order.count == 0 {
        return Err(Error::new(StatusCode::UNPROCESSABLE_ENTITY, "an order has at least one item"));
    }
    Ok((StatusCode::CREATED, Json(order)))
}

async fn show(Path(id): Path<u32>) -> Result<Json<Order>, Error> {
    let item = (id == 1).then_some("tea").or_status(StatusCode::NOT_FOUND, format!("there is no order {id}"))?;
    Ok(Json(Order { item: item.to_owned(), count: id }))
}

#[test]
fn routes_take_methods_parameters_and_json() {
    let app = Router::new().route("/orders", post(create)).route("/orders/{id}", get(show));
    let ask = |method, path, body| shown(now(ask(app.clone(), method, path, body)));
    let told = [
        ask("POST", "/orders", r#"{"item": "tea", "count": 2}"#),
        ask("POST", "/orders", r#"{"item": "tea", "count": 0}"#),
        ask("POST", "/orders", r#"{"item": "tea"}"#),
        ask("GET", "/orders", ""),
        ask("GET", "/orders/1", ""),
        ask("GET", "/orders/2", ""),
        ask("GET", "/orders/x", ""),
        ask("GET", "/nowhere", ""),
    ];
    expect![[r#"
        201 application/json
        {"item":"tea","count":2}
        422 application/problem+json
        {"detail":"an order has at least one item","status":422,"title":"Unprocessable Entity"}
        422 text/plain; charset=utf-8
        Failed to deserialize the JSON body into the target type: missing field `count` at line 1 column 15
        405 
        
        200 application/json
        {"item":"tea","count":1}
        404 application/problem+json
        {"detail":"there is no order 2","status":404,"title":"Not Found"}
        400 text/plain; charset=utf-8
        Invalid URL: Cannot parse `x` to a `u32`
        404 
    "#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn an_app_that_could_not_be_made_is_an_error() {
    let failed: Result<Router, crate::ConfigError> = crate::Config::default().load::<Order>().map(|_| Router::new());
    let error = failed.into_router().err().unwrap();
    assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(error.to_string().starts_with("setting item is missing"), "{error}");
}

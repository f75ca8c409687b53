//! wasi:http 0.3: answers in two writes; `/trap` traps, `/out?host` fetches `http://host/`.

use wasip3::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use wasip3::{wit_bindgen, wit_future, wit_stream};

wasip3::http::service::export!(Guest);

struct Guest;

impl wasip3::exports::http::handler::Guest for Guest {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query().unwrap_or_default();
        if path == "/trap" {
            println!("before the trap");
            panic!("boom");
        }
        let text = match path.strip_prefix("/out?") {
            Some(host) => fetch(host).await,
            None => format!("hello {path} at {}", request.get_authority().unwrap_or_default()),
        };
        let (mut body, reader) = wit_stream::new();
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        let (response, _) = Response::new(Fields::new(), Some(reader), trailers_reader);
        drop(trailers);
        wit_bindgen::spawn_local(async move {
            body.write_all(text.into_bytes()).await;
            body.write_all(b" and more\n".to_vec()).await;
        });
        Ok(response)
    }
}

async fn fetch(host: &str) -> String {
    let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
    let (request, _) = Request::new(Fields::new(), None, trailers_reader, None);
    drop(trailers);
    request.set_scheme(Some(&Scheme::Http)).unwrap();
    request.set_authority(Some(host)).unwrap();
    request.set_path_with_query(Some("/")).unwrap();
    match wasip3::http::client::send(request).await {
        Ok(response) => format!("status {}", response.get_status_code()),
        Err(code) => format!("failed: {code:?}"),
    }
}

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures::future::BoxFuture;
use http::Request;
use tower::Service;
use wasmk_apiserver::Identity;

/// A client of the API that calls its router in this process: no socket, no TLS, the same answers.
pub(crate) fn in_process_client(router: Router, identity: Identity) -> kube::Client {
    kube::Client::new(InProcess { router, identity }, "default")
}

#[derive(Clone)]
struct InProcess {
    router: Router,
    identity: Identity,
}

impl Service<Request<kube::client::Body>> for InProcess {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Body>>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(self.identity.clone());
        Box::pin(self.router.call(request))
    }
}

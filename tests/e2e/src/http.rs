use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// One GET on a connection of its own.
pub fn get(url: &str) -> io::Result<Answer> {
    request(Method::GET, url, &[], Bytes::new())
}

/// One request on a connection of its own, without redirects or proxies.
pub fn request(method: Method, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> io::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).map_err(io::Error::other)?;
    runtime.block_on(async { tokio::time::timeout(LIMIT, send(request)).await? })
}

/// Sends over a new connection and reads the whole answer.
pub(crate) async fn send(mut request: Request<Full<Bytes>>) -> io::Result<Answer> {
    let authority = request.uri().authority().ok_or_else(|| io::Error::other("the URL has no host"))?.clone();
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    *request.uri_mut() = path.parse().map_err(io::Error::other)?;
    request.headers_mut().insert("host", authority.as_str().parse().map_err(io::Error::other)?);
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(io::Error::other)?;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    driver.abort();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

use std::io;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use futures::{StreamExt, TryStreamExt};
use tokio::io::AsyncWriteExt;
use tokio_util::io::{ReaderStream, StreamReader};
use tokio_util::task::AbortOnDropHandle;
use wasmk_agent::{AgentHandle, ByteStream, PodConnection, PodUid};

use super::refusal;

/// One read of the pod's side.
const BUFFER_BYTES: usize = 16 << 10;

/// Bytes to a port of a pod in the request's body, bytes from it in the response's. The end of either body is the end
/// of that direction.
pub(super) async fn port_forward(
    State(agent): State<AgentHandle>,
    Path((namespace, pod, uid, port)): Path<(String, String, String, u16)>,
    body: Body,
) -> Response {
    match agent.connect(&namespace, &pod, Some(&PodUid(uid)), port).await {
        Ok(PodConnection { stream, place }) => Response::new(join(stream, place, body)),
        Err(error) => refusal(&error),
    }
}

/// Both directions end with the returned body, which goes when the client leaves, and `place` with them.
fn join(stream: Box<dyn ByteStream>, place: impl Send + 'static, body: Body) -> Body {
    let (from_pod, mut to_pod) = tokio::io::split(stream);
    let upload = async move {
        let mut from_client = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
        if tokio::io::copy(&mut from_client, &mut to_pod).await.is_ok() {
            let _ = to_pod.shutdown().await; // the pod may have closed already
        }
    };
    let held = (AbortOnDropHandle::new(tokio::spawn(upload)), place);
    let download = ReaderStream::with_capacity(from_pod, BUFFER_BYTES);
    Body::from_stream(download.map(move |chunk| {
        let _ = &held;
        chunk
    }))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, duplex};
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use super::*;

    fn joined() -> (tokio::io::DuplexStream, mpsc::Sender<io::Result<Bytes>>, Body) {
        let (near, far) = duplex(64);
        let (sender, chunks) = mpsc::channel(1);
        let request = Body::from_stream(ReceiverStream::new(chunks));
        (far, sender, join(Box::new(near), (), request))
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let (mut pod, client, response) = joined();
        client.send(Ok("question".into())).await.unwrap();
        drop(client);
        let mut asked = String::new();
        pod.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "question");
        pod.write_all(b"answer").await.unwrap();
        drop(pod);
        assert_eq!(response.collect().await.unwrap().to_bytes(), "answer");
    }

    #[tokio::test]
    async fn the_connection_ends_when_the_client_leaves() {
        let (mut pod, _client, response) = joined();
        drop(response);
        assert_eq!(pod.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

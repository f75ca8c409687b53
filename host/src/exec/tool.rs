use std::io::LineWriter;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use wasmk_agent::{Exit, Stream, Streams};
use wasmk_tools::{Call, Tool, Tree};

use super::Surroundings;
use super::pipes::{Input, Line, Output};

/// Chunks of at most 64 KiB that wait on each side of a tool.
const CHUNKS_WAITING_MAX: usize = 8;

/// Runs a built-in tool on a thread of its own, until it ends, `container_ends`, or the streams are dropped.
pub(super) fn run(
    tool: &'static Tool,
    tree: Tree,
    around: &Arc<Surroundings>,
    command: Vec<String>,
    wants_stdin: bool,
    container_ends: CancellationToken,
) -> Streams {
    let (stdin, chunks) = match wants_stdin {
        true => Some(mpsc::channel::<Bytes>(CHUNKS_WAITING_MAX)).unzip(),
        false => (None, None),
    };
    let (pieces, output) = mpsc::channel(CHUNKS_WAITING_MAX);
    let line = Line { tasks: Handle::current(), cancelled: container_ends.clone() };
    let around = around.clone();
    let ended = tokio::task::spawn_blocking(move || {
        let mut stdin = Input { chunks, current: Bytes::new(), line: line.clone() };
        let to = |stream| Output { pieces: pieces.clone(), stream, line: line.clone() };
        let mut stdout = LineWriter::new(to(Stream::Stdout));
        let mut stderr = LineWriter::new(to(Stream::Stderr));
        tool.run(Call {
            argv: &command,
            env: &around.env,
            working_dir: around.working_dir(),
            tree: &tree,
            stdin: &mut stdin,
            stdout: &mut stdout,
            stderr: &mut stderr,
            is_cancelled: &|| line.cancelled.is_cancelled(),
        })
    });
    let guard = container_ends.clone().drop_guard();
    let exit = async move {
        let code = ended.await;
        let _gone_with_the_client = guard;
        match code {
            Ok(_) if container_ends.is_cancelled() => Exit::Killed,
            Ok(code) => Exit::Exited(code.into()),
            // The node is shutting down.
            Err(_) => Exit::Killed,
        }
    };
    Streams { stdin, output: ReceiverStream::new(output).boxed(), exit: Box::pin(exit) }
}

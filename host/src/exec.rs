//! `exec`: a command beside a running container. What its name means is found in this order: the container's own
//! program, a wasm file of the container's file system, a built-in tool.

mod module;
mod pipes;
mod tool;

use std::sync::Arc;

use futures::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use wasmk_agent as agent;
use wasmk_agent::{ExecError, Mount, Piece, Streams};
use wasmk_runtime::{Container, Program, Runtime};
use wasmk_tools::{GuestPath, Tree};

use crate::container::exit;
use crate::program::stream;
use module::{Found, Modules, WasmFile};

/// What a command finds around it; the container's own.
pub(crate) struct Surroundings {
    /// The container's `argv[0]`.
    pub(crate) own_name: String,
    /// The name of the file that it runs, if the image has one.
    pub(crate) own_file: Option<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) working_dir: Option<String>,
    pub(crate) mounts: Vec<Mount>,
}

/// Starts commands beside containers of this node.
pub(crate) struct Executor {
    modules: Modules,
}

impl Executor {
    pub(crate) fn new(runtime: Arc<Runtime>) -> Self {
        Self { modules: Modules::new(runtime) }
    }

    pub(crate) async fn exec(
        &self,
        container: &Container,
        around: &Arc<Surroundings>,
        command: Vec<String>,
        wants_stdin: bool,
    ) -> Result<Streams, ExecError> {
        let name = command.first().cloned().unwrap_or_default();
        if around.is_own(&name) {
            return run(container, container.program(), command, wants_stdin);
        }
        let (looked, wanted) = (around.clone(), name.clone());
        let found = tokio::task::spawn_blocking(move || {
            let tree = looked.tree()?;
            let found = module::find(&tree, &looked, &wanted)?;
            Ok::<_, std::io::Error>((tree, found))
        });
        let failed = |error: &dyn std::fmt::Display| ExecError(format!("failed to exec in container: {error}"));
        let (tree, found) = found.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        match (found, wasmk_tools::find(&name)) {
            (Found::Wasm(file), _) => self.run_file(container, file, command, wants_stdin).await,
            (_, Some(tool)) => Ok(tool::run(tool, tree, around, command, wants_stdin, container.ending())),
            (Found::Other(why), None) => Err(failed(&format!("exec: {name:?}: exec format error: {why}"))),
            (Found::Nothing, None) => Err(failed(&format!("exec: {name:?}: {}", around.missing(container)))),
        }
    }

    async fn run_file(
        &self,
        container: &Container,
        file: WasmFile,
        command: Vec<String>,
        wants_stdin: bool,
    ) -> Result<Streams, ExecError> {
        let name = command.first().cloned().unwrap_or_default();
        let program = self.modules.prepare(file).await;
        let program = program.map_err(|error| ExecError(format!("failed to exec in container: {name:?}: {error}")))?;
        run(container, &program, command, wants_stdin)
    }
}

fn run(
    container: &Container,
    program: &Program,
    command: Vec<String>,
    wants_stdin: bool,
) -> Result<Streams, ExecError> {
    let name = command.first().cloned().unwrap_or_default();
    let exec = container
        .exec(program, command, wants_stdin)
        .map_err(|error| ExecError(format!("failed to exec in container: exec: {name:?}: {error}")))?;
    let ended = exec.exit;
    Ok(Streams {
        stdin: exec.stdin,
        output: ReceiverStream::new(exec.output).map(piece).boxed(),
        exit: Box::pin(async move { exit(ended.wait().await) }),
    })
}

/// A guest's output as the agent hands it on.
pub(crate) fn piece(line: wasmk_runtime::LogLine) -> Piece {
    Piece { stream: stream(line.stream), data: line.data }
}

impl Surroundings {
    pub(crate) fn new(spec: &agent::ContainerSpec, own_file: Option<String>) -> Self {
        Self {
            own_name: spec.argv.first().unwrap_or(&spec.container).clone(),
            own_file,
            env: spec.env.clone(),
            working_dir: spec.working_dir.clone(),
            mounts: spec.mounts.clone(),
        }
    }

    fn tree(&self) -> std::io::Result<Tree> {
        Tree::open(self.mounts.iter().map(|mount| wasmk_tools::Mount {
            host: &mount.host,
            guest: &mount.guest,
            read_only: mount.read_only,
        }))
    }

    pub(crate) fn working_dir(&self) -> GuestPath {
        GuestPath::new(self.working_dir.as_deref().unwrap_or("/"))
    }

    /// Whether a command names what the container itself runs, with or without `.wasm`.
    fn is_own(&self, command: &str) -> bool {
        let plain = |name: &str| name.strip_suffix(".wasm").unwrap_or(name).to_owned();
        let base = |name: &str| plain(name.rsplit('/').next().unwrap_or(name));
        let command_has_path = command.contains('/');
        let is_name = plain(command) == plain(&self.own_name);
        let is_base = !command_has_path && plain(command) == base(&self.own_name);
        is_name
            || is_base
            || (!command_has_path && self.own_file.as_ref().is_some_and(|own| plain(command) == plain(own)))
    }

    /// That there is no such program, and what there is.
    fn missing(&self, container: &Container) -> String {
        let tools: Vec<_> = wasmk_tools::names().collect();
        let own = match container.program().info().kind.is_http() {
            true => String::new(),
            false => format!("its own program {:?}, ", self.own_name),
        };
        format!(
            "executable file not found in $PATH: a wasm container has no shell; it can run {own}wasm files of its file \
             system, and {}",
            tools.join(", ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_knows_its_own_program_by_name_and_by_file() {
        let around = |own_name: &str, own_file: Option<&str>| Surroundings {
            own_name: own_name.to_owned(),
            own_file: own_file.map(str::to_owned),
            env: Vec::new(),
            working_dir: None,
            mounts: Vec::new(),
        };
        let named = around("/app/worker.wasm", Some("worker.wasm"));
        for (command, is_own) in [
            ("/app/worker.wasm", true),
            ("/app/worker", true),
            ("worker", true),
            ("worker.wasm", true),
            ("/other/worker", false),
            ("./worker", false),
            ("work", false),
        ] {
            assert_eq!(named.is_own(command), is_own, "{command}");
        }
        assert!(around("server", Some("main.wasm")).is_own("main"));
        assert!(!around("server", None).is_own("main"));
    }
}

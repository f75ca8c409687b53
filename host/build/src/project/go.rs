//! Go by its own compiler (WASI 0.1), or by TinyGo where that is what there is.

use std::path::Path;

use super::error::BuildError;
use super::tool::{self, Tool};
use super::{BuiltModule, output, ready_made};

const GO: Tool = Tool {
    program: "go",
    what: "a Go project",
    install: "get Go 1.21 or newer from https://go.dev/dl, or TinyGo from https://tinygo.org",
};
const TINYGO: Tool = Tool { program: "tinygo", ..GO };

pub(super) fn build(project: &Path, say: &dyn Fn(&str)) -> Result<BuiltModule, BuildError> {
    let wasm = output(project)?.join("app.wasm");
    if tool::find(GO.program).is_some() {
        let mut command = GO.command(project);
        command.env("GOOS", "wasip1").env("GOARCH", "wasm");
        GO.run(command.args(["build", "-trimpath", "-o"]).arg(&wasm).arg("."), say)?;
    } else if tool::find(TINYGO.program).is_some() {
        TINYGO.run(TINYGO.command(project).args(["build", "-target=wasip1", "-o"]).arg(&wasm).arg("."), say)?;
    } else {
        return Err(GO.missing());
    }
    ready_made(&wasm)
}

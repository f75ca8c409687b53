//! The guests' workspace: the SDK and the sample apps.

use std::process::Command;

use anyhow::Result;

use crate::shell::{cargo, root, run};

/// Formatting and lints. What runs natively only, the SDK's unit tests, is checked by being compiled.
pub(crate) fn lint() -> Result<()> {
    run(&mut guests(&["fmt", "--all", "--check"]))?;
    let targets = ["--target", "wasm32-wasip2", "--lib", "--bins", "--examples"];
    run(guests(&["clippy", "--workspace"]).args(targets).args(["--", "-D", "warnings"]))
}

/// The SDK's unit tests and the code in its documentation. Its programs, `sdk/examples`, are run by tests/e2e.
pub(crate) fn tests() -> [Command; 2] {
    ["--lib", "--doc"].map(|kind| guests(&["test", "--package", "wasmk-sdk", kind, "--no-fail-fast"]))
}

fn guests(arguments: &[&str]) -> Command {
    let mut command = cargo(arguments);
    // Their own target directory, which `wasmk build` uses as well.
    command.current_dir(root().join("sample-apps")).env_remove("CARGO_TARGET_DIR");
    command
}

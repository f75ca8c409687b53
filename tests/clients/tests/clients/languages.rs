//! The scripts with the client libraries of other languages, one after the other on one cluster a language.

use std::process::Command;

use wasmk_clients::{Script, Stage, tools};

const IMAGES: [&str; 2] = ["hello:v1", "echo:v1"];

#[test]
fn python() {
    let mut stage = Stage::new(&IMAGES);
    stage.bring("python");
    for script in ["objects.py", "streams.py", "controller.py", "access.py", "informer.py"] {
        let mut command = command(&stage, "python3", script);
        command.env("PYTHONPATH", tools::path("python"));
        Script::run(&mut stage, command);
    }
}

#[test]
fn javascript() {
    let mut stage = Stage::new(&IMAGES);
    stage.bring("javascript");
    // Modules are looked for beside the script.
    let modules = stage.dir().join("node_modules");
    std::os::unix::fs::symlink(tools::path("javascript/node_modules"), modules).expect("a link can be made");
    for script in ["objects.mjs", "streams.mjs", "informer.mjs"] {
        let command = command(&stage, "node", script);
        Script::run(&mut stage, command);
    }
}

fn command(stage: &Stage, program: &str, script: &str) -> Command {
    let mut command = stage.command(program, tools::KUBECTLS[1]);
    command.arg(script);
    command
}

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell::{add_targets, cargo, command, exists, run};

#[derive(Args)]
pub(crate) struct Test {
    /// Leave out formatting and lints
    #[arg(long)]
    tests_only: bool,
}

/// Programs that tests use as real clients or to make networks, with the Debian package that brings each.
const PROGRAMS: [(&str, &str); 9] = [
    ("kubectl", "kubernetes-client"),
    ("curl", "curl"),
    ("python3", "python3"),
    ("pip3", "python3-pip"),
    ("docker-registry", "docker-registry"),
    ("htpasswd", "apache2-utils"),
    ("skopeo", "skopeo"),
    ("clang", "clang"),
    ("wasm-ld", "lld"),
];
/// What builds the sample app in C finds there, with the Debian packages that bring it.
const HEADERS: (&str, [&str; 2]) = ("/usr/include/wasm32-wasi/stdio.h", ["wasi-libc", "libclang-rt-dev-wasm32"]);

impl Test {
    pub(crate) fn run(self) -> Result<()> {
        install_programs()?;
        crate::clients::install()?;
        add_targets()?;
        crate::layers::check()?;
        if !self.tests_only {
            run(&mut cargo(&["fmt", "--all", "--check"]))?;
            run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
            crate::guests::lint()?;
        }
        // The end-to-end tests run the binary itself.
        run(&mut cargo(&["build", "--workspace", "--bins"]))?;
        tests()
    }
}

fn install_programs() -> Result<()> {
    let mut missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, _)| !exists(program)).map(|(_, package)| *package).collect();
    if !Path::new(HEADERS.0).exists() && std::env::var_os("WASI_SDK_PATH").is_none() {
        missing.extend(HEADERS.1);
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !exists("apt-get") {
        bail!("the tests need {}; install what provides them on this system", missing.join(", "));
    }
    let list = missing.join(" ");
    let script =
        format!("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {list}");
    run(&mut command("sh", &["-c", &script]))
        .with_context(|| format!("install {list}; run this as root, or install them by hand"))
}

/// Every test of the workspace and of the SDK; ends with one line that adds the runners' summaries up.
fn tests() -> Result<()> {
    let (mut passed, mut failed) = (0, 0);
    let mut ends = Vec::new();
    let own = cargo(&["test", "--workspace", "--no-fail-fast"]);
    for mut command in crate::guests::tests().into_iter().chain([own]) {
        let mut child = command.stdout(Stdio::piped()).spawn().context("start cargo test")?;
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        for line in output.lines() {
            let line = line?;
            println!("{line}");
            if line.starts_with("test result: ") {
                passed += count(&line, "passed");
                failed += count(&line, "failed");
            }
        }
        ends.push(child.wait()?);
    }
    println!("\n{passed} passed, {failed} failed");
    match ends.iter().find(|status| !status.success()) {
        Some(status) => bail!("cargo test ended with {status}"),
        None if passed == 0 => bail!("no test has run"),
        None => Ok(()),
    }
}

/// The number before a word of `test result: ok. 3 passed; 0 failed; …`.
fn count(line: &str, word: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ';']).collect();
    words.windows(2).find(|pair| pair[1] == word).and_then(|pair| pair[0].parse().ok()).unwrap_or(0)
}

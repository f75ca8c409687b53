use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::shell::{add_targets, binary, cargo, command, run};

const URL: &str = "http://127.0.0.1:30080/";

#[derive(Args)]
pub(crate) struct Demo {
    /// Where the cluster keeps its data [default: wasmk's own place]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
}

impl Demo {
    pub(crate) fn run(self) -> Result<()> {
        add_targets()?;
        // The whole workspace, so that `cargo xtask test` finds the same dependencies built.
        run(&mut cargo(&["build", "--workspace", "--bins"]))?;
        let wasmk = binary("wasmk")?;
        self.wasmk(&wasmk, &["up", "--detach"])?;
        self.wasmk(&wasmk, &["build", "sample-apps/hello", "-t", "hello:v1"])?;
        let applied = Instant::now();
        self.wasmk(&wasmk, &["apply", "-f", "manifests/hello.yaml"])?;
        self.wasmk(&wasmk, &["rollout", "status", "deploy/hello", "--timeout", "120s"])?;
        eprintln!("$ curl {URL}");
        let answer = fetch()?;
        println!("{answer}");
        eprintln!("Answered {:.1} s after apply.", applied.elapsed().as_secs_f64());
        self.say_what_next(&wasmk);
        Ok(())
    }

    fn wasmk(&self, wasmk: &Path, arguments: &[&str]) -> Result<()> {
        let mut command = command(wasmk, arguments);
        if let Some(dir) = &self.data_dir {
            command.env("WASMK_DATA", dir);
        }
        run(&mut command)
    }

    fn say_what_next(&self, wasmk: &Path) {
        let wasmk = wasmk.display();
        eprintln!("\nThe cluster goes on running. Next:");
        for line in [
            "get pods -o wide",
            "logs -f deploy/hello",
            "scale deploy/hello --replicas=10",
            "describe deploy/hello",
            "down                 # stop the cluster; `up` finds everything again",
        ] {
            eprintln!("  {wasmk} {line}");
        }
        eprintln!("kubectl works too: export KUBECONFIG=\"$({wasmk} config path)\"");
    }
}

/// One GET over plain std, since a fresh machine need not have curl.
fn fetch() -> Result<String> {
    use std::io::{Read, Write};
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let mut text = String::new();
        let attempt = std::net::TcpStream::connect("127.0.0.1:30080").and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:30080\r\nConnection: close\r\n\r\n")?;
            stream.read_to_string(&mut text)
        });
        match attempt {
            Ok(_) if text.starts_with("HTTP/1.1 200") => {
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body).context("the answer has no body")?;
                return Ok(unchunked(body));
            }
            _ if Instant::now() > deadline => bail!("{URL} does not answer with 200: {attempt:?} {text}"),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The body without the lengths of chunked encoding, where there are any.
fn unchunked(body: &str) -> String {
    let is_length =
        |line: &&str| !line.trim().is_empty() && line.trim().chars().all(|character| character.is_ascii_hexdigit());
    body.lines().filter(|line| !is_length(line)).collect::<Vec<_>>().join("\n").trim().to_owned()
}

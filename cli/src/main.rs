//! `wasmk`: one binary that is the cluster, the node and the client.
//!
//! `up`, `server` and `agent` run the parts of a cluster; every other verb is a client of the Kubernetes API, this
//! cluster's or any other's. Data goes to stdout, talk to stderr.

mod args;
mod discovery;
mod manifest;
mod output;
mod progress;
mod session;
mod socket;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // With RUST_BACKTRACE=1 every exit of a guest would capture a backtrace of the host; panics still show theirs.
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("RUST_LIB_BACKTRACE", "0") };
    let args = args::Cli::parse();
    if !args.verb.serves() {
        end_with_reader();
    }
    // One provider for every TLS user in the process; two would make rustls panic at run time.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match verbs::run(args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", session::explain(&error));
            ExitCode::FAILURE
        }
    }
}

/// A reader that went away (`wasmk get pods | head -1`) ends a client without a word, as it does other programs.
fn end_with_reader() {
    #[cfg(unix)]
    // SAFETY: the default action replaces Rust's own choice to ignore the signal; no handler runs.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

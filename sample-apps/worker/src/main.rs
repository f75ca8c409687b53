//! A batch program for WASI 0.1: reads `/etc/worker/settings`, writes one report to `/data/report.txt`, exits 0.
//! With `-` it reads its settings from stdin and reports to stdout. What is wrong with the settings is said on stderr,
//! with exit code 2.

use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    match run() {
        Ok(done) => {
            println!("{done}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<String, String> {
    let path = env::args().nth(1).unwrap_or_else(|| "/etc/worker/settings".to_owned());
    let settings = if path == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(&path) };
    let settings = settings.map_err(|error| format!("read {path}: {error}"))?;
    let up_to = settings.lines().find_map(|line| line.strip_prefix("up-to="));
    let up_to = up_to.ok_or_else(|| format!("{path}: wants a line up-to=NUMBER"))?;
    let up_to: u64 = up_to.trim().parse().map_err(|error| format!("{path}: up-to={up_to}: {error}"))?;
    let total: u64 = (1..=up_to).sum();
    let report = format!("sum of 1 to {up_to} is {total}");
    if path == "-" {
        return Ok(report);
    }
    fs::write("/data/report.txt", format!("{report}\n")).map_err(|error| format!("write /data/report.txt: {error}"))?;
    Ok(format!("wrote /data/report.txt, sum {total}"))
}

//! A program that runs once: it reads its settings, does its work, and ends with an exit code.

use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match run() {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<String, String> {
    let path = env::args().nth(1).unwrap_or_else(|| "/etc/{{name}}/settings".to_owned());
    let settings = fs::read_to_string(&path).map_err(|error| format!("read {path}: {error}"))?;
    let up_to = settings.lines().find_map(|line| line.strip_prefix("up-to=")).ok_or("settings lack up-to=NUMBER")?;
    let up_to: u64 = up_to.trim().parse().map_err(|error| format!("up-to={up_to}: {error}"))?;
    Ok(format!("the sum of 1 to {up_to} is {}", (1..=up_to).sum::<u64>()))
}

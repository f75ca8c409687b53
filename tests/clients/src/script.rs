use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use crate::stage::Stage;

/// How long a script may take in all on a machine that does other things too.
const LIMIT: Duration = Duration::from_secs(180);

/// A program that tests a client library. It prints what it checked, and exits with 0 when all was well.
///
/// It may ask for things that a client cannot do by printing a line and reading one, which comes when it is done:
/// `KILL SERVER` and `START SERVER`.
pub struct Script {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
}

impl Script {
    /// Runs a script to its end.
    #[track_caller]
    pub fn run(stage: &mut Stage, mut command: Command) {
        let shown = format!("{command:?}");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {shown}: {error}"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let mut script = Self { child, lines, said: Vec::new() };
        let outcome = script.drive(stage);
        assert_eq!(outcome, Ok(()), "{shown}, which said:\n{}", script.said.join("\n"));
        println!("{}", script.said.join("\n"));
    }

    fn drive(&mut self, stage: &mut Stage) -> Result<(), String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) if line == "KILL SERVER" => {
                    stage.cluster.server.kill();
                    self.answer()?;
                }
                Ok(line) if line == "START SERVER" => {
                    stage.cluster.restart_server();
                    self.answer()?;
                }
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Timeout) => return Err(format!("not done within {LIMIT:?}")),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let status = self.child.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("ended with {status}; its messages are above")) }
    }

    fn answer(&mut self) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut().expect("stdin is piped");
        stdin.write_all(b"done\n").map_err(|error| format!("answer: {error}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // SAFETY: the child has not been waited for, so the group is still its own.
            unsafe {
                libc::kill(-(self.child.id() as libc::pid_t), libc::SIGKILL);
            }
            let _ = self.child.wait();
        }
    }
}

use std::time::{Duration, Instant};

use crate::matching::{self, Variables};
use crate::stage::{Ended, Running, Stage};
use crate::transcript::{Kind, Row, Transcript};

/// How long a command may take, and how long a row may be tried: a rollout on a busy machine is the slowest.
const LIMIT: Duration = Duration::from_secs(180);
/// How long a command that goes on may take to print what is expected.
const PRINT_LIMIT: Duration = Duration::from_secs(60);
/// Between two tries of a row.
const PAUSE: Duration = Duration::from_millis(100);
/// kubectl says on its own when it slows itself down, which depends on the machine.
const THROTTLING: [&str; 2] = ["due to client-side throttling", "Throttling request took"];

/// Plays every row, whatever the rows before came to, and fails with all that was not as expected.
#[track_caller]
pub fn play(stage: &Stage, version: &str, transcript: &Transcript) {
    let mut player = Player { stage, version, known: Variables::new(), open: Vec::new(), faults: Vec::new() };
    for row in &transcript.rows {
        player.row(row);
    }
    let faults = player.faults;
    let rows = transcript.rows.len();
    assert!(faults.is_empty(), "kubectl {version}: {} of {rows} rows:\n\n{}", faults.len(), faults.join("\n"));
}

struct Player<'a> {
    stage: &'a Stage,
    version: &'a str,
    known: Variables,
    /// Commands that go on, with what they had to print first.
    open: Vec<(Running, &'a Row)>,
    faults: Vec<String>,
}

impl<'a> Player<'a> {
    fn row(&mut self, row: &'a Row) {
        match row.kind {
            Kind::Once => {
                let ended = self.run(row);
                match check(row, &ended, &self.known) {
                    Some(known) => self.known = known,
                    None => self.faults.push(fault(row, &ended)),
                }
            }
            Kind::Until => self.until(row),
            Kind::Start => self.start(row),
            Kind::End => self.end(row),
        }
    }

    fn run(&self, row: &Row) -> Ended {
        self.stage.start(&row.command, self.version, &self.known).wait(LIMIT)
    }

    fn until(&mut self, row: &Row) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let ended = self.run(row);
            match check(row, &ended, &self.known) {
                Some(known) => return self.known = known,
                None if Instant::now() > deadline => return self.faults.push(fault(row, &ended)),
                None => std::thread::sleep(PAUSE),
            }
        }
    }

    fn start(&mut self, row: &'a Row) {
        let running = self.stage.start(&row.command, self.version, &self.known);
        let expected = followed_by_anything(&row.stdout);
        match running.printed(PRINT_LIMIT, |printed| matching::lines(&expected, printed, &self.known)) {
            Some(known) => self.known = known,
            None => self.faults.push(fault(row, &running.so_far())),
        }
        self.open.push((running, row));
    }

    fn end(&mut self, row: &Row) {
        let Some((running, started)) = self.open.pop() else {
            self.faults.push(format!("line {}: nothing goes on", row.line));
            return;
        };
        let expected = followed_by_anything(&[followed_by_anything(&started.stdout), row.stdout.clone()].concat());
        let known = running.printed(PRINT_LIMIT, |printed| matching::lines(&expected, printed, &self.known));
        let ended = running.end();
        let stderr = [started.stderr.clone(), row.stderr.clone()].concat();
        match known {
            Some(known) if matching::lines(&stderr, &quiet(&ended.stderr), &known).is_some() => self.known = known,
            _ => self.faults.push(fault(row, &ended)),
        }
    }
}

fn check(row: &Row, ended: &Ended, known: &Variables) -> Option<Variables> {
    let known = matching::lines(&row.stdout, &ended.stdout, known)?;
    let known = matching::lines(&row.stderr, &quiet(&ended.stderr), &known)?;
    (ended.code == Some(row.code)).then_some(known)
}

fn followed_by_anything(lines: &[String]) -> Vec<String> {
    lines.iter().cloned().chain(["…".to_owned()]).collect()
}

fn quiet(stderr: &str) -> String {
    let is_noise = |line: &&str| THROTTLING.iter().any(|words| line.contains(words));
    stderr.lines().filter(|line| !is_noise(line)).map(|line| format!("{line}\n")).collect()
}

/// The row as it is written, and as it would have to be written for what came.
fn fault(row: &Row, ended: &Ended) -> String {
    let lines = |sign: char, text: &str| text.lines().map(|line| format!("  {sign} {line}\n")).collect::<String>();
    let wanted = [lines('|', &row.stdout.join("\n")), lines('!', &row.stderr.join("\n"))].concat();
    let came = [lines('|', &ended.stdout), lines('!', &quiet(&ended.stderr))].concat();
    let code = ended.code.map_or("still running".to_owned(), |code| code.to_string());
    format!(
        "line {}: {}\n wanted (exit code {}):\n{wanted} came (exit code {code}):\n{came}",
        row.line, row.command, row.code
    )
}

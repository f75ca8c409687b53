//! From text to stages of instructions. What cannot be done is kept as [`Instruction::Refused`]: only the stages that a
//! build needs have to be without it. Pure.

use std::borrow::Cow;
use std::ops::Range;

use parse_dockerfile as crates;

use super::error::Fault;
use super::words;

/// Dockerfiles are small; a larger one is some other file.
pub(crate) const FILE_BYTES_MAX: usize = 1 << 20;
const INSTRUCTIONS_MAX: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Dockerfile {
    pub(crate) escape: char,
    /// `ARG` before the first `FROM`.
    pub(crate) arguments: Vec<Step>,
    pub(crate) stages: Vec<Stage>,
}

#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) line: usize,
    /// The instruction as it is written, on one line.
    pub(crate) text: String,
    pub(crate) platform: Option<String>,
    pub(crate) image: String,
    pub(crate) name: Option<String>,
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) instruction: Instruction,
}

#[derive(Debug)]
pub(crate) enum Instruction {
    Copy(Transfer),
    Add(Transfer),
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    Arg(Vec<(String, Option<String>)>),
    Workdir(String),
    User(String),
    Maintainer(String),
    Expose(Vec<String>),
    Entrypoint(Vec<String>),
    Cmd(Vec<String>),
    /// `HEALTHCHECK NONE` takes away what never was there.
    Nothing,
    /// Means nothing here; the text says what to do instead.
    Ignored(String),
    Refused(String),
}

/// `COPY` or `ADD`, with nothing expanded yet.
#[derive(Clone, Debug)]
pub(crate) struct Transfer {
    pub(crate) flags: Vec<(String, Option<String>)>,
    pub(crate) sources: Vec<String>,
    pub(crate) destination: String,
}

pub(crate) fn parse(text: &str) -> Result<Dockerfile, Fault> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Fault::new(1, format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    // Places are counted without it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = crates::parse(text).map_err(|error| Fault::new(error.line().max(1), message(&error)))?;
    if parsed.instructions.len() > INSTRUCTIONS_MAX {
        return Err(Fault::new(1, format!("there are more than {INSTRUCTIONS_MAX} instructions")));
    }
    let escape = parsed.parser_directives.escape.as_ref().map_or('\\', |directive| directive.value.value);
    let reader = Reader { text, escape, lines: Lines::new(text) };
    let starts: Vec<usize> = parsed.instructions.iter().map(|one| keyword(one).start).collect();
    let mut file = Dockerfile { escape, arguments: Vec::new(), stages: Vec::new() };
    for (index, instruction) in parsed.instructions.iter().enumerate() {
        let end = starts.get(index + 1).copied().unwrap_or(text.len());
        let (line, source) = (reader.lines.at(starts[index]), reader.one_line(starts[index]..end));
        if let crates::Instruction::From(from) = instruction {
            file.stages.push(reader.stage(from, line, source)?);
            continue;
        }
        let step = Step { line, text: source, instruction: reader.instruction(instruction, line)? };
        match file.stages.last_mut() {
            Some(stage) => stage.steps.push(step),
            None => file.arguments.push(step),
        }
    }
    Ok(file)
}

struct Reader<'a> {
    text: &'a str,
    escape: char,
    lines: Lines,
}

impl Reader<'_> {
    fn stage(&self, from: &crates::FromInstruction<'_>, line: usize, text: String) -> Result<Stage, Fault> {
        let mut platform = None;
        for flag in &from.options {
            match (flag.name.value.as_ref(), &flag.value) {
                ("platform", Some(value)) => platform = Some(value.value.to_string()),
                (other, _) => return Err(Fault::new(line, format!("FROM has no flag --{other}"))),
            }
        }
        let name = from.as_.as_ref().map(|(_, name)| name.value.to_string());
        if let Some(name) = name.as_deref().filter(|name| !is_stage_name(name)) {
            let rule = "a stage's name begins with a letter and has letters, digits, -, _ and .";
            return Err(Fault::new(line, format!("{name:?} cannot be the name of a stage: {rule}")));
        }
        Ok(Stage { line, text, platform, image: from.image.value.to_string(), name, steps: Vec::new() })
    }

    fn instruction(&self, instruction: &crates::Instruction<'_>, line: usize) -> Result<Instruction, Fault> {
        use crates::Instruction as Parsed;
        let fault = |message: String| Fault::new(line, message);
        Ok(match instruction {
            Parsed::Copy(copy) => self.transfer(&copy.options, &copy.src, &copy.dest, Instruction::Copy),
            Parsed::Add(add) => self.transfer(&add.options, &add.src, &add.dest, Instruction::Add),
            Parsed::Env(env) => Instruction::Env(self.pairs("ENV", &env.arguments).map_err(fault)?),
            Parsed::Label(label) => Instruction::Label(self.pairs("LABEL", &label.arguments).map_err(fault)?),
            Parsed::Arg(arg) => {
                let names = words::names(&arg.arguments.value, self.escape);
                Instruction::Arg(names.map_err(|message| fault(format!("ARG: {message}")))?)
            }
            Parsed::Workdir(workdir) => Instruction::Workdir(workdir.arguments.value.to_string()),
            Parsed::User(user) => Instruction::User(user.arguments.value.to_string()),
            Parsed::Maintainer(maintainer) => Instruction::Maintainer(maintainer.name.value.to_string()),
            Parsed::Expose(expose) => {
                Instruction::Expose(expose.arguments.iter().map(|port| port.value.to_string()).collect())
            }
            Parsed::Entrypoint(entrypoint) => {
                self.command("ENTRYPOINT", &entrypoint.arguments, Instruction::Entrypoint)
            }
            Parsed::Cmd(cmd) => self.command("CMD", &cmd.arguments, Instruction::Cmd),
            Parsed::Run(_) => Instruction::Refused(RUN.to_owned()),
            Parsed::Onbuild(_) => Instruction::Refused(
                "ONBUILD is not supported: write its instruction into the files that start FROM this image".to_owned(),
            ),
            Parsed::Shell(_) => Instruction::Ignored("SHELL means nothing here: a wasm image has no shell".to_owned()),
            Parsed::Healthcheck(crates::HealthcheckInstruction {
                arguments: crates::HealthcheckArguments::None { .. },
                ..
            }) => Instruction::Nothing,
            Parsed::Healthcheck(_) => Instruction::Ignored(
                "HEALTHCHECK is left out: give the container a livenessProbe or readinessProbe in its pod".to_owned(),
            ),
            Parsed::Volume(_) => Instruction::Ignored(
                "VOLUME is left out: mount an emptyDir or another volume there in the pod".to_owned(),
            ),
            Parsed::Stopsignal(_) => {
                Instruction::Ignored("STOPSIGNAL is left out: wasm guests get no signals".to_owned())
            }
            _ => Instruction::Refused("this instruction is not known".to_owned()),
        })
    }

    fn pairs(&self, keyword: &str, text: &crates::UnescapedString<'_>) -> Result<Vec<(String, String)>, String> {
        words::pairs(&text.value, self.escape).map_err(|message| format!("{keyword}: {message}"))
    }

    fn transfer(
        &self,
        flags: &[crates::Flag<'_>],
        sources: &[crates::Source<'_>],
        destination: &crates::UnescapedString<'_>,
        wrap: fn(Transfer) -> Instruction,
    ) -> Instruction {
        let mut paths = Vec::new();
        for source in sources {
            match source {
                crates::Source::Path(path) => paths.push(path.value.to_string()),
                _ => return Instruction::Refused(HEREDOC.to_owned()),
            }
        }
        let value = |flag: &crates::Flag<'_>| flag.value.as_ref().map(|value| value.value.to_string());
        let flags = flags.iter().map(|flag| (flag.name.value.to_string(), value(flag))).collect();
        wrap(Transfer { flags, sources: paths, destination: destination.value.to_string() })
    }

    fn command(
        &self,
        keyword: &str,
        command: &crates::Command<'_>,
        wrap: fn(Vec<String>) -> Instruction,
    ) -> Instruction {
        match command {
            crates::Command::Exec(words) => wrap(words.value.iter().map(|word| word.value.to_string()).collect()),
            crates::Command::Shell(text) if text.value.trim_start().starts_with("<<") => {
                Instruction::Refused(HEREDOC.to_owned())
            }
            crates::Command::Shell(text) => {
                let words: Vec<Cow<'_, str>> =
                    text.value.split_whitespace().take(32).map(|word| format!("{word:?}").into()).collect();
                Instruction::Refused(format!(
                    "{keyword} is no valid JSON array, and there is no shell to read it otherwise; write {keyword} [{}]",
                    words.join(", ")
                ))
            }
            _ => Instruction::Refused(format!("this form of {keyword} is not known")),
        }
    }

    /// An instruction without its continuations and comments.
    fn one_line(&self, span: Range<usize>) -> String {
        let lines = self.text[span].lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let words = lines.map(|line| line.strip_suffix(self.escape).unwrap_or(line));
        let text = words.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
        /// Histories are read by people.
        const TEXT_CHARACTERS_MAX: usize = 500;
        text.chars().take(TEXT_CHARACTERS_MAX).collect()
    }
}

const RUN: &str = "RUN is not supported: nothing can run while a wasm image is built. Compile before (for instance \
    `cargo build --release --target wasm32-wasip2`) and COPY the .wasm file; or let `wasmk build` compile the project: \
    it does so without a Dockerfile, or with `-f Cargo.toml`, `-f package.json`, `-f pyproject.toml` and their like";
const HEREDOC: &str = "here-documents are not supported: put the text into a file and COPY it";

/// Where lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// Counted from 1.
    fn at(&self, place: usize) -> usize {
        self.0.partition_point(|start| *start <= place)
    }
}

/// The crate's message without the place, which is told in our way.
fn message(error: &crates::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}

fn is_stage_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|one| one.is_ascii_alphanumeric() || "-_.".contains(one))
}

fn keyword(instruction: &crates::Instruction<'_>) -> Range<usize> {
    use crates::Instruction as Parsed;
    let keyword = match instruction {
        Parsed::Add(one) => &one.add,
        Parsed::Arg(one) => &one.arg,
        Parsed::Cmd(one) => &one.cmd,
        Parsed::Copy(one) => &one.copy,
        Parsed::Entrypoint(one) => &one.entrypoint,
        Parsed::Env(one) => &one.env,
        Parsed::Expose(one) => &one.expose,
        Parsed::From(one) => &one.from,
        Parsed::Healthcheck(one) => &one.healthcheck,
        Parsed::Label(one) => &one.label,
        Parsed::Maintainer(one) => &one.maintainer,
        Parsed::Onbuild(one) => &one.onbuild,
        Parsed::Run(one) => &one.run,
        Parsed::Shell(one) => &one.shell,
        Parsed::Stopsignal(one) => &one.stopsignal,
        Parsed::User(one) => &one.user,
        Parsed::Volume(one) => &one.volume,
        Parsed::Workdir(one) => &one.workdir,
        _ => return 0..0,
    };
    keyword.span.clone()
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let found = match parse(text) {
            Ok(file) => file
                .stages
                .iter()
                .flat_map(|stage| {
                    let from = format!("{}: {} as {:?}\n", stage.line, stage.image, stage.name);
                    let steps = stage.steps.iter().map(|step| format!("{}: {:?}\n", step.line, step.instruction));
                    std::iter::once(from).chain(steps)
                })
                .collect(),
            Err(fault) => format!("{}: {}", fault.line, fault.message),
        };
        expected.assert_eq(&found);
    }

    #[test]
    fn instructions_know_their_lines() {
        check(
            "# comment\nARG A=1\n\nFROM scratch AS app\nCOPY a \\\n  # why\n  b /c/\nENTRYPOINT [\"/a.wasm\", \"-x\"]\n",
            expect![[r#"
                4: scratch as Some("app")
                5: Copy(Transfer { flags: [], sources: ["a", "b"], destination: "/c/" })
                8: Entrypoint(["/a.wasm", "-x"])
            "#]],
        );
    }

    #[test]
    fn what_needs_a_shell_is_refused_with_the_form_that_does_not() {
        check(
            "FROM scratch\nCMD app.wasm --port 80\nHEALTHCHECK NONE\nCOPY <<EOF /a\nx\nEOF\n",
            expect![[r#"
                1: scratch as None
                2: Refused("CMD is no valid JSON array, and there is no shell to read it otherwise; write CMD [\"app.wasm\", \"--port\", \"80\"]")
                3: Nothing
                4: Refused("here-documents are not supported: put the text into a file and COPY it")
            "#]],
        );
    }

    #[test]
    fn mistakes_are_told_with_their_line() {
        check("FROM scratch\nCOPY a\n", expect!["2: COPY instruction requires at least two arguments"]);
        check("FROM scratch\n\nCOPPY a b\n", expect!["3: unknown instruction 'COPPY'"]);
        check("", expect!["1: expected at least one FROM instruction"]);
        check("FROM scratch\nENV A\n", expect!["2: ENV: A has no value; write A=VALUE"]);
        check(
            "FROM scratch AS 1\n",
            expect![[
                r#"1: "1" cannot be the name of a stage: a stage's name begins with a letter and has letters, digits, -, _ and ."#
            ]],
        );
        check("FROM --os=x scratch\n", expect!["1: FROM has no flag --os"]);
    }

    #[test]
    fn the_escape_directive_counts() {
        check(
            "# escape=`\nFROM scratch\nCOPY a `\n  C:\\b\\ /\n",
            expect![[r#"
                2: scratch as None
                3: Copy(Transfer { flags: [], sources: ["a", "C:\\b\\"], destination: "/" })
            "#]],
        );
    }

    #[test]
    fn the_text_of_a_step_is_one_line() {
        let file = parse("FROM scratch\nCOPY a \\\n  # why\n  b   /c/\n\n# next\nUSER 1\n").unwrap();
        assert_eq!(file.stages[0].steps[0].text, "COPY a b /c/");
    }
}

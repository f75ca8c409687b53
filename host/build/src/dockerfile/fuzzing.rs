//! What must hold of every Dockerfile, however it came about.

use super::files::{Files, Node, Tree};
use super::ignore::Ignore;
use super::parse::{Instruction, parse};
use super::stage::{Request, World, evaluate};
use crate::{BaseImage, Settings};

/// A context and base images that need no disk.
struct Fake {
    context: Tree,
}

impl World for Fake {
    fn context(&self) -> &dyn Files {
        &self.context
    }

    fn image(&self, name: &str) -> Result<(BaseImage, Tree), String> {
        if name.len() > 100 {
            return Err("no such image".to_owned());
        }
        let settings = Settings { working_dir: Some("/base".to_owned()), ..Settings::default() };
        Ok((BaseImage { settings, ..BaseImage::default() }, self.context.clone()))
    }
}

/// Reads bytes as a Dockerfile, goes through its stages, and panics where a law does not hold.
pub fn check_dockerfile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let lines = text.lines().count().max(1);
    let file = match parse(text) {
        Ok(file) => file,
        Err(fault) => {
            assert!((1..=lines).contains(&fault.line), "{} of {lines} lines: {}", fault.line, fault.message);
            return;
        }
    };
    let steps = file.stages.iter().flat_map(|stage| &stage.steps).chain(&file.arguments);
    for step in steps {
        assert!((1..=lines).contains(&step.line), "{step:?} of {lines} lines");
        assert!(!step.text.contains('\n'), "{:?}", step.text);
    }
    let request = Request { build_args: vec![("A".to_owned(), "1".to_owned())], ..Request::default() };
    let world = Fake { context: context() };
    match evaluate(&file, &request, &world, &|_| {}) {
        Err(fault) => assert!((1..=lines).contains(&fault.line), "{} of {lines}: {}", fault.line, fault.message),
        Ok(outcome) => {
            let stage = outcome.stage;
            for (path, node) in stage.steps.iter().flat_map(|step| step.entries.iter()) {
                check_entry(path, node);
            }
            assert!(stage.settings.working_dir.is_none_or(|path| path.starts_with('/')));
            let again = evaluate(&file, &request, &world, &|_| {}).expect("what was built is built again");
            assert_eq!(entries(&stage.steps), entries(&again.stage.steps), "the same file gives the same layers");
        }
    }
    let refused = |step: &super::parse::Step| matches!(&step.instruction, Instruction::Refused(why) if why.is_empty());
    assert!(!file.stages.iter().flat_map(|stage| &stage.steps).any(refused), "a refusal says why");
}

/// Nothing of a layer may lead out of the image: unpacking would refuse it.
fn check_entry(path: &str, node: &Node) {
    let parts: Vec<&str> = path.split('/').collect();
    assert!(parts.iter().all(|part| !part.is_empty() && *part != "." && *part != ".."), "{path:?}");
    if let Node::Link { target } = node {
        let mut depth = parts.len() as i64 - 1;
        for part in target.split('/') {
            depth += match part {
                "" | "." => 0,
                ".." => -1,
                _ => 1,
            };
            assert!(depth >= 0, "{path} -> {target}");
        }
        assert!(!target.is_empty() && !target.starts_with('/'), "{path} -> {target}");
    }
}

fn entries(steps: &[super::stage::DoneStep]) -> Vec<&(String, Node)> {
    steps.iter().flat_map(|step| step.entries.iter()).collect()
}

fn context() -> Tree {
    let mut tree = Tree::default();
    for (path, target) in
        [("a", None), ("b.wasm", None), ("d/e", None), ("d/f/g.txt", None), ("l", Some("d")), ("d/m", Some("/a"))]
    {
        let node = match target {
            Some(target) => Node::Link { target: target.to_owned() },
            None => Node::File { source: path.into(), size: 1, mode: 0o644 },
        };
        tree.insert(path, node);
    }
    tree
}

/// Reads the first line as a path, the rest as a `.dockerignore`.
pub fn check_ignore(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, patterns) = text.split_once('\n').unwrap_or((text, ""));
    let lines = patterns.lines().count().max(1);
    match Ignore::parse(patterns) {
        Err((line, message)) => assert!((1..=lines).contains(&line) && !message.is_empty(), "{line}: {message}"),
        Ok(ignore) => {
            // Where nothing comes back in, all of an excluded directory is.
            if ignore.is_final() && !path.is_empty() && ignore.excludes(path) {
                assert!(ignore.excludes(&format!("{path}/below")), "{path:?} by {patterns:?}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn seeds_hold() {
        let seeds = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/dockerfile");
        let mut count = 0;
        for seed in std::fs::read_dir(&seeds).unwrap() {
            super::check_dockerfile(&std::fs::read(seed.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 5, "{}", seeds.display());
    }

    proptest! {
        #[test]
        fn lines_in_any_order_hold(lines in prop::collection::vec(prop::sample::select(LINES), 0..12)) {
            super::check_dockerfile(lines.join("\n").as_bytes());
        }

        #[test]
        fn any_text_holds(text in "(FROM |COPY |ENV |ARG |[ \\\\\\n$\\{\\}\"'a=:/.-]){0,40}") {
            super::check_dockerfile(format!("FROM scratch\n{text}").as_bytes());
            super::check_ignore(text.as_bytes());
        }
    }

    const LINES: &[&str] = &[
        "ARG A=2",
        "ARG B=$A",
        "FROM scratch AS x",
        "FROM x",
        "FROM base AS y",
        "COPY --from=x / /c/",
        "COPY a d/* ./",
        "COPY . .",
        "WORKDIR /w/$A/..",
        "WORKDIR sub",
        "ENV E=${A:-x} F='$A'",
        "ENV E $E$E",
        "LABEL l=\"$E\"",
        "EXPOSE 80 90-95/udp",
        "ENTRYPOINT [\"/b.wasm\"]",
        "CMD [\"x\"]",
        "COPY --chmod=700 --exclude=**/g* d /c",
        "ADD l /z",
        "USER 1",
        "COPY l/f /b.wasm",
        "HEALTHCHECK NONE",
        "VOLUME /x",
        "COPY \\",
        "# comment",
        "COPY d /base",
        "COPY a /l",
        "COPY a b.wasm /l/",
        "COPY d/m /q/w/",
    ];
}

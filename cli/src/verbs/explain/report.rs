use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};
use wasmk_host::{Explanation, GuestKind, Import};

use super::Figures;

/// What each need asks of whoever runs the guest.
const MEANINGS: [(&str, &str); 10] = [
    ("http-in", "requests: publish a port, or put a Service before it; any container port does"),
    ("listen", "listens on TCP: name its port as containerPort, and publish it or put a Service before it"),
    ("connect", "opens TCP connections, to Services by name and to the outside"),
    ("udp", "opens UDP sockets: they are refused, wasmk carries TCP only"),
    ("names", "looks up names: those of Services, then the node's"),
    ("http-out", "sends HTTP requests, to Services by name and to the outside"),
    ("env", "reads environment variables: -e NAME=VALUE, or `env` of the container"),
    ("args", "reads arguments: after the image's name, or `args` of the container"),
    ("stdin", "can read standard input: -i, or `stdin: true`"),
    ("files", "can open files: there are those of the image and of what is mounted, by -v or `volumeMounts`"),
];

pub(super) fn text(name: &str, explained: &Explanation, figures: &Figures) -> String {
    let mut text = String::new();
    let mut line = |heading: &str, rest: &str| writeln!(text, "  {heading:<9} {rest}").expect("a string takes all");
    line("is", &what(explained));
    if !explained.wasi_versions.is_empty() {
        line("built for", &format!("WASI {}", explained.wasi_versions.join(", ")));
    }
    line("size", &bytes(figures.size_bytes));
    if let Some((took, native)) = figures.compiled {
        line(
            "compiles",
            &format!("in {:.2} s on this machine, to {} of native code", took.as_secs_f64(), bytes(native)),
        );
    }
    match &explained.problem {
        None => line("runs", "yes"),
        Some(problem) => line("runs", &format!("no: {problem}")),
    }
    let mut whole = format!("{name}\n{text}");
    let needs = explained.needs.words();
    let needs = needs.iter().map(|word| {
        let meaning = MEANINGS.iter().find(|(known, _)| known == word).map_or("", |(_, meaning)| meaning);
        format!("  {word:<9} {meaning}\n")
    });
    section(&mut whole, "needs", needs.collect());
    section(&mut whole, "imports", explained.imports.iter().map(import).collect());
    section(&mut whole, "exports", explained.exports.iter().map(|export| format!("  {export}\n")).collect());
    whole
}

fn section(text: &mut String, heading: &str, lines: Vec<String>) {
    if !lines.is_empty() {
        *text += &format!("\n{heading}\n{}", lines.concat());
    }
}

fn what(explained: &Explanation) -> String {
    let form = if explained.is_component { "component" } else { "core module" };
    let kind = match explained.kind {
        None => "a library: it exports nothing that could be started".to_owned(),
        Some(kind @ (GuestKind::HttpP2 | GuestKind::HttpP3)) => format!("{kind}: called for each request"),
        Some(kind) if explained.needs.listens => format!("{kind}: a server on TCP"),
        Some(kind) => format!("{kind}: runs to its end"),
    };
    format!("{form}, {kind}")
}

fn import(import: &Import) -> String {
    match &import.fix {
        Some(fix) => format!("  {}  NOT PROVIDED: {fix}\n", import.name),
        None => format!("  {}\n", import.name),
    }
}

pub(super) fn json(name: &str, explained: &Explanation, figures: &Figures) -> Result<Value> {
    let imports = explained.imports.iter().map(|import| {
        json!({"name": import.name, "functions": import.functions, "provided": import.fix.is_none(), "fix": import.fix})
    });
    Ok(json!({
        "name": name,
        "form": if explained.is_component { "component" } else { "module" },
        "kind": explained.kind.map(|kind| kind.to_string()),
        "wasiVersions": explained.wasi_versions,
        "needs": explained.needs.words(),
        "imports": imports.collect::<Vec<_>>(),
        "exports": explained.exports,
        "problem": explained.problem.as_ref().map(ToString::to_string),
        "sizeBytes": figures.size_bytes,
        "compileSeconds": figures.compiled.map(|(took, _)| took.as_secs_f64()),
        "nativeBytes": figures.compiled.map(|(_, native)| native),
    }))
}

fn bytes(count: u64) -> String {
    const MIB: u64 = 1 << 20;
    match count {
        0..=1023 => format!("{count} B"),
        1024..MIB => format!("{} KiB", count.div_ceil(1024)),
        _ => format!("{:.1} MiB", count as f64 / MIB as f64),
    }
}

//! What a wasm file is and needs, read from its sections alone: no compilation, no engine.

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;
use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
use wasmparser::{BinaryReaderError, ComponentExternalKind, Encoding, Parser, Payload};

/// The interface of wasip1 modules.
const PREVIEW1: &str = "wasi_snapshot_preview1";
/// Interfaces that the node offers, with the tracks of semver that it is compatible with.
const SUPPORTED: [(&str, &[&str]); 6] = [
    ("wasi:io/", &["0.2."]),
    ("wasi:cli/", &["0.2.", "0.3."]),
    ("wasi:clocks/", &["0.2.", "0.3."]),
    ("wasi:filesystem/", &["0.2.", "0.3."]),
    ("wasi:random/", &["0.2.", "0.3."]),
    ("wasi:sockets/", &["0.2.", "0.3."]),
];
const HTTP_SUPPORTED: [&str; 5] = [
    "wasi:http/types@0.2.",
    "wasi:http/outgoing-handler@0.2.",
    "wasi:http/types@0.3.",
    "wasi:http/client@0.3.",
    "wasi:http/handler@0.3.",
];

/// A wasm file, as far as its imports and exports tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestInfo {
    pub kind: GuestKind,
    /// Interfaces, or `module.function` for a module; sorted.
    pub imports: Vec<String>,
    pub exports: Vec<String>,
    /// Versions of WASI that it was built against, such as `0.2.6`; `0.1` for wasip1.
    pub wasi_versions: Vec<String>,
}

/// How a guest is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GuestKind {
    /// `wasi:http/incoming-handler@0.2`: called per request.
    HttpP2,
    /// `wasi:http/handler@0.3`: called per request.
    HttpP3,
    /// `wasi:cli/run@0.2`: runs to its exit.
    CommandP2,
    /// `wasi:cli/run@0.3`.
    CommandP3,
    /// A core module for wasip1 with `_start`.
    ModuleP1,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    #[error("not WebAssembly: the file does not start with \"\\0asm\"{}", .hint.map(|hint| format!(" ({hint})")).unwrap_or_default())]
    NotWasm { hint: Option<&'static str> },
    #[error("the file is truncated: it ends in the middle of a section that starts at byte {offset}")]
    Truncated { offset: u64 },
    #[error("damaged WebAssembly at byte {offset}: {message}")]
    Malformed { offset: u64, message: String },
    #[error(
        "the module exports no `_start`, so it is a library, not a program: build a binary for wasm32-wasip1 or wasm32-wasip2"
    )]
    NoStart,
    #[error("the component exports neither `wasi:http/incoming-handler`, `wasi:http/handler` nor `wasi:cli/run`; it exports {}", list(.exports))]
    NoEntryPoint { exports: Vec<String> },
    #[error("unsupported imports: {}", list(.names))]
    UnsupportedImports { names: Vec<String> },
}

impl GuestKind {
    /// Called per request, rather than run.
    pub fn is_http(self) -> bool {
        matches!(self, GuestKind::HttpP2 | GuestKind::HttpP3)
    }
}

impl GuestInfo {
    /// May open TCP sockets.
    pub fn uses_sockets(&self) -> bool {
        self.imports.iter().any(|name| name.starts_with("wasi:sockets/tcp") || name.starts_with("wasi:sockets/types"))
    }

    /// May send HTTP requests.
    pub fn uses_outgoing_http(&self) -> bool {
        let sends =
            |name: &String| name.starts_with("wasi:http/outgoing-handler") || name.starts_with("wasi:http/client");
        self.imports.iter().any(sends)
    }
}

/// Says what a file is and whether the node can run it.
pub fn inspect(bytes: &[u8]) -> Result<GuestInfo, InspectError> {
    check_magic(bytes)?;
    let outline = Outline::read(bytes)?;
    if outline.component { component(outline) } else { module(outline) }
}

fn check_magic(bytes: &[u8]) -> Result<(), InspectError> {
    if bytes.starts_with(b"\0asm") {
        return if bytes.len() < 8 { Err(InspectError::Truncated { offset: 0 }) } else { Ok(()) };
    }
    let hint = match bytes {
        [] => Some("it is empty"),
        [0x7f, b'E', b'L', b'F', ..] => Some("it is a native ELF file; build with --target wasm32-wasip2"),
        [0x1f, 0x8b, ..] => Some("it is a gzip archive"),
        [b'(', ..] => Some("it looks like the text format; convert it with `wasm-tools parse`"),
        [b'#', b'!', ..] => Some("it is a script"),
        [b'{', ..] => Some("it looks like JSON"),
        _ => None,
    };
    Err(InspectError::NotWasm { hint })
}

/// Names at the top level of the file.
#[derive(Default)]
struct Outline {
    component: bool,
    imports: BTreeSet<String>,
    /// Only of modules.
    import_modules: BTreeSet<(String, String)>,
    exports: BTreeSet<String>,
}

impl Outline {
    fn read(bytes: &[u8]) -> Result<Self, InspectError> {
        let mut outline = Outline::default();
        let mut depth = 0;
        let mut section = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(|error| unreadable(error, section))?;
            if let Some((_, range)) = payload.as_section() {
                section = range.start;
            }
            match payload {
                Payload::Version { encoding, .. } if depth == 0 && section == 0 => {
                    outline.component |= encoding == Encoding::Component;
                }
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth -= 1,
                payload if depth == 0 => outline.add(payload).map_err(|error| unreadable(error, section))?,
                _ => {}
            }
        }
        Ok(outline)
    }

    fn add(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::ImportSection(reader) => {
                for import in reader.into_imports() {
                    let import = import?;
                    self.imports.insert(format!("{}.{}", import.module, import.name));
                    self.import_modules.insert((import.module.to_owned(), import.name.to_owned()));
                }
            }
            Payload::ExportSection(reader) => {
                for export in reader {
                    self.exports.insert(export?.name.to_owned());
                }
            }
            Payload::ComponentImportSection(reader) => {
                for import in reader {
                    self.imports.insert(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(reader) => {
                for export in reader {
                    let export = export?;
                    if export.kind == ComponentExternalKind::Instance {
                        self.exports.insert(export.name.name.to_owned());
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn module(outline: Outline) -> Result<GuestInfo, InspectError> {
    let offered = preview1_functions();
    let unsupported = |(module, name): &&(String, String)| module != PREVIEW1 || !offered.contains(name);
    let names: Vec<_> =
        outline.import_modules.iter().filter(unsupported).map(|(module, name)| format!("{module}.{name}")).collect();
    if !names.is_empty() {
        return Err(InspectError::UnsupportedImports { names });
    }
    if !outline.exports.contains("_start") {
        return Err(InspectError::NoStart);
    }
    let wasi_versions = if outline.imports.is_empty() { Vec::new() } else { vec!["0.1".into()] };
    Ok(info(GuestKind::ModuleP1, outline, wasi_versions))
}

fn component(outline: Outline) -> Result<GuestInfo, InspectError> {
    let names: Vec<_> = outline.imports.iter().filter(|name| !supported(name)).cloned().collect();
    if !names.is_empty() {
        return Err(InspectError::UnsupportedImports { names });
    }
    // Some toolkits export both an HTTP handler and `run`: the handler wins.
    let entry_points = [
        ("wasi:http/handler@0.3.", GuestKind::HttpP3),
        ("wasi:http/incoming-handler@0.2.", GuestKind::HttpP2),
        ("wasi:cli/run@0.3.", GuestKind::CommandP3),
        ("wasi:cli/run@0.2.", GuestKind::CommandP2),
    ];
    let exported = |prefix: &str| outline.exports.iter().any(|name| name.starts_with(prefix));
    let Some((_, kind)) = entry_points.into_iter().find(|(prefix, _)| exported(prefix)) else {
        return Err(InspectError::NoEntryPoint { exports: outline.exports.into_iter().collect() });
    };
    let versions: BTreeSet<_> = outline
        .imports
        .iter()
        .chain(&outline.exports)
        .filter(|name| name.starts_with("wasi:"))
        .filter_map(|name| Some(name.split_once('@')?.1.to_owned()))
        .collect();
    Ok(info(kind, outline, versions.into_iter().collect()))
}

fn info(kind: GuestKind, outline: Outline, wasi_versions: Vec<String>) -> GuestInfo {
    GuestInfo {
        kind,
        imports: outline.imports.into_iter().collect(),
        exports: outline.exports.into_iter().collect(),
        wasi_versions,
    }
}

fn supported(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    let offered = |(prefix, tracks): &(&str, &[&str])| {
        name.starts_with(prefix) && tracks.iter().any(|track| version.starts_with(track))
    };
    SUPPORTED.iter().any(offered) || HTTP_SUPPORTED.iter().any(|prefix| import.starts_with(prefix))
}

/// What the adapter offers to wasip1 modules.
fn preview1_functions() -> &'static HashSet<String> {
    static FUNCTIONS: OnceLock<HashSet<String>> = OnceLock::new();
    FUNCTIONS.get_or_init(|| {
        let outline =
            Outline::read(WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER).expect("invariant: the adapter is a module");
        outline.exports.into_iter().collect()
    })
}

fn unreadable(error: BinaryReaderError, section: usize) -> InspectError {
    let eof = error.message().contains("unexpected end") || error.message().contains("unexpected-eof");
    if eof {
        InspectError::Truncated { offset: section as u64 }
    } else {
        InspectError::Malformed { offset: error.offset() as u64, message: error.message().to_owned() }
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

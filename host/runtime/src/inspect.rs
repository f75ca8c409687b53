//! What a wasm file is and needs, read from its sections alone: no compilation, no engine.
//!
//! [`explain`] says everything that can be said, also of a file that cannot run here; [`inspect`] is what admits a guest.
//! Both rest on the same reading, so that what is refused at a node is what was warned of before.

mod fix;
mod needs;
mod outline;

use std::collections::{BTreeSet, HashSet};
use std::sync::OnceLock;

use wasi_preview1_component_adapter_provider::WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;

pub use needs::Needs;
use outline::Outline;

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

/// A wasm file that can run, as far as its imports and exports tell.
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

/// Any wasm file, whether it can run here or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub is_component: bool,
    /// `None` for a library.
    pub kind: Option<GuestKind>,
    pub imports: Vec<Import>,
    pub exports: Vec<String>,
    pub wasi_versions: Vec<String>,
    pub needs: Needs,
    /// Why it cannot run; nothing if it can.
    pub problem: Option<InspectError>,
}

/// An interface, or `module.function` for a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub name: String,
    /// What it uses of the interface, as far as that can be told.
    pub functions: Vec<String>,
    /// What to do about it where nothing provides it.
    pub fix: Option<String>,
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
    #[error("nothing provides what the module imports: {}", missing(.imports))]
    UnsupportedImports { imports: Vec<Import> },
}

impl GuestKind {
    /// Called per request, rather than run.
    pub fn is_http(self) -> bool {
        matches!(self, GuestKind::HttpP2 | GuestKind::HttpP3)
    }
}

impl std::fmt::Display for GuestKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            GuestKind::HttpP2 => "wasi:http handler (WASI 0.2)",
            GuestKind::HttpP3 => "wasi:http handler (WASI 0.3)",
            GuestKind::CommandP2 => "program (WASI 0.2)",
            GuestKind::CommandP3 => "program (WASI 0.3)",
            GuestKind::ModuleP1 => "program (WASI 0.1)",
        })
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
    let Explanation { kind, imports, exports, wasi_versions, problem, .. } = explain(bytes)?;
    match (problem, kind) {
        (Some(problem), _) => Err(problem),
        (None, Some(kind)) => {
            let imports = imports.into_iter().map(|import| import.name).collect();
            Ok(GuestInfo { kind, imports, exports, wasi_versions })
        }
        (None, None) => unreachable!("invariant: a file without an entry point has a problem"),
    }
}

/// Says everything of a file that its sections tell. An error means that it is no readable WebAssembly.
pub fn explain(bytes: &[u8]) -> Result<Explanation, InspectError> {
    check_magic(bytes)?;
    let outline = Outline::read(bytes)?;
    let imports = imports(&outline);
    let kind = kind(&outline);
    let missing: Vec<Import> = imports.iter().filter(|import| import.fix.is_some()).cloned().collect();
    let problem = match kind {
        _ if !missing.is_empty() => Some(InspectError::UnsupportedImports { imports: missing }),
        Some(_) => None,
        None if outline.is_component => {
            Some(InspectError::NoEntryPoint { exports: outline.exports.iter().cloned().collect() })
        }
        None => Some(InspectError::NoStart),
    };
    Ok(Explanation {
        is_component: outline.is_component,
        kind,
        needs: Needs::of(&imports, kind),
        wasi_versions: wasi_versions(&outline),
        imports,
        exports: outline.exports.into_iter().collect(),
        problem,
    })
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

fn imports(outline: &Outline) -> Vec<Import> {
    if outline.is_component {
        let offered = |name: &str| supported(name);
        let import = |(name, functions): (&String, &Vec<String>)| Import {
            fix: (!offered(name)).then(|| fix::of_interface(name)),
            name: name.clone(),
            functions: functions.clone(),
        };
        return outline.imports.iter().map(import).collect();
    }
    let offered = preview1_functions();
    let import = |(module, name): &(String, String)| Import {
        fix: (module != PREVIEW1 || !offered.contains(name)).then(|| fix::of_function(module, name)),
        name: format!("{module}.{name}"),
        functions: Vec::new(),
    };
    outline.module_imports.iter().map(import).collect()
}

fn kind(outline: &Outline) -> Option<GuestKind> {
    if !outline.is_component {
        return outline.exports.contains("_start").then_some(GuestKind::ModuleP1);
    }
    // Some toolkits export both an HTTP handler and `run`: the handler wins.
    let entry_points = [
        ("wasi:http/handler@0.3.", GuestKind::HttpP3),
        ("wasi:http/incoming-handler@0.2.", GuestKind::HttpP2),
        ("wasi:cli/run@0.3.", GuestKind::CommandP3),
        ("wasi:cli/run@0.2.", GuestKind::CommandP2),
    ];
    let exported = |prefix: &str| outline.exports.iter().any(|name| name.starts_with(prefix));
    entry_points.into_iter().find(|(prefix, _)| exported(prefix)).map(|(_, kind)| kind)
}

fn wasi_versions(outline: &Outline) -> Vec<String> {
    if !outline.is_component {
        let uses_wasi = outline.module_imports.iter().any(|(module, _)| module == PREVIEW1);
        return if uses_wasi { vec!["0.1".into()] } else { Vec::new() };
    }
    let names = outline.imports.keys().chain(&outline.exports).filter(|name| name.starts_with("wasi:"));
    let versions: BTreeSet<_> = names.filter_map(|name| Some(name.split_once('@')?.1.to_owned())).collect();
    versions.into_iter().collect()
}

fn supported(import: &str) -> bool {
    let Some((name, version)) = import.split_once('@') else { return false };
    // Drafts such as 0.2.0-rc-2023-11-10 share nothing but their name with what was released.
    let is_release = !version.contains("-rc");
    let offered = |(prefix, tracks): &(&str, &[&str])| {
        name.starts_with(prefix) && tracks.iter().any(|track| version.starts_with(track))
    };
    is_release && (SUPPORTED.iter().any(offered) || HTTP_SUPPORTED.iter().any(|prefix| import.starts_with(prefix)))
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

fn list(names: &[String]) -> String {
    if names.is_empty() { "nothing".into() } else { names.join(", ") }
}

/// Imports that have the same fix are told together: a module linked for another host imports dozens.
fn missing(imports: &[Import]) -> String {
    const NAMES_MAX: usize = 5;
    let mut fixes: Vec<(&str, Vec<&str>)> = Vec::new();
    for import in imports {
        let fix = import.fix.as_deref().unwrap_or_default();
        match fixes.iter_mut().find(|(known, _)| *known == fix) {
            Some((_, names)) => names.push(&import.name),
            None => fixes.push((fix, vec![&import.name])),
        }
    }
    let told = fixes.iter().map(|(fix, names)| {
        let more = names.len().saturating_sub(NAMES_MAX);
        let shown = names[..names.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{shown}{more} ({fix})")
    });
    told.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Expect) {
        let bytes = wat::parse_str(text).unwrap();
        let told = match explain(&bytes) {
            Ok(explained) => {
                let kind = explained.kind.map_or("library".to_owned(), |kind| kind.to_string());
                let problem = explained.problem.map(|problem| format!("\n{problem}")).unwrap_or_default();
                format!("{kind}; needs {}{problem}", explained.needs.words().join(", "))
            }
            Err(error) => error.to_string(),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn modules_are_explained() {
        check(
            r#"(module
                (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
                (import "wasi_snapshot_preview1" "path_open" (func))
                (func (export "_start")))"#,
            expect!["program (WASI 0.1); needs env, files"],
        );
        check(
            "(module (func (export \"add\")))",
            expect![[r#"
                library; needs 
                the module exports no `_start`, so it is a library, not a program: build a binary for wasm32-wasip1 or wasm32-wasip2"#]],
        );
    }

    #[test]
    fn what_nothing_provides_is_named_with_a_fix() {
        check(
            r#"(module (import "env" "a" (func)) (import "env" "b" (func)) (func (export "_start")))"#,
            expect![[r#"
                program (WASI 0.1); needs 
                nothing provides what the module imports: env.a, env.b (the linker left it open: link the library that defines it, and build without -Wl,--allow-undefined; with Emscripten use wasi-sdk or -sSTANDALONE_WASM)"#]],
        );
        check(
            r#"(module (import "__wbindgen_placeholder__" "x" (func)) (func (export "_start")))"#,
            expect![[r#"
                program (WASI 0.1); needs 
                nothing provides what the module imports: __wbindgen_placeholder__.x (it was built for a browser with wasm-bindgen: build for wasm32-wasip2, without crates that need JavaScript)"#]],
        );
        check(
            r#"(component (import "wasi:keyvalue/store@0.2.0-draft" (instance)) (import "acme:shop/prices@1.0.0" (instance)))"#,
            expect![[r#"
                library; needs 
                nothing provides what the module imports: acme:shop/prices@1.0.0 (link the component that exports it, as `wac plug guest.wasm --plug provider.wasm` does); wasi:keyvalue/store@0.2.0-draft (wasmk has no built-in key-value store: call one over HTTP or TCP, by the name of its Service)"#]],
        );
        check(
            r#"(component (import "wasi:http/types@0.2.0-rc-2023-11-10" (instance)))"#,
            expect![[r#"
                library; needs 
                nothing provides what the module imports: wasi:http/types@0.2.0-rc-2023-11-10 (it was built against a draft: build it again with a current toolchain, which targets WASI 0.2.0 or later)"#]],
        );
    }

    #[test]
    fn components_are_explained_by_the_functions_they_use() {
        check(
            r#"(component
                (import "wasi:sockets/tcp@0.2.0" (instance (export "[method]tcp-socket.start-listen" (func))))
                (import "wasi:filesystem/types@0.2.0" (instance (export "[method]descriptor.stat" (func))))
                (import "wasi:http/outgoing-handler@0.2.4" (instance))
                (import "wasi:cli/environment@0.2.0" (instance (export "get-environment" (func)))))"#,
            expect![[r#"
                library; needs listen, http-out, env
                the component exports neither `wasi:http/incoming-handler`, `wasi:http/handler` nor `wasi:cli/run`; it exports nothing"#]],
        );
    }

    #[test]
    fn many_imports_of_one_kind_are_told_together() {
        let imports: String = (0..9).map(|number| format!("(import \"env\" \"f{number}\" (func))")).collect();
        let bytes = wat::parse_str(format!("(module {imports} (func (export \"_start\")))")).unwrap();
        let error = inspect(&bytes).unwrap_err().to_string();
        assert!(error.contains("env.f4 and 4 more (") && !error.contains("env.f5"), "{error}");
    }
}

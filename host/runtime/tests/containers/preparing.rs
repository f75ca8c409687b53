use crate::support::*;
use expect_test::{Expect, expect};
use std::path::Path;
use wasm_encoder::{CodeSection, EntityType, Function, FunctionSection, ImportSection, Module, TypeSection};
use wasmk_runtime::*;

#[test]
fn guests_are_what_they_export() {
    let kind = |wasm: &Path| inspect(&std::fs::read(wasm).unwrap()).unwrap().kind;
    assert_eq!(kind(&command_p1()), GuestKind::ModuleP1);
    assert_eq!(kind(&command_p2()), GuestKind::CommandP2);
    assert_eq!(kind(&http_p2()), GuestKind::HttpP2);
    assert_eq!(kind(&http_p3()), GuestKind::HttpP3);
    assert_eq!(kind(&tcp_p3()), GuestKind::CommandP3);
    let http = inspect(&std::fs::read(http_p2()).unwrap()).unwrap();
    assert!(http.uses_outgoing_http());
    assert!(http.wasi_versions.iter().all(|version| version.starts_with("0.2.")), "{:?}", http.wasi_versions);
    assert!(inspect(&std::fs::read(command_p2()).unwrap()).unwrap().uses_sockets());
}

#[track_caller]
fn check_refused(bytes: &[u8], expected: Expect) {
    expected.assert_eq(&inspect(bytes).unwrap_err().to_string());
}

#[test]
fn files_that_are_no_guests_say_why() {
    check_refused(b"", expect![[r#"not WebAssembly: the file does not start with "\0asm" (it is empty)"#]]);
    check_refused(
        b"\x7fELF....",
        expect![[
            r#"not WebAssembly: the file does not start with "\0asm" (it is a native ELF file; build with --target wasm32-wasip2)"#
        ]],
    );
    check_refused(
        b"(module)",
        expect![[
            r#"not WebAssembly: the file does not start with "\0asm" (it looks like the text format; convert it with `wasm-tools parse`)"#
        ]],
    );
    check_refused(b"\0asm", expect!["the file is truncated: it ends in the middle of a section that starts at byte 0"]);
    check_refused(
        &Module::new().finish(),
        expect![
            "the module exports no `_start`, so it is a library, not a program: build a binary for wasm32-wasip1 or wasm32-wasip2"
        ],
    );
    check_refused(
        &importing(&[
            ("env", "emscripten_sleep"),
            ("wasi_snapshot_preview1", "fd_write"),
            ("wasi_snapshot_preview1", "fork"),
        ]),
        expect!["unsupported imports: env.emscripten_sleep, wasi_snapshot_preview1.fork"],
    );
}

#[test]
fn a_truncated_guest_is_refused_wherever_it_ends() {
    let whole = std::fs::read(command_p1()).unwrap();
    for length in (9..whole.len()).step_by(whole.len() / 50) {
        assert!(inspect(&whole[..length]).is_err(), "cut at {length} of {}", whole.len());
    }
}

#[tokio::test]
async fn many_callers_share_one_preparation() {
    let cache = tempfile::tempdir().unwrap();
    let runtime = runtime_in(cache.path(), Compiler::InProcess);
    let wasm = command_p1();
    let digest = digest(&wasm);
    let programs = futures::future::join_all((0..8).map(|_| runtime.prepare(&wasm, &digest))).await;
    let programs: Vec<_> = programs.into_iter().map(Result::unwrap).collect();
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 2, "one code file and its checksum");
    assert!(programs.iter().all(|program| program.initial_memory_bytes() > 0));
}

#[tokio::test]
async fn damaged_code_is_compiled_again_and_never_run() {
    let cache = tempfile::tempdir().unwrap();
    let wasm = command_p1();
    prepare(&runtime_in(cache.path(), Compiler::InProcess), &wasm).await;
    let code = std::fs::read_dir(cache.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .unwrap();
    let intact = std::fs::read(&code).unwrap();
    let mut damaged = intact.clone();
    damaged[intact.len() / 2] ^= 0xff;
    for bad in [&damaged[..], &intact[..intact.len() / 2], b"not code at all"] {
        std::fs::write(&code, bad).unwrap();
        let runtime = runtime_in(cache.path(), Compiler::InProcess);
        let ended = start_on(&runtime, &wasm, &["exit", "7"], |_| ()).await.ended().await;
        assert_eq!(ended.reason, ExitReason::Exited(7));
        assert_eq!(std::fs::read(&code).unwrap().len(), intact.len());
    }
}

#[tokio::test]
async fn a_failed_preparation_names_the_cause_and_may_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = runtime_in(dir.path(), Compiler::InProcess);
    let wasm = dir.path().join("guest.wasm");
    let error = runtime.prepare(&wasm, "sha256:x").await.err().unwrap();
    assert!(matches!(error, PrepareError::Read { .. }), "{error}");
    std::fs::write(&wasm, "no wasm").unwrap();
    let error = runtime.prepare(&wasm, "sha256:x").await.err().unwrap();
    assert!(matches!(error, PrepareError::Inspect(InspectError::NotWasm { .. })), "{error}");
    std::fs::copy(command_p1(), &wasm).unwrap();
    runtime.prepare(&wasm, "sha256:x").await.unwrap();
}

#[tokio::test]
async fn a_compiler_that_fails_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let command = vec!["rustc".into(), "--no-such-option".into()];
    let runtime = runtime_in(dir.path(), Compiler::Command(command));
    let error = runtime.prepare(&command_p1(), "sha256:x").await.err().unwrap().to_string();
    assert!(error.starts_with("compile: ") && error.contains("no-such-option"), "{error}");
    let runtime = runtime_in(dir.path(), Compiler::Command(vec!["/no/such/compiler".into()]));
    let error = runtime.prepare(&command_p1(), "sha256:x").await.err().unwrap().to_string();
    assert!(error.contains("start the compiler /no/such/compiler"), "{error}");
}

/// The child process of the next test: itself, told by its environment to compile.
#[test]
#[ignore = "run by a_child_process_compiles"]
fn compile_child() {
    let path = |name| std::path::PathBuf::from(std::env::var_os(name).expect(name));
    compile_main(&path("GUEST_IN"), &path("GUEST_OUT")).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn a_child_process_compiles() {
    let dir = tempfile::tempdir().unwrap();
    let exe = std::env::current_exe().unwrap();
    let script =
        format!("GUEST_IN=$0 GUEST_OUT=$1 exec '{}' --exact preparing::compile_child --ignored", exe.display());
    let runtime = runtime_in(dir.path(), Compiler::Command(vec!["sh".into(), "-c".into(), script.into()]));
    let ended = start_on(&runtime, &command_p1(), &["exit", "7"], |_| ()).await.ended().await;
    assert_eq!(ended.reason, ExitReason::Exited(7));
}

/// A module that imports these functions.
fn importing(names: &[(&str, &str)]) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut imports = ImportSection::new();
    for (module, name) in names {
        imports.import(module, name, EntityType::Function(0));
    }
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instructions().end();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&imports).section(&functions).section(&code);
    module.finish()
}

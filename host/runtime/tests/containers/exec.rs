use crate::support::*;
use bytes::Bytes;
use tokio::sync::mpsc;
use wasmk_runtime::*;

/// A container that waits, and a program to run beside it.
async fn sleeper(edit: impl FnOnce(&mut ContainerSpec)) -> (Started, Program) {
    let runtime = runtime();
    let program = prepare(&runtime, &command_p1()).await;
    (start_on(&runtime, &command_p1(), &["sleep"], edit).await, program)
}

fn argv(args: &[&str]) -> Vec<String> {
    std::iter::once(&"beside").chain(args).map(ToString::to_string).collect()
}

async fn read_all(output: &mut mpsc::Receiver<LogLine>) -> (String, String) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let all = async {
        while let Some(piece) = output.recv().await {
            if piece.stream == Stream::Stdout { &mut stdout } else { &mut stderr }.extend_from_slice(&piece.data);
        }
    };
    tokio::time::timeout(DEADLINE, all).await.expect("the program ends");
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

async fn run_beside(container: &Container, program: &Program, args: &[&str]) -> (ExitReason, String, String) {
    let mut exec = container.exec(program, argv(args), false).unwrap();
    let (stdout, stderr) = read_all(&mut exec.output).await;
    (exec.exit.wait().await, stdout, stderr)
}

async fn text_of(output: &mut mpsc::Receiver<LogLine>, wanted: &str) {
    let mut text = String::new();
    while text != wanted {
        let piece = tokio::time::timeout(DEADLINE, output.recv()).await.expect("more output").expect("no end");
        text += std::str::from_utf8(&piece.data).unwrap();
        assert!(wanted.starts_with(&text), "{text:?} is not {wanted:?}");
    }
}

#[tokio::test]
async fn a_program_beside_has_the_containers_surroundings_and_its_own_arguments() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in"), "mounted").unwrap();
    let (container, program) = sleeper(|spec| {
        spec.env = vec![("GREETING".into(), "hello".into())];
        spec.mounts = vec![Mount { host: dir.path().into(), guest: "/data".into(), read_only: true }];
    })
    .await;
    let shown = run_beside(&container.container, &program, &["show"]).await;
    let said = "args [\"beside\", \"show\"]\nenv GREETING=hello\n".to_owned();
    assert_eq!(shown, (ExitReason::Exited(0), said, String::new()));
    let read = run_beside(&container.container, &program, &["read", "/data/in"]).await;
    assert_eq!(read.1, "Ok(\"mounted\")\n");
    let written = run_beside(&container.container, &program, &["write", "/data/out", "x"]).await;
    assert!(written.1.starts_with("Err("), "{}", written.1);
}

#[tokio::test]
async fn its_exit_code_and_its_last_words_are_told() {
    let (container, program) = sleeper(|_| ()).await;
    let (exit, ..) = run_beside(&container.container, &program, &["exit", "3"]).await;
    assert_eq!(exit, ExitReason::Exited(3));
    let (exit, stdout, stderr) = run_beside(&container.container, &program, &["output"]).await;
    assert_eq!((exit, stdout.as_str(), stderr.as_str()), (ExitReason::Exited(0), "one\nno newline", "two\n"));
    let (exit, _, stderr) = run_beside(&container.container, &program, &["panic"]).await;
    assert!(matches!(exit, ExitReason::Trapped { .. }), "{exit:?}");
    assert!(stderr.contains("boom") && stderr.contains("\ntrap: unreachable"), "{stderr}");
}

#[tokio::test]
async fn its_input_ends_when_the_sender_is_dropped() {
    let (container, _) = sleeper(|_| ()).await;
    let runtime = runtime();
    for wasm in [command_p1(), command_p2()] {
        let program = prepare(&runtime, &wasm).await;
        let mut exec = container.container.exec(&program, argv(&["cat"]), true).unwrap();
        let stdin = exec.stdin.take().unwrap();
        stdin.send("first".into()).await.unwrap();
        text_of(&mut exec.output, "first").await;
        stdin.send("second".into()).await.unwrap();
        drop(stdin);
        assert_eq!(read_all(&mut exec.output).await, ("second".into(), "end\n".into()));
        assert_eq!(exec.exit.wait().await, ExitReason::Exited(0));
        // Without input the end comes at once.
        assert_eq!(run_beside(&container.container, &program, &["stdin"]).await.1, "Ok(0)\n");
    }
}

#[tokio::test]
async fn a_slow_reader_holds_the_program_and_gets_everything() {
    let (container, program) = sleeper(|_| ()).await;
    let mut exec = container.container.exec(&program, argv(&["lines", "20000"]), false).unwrap();
    let used = || container.container.usage().cpu_time;
    // It stops computing when nobody reads.
    let mut before = used();
    eventually("the program waits", || std::mem::replace(&mut before, used()) == used()).await;
    let (stdout, _) = read_all(&mut exec.output).await;
    assert_eq!(stdout.lines().count(), 20_000);
    assert_eq!(exec.exit.wait().await, ExitReason::Exited(0));
}

#[tokio::test]
async fn it_ends_with_its_client_and_with_the_container() {
    let (container, program) = sleeper(|_| ()).await;
    let memory = || container.container.usage().memory_bytes;
    // The program itself still grows while it starts.
    let (mut alone, mut unchanged) = (0, 0);
    eventually("the program has settled", || {
        let before = std::mem::replace(&mut alone, memory());
        unchanged = if alone > 0 && alone == before { unchanged + 1 } else { 0 };
        unchanged > 100
    })
    .await;
    let exec = container.container.exec(&program, argv(&["spin"]), false).unwrap();
    eventually("it runs", || memory() > alone).await;
    drop(exec);
    eventually("its memory is given back", || memory() == alone).await;

    let mut exec = container.container.exec(&program, argv(&["sleep"]), true).unwrap();
    container.killed().await;
    assert_eq!(memory(), 0, "nothing runs beside a container that has ended");
    assert_eq!(read_all(&mut exec.output).await, Default::default());
    assert_eq!(exec.exit.wait().await, ExitReason::Killed);
    let late = run_beside(&container.container, &program, &["spin"]).await;
    assert_eq!(late.0, ExitReason::Killed);
}

#[tokio::test]
async fn it_shares_the_containers_memory_limit() {
    let (container, program) = sleeper(|spec| spec.memory_bytes_max = Some(16 << 20)).await;
    let (exit, ..) = run_beside(&container.container, &program, &["memory"]).await;
    assert!(matches!(exit, ExitReason::OutOfMemory { .. }), "{exit:?}");
    assert!(container.container.exit().is_none(), "the container goes on");
}

#[tokio::test]
async fn a_handler_cannot_be_run_but_other_programs_can_beside_it() {
    let runtime = runtime();
    let container = start_on(&runtime, &http_p2(), &[], |_| ()).await;
    let refused = container.container.exec(container.container.program(), argv(&[]), false).err();
    assert_eq!(refused, Some(ExecError::NoRun));
    let program = prepare(&runtime, &command_p1()).await;
    assert_eq!(run_beside(&container.container, &program, &["exit", "7"]).await.0, ExitReason::Exited(7));
}

#[tokio::test]
async fn an_open_input_takes_one_client_after_another() {
    let mut started = start(&command_p2(), &["cat"], |spec| spec.stdin = StdinMode::Open).await;
    for text in ["one\n", "two\n"] {
        let mut attached = started.container.attach(true);
        attached.stdin.take().unwrap().send(Bytes::from_static(text.as_bytes())).await.unwrap();
        text_of(&mut attached.output, text).await;
        assert_eq!(started.line().await, text.trim_end(), "the log has it, too");
    }
    assert!(started.container.attach(false).stdin.is_none());
    started.killed().await;
    assert!(started.container.attach(true).output.recv().await.is_none());
}

#[tokio::test]
async fn an_input_for_once_ends_with_its_first_client() {
    let started = start(&command_p1(), &["cat"], |spec| spec.stdin = StdinMode::Once).await;
    let only_looking = started.container.attach(false);
    let mut attached = started.container.attach(true);
    attached.stdin.as_ref().unwrap().send("text".into()).await.unwrap();
    text_of(&mut attached.output, "text").await;
    assert!(started.container.attach(true).stdin.is_none());
    attached.stdin = None;
    let (_, stderr) = read_all(&mut attached.output).await;
    assert_eq!(stderr, "end\n");
    drop(only_looking);
    let ended = started.ended().await;
    assert_eq!(
        (ended.reason, ended.stdout, ended.stderr),
        (ExitReason::Exited(0), vec!["text".into()], vec!["end".into()])
    );
}

#[tokio::test]
async fn an_input_can_be_ended_whoever_holds_it() {
    let started = start(&command_p2(), &["cat"], |spec| spec.stdin = StdinMode::Open).await;
    let attached = started.container.attach(true);
    assert!(attached.stdin.is_some() && started.container.end_input());
    let ended = started.ended().await;
    assert_eq!((ended.reason, ended.stderr), (ExitReason::Exited(0), vec!["end".into()]));
    let without = start(&command_p1(), &["sleep"], |_| ()).await;
    assert!(!without.container.end_input());
}

#[tokio::test]
async fn a_listener_that_does_not_read_holds_up_nobody() {
    let started = start(&command_p2(), &["lines", "100000"], |_| ()).await;
    let mut attached = started.container.attach(false);
    let ended = started.ended().await;
    assert_eq!((ended.reason, ended.stdout.len()), (ExitReason::Exited(0), 100_000));
    // What it has is the beginning of what it could have had.
    assert!(read_all(&mut attached.output).await.0.lines().count() < 100_000);
}

#[tokio::test]
async fn a_handlers_output_is_heard() {
    let started = start(&http_p2(), &[], |_| ()).await;
    let mut attached = started.container.attach(true);
    assert!(attached.stdin.is_none());
    let _ = started.call("/trap").await;
    let mut heard = String::new();
    while !heard.contains("trap: unreachable") {
        let piece = tokio::time::timeout(DEADLINE, attached.output.recv()).await.expect("a trap").expect("no end");
        heard += std::str::from_utf8(&piece.data).unwrap();
    }
}

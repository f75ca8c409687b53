use crate::support::*;
use wasmk_runtime::*;

#[tokio::test]
async fn a_wasip1_module_keeps_its_exit_code() {
    for code in [0, 7, 255] {
        let ended = run(&command_p1(), &["exit", &code.to_string()], |_| ()).await;
        assert_eq!(ended.reason, ExitReason::Exited(code));
    }
}

#[tokio::test]
async fn a_component_ends_with_0_or_1_because_rusts_std_reports_no_more() {
    for (asked, reported) in [(0, 0), (7, 1)] {
        let ended = run(&command_p2(), &["exit", &asked.to_string()], |_| ()).await;
        assert_eq!(ended.reason, ExitReason::Exited(reported));
    }
}

#[tokio::test]
async fn a_guest_has_the_arguments_and_environment_it_was_given_and_no_other() {
    for wasm in [command_p1(), command_p2()] {
        let ended = run(&wasm, &["show"], |spec| spec.env = vec![("GREETING".into(), "hello".into())]).await;
        assert_eq!(ended.stdout, [r#"args ["guest", "show"]"#, "env GREETING=hello"]);
    }
}

#[tokio::test]
async fn a_working_directory_is_told_by_pwd() {
    let ended = run(&command_p2(), &["show"], |spec| spec.working_dir = Some("/data".into())).await;
    assert!(ended.stdout.contains(&"env PWD=/data".into()), "{:?}", ended.stdout);
}

#[tokio::test]
async fn mounts_are_readable_and_writable_only_if_they_say_so() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("in"), "from the host").unwrap();
    for wasm in [command_p1(), command_p2()] {
        let mount = |read_only| {
            let host = dir.path().to_owned();
            move |spec: &mut ContainerSpec| {
                spec.mounts = vec![Mount { host, guest: "/data".into(), read_only }];
            }
        };
        let read = run(&wasm, &["read", "/data/in"], mount(true)).await;
        assert_eq!(read.stdout, [r#"Ok("from the host")"#]);
        let write = run(&wasm, &["write", "/data/out", "from the guest"], mount(true)).await;
        assert!(write.stdout[0].starts_with("Err("), "{:?}", write.stdout);
        assert!(!dir.path().join("out").exists());
        let write = run(&wasm, &["write", "/data/out", "from the guest"], mount(false)).await;
        assert_eq!(write.stdout, ["Ok(())"]);
        assert_eq!(std::fs::read_to_string(dir.path().join("out")).unwrap(), "from the guest");
        std::fs::remove_file(dir.path().join("out")).unwrap();
    }
}

#[tokio::test]
async fn the_hosts_files_are_out_of_reach() {
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("secret");
    std::fs::write(&secret, "secret").unwrap();
    let inside = dir.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    for path in [secret.to_str().unwrap(), "/data/../secret", "/etc/passwd"] {
        let mounts = vec![Mount { host: inside.clone(), guest: "/data".into(), read_only: false }];
        let read = run(&command_p2(), &["read", path], |spec| spec.mounts = mounts).await;
        assert!(read.stdout[0].starts_with("Err("), "{path}: {:?}", read.stdout);
    }
}

#[tokio::test]
async fn a_mount_that_cannot_be_is_named() {
    let runtime = runtime();
    let program = prepare(&runtime, &command_p2()).await;
    for (host, why) in [("/no/such/directory", "No such file"), (file!(), "directories only")] {
        let host = if host == file!() { command_p2() } else { host.into() };
        let (sender, _logs) = tokio::sync::mpsc::channel(1);
        let mut spec = ContainerSpec::new("guest", sender, std::sync::Arc::new(NoNetwork));
        spec.mounts = vec![Mount { host: host.clone(), guest: "/data".into(), read_only: true }];
        let error = runtime.start(&program, spec).await.err().expect("refused").to_string();
        assert!(error.starts_with(&format!("mount {} at /data: ", host.display())), "{error}");
        assert!(cfg!(windows) || error.contains(why), "{error}");
    }
}

#[tokio::test]
async fn standard_input_is_closed() {
    for wasm in [command_p1(), command_p2()] {
        assert_eq!(run(&wasm, &["stdin"], |_| ()).await.stdout, ["Ok(0)"]);
    }
}

#[tokio::test]
async fn output_comes_line_by_line_with_its_stream() {
    let ended = run(&command_p2(), &["output"], |_| ()).await;
    assert_eq!(ended.stdout, ["one", "no newline"]);
    assert_eq!(ended.stderr, ["two"]);
}

#[tokio::test]
async fn every_line_of_much_output_arrives() {
    let ended = run(&command_p2(), &["lines", "10000"], |_| ()).await;
    assert_eq!(ended.stdout.len(), 10_000);
    assert_eq!(ended.stdout[9_999], "line 9999");
}

#[tokio::test]
async fn a_panic_ends_with_its_message_and_a_backtrace_of_function_names() {
    for wasm in [command_p1(), command_p2()] {
        let ended = run(&wasm, &["panic"], |_| ()).await;
        let ExitReason::Trapped { message, backtrace } = &ended.reason else { panic!("{:?}", ended.reason) };
        // Its own last words come first.
        assert!(message.contains("boom"), "{message}");
        assert!(message.ends_with("\ntrap: unreachable code reached (a panic or an abort in the guest)"), "{message}");
        let backtrace = backtrace.join("\n");
        assert!(backtrace.contains("guest_command::innermost_function"), "{backtrace}");
        let said = ended.stderr.join("\n");
        assert!(said.contains("boom") && said.contains("trap: unreachable code reached"), "{said}");
        assert!(said.contains("innermost_function"), "{said}");
    }
}

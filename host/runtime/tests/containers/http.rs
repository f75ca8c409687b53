use crate::support::*;
use http_body_util::BodyExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use wasmk_runtime::*;

async fn guest(edit: impl FnOnce(&mut ContainerSpec)) -> Started {
    start(&http_p2(), &[], edit).await
}

#[tokio::test]
async fn a_handler_of_either_wasi_answers() {
    let p2 = guest(|_| ()).await;
    let (status, text) = p2.call("/").await.unwrap();
    assert_eq!((status, text.as_str()), (200, "hello http://guest.test/"));
    let p3 = start(&http_p3(), &[], |_| ()).await;
    let (status, text) = p3.call("/x").await.unwrap();
    assert_eq!((status, text.as_str()), (200, "hello /x at guest.test and more\n"));
}

#[tokio::test]
async fn a_handler_has_its_environment_and_its_output_is_logged() {
    let mut guest = guest(|spec| spec.env = vec![("NAME".into(), "value".into())]).await;
    assert_eq!(guest.call("/env").await.unwrap().1, "value");
    guest.call("/log").await.unwrap();
    assert_eq!(guest.line().await, "a line of output");
}

#[tokio::test]
async fn every_request_has_an_instance_of_its_own() {
    let guest = guest(|_| ()).await;
    for _ in 0..3 {
        assert_eq!(guest.call("/served").await.unwrap().1, "1");
    }
    eventually("no instance is left", || guest.container.usage().memory_bytes == 0).await;
    assert!(guest.container.usage().memory_bytes_peak > 0);
}

#[tokio::test]
async fn an_instance_serves_as_many_requests_as_it_may() {
    let guest = guest(|spec| spec.requests.per_instance_max = 2).await;
    let mut served = Vec::new();
    for _ in 0..4 {
        served.push(guest.call("/served").await.unwrap().1);
        eventually("the request is over", || guest.container.in_flight() == 0).await;
        // The instance is back only after its handler returned.
        tokio::task::yield_now().await;
    }
    assert!(served.contains(&"2".to_owned()), "{served:?}");
    assert!(!served.contains(&"3".to_owned()), "{served:?}");
}

#[tokio::test]
async fn an_instance_without_requests_goes_away() {
    let guest = guest(|spec| {
        spec.requests.per_instance_max = 100;
        spec.requests.idle_timeout = Duration::from_millis(20);
    })
    .await;
    guest.call("/").await.unwrap();
    eventually("no instance is left", || guest.container.usage().memory_bytes == 0).await;
    assert_eq!(guest.call("/served").await.unwrap().1, "1");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let guest = guest(|_| ()).await;
    let http = guest.container.http().unwrap();
    let sent = vec![b'x'; 1 << 20];
    let request = ::http::Request::post("/echo").header("host", "h").body(text_body(sent.clone())).unwrap();
    let response = http.call(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), sent);
}

#[tokio::test]
async fn a_client_that_leaves_takes_the_instance_with_it() {
    let guest = guest(|_| ()).await;
    let response = guest.container.http().unwrap().call(get("/ticks")).await.unwrap();
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "tick 0\n");
    assert_eq!(guest.container.in_flight(), 1);
    drop(body);
    eventually("the instance is gone", || guest.container.usage().memory_bytes == 0).await;
    assert_eq!(guest.container.in_flight(), 0);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_response_takes_the_instance_with_it() {
    let guest = guest(|_| ()).await;
    let http = guest.container.http().unwrap();
    let call = tokio::spawn(async move { http.call(get("/forever")).await.map(drop) });
    eventually("the instance runs", || guest.container.usage().memory_bytes > 0).await;
    call.abort();
    eventually("the instance is gone", || guest.container.usage().memory_bytes == 0).await;
}

#[tokio::test]
async fn a_trap_ends_its_request_and_nothing_else() {
    for wasm in [http_p2(), http_p3()] {
        let faults = Arc::new(Mutex::new(Vec::new()));
        let heard = faults.clone();
        let on_fault = move |fault| heard.lock().unwrap().push(fault);
        let mut guest = start(&wasm, &[], |spec| spec.on_fault = Arc::new(on_fault)).await;
        let error = guest.call("/trap").await.unwrap_err();
        assert!(matches!(error, CallError::Trapped { .. }), "{error}");
        assert_eq!(error.status(), 500);
        eventually("the fault is reported", || !faults.lock().unwrap().is_empty()).await;
        let fault = faults.lock().unwrap()[0].clone();
        assert_eq!(fault.kind, FaultKind::Trap);
        assert!(!fault.backtrace.is_empty());
        assert_eq!(guest.line().await, "before the trap");
        let mut rest = String::new();
        while !rest.contains(&fault.message) {
            rest += &guest.line().await;
        }
        assert!(rest.contains("boom"), "{rest}");
        assert_eq!(guest.call("/").await.unwrap().0, 200);
        assert!(guest.container.exit().is_none());
    }
}

#[tokio::test]
async fn leaving_the_process_from_a_handler_is_a_fault() {
    let guest = guest(|_| ()).await;
    let error = guest.call("/exit").await.unwrap_err().to_string();
    assert!(error.contains("exited with code"), "{error}");
    assert_eq!(guest.call("/").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_request_that_takes_all_memory_ends_alone() {
    let guest = guest(|spec| spec.memory_bytes_max = Some(24 << 20)).await;
    let error = guest.call("/memory").await.unwrap_err();
    assert!(matches!(error, CallError::OutOfMemory { .. }), "{error}");
    assert_eq!(guest.call("/").await.unwrap().0, 200);
}

#[tokio::test]
async fn a_request_without_response_times_out_even_if_it_spins() {
    for path in ["/forever", "/spin"] {
        let guest = guest(|spec| spec.requests.timeout = Duration::from_millis(100)).await;
        let error = guest.call(path).await.unwrap_err();
        assert!(matches!(error, CallError::Timeout(_)), "{error}");
        assert_eq!(error.status(), 504);
        eventually("the instance is gone", || guest.container.usage().memory_bytes == 0).await;
    }
}

#[tokio::test]
async fn requests_past_the_queue_are_refused_at_once() {
    let guest = guest(|spec| {
        spec.requests.concurrent_max = 1;
        spec.requests.queued_max = 1;
    })
    .await;
    let http = guest.container.http().unwrap();
    let running: Vec<_> = (0..2)
        .map(|_| {
            let http = http.clone();
            tokio::spawn(async move { call(&http, "/slow").await })
        })
        .collect();
    eventually("one runs and one waits", || guest.container.in_flight() == 2).await;
    let error = guest.call("/").await.unwrap_err();
    assert!(matches!(error, CallError::Overloaded) && error.is_unseen(), "{error}");
    for call in running {
        assert_eq!(call.await.unwrap().unwrap().1, "slow");
    }
    assert_eq!(guest.call("/").await.unwrap().0, 200);
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_takes_nothing_new() {
    let guest = guest(|_| ()).await;
    let http = guest.container.http().unwrap();
    let running = tokio::spawn(async move { call(&http, "/slow").await });
    eventually("the request runs", || guest.container.in_flight() == 1).await;
    let drained = guest.container.drain(DEADLINE);
    let refused = async {
        eventually("new requests are refused", || {
            let http = guest.container.http().unwrap();
            futures::FutureExt::now_or_never(async move { http.call(get("/")).await })
                .is_some_and(|result| matches!(result, Err(CallError::Stopped)))
        })
        .await;
    };
    let (drained, ()) = tokio::join!(drained, refused);
    assert!(drained);
    assert_eq!(running.await.unwrap().unwrap().1, "slow");
}

#[tokio::test]
async fn a_drain_that_takes_too_long_says_so_and_a_kill_ends_it() {
    let guest = guest(|_| ()).await;
    let http = guest.container.http().unwrap();
    let running = tokio::spawn(async move { http.call(get("/forever")).await.map(drop) });
    eventually("the request runs", || guest.container.usage().memory_bytes > 0).await;
    assert!(!guest.container.drain(Duration::from_millis(20)).await);
    guest.killed().await;
    assert!(matches!(running.await.unwrap(), Err(CallError::Stopped)));
    assert_eq!(guest.container.usage().memory_bytes, 0);
}

#[tokio::test]
async fn outgoing_requests_go_through_the_network_it_was_given() {
    let guest = guest(|spec| spec.network = Arc::new(TestNetwork::new(1))).await;
    let fetch = async |url: &str| guest.call(&format!("/out?{url}")).await.unwrap().1;
    assert_eq!(fetch("http://backend/x?y=z").await, "200 OK GET http://backend/x?y=z");
    assert!(fetch("http://forbidden/").await.contains("HttpRequestDenied"));
    assert!(fetch("http://127.0.0.1:80/").await.contains("NXDOMAIN"));
    let p3 = start(&http_p3(), &[], |spec| spec.network = Arc::new(TestNetwork::new(1))).await;
    assert_eq!(p3.call("/out?backend").await.unwrap().1, "status 200 and more\n");
    assert!(p3.call("/out?forbidden").await.unwrap().1.contains("HttpRequestDenied"));
}

#[tokio::test]
async fn a_full_pool_is_no_limit() {
    let runtime = runtime(); // for 64 instances
    let guest = start_on(&runtime, &http_p2(), &[], |_| ()).await;
    let http = guest.container.http().unwrap();
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let http = http.clone();
            tokio::spawn(async move { call(&http, "/slow").await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().1, "slow");
    }
}

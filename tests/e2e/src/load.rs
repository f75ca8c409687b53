use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;

use crate::http::send;

/// A constant load of GETs from a few clients, each with one request at a time, until it is stopped.
pub struct Load {
    stop: Arc<AtomicBool>,
    report: Arc<Mutex<Report>>,
    clients: Vec<JoinHandle<()>>,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub ok: usize,
    /// What went wrong, with how often.
    pub failures: BTreeMap<String, usize>,
    /// First lines of the answers, with how often.
    pub answers: BTreeMap<String, usize>,
}

impl Load {
    /// Starts `clients` threads that ask the URLs in turn. Each ends by itself after a minute or two.
    pub fn start(clients: usize, urls: Vec<String>) -> Self {
        const REQUESTS_MAX: usize = 200_000;
        let stop = Arc::new(AtomicBool::new(false));
        let report = Arc::new(Mutex::new(Report::default()));
        let client = |_| {
            let (stop, report, urls) = (stop.clone(), report.clone(), urls.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                for url in urls.iter().cycle().take(REQUESTS_MAX) {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let request = Request::get(url).body(Full::new(Bytes::new())).expect("a valid URL");
                    let answer = runtime.block_on(send(request));
                    let mut report = report.lock().expect("no client panics");
                    match answer {
                        Ok(answer) if answer.status == 200 => {
                            report.ok += 1;
                            *report.answers.entry(answer.text()).or_default() += 1;
                        }
                        Ok(answer) => {
                            *report.failures.entry(format!("{} {}", answer.status, answer.text())).or_default() += 1
                        }
                        Err(error) => *report.failures.entry(format!("{url}: {error}")).or_default() += 1,
                    }
                }
            })
        };
        let clients = (0..clients).map(client).collect();
        Self { stop, report, clients }
    }

    /// What came back so far.
    pub fn so_far(&self) -> Report {
        self.report.lock().expect("no client panics").clone()
    }

    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no client panics");
        }
        self.report.lock().expect("no client panics").clone()
    }
}

use anyhow::Result;
use clap::Args;
use futures::StreamExt;
use serde_json::Value;

use super::targets::{self, query};
use crate::args::Global;
use crate::manifest::Files;
use crate::output::print_aligned;
use crate::session::{JSON, Session};

#[derive(Args)]
pub(crate) struct Events {
    /// Only those about one object, such as pod/NAME
    #[arg(long = "for", value_name = "OBJECT")]
    about: Option<String>,
    /// Every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Normal or Warning
    #[arg(long = "types", value_name = "TYPE", value_delimiter = ',')]
    types: Vec<String>,
    /// Go on as events happen
    #[arg(short, long)]
    watch: bool,
}

impl Events {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let selector = match &self.about {
            Some(argument) => {
                let target =
                    targets::named_only(&session, std::slice::from_ref(argument), &Files::default()).await?.remove(0);
                Some(format!("involvedObject.kind={},involvedObject.name={}", target.resource.kind, target.name))
            }
            None => None,
        };
        let namespace = (!self.all_namespaces).then_some(session.namespace.as_str());
        let collection = session.discovery().await?.find("events")?.collection(namespace);
        let list = session.get(&format!("{collection}{}", query(&[("fieldSelector", selector.as_deref())]))).await?;
        let mut events: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
        events.sort_by_key(last_seen);
        let mut widths = Vec::new();
        let lines: Vec<Vec<String>> =
            events.iter().filter(|event| self.wants(event)).map(|event| self.line(event)).collect();
        if lines.is_empty() && !self.watch {
            eprintln!("No events found{}.", namespace.map(|name| format!(" in {name} namespace")).unwrap_or_default());
            return Ok(());
        }
        let heading = ["LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"].map(str::to_owned).to_vec();
        let heading = if self.all_namespaces { [vec!["NAMESPACE".to_owned()], heading].concat() } else { heading };
        print_aligned(&[vec![heading], lines].concat(), &mut widths);
        if self.watch {
            let version = list["metadata"]["resourceVersion"].as_str();
            let parameters =
                [("watch", Some("true")), ("fieldSelector", selector.as_deref()), ("resourceVersion", version)];
            let mut stream = session.stream(&format!("{collection}{}", query(&parameters)), JSON).await?;
            while let Some(event) = stream.next().await {
                let event = event?;
                if event["type"] == "ADDED" || event["type"] == "MODIFIED" {
                    let event = &event["object"];
                    if self.wants(event) {
                        print_aligned(&[self.line(event)], &mut widths);
                    }
                }
            }
        }
        Ok(())
    }

    fn wants(&self, event: &Value) -> bool {
        self.types.is_empty()
            || self
                .types
                .iter()
                .any(|kind| event["type"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(kind)))
    }

    fn line(&self, event: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let about = &event["involvedObject"];
        let object = format!("{}/{}", text(&about["kind"]).to_lowercase(), text(&about["name"]));
        let namespace = self.all_namespaces.then(|| text(&event["metadata"]["namespace"]));
        let line = [seen(event), text(&event["type"]), text(&event["reason"]), object, text(&event["message"])];
        namespace.into_iter().chain(line).collect()
    }
}

/// When an event was last seen, as RFC 3339.
pub(super) fn last_seen(event: &Value) -> String {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    times.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned()
}

/// `3s`, or `3s (x5 over 2m)` when it happened several times.
pub(super) fn seen(event: &Value) -> String {
    let last = age(&last_seen(event));
    match event["count"].as_i64().unwrap_or(1) {
        count if count > 1 => {
            format!("{last} (x{count} over {})", age(event["firstTimestamp"].as_str().unwrap_or_default()))
        }
        _ => last,
    }
}

/// How long ago an RFC 3339 time was, as kubectl shortens it.
fn age(time: &str) -> String {
    let Ok(then) = time.parse::<jiff::Timestamp>() else { return "<unknown>".to_owned() };
    // A server's clock that is a little ahead is no reason to alarm.
    wasmk_api::table::human_duration((jiff::Timestamp::now().as_second() - then.as_second()).max(0))
}

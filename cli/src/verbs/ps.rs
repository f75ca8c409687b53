use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::container::{Containers, NAME_LABEL, State, ago, name, published};
use crate::args::Global;
use crate::output::print_aligned;

#[derive(Args)]
pub(crate) struct Ps {
    /// Also those that were created or have ended
    #[arg(short, long)]
    all: bool,
    /// Only names
    #[arg(short, long)]
    quiet: bool,
    /// name=TEXT, status=WORD, label=KEY[=VALUE], ancestor=IMAGE; may be given several times
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<Filter>,
    /// One JSON object a line
    #[arg(long, value_name = "table|json", default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Clone, Debug)]
enum Filter {
    Name(String),
    Status(String),
    Label(String, Option<String>),
    Ancestor(String),
}

impl Ps {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let containers = Containers::connect(global).await?;
        let (pods, ips) = tokio::join!(containers.list(), containers.node_ips());
        let asks_status = self.filter.iter().any(|filter| matches!(filter, Filter::Status(_)));
        let now = Timestamp::now();
        let shown = pods?.into_iter().filter(|pod| {
            let state = State::of(pod);
            (self.all || asks_status || state.is_live()) && kept(&self.filter, pod, &state)
        });
        let shown: Vec<Value> = shown.collect();
        match (self.quiet, self.format) {
            (true, _) => shown.iter().for_each(|pod| println!("{}", name(pod))),
            (_, Format::Json) => shown.iter().for_each(|pod| println!("{}", object(pod, &ips, now))),
            (_, Format::Table) => {
                let heading = ["NAME", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS"].map(str::to_owned).to_vec();
                let lines = shown.iter().map(|pod| line(pod, &ips, now));
                print_aligned(&std::iter::once(heading).chain(lines).collect::<Vec<_>>(), &mut Vec::new());
            }
        }
        Ok(())
    }
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let value = value.to_owned();
        match key {
            "name" => Ok(Self::Name(value)),
            "status" => Ok(Self::Status(value)),
            "ancestor" => Ok(Self::Ancestor(value)),
            "label" => Ok(match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(value, None),
            }),
            _ => Err(format!("no filter {key:?}; use name=, status=, label= or ancestor=")),
        }
    }
}

/// One of each kind of filter must fit, as in Docker; labels must all fit.
fn kept(filters: &[Filter], pod: &Value, state: &State) -> bool {
    let fits = |filter: &Filter| match filter {
        Filter::Name(text) => name(pod).contains(text.as_str()),
        Filter::Status(word) => state.word() == word,
        Filter::Ancestor(image) => {
            let own = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default();
            own == image || own.strip_prefix(image.as_str()).is_some_and(|rest| rest.starts_with(':'))
        }
        Filter::Label(key, value) => {
            let own = pod["metadata"]["labels"][key.as_str()].as_str();
            value.as_deref().map_or(own.is_some(), |value| own == Some(value))
        }
    };
    let is_label = |filter: &&Filter| matches!(filter, Filter::Label(..));
    let same_kind = |a: &Filter, b: &Filter| std::mem::discriminant(a) == std::mem::discriminant(b);
    filters.iter().filter(is_label).all(fits)
        && filters.iter().all(|kind| filters.iter().filter(|other| same_kind(kind, other)).any(fits))
}

fn line(pod: &Value, ips: &[IpAddr], now: Timestamp) -> Vec<String> {
    let image = pod["spec"]["containers"][0]["image"].as_str().unwrap_or_default().to_owned();
    let created = age(pod, now);
    vec![name(pod).to_owned(), image, command(pod), created, State::of(pod).status(now), ports(pod, ips)]
}

/// With the fields of `docker ps --format json`, as far as they mean something here.
fn object(pod: &Value, ips: &[IpAddr], now: Timestamp) -> Value {
    let state = State::of(pod);
    let labels = pod["metadata"]["labels"].as_object().into_iter().flatten().filter(|(key, _)| *key != NAME_LABEL);
    let labels: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    json!({
        "ID": pod["metadata"]["uid"],
        "Names": name(pod),
        "Image": pod["spec"]["containers"][0]["image"],
        "Command": command(pod),
        "CreatedAt": pod["metadata"]["creationTimestamp"],
        "RunningFor": age(pod, now),
        "State": state.word(),
        "Status": state.status(now),
        "Ports": ports(pod, ips),
        "Labels": labels.join(","),
    })
}

fn age(pod: &Value, now: Timestamp) -> String {
    let created = pod["metadata"]["creationTimestamp"].as_str().and_then(|time| time.parse().ok());
    created.map_or_else(String::new, |created| format!("{} ago", ago(created, now)))
}

/// What was asked for; the image's own words are the node's to know.
fn command(pod: &Value) -> String {
    const CHARS_MAX: usize = 20;
    let container = &pod["spec"]["containers"][0];
    let words = ["command", "args"].into_iter().flat_map(|field| container[field].as_array()).flatten();
    let text = words.filter_map(Value::as_str).collect::<Vec<_>>().join(" ").replace("$$(", "$(");
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}

fn ports(pod: &Value, ips: &[IpAddr]) -> String {
    let open = matches!(State::of(pod), State::Running { .. } | State::Restarting { .. } | State::Starting { .. });
    let ports = published(pod).into_iter().filter(|_| open);
    let pairs = ports.flat_map(|port| ips.iter().map(move |ip| format!("{ip}:{}->{}/tcp", port.host, port.container)));
    pairs.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn pod() -> Value {
        json!({
            "metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z", "uid": "u",
                "labels": {"tier": "front", NAME_LABEL: "web"}, "annotations": {"wasmk.dev/publish": "8080:80"}},
            "spec": {"containers": [{"image": "hello:v1", "command": ["x"], "args": ["$$(A)", "and many more words"]}]},
            "status": {"phase": "Running", "containerStatuses": [{"state": {"running": {"startedAt": "2026-01-01T00:00:01Z"}}}]},
        })
    }

    #[test]
    fn a_line_says_what_docker_says() {
        let now = "2026-01-01T00:05:00Z".parse().unwrap();
        let ips = ["127.0.0.1".parse().unwrap()];
        expect![[
            r#"web | hello:v1 | "x $(A) and many more…" | 4 minutes ago | Up 4 minutes | 127.0.0.1:8080->80/tcp"#
        ]]
        .assert_eq(&line(&pod(), &ips, "2026-01-01T00:04:59Z".parse().unwrap()).join(" | "));
        let object = object(&pod(), &ips, now);
        assert_eq!((&object["State"], &object["Labels"]), (&json!("running"), &json!("tier=front")));
    }

    #[test]
    fn filters_of_one_kind_are_alternatives_and_labels_add_up() {
        let kept = |filters: &[&str]| {
            let filters: Vec<Filter> = filters.iter().map(|filter| filter.parse().unwrap()).collect();
            kept(&filters, &pod(), &State::of(&pod()))
        };
        assert!(kept(&[]) && kept(&["name=we"]) && kept(&["status=exited", "status=running"]));
        assert!(kept(&["ancestor=hello"]) && kept(&["ancestor=hello:v1"]) && !kept(&["ancestor=hell"]));
        assert!(kept(&["label=tier"]) && !kept(&["label=tier=front", "label=tier=back"]));
        assert!(!kept(&["name=we", "status=exited"]));
        assert!("color=red".parse::<Filter>().is_err());
    }
}

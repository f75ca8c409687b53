mod level;

use std::io::Write;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt;
use futures::stream::SelectAll;
use serde_json::Value;

use level::{Level, level_of};

use super::pods;
use super::targets::query;
use crate::args::Global;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Logs {
    /// A pod, or a workload such as `deploy/hello`
    target: Option<String>,
    /// Container; the only one if there is one
    container_name: Option<String>,
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Go on as lines are written
    #[arg(short, long)]
    follow: bool,
    /// The container's previous run, after a restart
    #[arg(short, long)]
    previous: bool,
    /// Only so many lines from the end
    #[arg(long, value_name = "LINES")]
    tail: Option<i64>,
    /// Only lines of the last while, such as 5s, 2m, 3h
    #[arg(long, value_name = "DURATION")]
    since: Option<String>,
    /// Only lines after a time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    since_time: Option<String>,
    /// Put the time before each line
    #[arg(long)]
    timestamps: bool,
    /// At most so many bytes
    #[arg(long, value_name = "BYTES")]
    limit_bytes: Option<u64>,
    /// Only lines of this level and more severe ones: JSON lines that state one; any other is as info
    #[arg(long, value_enum)]
    level: Option<Level>,
    /// Every pod with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Every container of the pods
    #[arg(long)]
    all_containers: bool,
    /// Every pod of the workload, not just one
    #[arg(long)]
    all_pods: bool,
    /// Put pod and container before each line
    #[arg(long)]
    prefix: bool,
}

/// One container whose log is read.
struct Source {
    pod: String,
    container: Option<String>,
}

impl Logs {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let sources = self.sources(&session).await?;
        let prefix = self.prefix || ((self.all_pods || self.selector.is_some()) && sources.len() > 1);
        let mut streams = SelectAll::new();
        for source in &sources {
            let path = self.path(&session, source)?;
            let level = self.level;
            let lines = session.lines(&path, "*/*").await?.filter(move |line| {
                let is_wanted =
                    level.is_none_or(|level| line.as_ref().is_ok_and(|line| level_of(line) >= level) || line.is_err());
                std::future::ready(is_wanted)
            });
            let label = match (&source.container, prefix) {
                (_, false) => String::new(),
                (Some(container), true) => format!("[pod/{}/{container}] ", source.pod),
                (None, true) => format!("[pod/{}] ", source.pod),
            };
            streams.push(Box::pin(lines.map(move |line| line.map(|line| format!("{label}{line}")))));
        }
        let stdout = std::io::stdout();
        while let Some(line) = streams.next().await {
            // A reader that went away (`| head`) ends the command without a word.
            if writeln!(stdout.lock(), "{}", line?).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn sources(&self, session: &Session) -> Result<Vec<Source>> {
        let pods = self.pods(session).await?;
        let container = self.container.clone().or_else(|| self.container_name.clone());
        let sources = pods.iter().flat_map(|pod| {
            let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let every: Vec<&Value> = ["initContainers", "containers"]
                .iter()
                .flat_map(|field| pod["spec"][field].as_array().into_iter().flatten())
                .collect();
            match self.all_containers {
                true => every
                    .iter()
                    .filter_map(|one| one["name"].as_str())
                    .map(|container| Source { pod: name.clone(), container: Some(container.to_owned()) })
                    .collect(),
                false => vec![Source { pod: name, container: container.clone() }],
            }
        });
        Ok(sources.collect())
    }

    async fn pods(&self, session: &Session) -> Result<Vec<Value>> {
        if let Some(selector) = &self.selector {
            let collection = session.discovery().await?.find("pods")?.collection(Some(&session.namespace));
            let pods =
                pods::list(session, &format!("{collection}{}", query(&[("labelSelector", Some(selector))]))).await?;
            if pods.is_empty() {
                bail!("no pods with labels {selector} in namespace {}", session.namespace);
            }
            return Ok(pods);
        }
        let target =
            self.target.as_deref().context("say which pod, for example `wasmk logs deploy/hello`, or -l LABELS")?;
        let mut found = pods::of(session, target).await?;
        if !self.all_pods {
            found.tell_choice(" (--all-pods for every one)");
            found.pods.truncate(1);
        }
        Ok(found.pods)
    }

    fn path(&self, session: &Session, source: &Source) -> Result<String> {
        let flag = |is_set: bool| is_set.then_some("true");
        let since =
            self.since.as_deref().map(super::seconds).transpose()?.map(|seconds| seconds.max(1.0).round().to_string());
        let tail = self.tail.filter(|lines| *lines >= 0).map(|lines| lines.to_string());
        let limit = self.limit_bytes.map(|bytes| bytes.to_string());
        let parameters = [
            ("container", source.container.as_deref()),
            ("follow", flag(self.follow)),
            ("previous", flag(self.previous)),
            ("timestamps", flag(self.timestamps)),
            ("tailLines", tail.as_deref()),
            ("sinceSeconds", since.as_deref()),
            ("sinceTime", self.since_time.as_deref()),
            ("limitBytes", limit.as_deref()),
        ];
        Ok(format!("/api/v1/namespaces/{}/pods/{}/log{}", session.namespace, source.pod, query(&parameters)))
    }
}

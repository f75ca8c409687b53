use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::targets::query;
use crate::args::Global;
use crate::output::print_aligned;
use crate::session::{Refusal, Session};

#[derive(Args)]
pub(crate) struct Top {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// CPU and memory of nodes
    #[command(alias = "node", alias = "no")]
    Nodes,
    /// CPU and memory of pods
    #[command(alias = "pod", alias = "po")]
    Pods {
        /// Every namespace
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// Label selector
        #[arg(short = 'l', long, value_name = "LABELS")]
        selector: Option<String>,
    },
}

impl Top {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let root = "/apis/metrics.k8s.io/v1beta1";
        let path = match &self.what {
            What::Nodes => format!("{root}/nodes"),
            What::Pods { all_namespaces: true, selector } => {
                format!("{root}/pods{}", query(&[("labelSelector", selector.as_deref())]))
            }
            What::Pods { selector, .. } => format!(
                "{root}/namespaces/{}/pods{}",
                session.namespace,
                query(&[("labelSelector", selector.as_deref())])
            ),
        };
        let list = match session.get(&path).await {
            Err(error) if error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.code == 404) => {
                bail!("this cluster serves no metrics (metrics.k8s.io)")
            }
            other => other?,
        };
        let mut lines = vec![["NAME", "CPU(cores)", "MEMORY(bytes)"].map(str::to_owned).to_vec()];
        for item in list["items"].as_array().into_iter().flatten() {
            let usages: Vec<&Value> = match item["containers"].as_array() {
                Some(containers) => containers.iter().map(|container| &container["usage"]).collect(),
                None => vec![&item["usage"]],
            };
            let text = |resource: &str| {
                usages.iter().filter_map(|usage| usage[resource].as_str()).collect::<Vec<_>>().join("+")
            };
            lines.push(vec![
                item["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                text("cpu"),
                text("memory"),
            ]);
        }
        print_aligned(&lines, &mut Vec::new());
        Ok(())
    }
}

use anyhow::{Result, bail};
use clap::Args;
use http::Method;
use serde_json::json;

use super::targets;
use crate::args::Global;
use crate::manifest::Files;
use crate::session::{MERGE_PATCH, Session};

#[derive(Args)]
pub(crate) struct Scale {
    /// `deploy/NAME`, `rs NAME…`
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// How many replicas there shall be
    #[arg(long, value_name = "COUNT")]
    replicas: u32,
    /// Only if there are so many now
    #[arg(long, value_name = "COUNT")]
    current_replicas: Option<i64>,
}

impl Scale {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        for target in targets::named_only(&session, &self.targets, &self.files).await? {
            let path = format!("{}/scale", target.path());
            let mut patch = json!({"spec": {"replicas": self.replicas}});
            if let Some(wanted) = self.current_replicas {
                let scale = session.get(&path).await?;
                let found = scale["spec"]["replicas"].as_i64().unwrap_or(0);
                if found != wanted {
                    bail!("{} has {found} replicas, not the {wanted} of --current-replicas", target.slashed());
                }
                patch["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].clone();
            }
            session.write(Method::PATCH, &path, MERGE_PATCH, &patch).await?;
            println!("{} scaled", target.slashed());
        }
        Ok(())
    }
}

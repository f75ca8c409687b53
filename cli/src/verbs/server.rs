use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use super::process::{ControlPlaneFlags, Stop, init_process, registry, say, write_private};

#[derive(Args)]
pub(crate) struct Server {
    #[command(flatten)]
    control_plane: ControlPlaneFlags,
}

impl Server {
    pub(crate) async fn run(self) -> Result<()> {
        let started = Instant::now();
        init_process();
        let data_dir = super::data_dir(self.control_plane.data_dir.clone())?;
        let config = self.control_plane.server_config(&data_dir, registry(&data_dir)?)?;
        let server = wasmk_scheduler::Server::start(config).await?;
        let token = server.join_token();
        let token_file = data_dir.join("node-token");
        write_private(&token_file, &token).with_context(|| format!("write {}", token_file.display()))?;
        let address = server.advertised();
        say(&format!("the control plane is ready after {:.2} s", started.elapsed().as_secs_f64()));
        say(&format!("  API         https://{address}"));
        say(&format!("  kubeconfig  {}", server.kubeconfig_path().display()));
        say("On each node run:");
        say(&format!("  wasmk agent --server https://{address} --token {token}"));
        let mut stop = Stop::new()?;
        stop.wait().await;
        say("stopping; nodes go on serving. Ctrl-C again ends at once");
        // Both arms end the process, and everything that was acknowledged is on disk.
        tokio::select! {
            () = server.shutdown() => {}
            () = stop.wait() => {}
        }
        Ok(())
    }
}

use anyhow::Result;
use clap::Args;

use crate::args::Global;
use crate::session::{Session, explain};

#[derive(Args)]
pub(crate) struct Version {
    /// Do not ask the server
    #[arg(long)]
    client: bool,
}

impl Version {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        println!("wasmk {}", env!("CARGO_PKG_VERSION"));
        if self.client {
            return Ok(());
        }
        let server = async { Session::connect(global).await?.get("/version").await };
        match server.await {
            Ok(version) => println!("Server {}", version["gitVersion"].as_str().unwrap_or_default()),
            Err(error) => eprintln!("{}", explain(&error)),
        }
        Ok(())
    }
}

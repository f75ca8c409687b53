//! The project's own chores: `cargo xtask demo`, `cargo xtask test`, and what those stand on.

mod clients;
mod demo;
mod guests;
mod layers;
mod schema;
mod shell;
mod test;

use clap::{Parser, Subcommand};

/// Chores of the wasmk repository.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build everything, start a cluster, deploy sample-apps/hello and curl it
    Demo(demo::Demo),
    /// Run every check and test, after installing what they need
    Test(test::Test),
    /// Fetch the stock clients that tests/clients drives into target/clients
    Clients,
    /// Check that the crates' dependencies point down only
    Layers,
    /// Make the API's embedded schema from Kubernetes' published definitions
    Schema(schema::Schema),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().chore {
        Chore::Demo(demo) => demo.run(),
        Chore::Test(test) => test.run(),
        Chore::Clients => clients::install(),
        Chore::Layers => layers::check(),
        Chore::Schema(schema) => schema.run(),
    }
}

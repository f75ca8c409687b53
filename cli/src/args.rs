use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::verbs;

/// Kubernetes for WebAssembly, in one binary.
#[derive(Parser)]
#[command(name = "wasmk", version, propagate_version = true, max_term_width = 120)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Flags that every client verb takes.
#[derive(Args, Clone)]
pub(crate) struct Global {
    /// Kubeconfig file [default: $KUBECONFIG, then the one that `wasmk up` wrote, then ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Connection")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub(crate) context: Option<String>,
    /// Namespace [default: the context's, else `default`]
    #[arg(short, long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub(crate) namespace: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Run a cluster on this machine: control plane, node and proxy in one process
    Up(verbs::up::Up),
    /// Stop the cluster that `up --detach` started
    Down(verbs::up::Down),
    /// Run a control plane; prints how nodes join
    Server(verbs::server::Server),
    /// Run a node of a cluster
    Agent(verbs::agent::Agent),
    /// Build an image from a Dockerfile or from a project's sources
    Build(verbs::build::Build),
    /// List the images of this machine
    Images(verbs::image::Images),
    /// Give an image another name
    Tag(verbs::image::Tag),
    /// Send an image to a registry
    Push(verbs::image::Push),
    /// Bring an image from a registry
    Pull(verbs::image::Pull),
    /// Remove images
    Rmi(verbs::image::Rmi),
    /// Show all that an image says about itself
    Inspect(verbs::image::Inspect),
    /// Show how an image was made
    History(verbs::image::History),
    /// Write images to an archive
    Save(verbs::image::Save),
    /// Read images from an archive
    Load(verbs::image::Load),
    /// Log in to a registry
    Login(verbs::image::Login),
    /// Forget the login at a registry
    Logout(verbs::image::Logout),
    /// The commands about images, as in Docker
    Image(verbs::image::Image),
    /// Write a project to begin with
    New(verbs::new::New),
    /// Turn wasm into native code; run by nodes
    #[command(hide = true)]
    CompileGuest(verbs::compile::CompileGuest),
    /// List objects as a table, or print them
    Get(verbs::get::Get),
    /// Show objects in detail, with their events
    Describe(verbs::describe::Describe),
    /// Create or change objects from files
    Apply(verbs::apply::Apply),
    /// Create objects from files; an existing one is an error
    Create(verbs::apply::Create),
    /// Delete objects by file, name or label
    Delete(verbs::delete::Delete),
    /// Print or follow the output of containers
    Logs(verbs::logs::Logs),
    /// Run a command beside a container
    Exec(verbs::exec::Exec),
    /// Join the streams of a running container
    Attach(verbs::exec::Attach),
    /// Copy files to or from a container
    Cp(verbs::cp::Cp),
    /// Open local ports that lead to a pod's
    PortForward(verbs::port_forward::PortForward),
    /// Change the number of replicas
    Scale(verbs::scale::Scale),
    /// Change the image or the environment of a workload
    Set(verbs::set::Set),
    /// Watch, list, undo, pause, resume or restart a rollout
    Rollout(verbs::rollout::Rollout),
    /// Change an object in an editor
    Edit(verbs::edit::Edit),
    /// Change fields of an object by a patch
    Patch(verbs::patch::Patch),
    /// Set or remove labels
    Label(verbs::label::Label),
    /// Set or remove annotations
    Annotate(verbs::label::Annotate),
    /// Wait for a condition of objects
    Wait(verbs::wait::Wait),
    /// List events
    Events(verbs::events::Events),
    /// Show CPU and memory in use
    Top(verbs::top::Top),
    /// List the kinds of objects that the server knows
    ApiResources(verbs::api_resources::ApiResources),
    /// Show or change the kubeconfig
    Config(verbs::config::Config),
    /// Print the versions of client and server
    Version(verbs::version::Version),
}

impl Verb {
    /// Whether it runs parts of a cluster, rather than being a client of one.
    pub(crate) fn serves(&self) -> bool {
        matches!(self, Self::Up(_) | Self::Server(_) | Self::Agent(_))
    }
}

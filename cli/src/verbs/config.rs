use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use kube::config::Kubeconfig;

use crate::args::Global;
use crate::output::{print_aligned, to_yaml};
use crate::session::load_kubeconfig;

#[derive(Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Print the kubeconfig, without keys unless --raw
    View {
        /// Print keys and tokens too
        #[arg(long)]
        raw: bool,
    },
    /// Print which kubeconfig is in use
    Path,
    /// Print the current context
    CurrentContext,
    /// List the contexts
    GetContexts,
    /// Make another context the current one
    UseContext { name: String },
    /// Set the namespace of the current context: set-context --current --namespace=NAME
    SetContext {
        /// The current context
        #[arg(long)]
        current: bool,
        name: Option<String>,
    },
}

impl Config {
    pub(crate) fn run(self, global: &Global) -> Result<()> {
        let (path, mut kubeconfig) = load_kubeconfig(global)?;
        let store = |kubeconfig: &Kubeconfig| -> Result<()> {
            let text = to_yaml(&serde_json::to_value(kubeconfig)?)?;
            std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))
        };
        match self.what {
            What::View { raw } => {
                let mut value = serde_json::to_value(&kubeconfig)?;
                for user in value["users"].as_array_mut().into_iter().flatten().filter(|_| !raw) {
                    for field in ["client-key-data", "client-certificate-data", "token", "password"] {
                        if user["user"][field].is_string() {
                            user["user"][field] = "DATA+OMITTED".into();
                        }
                    }
                }
                print!("{}", to_yaml(&value)?);
            }
            What::Path => println!("{}", path.display()),
            What::CurrentContext => println!("{}", kubeconfig.current_context.context("no current context is set")?),
            What::GetContexts => {
                let mut lines = vec![["CURRENT", "NAME", "CLUSTER", "NAMESPACE"].map(str::to_owned).to_vec()];
                for named in &kubeconfig.contexts {
                    let context = named.context.clone().unwrap_or_default();
                    let mark = if kubeconfig.current_context.as_ref() == Some(&named.name) { "*" } else { "" };
                    lines.push(vec![
                        mark.to_owned(),
                        named.name.clone(),
                        context.cluster,
                        context.namespace.unwrap_or_default(),
                    ]);
                }
                print_aligned(&lines, &mut Vec::new());
            }
            What::UseContext { name } => {
                if !kubeconfig.contexts.iter().any(|context| context.name == name) {
                    bail!("{} has no context {name}; `wasmk config get-contexts` lists them", path.display());
                }
                kubeconfig.current_context = Some(name.clone());
                store(&kubeconfig)?;
                println!("Switched to context \"{name}\".");
            }
            What::SetContext { current, name } => {
                let name = if current { kubeconfig.current_context.clone() } else { name }
                    .context("name a context, or say --current")?;
                let namespace = global.namespace.clone().context("say what to set: --namespace=NAME")?;
                let found = kubeconfig.contexts.iter_mut().find(|context| context.name == name);
                let context = found.with_context(|| format!("{} has no context {name}", path.display()))?;
                context.context.get_or_insert_default().namespace = Some(namespace);
                store(&kubeconfig)?;
                println!("Context \"{name}\" modified.");
            }
        }
        Ok(())
    }
}

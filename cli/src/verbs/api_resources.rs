use anyhow::Result;
use clap::Args;

use crate::args::Global;
use crate::output::print_aligned;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct ApiResources {
    /// Only kinds that are (true) or are not (false) in namespaces
    #[arg(long, value_name = "BOOL")]
    namespaced: Option<bool>,
    /// Only this API group
    #[arg(long, value_name = "GROUP")]
    api_group: Option<String>,
    /// name: only the names
    #[arg(short, long, value_name = "name|wide")]
    output: Option<String>,
}

impl ApiResources {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let resources = session.discovery().await?.resources.iter();
        let wanted = resources.filter(|resource| {
            self.namespaced.is_none_or(|wanted| wanted == resource.is_namespaced)
                && self.api_group.as_ref().is_none_or(|group| *group == resource.group)
        });
        if self.output.as_deref() == Some("name") {
            wanted.for_each(|resource| {
                println!(
                    "{}",
                    if resource.group.is_empty() {
                        resource.plural.clone()
                    } else {
                        format!("{}.{}", resource.plural, resource.group)
                    }
                )
            });
            return Ok(());
        }
        let is_wide = self.output.as_deref() == Some("wide");
        let mut heading = ["NAME", "SHORTNAMES", "APIVERSION", "NAMESPACED", "KIND"].map(str::to_owned).to_vec();
        heading.extend(is_wide.then(|| "VERBS".to_owned()));
        let mut lines = vec![heading];
        for resource in wanted {
            let mut line = vec![
                resource.plural.clone(),
                resource.short_names.join(","),
                resource.api_version(),
                resource.is_namespaced.to_string(),
                resource.kind.clone(),
            ];
            line.extend(is_wide.then(|| resource.verbs.join(",")));
            lines.push(line);
        }
        print_aligned(&lines, &mut Vec::new());
        Ok(())
    }
}

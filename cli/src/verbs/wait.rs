use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;
use wasmk_api::jsonpath::Template;

use super::delete::gone;
use super::get::is_not_found;
use super::rollout::next_version;
use super::targets::{self, Named};
use crate::args::Global;
use crate::manifest::Files;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Wait {
    /// `pod/NAME`, `deploy NAME`, or `pods` with -l or --all
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// condition=NAME[=STATUS], jsonpath='{PATH}'=VALUE, create or delete
    #[arg(long = "for", value_name = "WHAT")]
    what: String,
    /// Give up after this long
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    timeout: String,
    /// Objects with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Every object of the kind
    #[arg(long)]
    all: bool,
}

enum Goal {
    Condition(String, String),
    Path(Template, String),
    Create,
    Delete,
}

impl Wait {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let goal = goal(&self.what)?;
        let limit = Duration::from_secs_f64(super::seconds(&self.timeout)?);
        let session = Session::connect(global).await?;
        let deadline = tokio::time::Instant::now() + limit;
        let targets =
            targets::selected(&session, &self.targets, &self.files, self.selector.as_deref(), self.all).await?;
        if targets.is_empty() {
            bail!("no matching objects found");
        }
        for target in targets {
            match tokio::time::timeout_at(deadline, reach(&session, &target, &goal)).await {
                Ok(reached) => reached?,
                Err(_) => bail!("timed out waiting for {} on {}", self.what, target.slashed()),
            }
            println!("{} {}", target.slashed(), if matches!(goal, Goal::Delete) { "deleted" } else { "condition met" });
        }
        Ok(())
    }
}

fn goal(text: &str) -> Result<Goal> {
    if text.eq_ignore_ascii_case("delete") {
        return Ok(Goal::Delete);
    }
    if text.eq_ignore_ascii_case("create") {
        return Ok(Goal::Create);
    }
    if let Some(condition) = text.strip_prefix("condition=") {
        let (name, status) = condition.split_once('=').unwrap_or((condition, "True"));
        return Ok(Goal::Condition(name.to_owned(), status.to_owned()));
    }
    if let Some(path) = text.strip_prefix("jsonpath=") {
        let (template, value) = path
            .rsplit_once("}=")
            .map(|(template, value)| (format!("{template}}}"), value))
            .unwrap_or((path.to_owned(), ""));
        return Ok(Goal::Path(template.trim_matches('\'').parse()?, value.trim_matches(['"', '\'']).to_owned()));
    }
    bail!("--for {text}: use condition=NAME, jsonpath='{{PATH}}'=VALUE, create or delete")
}

async fn reach(session: &Session, target: &Named, goal: &Goal) -> Result<()> {
    if let Goal::Delete = goal {
        return match session.get(&target.path()).await {
            Ok(object) => gone(session, target, object["metadata"]["uid"].as_str().unwrap_or_default()).await,
            Err(error) if is_not_found(&error) => Ok(()),
            Err(error) => Err(error),
        };
    }
    let mut object = loop {
        match session.get(&target.path()).await {
            Ok(object) => break object,
            Err(error) if is_not_found(&error) && matches!(goal, Goal::Create) => {
                tokio::time::sleep(Duration::from_millis(100)).await
            }
            Err(error) => return Err(error),
        }
    };
    while !is_reached(&object, goal) {
        object = next_version(session, target, &object).await?;
    }
    Ok(())
}

fn is_reached(object: &Value, goal: &Goal) -> bool {
    match goal {
        Goal::Create | Goal::Delete => true,
        Goal::Condition(name, status) => {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
            let observed = object["status"]["observedGeneration"].as_i64().unwrap_or(generation);
            let conditions = object["status"]["conditions"].as_array();
            let holds = |condition: &Value| {
                let text = |field: &str| condition[field].as_str().unwrap_or_default().to_lowercase();
                text("type") == name.to_lowercase() && text("status") == status.to_lowercase()
            };
            observed >= generation && conditions.into_iter().flatten().any(holds)
        }
        Goal::Path(template, wanted) => {
            let found = template.values(object);
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if wanted.is_empty() { !found.is_empty() } else { found.into_iter().any(|value| text(value) == *wanted) }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn goals_are_read_and_judged() {
        let pod = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
        assert!(is_reached(&pod, &goal("condition=ready").unwrap()));
        assert!(!is_reached(&pod, &goal("condition=Ready=false").unwrap()));
        assert!(is_reached(&pod, &goal("jsonpath={.status.phase}=Running").unwrap()));
        assert!(!is_reached(&pod, &goal("jsonpath={.status.phase}=Failed").unwrap()));
        assert!(goal("something").is_err());
    }
}

use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use futures::StreamExt;
use http::Method;
use serde_json::{Value, json};

use super::targets::{self, Named, query};
use crate::args::Global;
use crate::manifest::Files;
use crate::output::print_aligned;
use crate::session::{JSON, JSON_PATCH, STRATEGIC_PATCH, Session};

const REVISION: &str = "deployment.kubernetes.io/revision";
const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";

#[derive(Args)]
pub(crate) struct Rollout {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Wait until the rollout is done, or say why it is not
    Status(Status),
    /// Go back to the revision before, or to a given one
    Undo(Undo),
    /// List the revisions
    History(Targets),
    /// Stop rolling out changes
    Pause(Targets),
    /// Go on rolling out
    Resume(Targets),
    /// Replace every pod, one after the other
    Restart(Targets),
}

#[derive(Args)]
struct Targets {
    /// `deploy/NAME`
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
}

#[derive(Args)]
struct Status {
    #[command(flatten)]
    targets: Targets,
    /// Wait until the rollout is done
    #[arg(short, long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    watch: bool,
    /// Give up after this long [default: never]
    #[arg(long, value_name = "DURATION")]
    timeout: Option<String>,
}

#[derive(Args)]
struct Undo {
    #[command(flatten)]
    targets: Targets,
    /// The revision to go back to; 0 is the one before
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    to_revision: i64,
}

impl Rollout {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let targets = match &self.what {
            What::Status(status) => &status.targets,
            What::Undo(undo) => &undo.targets,
            What::History(targets) | What::Pause(targets) | What::Resume(targets) | What::Restart(targets) => targets,
        };
        for target in targets::named_only(&session, &targets.targets, &targets.files).await? {
            if target.resource.kind != "Deployment" {
                bail!("{}: rollouts are of Deployments", target.slashed());
            }
            match &self.what {
                What::Status(status) => status.run(&session, &target).await?,
                What::Undo(undo) => undo.run(&session, &target).await?,
                What::History(_) => history(&session, &target).await?,
                What::Pause(_) => change(&session, &target, json!({"spec": {"paused": true}}), "paused").await?,
                What::Resume(_) => change(&session, &target, json!({"spec": {"paused": null}}), "resumed").await?,
                What::Restart(_) => {
                    let now = jiff::Timestamp::now().to_string();
                    let template = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}});
                    change(&session, &target, json!({"spec": {"template": template}}), "restarted").await?;
                }
            }
        }
        Ok(())
    }
}

async fn change(session: &Session, target: &Named, patch: Value, done: &str) -> Result<()> {
    session.write(Method::PATCH, &target.path(), STRATEGIC_PATCH, &patch).await?;
    println!("{} {done}", target.slashed());
    Ok(())
}

impl Status {
    async fn run(&self, session: &Session, target: &Named) -> Result<()> {
        let follow = self.follow(session, target);
        match &self.timeout {
            None => follow.await,
            Some(timeout) => {
                let limit = Duration::from_secs_f64(super::seconds(timeout)?);
                let done = tokio::time::timeout(limit, follow).await;
                done.with_context(|| format!("{} is not rolled out after {timeout}", target.slashed()))?
            }
        }
    }

    async fn follow(&self, session: &Session, target: &Named) -> Result<()> {
        let mut said = String::new();
        let mut object = session.get(&target.path()).await?;
        loop {
            let (text, is_done) = progress(&target.name, &object)?;
            if text != said {
                println!("{text}");
                said = text;
            }
            if is_done || !self.watch {
                return Ok(());
            }
            object = next_version(session, target, &object).await?;
        }
    }
}

/// Waits for a version of the object after `object`.
pub(super) async fn next_version(session: &Session, target: &Named, object: &Value) -> Result<Value> {
    let by_name = format!("metadata.name={}", target.name);
    let version = object["metadata"]["resourceVersion"].as_str();
    let parameters = [("watch", Some("true")), ("fieldSelector", Some(by_name.as_str())), ("resourceVersion", version)];
    let path = format!("{}{}", target.resource.collection(Some(&target.namespace)), query(&parameters));
    let mut events = session.stream(&path, JSON).await?;
    while let Some(event) = events.next().await {
        let mut event = event?;
        match event["type"].as_str().unwrap_or_default() {
            "ADDED" | "MODIFIED" => return Ok(event["object"].take()),
            "DELETED" => bail!("{} was deleted", target.slashed()),
            // A watch that is too old or was ended starts again from what there is now.
            "ERROR" => break,
            _ => {}
        }
    }
    session.get(&target.path()).await
}

/// What `kubectl rollout status` says of a Deployment, and whether that is the end.
fn progress(name: &str, object: &Value) -> Result<(String, bool)> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let count = |field: &str| status[field].as_i64().unwrap_or(0);
    if count("observedGeneration") < object["metadata"]["generation"].as_i64().unwrap_or(0) {
        return Ok(("Waiting for deployment spec update to be observed...".to_owned(), false));
    }
    let conditions = status["conditions"].as_array().into_iter().flatten();
    if let Some(condition) = conditions.into_iter().find(|condition| condition["reason"] == "ProgressDeadlineExceeded")
    {
        bail!(
            "deployment \"{name}\" exceeded its progress deadline: {}; `wasmk describe deploy/{name}` shows more",
            condition["message"].as_str().unwrap_or_default().trim_end_matches('.')
        );
    }
    let wanted = spec["replicas"].as_i64().unwrap_or(1);
    let (updated, all, available) = (count("updatedReplicas"), count("replicas"), count("availableReplicas"));
    let waiting = format!("Waiting for deployment \"{name}\" rollout to finish: ");
    Ok(if updated < wanted {
        (format!("{waiting}{updated} out of {wanted} new replicas have been updated..."), false)
    } else if all > updated {
        (format!("{waiting}{} old replicas are pending termination...", all - updated), false)
    } else if available < updated {
        (format!("{waiting}{available} of {updated} updated replicas are available..."), false)
    } else {
        (format!("deployment \"{name}\" successfully rolled out"), true)
    })
}

/// The ReplicaSets of a Deployment with their revisions, oldest first.
async fn revisions(session: &Session, target: &Named) -> Result<Vec<(i64, Value)>> {
    let deployment = session.get(&target.path()).await?;
    let mut list = session.get(&format!("/apis/apps/v1/namespaces/{}/replicasets", target.namespace)).await?;
    let Value::Array(sets) = list["items"].take() else { return Ok(Vec::new()) };
    let uid = &deployment["metadata"]["uid"];
    let is_owned = |set: &Value| {
        set["metadata"]["ownerReferences"].as_array().into_iter().flatten().any(|owner| owner["uid"] == *uid)
    };
    let revision = |set: &Value| set["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok());
    let mut revisions: Vec<(i64, Value)> =
        sets.into_iter().filter(is_owned).filter_map(|set| Some((revision(&set)?, set))).collect();
    revisions.sort_by_key(|(revision, _)| *revision);
    Ok(revisions)
}

async fn history(session: &Session, target: &Named) -> Result<()> {
    println!("{}", target.slashed());
    let mut lines = vec![vec!["REVISION".to_owned(), "CHANGE-CAUSE".to_owned(), "IMAGES".to_owned()]];
    for (revision, set) in revisions(session, target).await? {
        let cause = set["metadata"]["annotations"][CHANGE_CAUSE].as_str().unwrap_or("<none>");
        let containers = set["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
        let images: Vec<&str> = containers.filter_map(|container| container["image"].as_str()).collect();
        lines.push(vec![revision.to_string(), cause.to_owned(), images.join(",")]);
    }
    print_aligned(&lines, &mut Vec::new());
    Ok(())
}

impl Undo {
    async fn run(&self, session: &Session, target: &Named) -> Result<()> {
        let revisions = revisions(session, target).await?;
        let wanted = match self.to_revision {
            0 => revisions
                .iter()
                .rev()
                .nth(1)
                .with_context(|| format!("{}: no rollout history to go back to", target.slashed()))?,
            revision => revisions.iter().find(|(number, _)| *number == revision).with_context(|| {
                let known: Vec<String> = revisions.iter().map(|(number, _)| number.to_string()).collect();
                format!("{}: no revision {revision}; there are {}", target.slashed(), known.join(", "))
            })?,
        };
        let mut template = wanted.1["spec"]["template"].clone();
        if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
            labels.remove("pod-template-hash");
        }
        let patch = json!([{"op": "replace", "path": "/spec/template", "value": template}]);
        session.write(Method::PATCH, &target.path(), JSON_PATCH, &patch).await?;
        println!("{} rolled back to revision {}", target.slashed(), wanted.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_done_when_every_new_replica_is_available() {
        let object = |updated, all, available| {
            json!({"metadata": {"generation": 2}, "spec": {"replicas": 3},
                   "status": {"observedGeneration": 2, "updatedReplicas": updated, "replicas": all, "availableReplicas": available}})
        };
        assert!(progress("a", &object(1, 4, 3)).unwrap().0.contains("1 out of 3 new replicas"));
        assert!(progress("a", &object(3, 4, 3)).unwrap().0.contains("1 old replicas"));
        assert!(progress("a", &object(3, 3, 2)).unwrap().0.contains("2 of 3 updated"));
        assert!(progress("a", &object(3, 3, 3)).unwrap().1);
    }
}

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use http::Method;
use serde_json::{Value, json};

use super::get::is_not_found;
use super::targets::{self, Named};
use crate::args::Global;
use crate::manifest::Files;
use crate::progress;
use crate::session::{JSON, Session};

#[derive(Args)]
pub(crate) struct Delete {
    /// `pod NAME…`, `deploy/NAME`; with -l or --all whole kinds: `pods`, `pods,svc`
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// Label selector of the objects to delete
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Every object of the given kinds in the namespace
    #[arg(long)]
    all: bool,
    /// Seconds that containers have to end [default: the pod's own]
    #[arg(long, value_name = "SECONDS")]
    grace_period: Option<i64>,
    /// Delete at once, without waiting for containers to end
    #[arg(long)]
    force: bool,
    /// Same as --grace-period=1
    #[arg(long)]
    now: bool,
    /// What happens to owned objects
    #[arg(long, value_name = "background|foreground|orphan", default_value = "background", ignore_case = true)]
    cascade: Cascade,
    /// Wait until the objects are gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    wait: bool,
    /// Deleting what does not exist is no error
    #[arg(long)]
    ignore_not_found: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Cascade {
    Background,
    Foreground,
    Orphan,
}

impl Delete {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let mut pending = Vec::new();
        let mut failure = None;
        for target in
            targets::selected(&session, &self.targets, &self.files, self.selector.as_deref(), self.all).await?
        {
            match self.delete(&session, &target).await {
                Ok(uid) => pending.push((target, uid)),
                // What was listed a moment ago may be gone with its owner.
                Err(error)
                    if is_not_found(&error) && (self.ignore_not_found || self.all || self.selector.is_some()) => {}
                Err(error) => {
                    eprintln!("{}", crate::session::explain(&error));
                    failure = Some(error);
                }
            }
        }
        if self.wait {
            for (target, uid) in pending {
                let message = format!("waiting for {} to end", target.slashed());
                progress::during(&message, gone(&session, &target, &uid)).await?;
            }
        }
        match failure {
            Some(_) => bail!("not everything could be deleted"),
            None => Ok(()),
        }
    }

    /// Answers the uid of what was deleted, empty when the server did not say.
    async fn delete(&self, session: &Session, target: &Named) -> Result<String> {
        let policy = match self.cascade {
            Cascade::Background => "Background",
            Cascade::Foreground => "Foreground",
            Cascade::Orphan => "Orphan",
        };
        let mut options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy});
        let grace = if self.force { Some(0) } else { self.grace_period.or(self.now.then_some(1)) };
        if let Some(seconds) = grace {
            options["gracePeriodSeconds"] = json!(seconds);
        }
        let (_, answer) = session.write(Method::DELETE, &target.path(), JSON, &options).await?;
        println!("{} \"{}\" {}", target.resource, target.name, if self.force { "force deleted" } else { "deleted" });
        let uid = [&answer["metadata"]["uid"], &answer["details"]["uid"]].into_iter().find_map(Value::as_str);
        Ok(uid.unwrap_or_default().to_owned())
    }
}

/// Waits until the object with this uid is gone; one of the same name may take its place.
pub(crate) async fn gone(session: &Session, target: &Named, uid: &str) -> Result<()> {
    const PAUSE_MAX: Duration = Duration::from_millis(500);
    let mut pause = Duration::from_millis(10);
    loop {
        match session.get(&target.path()).await {
            Err(error) if is_not_found(&error) => return Ok(()),
            Err(error) => return Err(error),
            Ok(object) if !uid.is_empty() && object["metadata"]["uid"] != uid => return Ok(()),
            Ok(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

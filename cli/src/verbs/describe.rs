//! Objects in detail. What matters first for each kind is in its own module; anything else is shown field by field.

mod node;
mod page;
mod pod;
mod workload;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::Value;

use page::Page;

use super::events::{last_seen, seen};
use super::targets::{self, Named, Targets, query};
use crate::args::Global;
use crate::manifest::Files;
use crate::session::Session;

#[derive(Args)]
pub(crate) struct Describe {
    /// `pod NAME`, `deploy/NAME`, `pods`, `nodes`
    targets: Vec<String>,
    #[command(flatten)]
    files: Files,
    /// Label selector
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Every namespace
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

impl Describe {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let mut is_first = true;
        for (target, object) in self.objects(&session).await? {
            if !std::mem::take(&mut is_first) {
                println!("\n");
            }
            print!("{}", describe(&session, &target, &object).await?);
        }
        Ok(())
    }

    async fn objects(&self, session: &Session) -> Result<Vec<(Named, Value)>> {
        let resources = match self.files.filenames.is_empty() {
            false => Targets::Named(targets::from_files(session, &self.files).await?),
            true => targets::resolve(session, &self.targets).await?,
        };
        let mut objects = Vec::new();
        match resources {
            Targets::Named(named) => {
                for target in named {
                    let object = session.get(&target.path()).await?;
                    objects.push((target, object));
                }
            }
            Targets::Lists(resources) => {
                for resource in resources {
                    let namespace = (!self.all_namespaces).then_some(session.namespace.as_str());
                    let selectors = query(&[("labelSelector", self.selector.as_deref())]);
                    let list = session.get(&format!("{}{selectors}", resource.collection(namespace))).await?;
                    for item in list["items"].as_array().into_iter().flatten() {
                        let text = |field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
                        let target =
                            Named { resource: resource.clone(), namespace: text("namespace"), name: text("name") };
                        objects.push((target, item.clone()));
                    }
                }
                if objects.is_empty() {
                    bail!("no objects found");
                }
            }
        }
        Ok(objects)
    }
}

async fn describe(session: &Session, target: &Named, object: &Value) -> Result<String> {
    let mut page = Page::default();
    page.text("Name", &object["metadata"]["name"]);
    if target.resource.is_namespaced {
        page.text("Namespace", &object["metadata"]["namespace"]);
    }
    match target.resource.kind.as_str() {
        "Pod" => pod::describe(&mut page, object),
        "Node" => {
            let pods = session
                .get(&format!(
                    "/api/v1/pods{}",
                    query(&[("fieldSelector", Some(&format!("spec.nodeName={}", target.name)))])
                ))
                .await?;
            node::describe(&mut page, object, &pods);
        }
        "Deployment" => {
            let sets = session.get(&format!("/apis/apps/v1/namespaces/{}/replicasets", target.namespace)).await?;
            workload::deployment(&mut page, object, &sets);
        }
        "ReplicaSet" => workload::replica_set(&mut page, object),
        "Service" => {
            let of_service = format!("kubernetes.io/service-name={}", target.name);
            let path = format!(
                "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices{}",
                target.namespace,
                query(&[("labelSelector", Some(&of_service))])
            );
            workload::service(&mut page, object, &session.get(&path).await?);
        }
        "Secret" => workload::secret(&mut page, object),
        _ => {
            page.labels(object);
            page.fields(object, &["apiVersion", "kind", "metadata"]);
        }
    }
    events(session, target, object, &mut page).await?;
    Ok(page.finish())
}

async fn events(session: &Session, target: &Named, object: &Value, page: &mut Page) -> Result<()> {
    let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
    let selector = format!("involvedObject.name={},involvedObject.uid={uid}", target.name);
    let collection = session
        .discovery()
        .await?
        .find("events")?
        .collection(target.resource.is_namespaced.then_some(target.namespace.as_str()));
    let list = session.get(&format!("{collection}{}", query(&[("fieldSelector", Some(&selector))]))).await?;
    let mut events: Vec<Value> = list["items"].as_array().cloned().unwrap_or_default();
    events.sort_by_key(last_seen);
    if events.is_empty() {
        page.line(0, "Events:", "<none>");
        return Ok(());
    }
    page.line(0, "Events:", "");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut rows = vec![
        ["Type", "Reason", "Age", "From", "Message"].map(str::to_owned),
        ["----", "------", "----", "----", "-------"].map(str::to_owned),
    ];
    rows.extend(events.iter().map(|event| {
        let from = [&event["source"]["component"], &event["reportingComponent"]]
            .into_iter()
            .find_map(Value::as_str)
            .unwrap_or_default();
        [text(&event["type"]), text(&event["reason"]), seen(event), from.to_owned(), text(&event["message"])]
    }));
    page.rows(1, &rows);
    Ok(())
}

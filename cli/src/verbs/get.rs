use anyhow::Result;
use clap::Args;
use futures::StreamExt;
use serde_json::{Value, json};

use super::targets::{self, Named, Targets, query};
use crate::args::Global;
use crate::discovery::Resource;
use crate::manifest::Files;
use crate::output::{Columns, Output, print_aligned, print_object, without_managed_fields};
use crate::session::{JSON, Refusal, Session};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

#[derive(Args)]
pub(crate) struct Get {
    /// What to list: `pods`, `pod NAME…`, `deploy/NAME`, `pods,svc`, `all`
    pub(crate) targets: Vec<String>,
    #[command(flatten)]
    pub(crate) files: Files,
    /// wide, json, yaml, name, jsonpath=TEMPLATE
    #[arg(short, long)]
    pub(crate) output: Option<Output>,
    /// Every namespace
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Label selector, such as app=hello,tier!=front
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Field selector, such as status.phase=Running
    #[arg(long, value_name = "FIELDS")]
    pub(crate) field_selector: Option<String>,
    /// Go on printing changes
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Add a column with all labels
    #[arg(long)]
    pub(crate) show_labels: bool,
    /// Leave the headings out
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// Not finding an object is no error
    #[arg(long)]
    pub(crate) ignore_not_found: bool,
    /// Show metadata.managedFields in JSON and YAML
    #[arg(long)]
    pub(crate) show_managed_fields: bool,
}

/// One request of a `get`: a collection or one object, as a path with its selectors.
struct Request {
    resource: Resource,
    collection: String,
    name: Option<String>,
}

impl Get {
    pub(crate) async fn run(self, global: &Global) -> Result<()> {
        let session = Session::connect(global).await?;
        let requests = self.requests(&session).await?;
        match &self.output {
            None | Some(Output::Wide) => self.print_tables(&session, &requests).await,
            Some(output) => self.print_objects(&session, &requests, output).await,
        }
    }

    async fn requests(&self, session: &Session) -> Result<Vec<Request>> {
        let namespace = (!self.all_namespaces).then_some(session.namespace.as_str());
        let one = |named: Named| Request {
            collection: named.resource.collection(Some(&named.namespace)),
            resource: named.resource,
            name: Some(named.name),
        };
        if !self.files.filenames.is_empty() {
            return Ok(targets::from_files(session, &self.files).await?.into_iter().map(one).collect());
        }
        Ok(match targets::resolve(session, &self.targets).await? {
            Targets::Named(named) => named.into_iter().map(one).collect(),
            Targets::Lists(resources) => resources
                .into_iter()
                .map(|resource| Request { collection: resource.collection(namespace), resource, name: None })
                .collect(),
        })
    }

    fn path(&self, request: &Request) -> String {
        let selectors =
            query(&[("labelSelector", self.selector.as_deref()), ("fieldSelector", self.field_selector.as_deref())]);
        match &request.name {
            Some(name) => format!("{}/{name}", request.collection),
            None => format!("{}{selectors}", request.collection),
        }
    }

    async fn print_tables(&self, session: &Session, requests: &[Request]) -> Result<()> {
        let mut printed = 0;
        let is_mixed = requests.windows(2).any(|pair| pair[0].resource.plural != pair[1].resource.plural);
        let mut group: Option<(&Resource, Value)> = None;
        let mut failure = None;
        for request in requests {
            let table = match session.get_as(&self.path(request), TABLE).await {
                Ok(table) => table,
                Err(error) if self.ignore_not_found && is_not_found(&error) => continue,
                // The others are still shown; the first failure is what the command ends with.
                Err(error) => {
                    failure.get_or_insert(error);
                    continue;
                }
            };
            match &mut group {
                Some((resource, rows)) if resource.plural == request.resource.plural => append_rows(rows, table),
                _ => {
                    printed += self.flush(group.take(), is_mixed, printed);
                    group = Some((&request.resource, table));
                }
            }
        }
        let last = group.clone();
        printed += self.flush(group, is_mixed, printed);
        if let Some(error) = failure {
            return Err(error);
        }
        match (self.watch, last, requests) {
            (true, Some((_, table)), [request]) => return self.watch_table(session, request, table).await,
            (true, _, _) if requests.len() > 1 => anyhow::bail!("--watch follows one resource at a time"),
            _ => {}
        }
        if printed == 0 && !self.ignore_not_found {
            let in_namespace = requests.iter().any(|request| request.resource.is_namespaced) && !self.all_namespaces;
            match in_namespace {
                true => eprintln!("No resources found in {} namespace.", session.namespace),
                false => eprintln!("No resources found"),
            }
        }
        Ok(())
    }

    /// Prints the rows of one kind; answers how many.
    fn flush(&self, group: Option<(&Resource, Value)>, is_mixed: bool, already: usize) -> usize {
        let Some((resource, table)) = group else { return 0 };
        let count = table["rows"].as_array().map_or(0, Vec::len);
        if count == 0 {
            return 0;
        }
        if already > 0 {
            println!();
        }
        let columns = self.columns(resource, is_mixed, !self.no_headers);
        print_aligned(&columns.lines(&table, &table["columnDefinitions"]), &mut Vec::new());
        count
    }

    fn columns(&self, resource: &Resource, is_mixed: bool, headings: bool) -> Columns {
        Columns {
            wide: matches!(self.output, Some(Output::Wide)),
            headings,
            show_namespace: self.all_namespaces && resource.is_namespaced,
            show_labels: self.show_labels,
            name_prefix: is_mixed.then(|| format!("{resource}/")),
        }
    }

    async fn watch_table(&self, session: &Session, request: &Request, listed: Value) -> Result<()> {
        let columns = self.columns(&request.resource, false, false);
        let mut definitions = listed["columnDefinitions"].clone();
        let mut widths = Vec::new();
        // The widths of what the list printed, so that the changes line up below it.
        let headed = self.columns(&request.resource, false, true).lines(&listed, &definitions);
        for line in &headed {
            line.iter().enumerate().for_each(|(index, text)| match widths.get_mut(index) {
                Some(width) => *width = text.chars().count().max(*width),
                None => widths.push(text.chars().count()),
            });
        }
        let mut events = session.stream(&self.watch_path(request, &listed), TABLE).await?;
        while let Some(event) = events.next().await {
            let event = event?;
            if event["type"] == "ERROR" {
                anyhow::bail!("the watch ended: {}", event["object"]["message"].as_str().unwrap_or_default());
            }
            let table = &event["object"];
            if table["columnDefinitions"].as_array().is_some_and(|columns| !columns.is_empty()) {
                definitions = table["columnDefinitions"].clone();
            }
            if event["type"] != "BOOKMARK" {
                print_aligned(&columns.lines(table, &definitions), &mut widths);
            }
        }
        Ok(())
    }

    fn watch_path(&self, request: &Request, listed: &Value) -> String {
        let by_name = request.name.as_ref().map(|name| format!("metadata.name={name}"));
        let parameters = [
            ("watch", Some("true")),
            ("resourceVersion", listed["metadata"]["resourceVersion"].as_str()),
            ("labelSelector", self.selector.as_deref()),
            ("fieldSelector", by_name.as_deref().or(self.field_selector.as_deref())),
        ];
        format!("{}{}", request.collection, query(&parameters))
    }

    async fn print_objects(&self, session: &Session, requests: &[Request], output: &Output) -> Result<()> {
        let mut answers = Vec::new();
        for request in requests {
            match session.get(&self.path(request)).await {
                Ok(answer) => answers.push((request, with_type(answer, &request.resource))),
                Err(error) if self.ignore_not_found && is_not_found(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let tidy = |value| if self.show_managed_fields { value } else { without_managed_fields(value) };
        let named = |value: &Value| {
            let kind = value["kind"].as_str().unwrap_or_default();
            let resource = requests.iter().map(|request| &request.resource).find(|resource| resource.kind == kind);
            let name = value["metadata"]["name"].as_str().unwrap_or_default();
            resource.map_or_else(|| name.to_owned(), |resource| format!("{resource}/{name}"))
        };
        let value = match answers.len() {
            0 => return Ok(()),
            1 => answers.remove(0).1,
            _ => {
                json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": merged(answers)})
            }
        };
        print_object(&tidy(value), output, named)?;
        if let (true, [request]) = (self.watch, requests) {
            let mut events = session.stream(&self.watch_path(request, &Value::Null), JSON).await?;
            while let Some(event) = events.next().await {
                print_object(&tidy(event?["object"].take()), output, named)?;
            }
        }
        Ok(())
    }
}

/// Items of lists carry no type of their own on the wire; a reader of JSON wants it.
fn with_type(mut answer: Value, resource: &Resource) -> Value {
    if let Some(items) = answer.get_mut("items").and_then(Value::as_array_mut) {
        for item in items {
            item["apiVersion"] = json!(resource.api_version());
            item["kind"] = json!(resource.kind);
        }
        answer["kind"] = json!("List");
        answer["apiVersion"] = json!("v1");
    }
    answer
}

fn merged(answers: Vec<(&Request, Value)>) -> Vec<Value> {
    let items = answers.into_iter().flat_map(|(_, mut answer)| match answer["items"].take() {
        Value::Array(items) => items,
        _ => vec![answer],
    });
    items.collect()
}

fn append_rows(table: &mut Value, mut more: Value) {
    if let (Some(rows), Some(new)) = (table["rows"].as_array_mut(), more["rows"].as_array_mut()) {
        rows.append(new);
    }
}

pub(crate) fn is_not_found(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Refusal>().is_some_and(|refusal| refusal.code == 404 && refusal.reason == "NotFound")
}

//! Which objects a verb is about: `pods`, `pod a b`, `deploy/a svc/b`, `po,svc`, `all`, files.

use anyhow::{Result, bail};

use crate::discovery::Resource;
use crate::manifest::{self, Files};
use crate::session::Session;

/// One named object.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

pub(crate) enum Targets {
    /// Whole collections.
    Lists(Vec<Resource>),
    Named(Vec<Named>),
}

impl Named {
    pub(crate) fn path(&self) -> String {
        self.resource.object(&self.namespace, &self.name)
    }

    /// `pod/a`, as kubectl prints it.
    pub(crate) fn slashed(&self) -> String {
        format!("{}/{}", self.resource, self.name)
    }
}

/// The objects that the arguments of a verb mean.
pub(crate) async fn resolve(session: &Session, arguments: &[String]) -> Result<Targets> {
    let discovery = session.discovery().await?;
    let Some(first) = arguments.first() else { bail!("say which objects, for example `pods` or `deploy/hello`") };
    if first.contains('/') {
        return Ok(Targets::Named(
            arguments.iter().map(|argument| slashed(session, discovery, argument)).collect::<Result<_>>()?,
        ));
    }
    let mut resources = Vec::new();
    for name in first.split(',').filter(|name| !name.is_empty()) {
        let of_category: Vec<Resource> = discovery.category(name).cloned().collect();
        match of_category.is_empty() {
            true => resources.push(discovery.find(name)?.clone()),
            false => resources.extend(of_category),
        }
    }
    match (&arguments[1..], resources.as_slice()) {
        ([], _) => Ok(Targets::Lists(resources)),
        (names, [resource]) => {
            Ok(Targets::Named(names.iter().map(|name| named(session, resource, name)).collect::<Result<_>>()?))
        }
        _ => bail!("names can follow one resource only; write them as kind/name"),
    }
}

/// Like [`resolve`], for verbs that change single objects; files name objects too.
pub(crate) async fn named_only(session: &Session, arguments: &[String], files: &Files) -> Result<Vec<Named>> {
    if !files.filenames.is_empty() {
        return from_files(session, files).await;
    }
    match resolve(session, arguments).await? {
        Targets::Named(named) => Ok(named),
        Targets::Lists(_) => bail!("say which one: {}/NAME, or NAME after it", arguments[0]),
    }
}

/// Objects by name or file; or, with a label selector or `all`, every such object of the kinds in the namespace.
pub(crate) async fn selected(
    session: &Session,
    arguments: &[String],
    files: &Files,
    selector: Option<&str>,
    all: bool,
) -> Result<Vec<Named>> {
    if !files.filenames.is_empty() || (selector.is_none() && !all) {
        return named_only(session, arguments, files).await;
    }
    let Targets::Lists(resources) = resolve(session, arguments).await? else {
        bail!("names exclude --all and -l");
    };
    let mut named = Vec::new();
    for resource in resources {
        let selectors = query(&[("labelSelector", selector)]);
        let list = session.get(&format!("{}{selectors}", resource.collection(Some(&session.namespace)))).await?;
        for item in list["items"].as_array().into_iter().flatten() {
            let name = item["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            named.push(Named { resource: resource.clone(), namespace: session.namespace.clone(), name });
        }
    }
    Ok(named)
}

pub(crate) async fn from_files(session: &Session, files: &Files) -> Result<Vec<Named>> {
    let discovery = session.discovery().await?;
    let mut all = Vec::new();
    for manifest in manifest::read(files)? {
        let resource = discovery.by_kind(manifest.api_version()?, manifest.kind()?)?.clone();
        let namespace = manifest.namespace().unwrap_or(&session.namespace).to_owned();
        all.push(Named { resource, namespace, name: manifest.name()?.to_owned() });
    }
    Ok(all)
}

fn slashed(session: &Session, discovery: &crate::discovery::Discovery, argument: &str) -> Result<Named> {
    match argument.split_once('/') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => named(session, discovery.find(kind)?, name),
        _ => bail!("{argument}: mixed forms; write every object as kind/name, or one kind and then names"),
    }
}

fn named(session: &Session, resource: &Resource, name: &str) -> Result<Named> {
    if name.contains('/') {
        bail!("{name}: write every object as kind/name, or one kind and then names");
    }
    Ok(Named { resource: resource.clone(), namespace: session.namespace.clone(), name: name.to_owned() })
}

/// `?labelSelector=…&fieldSelector=…` and further parameters, encoded.
pub(crate) fn query(parameters: &[(&str, Option<&str>)]) -> String {
    let mut encoded = form_urlencoded::Serializer::new(String::new());
    for (key, value) in parameters {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            encoded.append_pair(key, value);
        }
    }
    let encoded = encoded.finish();
    if encoded.is_empty() { encoded } else { format!("?{encoded}") }
}

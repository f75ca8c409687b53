//! Which resources the server has, and which one a user means by `po`, `deploy` or `services.v1`.

use std::fmt;

use anyhow::{Result, bail};
use serde_json::Value;

use crate::session::Session;

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                          application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) verbs: Vec<String>,
    pub(crate) is_namespaced: bool,
}

pub(crate) struct Discovery {
    pub(crate) resources: Vec<Resource>,
}

impl Discovery {
    pub(crate) async fn read(session: &Session) -> Result<Self> {
        let (core, groups) = tokio::try_join!(session.get_as("/api", AGGREGATED), session.get_as("/apis", AGGREGATED))?;
        let groups = [core, groups];
        let groups = groups.iter().flat_map(|list| items(&list["items"]));
        // The first version of a group is the one that the server prefers.
        let resources = groups.flat_map(|group| {
            let name = text(&group["metadata"]["name"]);
            items(&group["versions"]).flat_map(move |version| {
                let name = name.clone();
                items(&version["resources"])
                    .map(move |resource| Resource::read(&name, &text(&version["version"]), resource))
            })
        });
        Ok(Self { resources: resources.collect() })
    }

    /// The resource that `name` means: plural, singular, short name or kind, with `.group` or `.version.group` if need be.
    pub(crate) fn find(&self, name: &str) -> Result<&Resource> {
        let wanted = name.to_lowercase();
        match self.resources.iter().find(|resource| resource.is_called(&wanted)) {
            Some(resource) => Ok(resource),
            None => bail!("the server doesn't have a resource type \"{name}\"; `wasmk api-resources` lists them"),
        }
    }

    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Result<&Resource> {
        let found =
            self.resources.iter().find(|resource| resource.kind == kind && resource.api_version() == api_version);
        match found {
            Some(resource) => Ok(resource),
            None => bail!(
                "the server has no kind {kind} in {api_version}; check apiVersion and kind, `wasmk api-resources` lists them"
            ),
        }
    }

    /// The resources of a category such as `all`.
    pub(crate) fn category<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Resource> {
        self.resources.iter().filter(move |resource| resource.categories.iter().any(|category| category == name))
    }
}

impl Resource {
    fn read(group: &str, version: &str, json: &Value) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: text(&json["resource"]),
            singular: text(&json["singularResource"]),
            kind: text(&json["responseKind"]["kind"]),
            short_names: items(&json["shortNames"]).map(text).collect(),
            categories: items(&json["categories"]).map(text).collect(),
            verbs: items(&json["verbs"]).map(text).collect(),
            is_namespaced: json["scope"] == "Namespaced",
        }
    }

    fn is_called(&self, wanted: &str) -> bool {
        let kind = self.kind.to_lowercase();
        let short = self.short_names.iter().map(String::as_str);
        short.chain([self.plural.as_str(), self.singular.as_str(), kind.as_str()]).any(|name| {
            let rest = match wanted.strip_prefix(name) {
                Some(rest) => rest,
                None => return false,
            };
            rest.is_empty()
                || rest.strip_prefix('.').is_some_and(|group| {
                    group == self.group || group == format!("{}.{}", self.version, self.group).trim_end_matches('.')
                })
        })
    }

    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// As kubectl prints it before a slash: `pod`, `deployment.apps`.
    pub(crate) fn qualified_singular(&self) -> String {
        if self.group.is_empty() { self.singular.clone() } else { format!("{}.{}", self.singular, self.group) }
    }

    /// The URL path of the collection; all namespaces when `namespace` is `None`.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root =
            if self.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}/{}", self.group, self.version) };
        match namespace.filter(|_| self.is_namespaced) {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    pub(crate) fn object(&self, namespace: &str, name: &str) -> String {
        format!("{}/{name}", self.collection(Some(namespace)))
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified_singular())
    }
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

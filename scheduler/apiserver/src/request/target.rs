use std::borrow::Cow;

use http::Method;
use wasmk_api::FieldSelector;

use super::Query;
use super::options::FIELD_SELECTOR;

/// What a request is about, read from its method and path alone. Source: `RequestInfoFactory` of k8s.io/apiserver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Target {
    pub(crate) verb: Verb,
    pub(crate) path: String,
    /// `None` for paths that are not about objects, such as `/version`.
    pub(crate) resource: Option<ResourcePath>,
}

/// Kubernetes' verbs; for other paths it is the method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// The parts of `/apis/<group>/<version>/namespaces/<namespace>/<resource>/<name>/<subresource>`; absent ones empty.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct ResourcePath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
    /// Below `proxy`, as it was sent: empty, or from the slash on.
    pub(crate) tail: String,
    /// Which of many are meant; of what rights are needed for alone, see [`Target::narrowed`].
    pub(crate) fields: FieldSelector,
}

impl Target {
    /// `watching` is what the query says. `None` for methods that the API does not know.
    pub(crate) fn parse(method: &Method, path: &str, watching: bool) -> Option<Self> {
        let (prefixed, resource) = match without_watch_prefix(path) {
            Some(path) => (true, ResourcePath::parse(&path)),
            None => (false, ResourcePath::parse(path)),
        };
        let named = resource.as_ref().is_none_or(|resource| !resource.name.is_empty());
        let is_proxy = resource.as_ref().is_some_and(|resource| resource.subresource == "proxy");
        let verb = match *method {
            Method::GET if prefixed && resource.is_some() => Verb::Watch,
            _ if prefixed && resource.is_some() => return None,
            // Whatever the method, it is for who is behind the proxy.
            Method::HEAD | Method::OPTIONS if is_proxy => Verb::Get,
            Method::HEAD if resource.is_some() => return None,
            Method::GET | Method::HEAD if named => Verb::Get,
            Method::GET if watching => Verb::Watch,
            Method::GET | Method::HEAD => Verb::List,
            Method::POST => Verb::Create,
            Method::PUT => Verb::Update,
            Method::PATCH => Verb::Patch,
            Method::DELETE if named => Verb::Delete,
            Method::DELETE => Verb::DeleteCollection,
            _ => return None,
        };
        Some(Self { verb, path: path.to_owned(), resource })
    }
}

/// `/api/v1/watch/pods` is an older way to say `/api/v1/pods?watch=true`.
fn without_watch_prefix(path: &str) -> Option<String> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match parts.as_slice() {
        ["api", version, "watch", rest @ ..] if !rest.is_empty() => Some(format!("/api/{version}/{}", rest.join("/"))),
        ["apis", group, version, "watch", rest @ ..] if !rest.is_empty() => {
            Some(format!("/apis/{group}/{version}/{}", rest.join("/")))
        }
        _ => None,
    }
}

impl Target {
    /// What rights are needed for: a list, watch or deletion whose field selector asks for one name is about that object.
    pub(crate) fn narrowed(&self, query: &Query) -> Cow<'_, Self> {
        let of_many = self.resource.as_ref().filter(|path| path.name.is_empty() && self.verb.is_of_many());
        let selector = || FieldSelector::of_any(query.text(FIELD_SELECTOR)?);
        match (of_many, of_many.and_then(|_| selector())) {
            (Some(path), Some(fields)) => {
                let name = fields.required("metadata.name").unwrap_or_default().to_owned();
                Cow::Owned(Self { resource: Some(ResourcePath { name, fields, ..path.clone() }), ..self.clone() })
            }
            _ => Cow::Borrowed(self),
        }
    }

    /// As rules and refusals name it; paths that are not about objects have the method's name.
    pub(crate) fn verb_name(&self) -> &'static str {
        match (&self.resource, self.verb) {
            (None, Verb::Create) => "post",
            (None, Verb::Update) => "put",
            (_, verb) => verb.as_str(),
        }
    }
}

impl Verb {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    fn is_of_many(self) -> bool {
        matches!(self, Self::List | Self::Watch | Self::DeleteCollection)
    }

    pub(crate) fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

impl ResourcePath {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let tail = proxy_tail(path, &parts);
        if tail.is_empty() && parts.contains(&"") {
            return None;
        }
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        // `namespaces/<name>` is the object itself, and so are its subresources; anything else lies in the namespace.
        let (namespace, rest) = match rest {
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => ("", rest),
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            _ => ("", rest),
        };
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, "", ""),
            [resource, name] => (*resource, *name, ""),
            [resource, name, subresource] => (*resource, *name, *subresource),
            [resource, name, "proxy", ..] => (*resource, *name, "proxy"),
            _ => return None,
        };
        let [group, version, namespace, resource, name, subresource] =
            [group, version, namespace, resource, name, subresource].map(decode);
        Some(Self { group, version, namespace, resource, name, subresource, tail, fields: FieldSelector::default() })
    }

    /// Where the rights to it are looked for: a namespace lies in itself.
    pub(crate) fn rights_namespace(&self) -> &str {
        let is_namespace = self.group.is_empty() && self.resource == "namespaces" && self.namespace.is_empty();
        if is_namespace { &self.name } else { &self.namespace }
    }

    /// `pods` or `pods/log`.
    pub(crate) fn qualified(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
}

/// What lies below `…/<resource>/<name>/proxy`, `parts` being those of the path without its slashes at the ends.
fn proxy_tail(path: &str, parts: &[&str]) -> String {
    let before = match parts {
        ["api", _, "namespaces", _, _, _, "proxy", ..] => 7,
        ["apis", _, _, "namespaces", _, _, _, "proxy", ..] => 8,
        ["api", _, _, _, "proxy", ..] => 5,
        _ => return String::new(),
    };
    let length: usize = parts[..before].iter().map(|part| part.len() + 1).sum();
    let start = path.len() - path.trim_start_matches('/').len();
    path.get(start + length - 1..).unwrap_or_default().to_owned()
}

/// Clients escape what they put into a path, such as the colon of a port.
fn decode(part: &str) -> String {
    percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: [&str; 6]) {
        let path = ResourcePath::parse(path).unwrap();
        let found = [&path.group, &path.version, &path.namespace, &path.resource, &path.name, &path.subresource];
        assert_eq!(found, expected);
    }

    #[test]
    fn paths_are_read_as_kubernetes_reads_them() {
        check("/api/v1/pods", ["", "v1", "", "pods", "", ""]);
        check("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]);
        check("/api/v1/namespaces/a", ["", "v1", "", "namespaces", "a", ""]);
        check("/api/v1/namespaces/a/finalize", ["", "v1", "", "namespaces", "a", "finalize"]);
        check("/api/v1/namespaces/a/pods/p/log", ["", "v1", "a", "pods", "p", "log"]);
        check("/apis/apps/v1/namespaces/a/deployments/d", ["apps", "v1", "a", "deployments", "d", ""]);
        for other in [
            "/version",
            "/api",
            "/api/v1",
            "/apis/apps/v1",
            "/api/v1/namespaces/a/pods/p/log/x",
            "/api/v1/pods//log",
            "/",
        ] {
            assert_eq!(ResourcePath::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_lies_below_a_proxy_is_kept_as_it_was_sent() {
        let tail = |path| ResourcePath::parse(path).map(|path| (path.name, path.subresource, path.tail)).unwrap();
        let of = |name: &str, tail: &str| (name.to_owned(), "proxy".to_owned(), tail.to_owned());
        assert_eq!(tail("/api/v1/namespaces/a/pods/p:80/proxy"), of("p:80", ""));
        assert_eq!(tail("/api/v1/namespaces/a/pods/p%3A80/proxy/"), of("p:80", "/"));
        assert_eq!(tail("/api/v1/namespaces/a/services/s/proxy/x%2Fy//z/"), of("s", "/x%2Fy//z/"));
        assert_eq!(tail("/api/v1/nodes/n/proxy/logs"), of("n", "/logs"));
        assert_eq!(tail("/api/v1/namespaces/a/pods/p/proxy/watch?").2, "/watch?");
    }

    #[test]
    fn verbs_follow_method_and_path() {
        let verb = |method, path, watching| Target::parse(&method, path, watching).unwrap().verb;
        assert_eq!(verb(Method::GET, "/api/v1/pods", false), Verb::List);
        assert_eq!(verb(Method::GET, "/api/v1/pods", true), Verb::Watch);
        assert_eq!(verb(Method::GET, "/version", false), Verb::Get);
        assert_eq!(verb(Method::DELETE, "/api/v1/namespaces/a/pods", false), Verb::DeleteCollection);
        assert_eq!(verb(Method::GET, "/api/v1/namespaces/a/pods/p/proxy/x", true), Verb::Get);
        assert_eq!(verb(Method::OPTIONS, "/api/v1/namespaces/a/pods/p/proxy/x", false), Verb::Get);
        assert_eq!(Target::parse(&Method::TRACE, "/", false), None);
        assert_eq!(Target::parse(&Method::HEAD, "/api/v1/pods", false), None);
        assert_eq!(verb(Method::GET, "/api/v1/namespaces/a", true), Verb::Get);
    }

    #[test]
    fn the_older_watch_paths_are_read() {
        let target = Target::parse(&Method::GET, "/apis/apps/v1/watch/namespaces/a/deployments/d", false).unwrap();
        assert_eq!(target.verb, Verb::Watch);
        let path = target.resource.unwrap();
        assert_eq!((path.group.as_str(), path.namespace.as_str(), path.name.as_str()), ("apps", "a", "d"));
        assert_eq!(Target::parse(&Method::POST, "/api/v1/watch/pods", false), None);
    }
}

use http::Method;

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
}

impl Target {
    /// `watching` is what the query says. `None` for methods that the API does not know.
    pub(crate) fn parse(method: &Method, path: &str, watching: bool) -> Option<Self> {
        let resource = ResourcePath::parse(path);
        let named = resource.as_ref().is_none_or(|resource| !resource.name.is_empty());
        let verb = match *method {
            Method::GET | Method::HEAD if watching && resource.is_some() => Verb::Watch,
            Method::GET | Method::HEAD if named => Verb::Get,
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

    pub(crate) fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

impl ResourcePath {
    fn parse(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
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
            _ => return None,
        };
        let [group, version, namespace, resource, name, subresource] =
            [group, version, namespace, resource, name, subresource].map(str::to_owned);
        Some(Self { group, version, namespace, resource, name, subresource })
    }

    /// `pods` or `pods/log`.
    pub(crate) fn qualified(&self) -> String {
        match self.subresource.as_str() {
            "" => self.resource.clone(),
            subresource => format!("{}/{subresource}", self.resource),
        }
    }
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
        for other in ["/version", "/api", "/api/v1", "/apis/apps/v1", "/api/v1/namespaces/a/pods/p/log/x", "/"] {
            assert_eq!(ResourcePath::parse(other), None, "{other}");
        }
    }

    #[test]
    fn verbs_follow_method_and_path() {
        let verb = |method, path, watching| Target::parse(&method, path, watching).unwrap().verb;
        assert_eq!(verb(Method::GET, "/api/v1/pods", false), Verb::List);
        assert_eq!(verb(Method::GET, "/api/v1/pods", true), Verb::Watch);
        assert_eq!(verb(Method::GET, "/version", false), Verb::Get);
        assert_eq!(verb(Method::DELETE, "/api/v1/namespaces/a/pods", false), Verb::DeleteCollection);
        assert_eq!(Target::parse(&Method::TRACE, "/", false), None);
    }
}

use http::HeaderMap;
use http::header::ACCEPT;
use wasmk_api::{Reason, Status};

/// How the answer is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// What the answer shows of each object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum View {
    Whole,
    /// `as=Table`, with the version of `meta.k8s.io` that was asked for.
    Table(&'static str),
    /// `as=PartialObjectMetadata` or its list.
    Metadata(&'static str),
}

/// What the client accepts, in its order of preference (as Kubernetes does, weights are not looked at).
#[derive(Clone, Debug)]
pub(crate) struct Accept(Vec<MediaType>);

/// One entry of an `Accept` header: `application/json;as=Table;v=v1;g=meta.k8s.io`.
#[derive(Clone, Debug)]
struct MediaType {
    name: String,
    parameters: Vec<(String, String)>,
}

const SUPPORTED: &str = "application/json, application/yaml";

impl Accept {
    pub(crate) fn parse(headers: &HeaderMap) -> Self {
        let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types: Vec<MediaType> = values
            .flat_map(|value| value.split(','))
            .map(MediaType::parse)
            .filter(|one| !one.name.is_empty())
            .collect();
        if types.is_empty() {
            types.push(MediaType { name: "*/*".to_owned(), parameters: Vec::new() });
        }
        Self(types)
    }

    /// The first of the client's choices that can be served; 406 when there is none. Protobuf is never served: every
    /// client that asks for it names JSON as its second choice.
    pub(crate) fn negotiate(&self) -> Result<(Format, View), Status> {
        self.0.iter().find_map(MediaType::served).ok_or_else(not_acceptable)
    }

    /// As [`Accept::negotiate`], where no Table or metadata view exists: a plain type is needed.
    pub(crate) fn negotiate_whole(&self) -> Result<Format, Status> {
        let whole = |one: &MediaType| one.served().filter(|(_, view)| *view == View::Whole).map(|(format, _)| format);
        self.0.iter().find_map(whole).ok_or_else(not_acceptable)
    }

    /// The version of the first acceptable aggregated discovery document, `v2` or `v2beta1`; `None` for the plain one.
    pub(crate) fn aggregated_discovery(&self) -> Option<&'static str> {
        for one in self.0.iter().filter(|one| one.format() == Some(Format::Json)) {
            match (one.parameter("as"), one.parameter("g"), one.parameter("v")) {
                (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2")) => return Some("v2"),
                (Some("APIGroupDiscoveryList"), Some("apidiscovery.k8s.io"), Some("v2beta1")) => {
                    return Some("v2beta1");
                }
                (None, ..) => return None,
                _ => {}
            }
        }
        None
    }
}

impl MediaType {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let pairs = parts.filter_map(|part| part.split_once('='));
        Self { name, parameters: pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect() }
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn format(&self) -> Option<Format> {
        match self.name.as_str() {
            "application/json" | "application/*" | "*/*" => Some(Format::Json),
            "application/yaml" => Some(Format::Yaml),
            _ => None,
        }
    }

    fn served(&self) -> Option<(Format, View)> {
        let format = self.format()?;
        let version = match self.parameter("v") {
            Some("v1") => Some("v1"),
            Some("v1beta1") => Some("v1beta1"),
            _ => None,
        };
        let view = match self.parameter("as") {
            None => View::Whole,
            Some(_) if self.parameter("g") != Some("meta.k8s.io") => return None,
            Some("Table") => View::Table(version?),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") => View::Metadata(version?),
            Some(_) => return None,
        };
        Some((format, view))
    }
}

fn not_acceptable() -> Status {
    Status::new(Reason::NotAcceptable, format!("only the following media types are accepted: {SUPPORTED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(accept: &str, expected: Option<(Format, View)>) {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().unwrap());
        assert_eq!(Accept::parse(&headers).negotiate().ok(), expected, "{accept}");
    }

    #[test]
    fn what_clients_send_is_understood() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        check(table, Some((Format::Json, View::Table("v1"))));
        check(
            "application/json;as=Table;g=meta.k8s.io;v=v1beta1, application/json",
            Some((Format::Json, View::Table("v1beta1"))),
        );
        check("application/vnd.kubernetes.protobuf,application/json", Some((Format::Json, View::Whole)));
        check("application/vnd.kubernetes.protobuf, */*", Some((Format::Json, View::Whole)));
        check("application/yaml", Some((Format::Yaml, View::Whole)));
        check(
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some((Format::Json, View::Metadata("v1"))),
        );
        check("", Some((Format::Json, View::Whole)));
    }

    #[test]
    fn what_cannot_be_served_is_not_acceptable() {
        check("application/vnd.kubernetes.protobuf", None);
        check("text/html", None);
        check("application/json;as=Table;v=v9;g=meta.k8s.io", None);
    }

    #[test]
    fn old_and_new_kubectl_get_their_discovery() {
        let discovery = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            Accept::parse(&headers).aggregated_discovery()
        };
        let new = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(discovery(new), Some("v2"));
        assert_eq!(discovery(new.split_once(',').unwrap().1), Some("v2beta1"));
        assert_eq!(discovery("application/json, */*"), None);
    }
}

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use wasmk_api::{FieldSelector, Selector, kind};

use crate::request::{Accept, DeleteOptions, ListOptions, Query, ResourcePath, Target, WriteOptions};
use crate::rest::Selection;

/// The text of a request, `METHOD path?query`, its `Accept` header in the second line, `DeleteOptions` after that:
/// paths and selectors are read as they are written.
pub fn requests(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.splitn(3, '\n');
    let mut next = || lines.next().unwrap_or_default();
    let (line, accept, body) = (next(), next(), next());
    let (method, uri) = line.split_once(' ').unwrap_or(("GET", line));
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    check_path(method, path);
    check_accept(accept);
    check_options(&Query::parse(query), &serde_json::from_str(body).unwrap_or_default());
}

fn check_path(method: &str, path: &str) {
    let Ok(method) = Method::from_bytes(method.as_bytes()) else { return };
    let Some(Target { resource: Some(found), .. }) = Target::parse(&method, path, false) else { return };
    // What is escaped is read after the path was taken apart; what lies behind a proxy is not the API's.
    if path.contains('%') || found.subresource == "proxy" {
        return;
    }
    let again = Target::parse(&method, &written(&found), false).expect("the same method");
    assert_eq!(again.resource, Some(found), "{path}");
}

fn written(path: &ResourcePath) -> String {
    let mut written = if path.group.is_empty() { "/api".to_owned() } else { format!("/apis/{}", path.group) };
    written.push_str(&format!("/{}", path.version));
    if !path.namespace.is_empty() {
        written.push_str(&format!("/namespaces/{}", path.namespace));
    }
    for part in [&path.resource, &path.name, &path.subresource].into_iter().filter(|part| !part.is_empty()) {
        written.push_str(&format!("/{part}"));
    }
    written
}

fn check_accept(accept: &str) {
    let Ok(value) = HeaderValue::from_str(accept) else { return };
    let headers = HeaderMap::from_iter([(ACCEPT, value)]);
    let accept = Accept::parse(&headers);
    if accept.negotiate_whole().is_ok() {
        accept.negotiate().expect("a whole object is a choice too");
    }
}

fn check_options(query: &Query, body: &Value) {
    let _ = (WriteOptions::parse(query, "PatchOptions"), DeleteOptions::parse(query, body));
    let Ok(options) = ListOptions::parse(query) else { return };
    if let Ok(selector) = Selector::parse(&options.label_selector) {
        assert_eq!(Selector::parse(&selector.to_string()).as_ref(), Ok(&selector), "{selector}");
    }
    for kind in kind::all() {
        if let Ok(selector) = FieldSelector::parse(&options.field_selector, &kind.field_selectors()) {
            let again = FieldSelector::parse(&selector.to_string(), &kind.field_selectors());
            assert_eq!(again.as_ref(), Ok(&selector), "{selector}");
        }
        let _ = Selection::parse(kind, &options);
    }
}

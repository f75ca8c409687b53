use std::net::IpAddr;

use http::Uri;
use wasmk_api::{Object, Reason, Status};

/// Where `node` answers, as its status says.
pub(super) fn uri(node: &Object, path_and_query: &str) -> Result<Uri, Status> {
    let status = &node.value()["status"];
    let addresses = status["addresses"].as_array().into_iter().flatten();
    let internal = addresses.filter(|address| address["type"] == "InternalIP");
    let address = internal.filter_map(|address| address["address"].as_str()?.parse::<IpAddr>().ok()).next();
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64();
    let (Some(address), Some(port)) = (address, port) else {
        let message = format!("node {} does not say at which address and port it answers", node.name());
        return Err(Status::new(Reason::ServiceUnavailable, message));
    };
    let host = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let text = format!("https://{host}:{port}{path_and_query}");
    text.parse().map_err(|error| Status::bad_request(format!("the request to node {}: {error}", node.name())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wasmk_api::Key;

    use super::*;

    #[test]
    fn a_node_is_asked_at_its_own_address_and_port() {
        let status = json!({
            "addresses": [{"type": "Hostname", "address": "a"}, {"type": "InternalIP", "address": "127.0.0.2"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        });
        let node = Object::new(Key::new("nodes", "", "a"), 1, json!({"metadata": {"name": "a"}, "status": status}));
        let uri = uri(&node, "/wasmk/v1/logs/default/web/u/c?follow=true").unwrap().to_string();
        assert_eq!(uri, "https://127.0.0.2:10250/wasmk/v1/logs/default/web/u/c?follow=true");
    }

    #[test]
    fn a_node_that_says_no_address_is_named() {
        let node = Object::new(Key::new("nodes", "", "a"), 1, json!({"metadata": {"name": "a"}}));
        let status = uri(&node, "/").unwrap_err();
        assert!(status.message.contains("node a"), "{status}");
    }
}

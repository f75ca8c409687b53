use serde_json::Value;

use super::{Kind, table};
use crate::Cause;
use crate::field::{Faults, Field, set_default};
use crate::names;

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["ep"],
        columns: &table::ENDPOINTS,
        default: |endpoints, _| {
            let subsets = endpoints.get_mut("subsets").and_then(Value::as_array_mut);
            for subset in subsets.into_iter().flatten() {
                let ports = subset.get_mut("ports").and_then(Value::as_array_mut);
                ports.into_iter().flatten().for_each(|port| set_default(port, "protocol", "TCP"));
            }
        },
        validate: |endpoints, faults| {
            endpoints.get("subsets").items().for_each(|subset| validate(&subset, faults));
        },
        ..Kind::plain("", "v1", "Endpoints", "EndpointsList", "endpoints", "endpoints")
    }
}

/// Source: `ValidateEndpoints` of `k8s.io/kubernetes/pkg/apis/core/validation`.
fn validate(subset: &Field, faults: &mut Faults) {
    let lists = ["addresses", "notReadyAddresses"].map(|field| subset.get(field));
    if lists.iter().all(Field::is_empty) {
        faults.push(Cause::required(&subset.path, "must specify `addresses` or `notReadyAddresses`"));
    }
    for address in lists.iter().flat_map(Field::items) {
        let ip = address.get("ip");
        faults.named(&ip, names::check_endpoint_ip(ip.text()));
        let host = address.get("hostname");
        if !host.is_empty() {
            faults.named(&host, names::check_dns1123_label(host.text()));
        }
    }
    let several = subset.get("ports").items().count() > 1;
    for port in subset.get("ports").items() {
        let (name, number) = (port.get("name"), port.get("port"));
        if several {
            faults.require(&name, "");
        }
        if !name.is_empty() {
            faults.named(&name, names::check_dns1123_label(name.text()));
        }
        let found = names::check_port_number(number.int().unwrap_or(0));
        faults.causes.extend(found.iter().map(|fault| Cause::invalid(&number.path, number.value, fault)));
        faults.one_of(&port.get("protocol"), &["SCTP", "TCP", "UDP"]);
    }
}

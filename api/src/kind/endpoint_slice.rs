use std::net::Ipv6Addr;

use super::{Kind, table};
use crate::field::{Faults, Field, set_default};
use crate::names;

/// Kubernetes' own bounds.
const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;

pub(super) fn kind() -> Kind {
    Kind {
        columns: &table::ENDPOINTSLICE,
        has_generation: true,
        default: |slice, _| {
            for port in slice["ports"].as_array_mut().into_iter().flatten() {
                set_default(port, "name", "");
                set_default(port, "protocol", "TCP");
            }
        },
        validate,
        validate_update: |new, old, faults| faults.immutable(&new.get("addressType"), &old["addressType"]),
        ..Kind::plain("discovery.k8s.io", "v1", "EndpointSlice", "EndpointSliceList", "endpointslices", "endpointslice")
    }
}

fn validate(slice: &Field, faults: &mut Faults) {
    let address_type = slice.get("addressType");
    if faults.require(&address_type, "") {
        faults.one_of(&address_type, &["FQDN", "IPv4", "IPv6"]);
    }
    let (endpoints, ports) = (slice.get("endpoints"), slice.get("ports"));
    too_many(&endpoints, ENDPOINTS_MAX, faults);
    too_many(&ports, PORTS_MAX, faults);
    for endpoint in endpoints.items() {
        let addresses = endpoint.get("addresses");
        if addresses.is_empty() {
            faults.push(crate::Cause::required(&addresses.path, "must contain at least 1 address"));
        }
        too_many(&addresses, ADDRESSES_MAX, faults);
        for address in addresses.items() {
            let text = address.text();
            match address_type.text() {
                "IPv6" if text.parse::<Ipv6Addr>().is_err() => faults.invalid(&address, "must be an IPv6 address"),
                "IPv4" | "IPv6" => faults.named(&address, names::check_endpoint_ip(text)),
                "FQDN" => faults.named(&address, names::check_dns1123_subdomain(text)),
                _ => {}
            }
        }
    }
    let mut seen = Vec::new();
    for port in ports.items() {
        let (name, protocol) = (port.get("name"), port.get("protocol"));
        if !name.is_empty() {
            faults.named(&name, names::check_dns1123_label(name.text()));
        }
        faults.one_of(&protocol, &["TCP", "UDP", "SCTP"]);
        if seen.contains(&name.text()) {
            faults.duplicate(&name);
        }
        seen.push(name.text());
    }
}

fn too_many(list: &Field, max: usize, faults: &mut Faults) {
    let count = list.items().count();
    if count > max {
        let message = format!("Too many: {count}: must have at most {max} items");
        faults.push(crate::Cause::new("FieldValueTooMany", &list.path, message));
    }
}

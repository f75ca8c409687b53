use ipnet::IpNet;
use serde_json::json;

use super::{Kind, table};
use crate::field::{Faults, Field};
use crate::{Cause, Selector};

pub(super) fn kind() -> Kind {
    Kind {
        short_names: &["netpol"],
        columns: &table::NETWORKPOLICY,
        has_generation: true,
        default: |policy, _| {
            if policy["spec"].is_object() && policy["spec"]["policyTypes"].is_null() {
                let limits_egress = policy["spec"]["egress"].as_array().is_some_and(|rules| !rules.is_empty());
                let types = if limits_egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
                policy["spec"]["policyTypes"] = types;
            }
        },
        validate: |policy, faults| {
            let spec = policy.get("spec");
            selector(&spec.get("podSelector"), faults);
            for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
                for rule in spec.get(rules).items() {
                    rule.get("ports").items().for_each(|one| port(&one, faults));
                    rule.get(peers).items().for_each(|one| peer(&one, faults));
                }
            }
            spec.get("policyTypes").items().for_each(|one| faults.one_of(&one, &["Egress", "Ingress"]));
        },
        inert: Some("nothing enforces NetworkPolicies: every pod reaches every pod"),
        ..Kind::plain(
            "networking.k8s.io",
            "v1",
            "NetworkPolicy",
            "NetworkPolicyList",
            "networkpolicies",
            "networkpolicy",
        )
    }
}

fn selector(selector: &Field, faults: &mut Faults) {
    if let Err(error) = Selector::from_json(selector.value) {
        faults.invalid(selector, &error.to_string());
    }
}

fn port(port: &Field, faults: &mut Faults) {
    faults.one_of(&port.get("protocol"), &["SCTP", "TCP", "UDP"]);
    let (first, last) = (port.get("port"), port.get("endPort"));
    if first.is_set() {
        super::pod_spec::validate_port(&first, faults);
    }
    match (last.int(), first.int()) {
        (Some(last_port), Some(first_port)) if last_port < first_port => {
            faults.invalid(&last, "must be greater than or equal to `port`");
        }
        (Some(_), None) => faults.push(Cause::required(&last.path, "may not be specified when `port` is not an int")),
        _ => {}
    }
}

fn peer(peer: &Field, faults: &mut Faults) {
    let block = peer.get("ipBlock");
    let selectors = ["podSelector", "namespaceSelector"].map(|field| peer.get(field));
    let selected = selectors.iter().filter(|one| one.is_set()).inspect(|one| selector(one, faults)).count();
    if block.is_set() {
        if selected > 0 {
            faults.forbid(&peer.path, "may not specify both ipBlock and another peer");
        }
        cidrs(&block, faults);
    } else if selected == 0 {
        faults.push(Cause::required(&peer.path, "must specify a peer"));
    }
}

fn cidrs(block: &Field, faults: &mut Faults) {
    let cidr = block.get("cidr");
    if !faults.require(&cidr, "") {
        return;
    }
    let detail = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let Ok(whole) = cidr.text().parse::<IpNet>() else { return faults.invalid(&cidr, detail) };
    for except in block.get("except").items() {
        match except.text().parse::<IpNet>() {
            Err(_) => faults.invalid(&except, detail),
            Ok(part) if !whole.contains(&part) || part == whole => {
                faults.invalid(&except, &format!("must be a strict subset of `cidr`: {whole}"));
            }
            Ok(_) => {}
        }
    }
}

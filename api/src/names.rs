//! The syntax of names, in Kubernetes' words.
//!
//! Each `check_` answers with what is wrong, one message a fault, and with nothing when the name is valid. Source:
//! `k8s.io/apimachinery/pkg/util/validation`.

use std::net::IpAddr;

use serde_json::json;

use crate::Cause;

pub const LABEL_LENGTH_MAX: usize = 63;
pub const SUBDOMAIN_LENGTH_MAX: usize = 253;
const PORT_NAME_LENGTH_MAX: usize = 15;

const LABEL_PATTERN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const DNS1035_PATTERN: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_PATTERN: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE_PATTERN: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const CONFIG_KEY_PATTERN: &str = "[-._a-zA-Z0-9]+";

const QUALIFIED_RULE: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

/// Names of namespaces, containers, volumes.
pub fn check_dns1123_label(name: &str) -> Vec<String> {
    let mut faults = too_long(name, LABEL_LENGTH_MAX);
    if !is_dns1123_label(name) {
        faults.push(pattern(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
            LABEL_PATTERN,
            &["my-name", "123-abc"],
        ));
    }
    faults
}

/// Names of most objects.
pub fn check_dns1123_subdomain(name: &str) -> Vec<String> {
    let mut faults = too_long(name, SUBDOMAIN_LENGTH_MAX);
    if !name.split('.').all(is_dns1123_label) {
        faults.push(pattern(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            SUBDOMAIN_PATTERN,
            &["example.com"],
        ));
    }
    faults
}

/// Names of Services.
pub fn check_dns1035_label(name: &str) -> Vec<String> {
    let mut faults = too_long(name, LABEL_LENGTH_MAX);
    if !is_dns1123_label(name) || !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        faults.push(pattern(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            DNS1035_PATTERN,
            &["my-name", "abc-123"],
        ));
    }
    faults
}

/// Keys of labels, annotations and extended resources: `[prefix/]name`.
pub fn check_qualified_name(text: &str) -> Vec<String> {
    let rule = || pattern(QUALIFIED_RULE, QUALIFIED_PATTERN, &["MyName", "my.name", "123-abc"]);
    let mut faults = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        ["", name] => {
            faults.push("prefix part must be non-empty".to_owned());
            name
        }
        [prefix, name] => {
            let prefixed = check_dns1123_subdomain(prefix);
            faults.extend(prefixed.into_iter().map(|fault| format!("prefix part {fault}")));
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
                rule()
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    }
    faults.extend(too_long(name, LABEL_LENGTH_MAX).into_iter().map(|fault| format!("name part {fault}")));
    if !is_qualified(name) {
        faults.push(format!("name part {}", rule()));
    }
    faults
}

pub fn check_label_value(value: &str) -> Vec<String> {
    let mut faults = too_long(value, LABEL_LENGTH_MAX);
    if !value.is_empty() && !is_qualified(value) {
        faults.push(pattern(
            &format!("a valid label {}", QUALIFIED_RULE.replacen("must", "must be an empty string or", 1)),
            LABEL_VALUE_PATTERN,
            &["MyValue", "my_value", "12345"],
        ));
    }
    faults
}

/// Since Kubernetes 1.32 everything printable but `=` (KEP-4369).
pub fn check_env_var_name(name: &str) -> Vec<String> {
    if name.is_empty() {
        return vec!["environment variable name must be non-empty".to_owned()];
    }
    if name.bytes().all(|c| (b' '..=b'~').contains(&c) && c != b'=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

/// Keys of ConfigMaps and Secrets.
pub fn check_config_key(key: &str) -> Vec<String> {
    let mut faults = too_long(key, SUBDOMAIN_LENGTH_MAX);
    if key.is_empty() || !key.bytes().all(is_name_byte) {
        faults.push(pattern(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            CONFIG_KEY_PATTERN,
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match key {
        "." => faults.push("must not be '.'".to_owned()),
        ".." => faults.push("must not be '..'".to_owned()),
        _ if key.starts_with("..") => faults.push("must not start with '..'".to_owned()),
        _ => {}
    }
    faults
}

/// Names of container ports and target ports: IANA service names (RFC 6335).
pub fn check_port_name(name: &str) -> Vec<String> {
    let mut faults = too_long(name, PORT_NAME_LENGTH_MAX);
    let mut unless = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    let lower = |c: u8| c.is_ascii_lowercase();
    unless(
        !name.is_empty() && name.bytes().all(|c| lower(c) || c.is_ascii_digit() || c == b'-'),
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
    );
    unless(name.bytes().any(lower), "must contain at least one letter (a-z)");
    unless(!name.contains("--"), "must not contain consecutive hyphens");
    unless(!name.starts_with('-') && !name.ends_with('-'), "must not begin or end with a hyphen");
    faults
}

pub fn check_port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) { Vec::new() } else { vec!["must be between 1 and 65535, inclusive".to_owned()] }
}

pub fn check_ip(text: &str) -> Vec<String> {
    match text.parse::<IpAddr>() {
        Ok(_) => Vec::new(),
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
    }
}

/// An address that traffic can be led to. Source: `ValidateEndpointIP`; loopback addresses are let through, for the API
/// of a cluster on one machine has one.
pub fn check_endpoint_ip(text: &str) -> Vec<String> {
    let fault = match text.parse::<IpAddr>() {
        Err(_) => return check_ip(text),
        Ok(ip) if ip.is_unspecified() => "may not be unspecified (0.0.0.0 or ::)",
        Ok(IpAddr::V4(ip)) if ip.is_link_local() => "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        Ok(IpAddr::V6(ip)) if ip.is_unicast_link_local() => {
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        }
        Ok(ip) if ip.is_multicast() => "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        Ok(_) => return Vec::new(),
    };
    vec![fault.to_owned()]
}

/// What every name must be to fit into a URL's path.
pub fn check_path_segment(name: &str) -> Vec<String> {
    if name == "." || name == ".." {
        return vec![format!("may not be '{name}'")];
    }
    ['/', '%'].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// `generateName` may end in `-`, for something follows it: checks the name with that dash made a letter.
pub fn masked_generate_name(prefix: &str) -> String {
    match prefix.strip_suffix('-') {
        Some(start) if !start.is_empty() => format!("{start}a"),
        _ => prefix.to_owned(),
    }
}

/// The faults of `value` as `FieldValueInvalid` causes at `field`.
pub fn causes(field: &str, value: &str, faults: Vec<String>) -> Vec<Cause> {
    faults.into_iter().map(|fault| Cause::invalid(field, &json!(value), &fault)).collect()
}

fn is_dns1123_label(name: &str) -> bool {
    let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    ends_hold(name, alphanumeric) && name.bytes().all(|c| alphanumeric(c) || c == b'-')
}

fn is_qualified(name: &str) -> bool {
    ends_hold(name, |c| c.is_ascii_alphanumeric()) && name.bytes().all(is_name_byte)
}

fn is_name_byte(c: u8) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.')
}

fn ends_hold(name: &str, rule: impl Fn(u8) -> bool) -> bool {
    name.bytes().next().is_some_and(&rule) && name.bytes().last().is_some_and(&rule)
}

fn too_long(text: &str, max: usize) -> Vec<String> {
    if text.len() > max { vec![format!("must be no more than {max} characters")] } else { Vec::new() }
}

/// The double blank is Kubernetes' own.
fn pattern(rule: &str, regex: &str, examples: &[&str]) -> String {
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{rule} (e.g. {}regex used for validation is '{regex}')", examples.join(" or "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rule: fn(&str) -> Vec<String>, valid: &[&str], invalid: &[&str]) {
        for name in valid {
            assert_eq!(rule(name), Vec::<String>::new(), "{name:?}");
        }
        for name in invalid {
            assert!(!rule(name).is_empty(), "{name:?} passed");
        }
    }

    #[test]
    fn names_follow_their_rules() {
        let (fits, long) = ("a".repeat(63), "a".repeat(64));
        check(check_dns1123_label, &["a", "0", "a-b", &fits], &["", "-a", "a-", "A", "a.b", "a_b", "ä", &long]);
        check(check_dns1123_subdomain, &["a", "a.b-c.0", &long], &["", ".", "a..b", "a.-b", "A", &"a".repeat(254)]);
        check(check_dns1035_label, &["a", "a0"], &["", "0a", "a.b", "a-", &long]);
        check(check_qualified_name, &["a", "A_b.c", "x.io/A"], &["", "/a", "a/", "a/b/c", "X/a", "-a", &long]);
        check(check_label_value, &["", "A", "a_b.c-0", &fits], &["-", "a b", "a/b", &long]);
        check(check_env_var_name, &["A", "a.b", "0-x", "my name"], &["", "a=b", "ä", "a\nb"]);
        check(check_config_key, &["a.b", "_A-", ".x", "a..b"], &["", ".", "..", "..x", "a/b", "a b"]);
        check(check_port_name, &["http", "a-1", "0a"], &["", "80", "-a", "a-", "a--b", "A", "abcdefghijklmnop"]);
        check(check_ip, &["10.0.0.1", "::1"], &["", "10.0.0", "x"]);
        check(
            check_endpoint_ip,
            &["10.0.0.1", "127.0.0.1"],
            &["x", "0.0.0.0", "::", "169.254.1.1", "fe80::1", "224.0.0.1"],
        );
        check(check_path_segment, &["a:b"], &[".", "..", "a/b", "a%b"]);
    }

    #[test]
    fn messages_are_those_of_kubernetes() {
        assert_eq!(
            check_dns1123_label("Web"),
            [
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
            ]
        );
        assert_eq!(
            check_label_value("a b"),
            [
                "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            ]
        );
    }

    #[test]
    fn a_trailing_dash_of_a_generated_name_is_fine() {
        assert!(check_dns1123_label(&masked_generate_name("web-")).is_empty());
        assert!(!check_dns1123_label(&masked_generate_name("-")).is_empty());
    }
}

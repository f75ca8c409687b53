use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::config_map::{check_immutable, check_keys, check_size};
use super::{Kind, table};
use crate::field::set_default;
use crate::write::metadata::remove;

pub(super) fn kind() -> Kind {
    Kind {
        columns: &table::SECRET,
        selectable: &["type"],
        default: |secret, _| {
            set_default(secret, "type", "Opaque");
            encode_string_data(secret);
        },
        validate: |secret, faults| {
            let size = check_keys(secret, &["data"], faults);
            check_size(size, faults);
            if secret.get("type").text() == ACCOUNT_TOKEN {
                let annotations = secret.get("metadata").get("annotations");
                if annotations.get(ACCOUNT_NAME).is_empty() {
                    faults.push(crate::Cause::required(annotations.key_path(ACCOUNT_NAME), ""));
                }
            }
            for key in required_keys(secret.get("type").text()) {
                let data = secret.get("data");
                if data.value.get(*key).is_none() {
                    faults.push(crate::Cause::required(data.key_path(key), ""));
                }
            }
        },
        validate_update: |new, old, faults| {
            faults.immutable(&new.get("type"), &old["type"]);
            check_immutable(new, old, &["data"], faults);
        },
        ..Kind::plain("", "v1", "Secret", "SecretList", "secrets", "secret")
    }
}

const ACCOUNT_TOKEN: &str = "kubernetes.io/service-account-token";
const ACCOUNT_NAME: &str = "kubernetes.io/service-account.name";

/// `stringData` is for writing only: it ends up in `data`, over what is there.
fn encode_string_data(secret: &mut Value) {
    let Some(Value::Object(plain)) = secret.get("stringData").cloned() else { return };
    for (key, text) in plain {
        secret["data"][key] = json!(STANDARD.encode(text.as_str().unwrap_or_default()));
    }
    remove(secret, "stringData");
}

/// What a typed Secret must hold. Source: `ValidateSecret`.
fn required_keys(secret_type: &str) -> &'static [&'static str] {
    match secret_type {
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    }
}

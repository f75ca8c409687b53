use serde_json::json;

use super::{AGE, Columns, NAME, age, array, name, str_of, text};

pub static NAMESPACE: Columns = Columns {
    definitions: &[NAME, text("Status", 0, "The phase of the namespace."), AGE],
    row: |object, now| vec![name(object), object["status"]["phase"].clone(), age(object, now)],
};

pub static CONFIGMAP: Columns = Columns {
    definitions: &[NAME, text("Data", 0, "How many keys it has."), AGE],
    row: |object, now| {
        let count = |field: &str| object[field].as_object().map_or(0, |map| map.len());
        vec![name(object), json!(count("data") + count("binaryData")), age(object, now)]
    },
};

pub static SECRET: Columns = Columns {
    definitions: &[NAME, text("Type", 0, "The type of the secret."), text("Data", 0, "How many keys it has."), AGE],
    row: |object, now| {
        let count = object["data"].as_object().map_or(0, |map| map.len());
        vec![name(object), object["type"].clone(), json!(count), age(object, now)]
    },
};

pub static SERVICEACCOUNT: Columns = Columns {
    definitions: &[NAME, text("Secrets", 0, "How many secrets it refers to."), AGE],
    row: |object, now| vec![name(object), json!(array(&object["secrets"]).count()), age(object, now)],
};

pub static LEASE: Columns = Columns {
    definitions: &[NAME, text("Holder", 0, "Who holds the lease."), AGE],
    row: |object, now| vec![name(object), json!(str_of(&object["spec"]["holderIdentity"])), age(object, now)],
};

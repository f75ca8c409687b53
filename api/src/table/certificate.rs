use serde_json::{Value, json};

use super::age::human_duration;
use super::{AGE, Columns, NAME, age, array, name, str_of, text};

pub static CERTIFICATESIGNINGREQUEST: Columns = Columns {
    definitions: &[
        NAME,
        AGE,
        text("SignerName", 0, "Who is asked to sign."),
        text("Requestor", 0, "Who asks."),
        text("RequestedDuration", 0, "For how long."),
        text("Condition", 0, "Whether it was approved, and signed."),
    ],
    row: |object, now| {
        let spec = &object["spec"];
        let duration = spec["expirationSeconds"].as_i64().map_or_else(|| "<none>".to_owned(), human_duration);
        vec![
            name(object),
            age(object, now),
            spec["signerName"].clone(),
            json!(str_of(&spec["username"])),
            json!(duration),
            json!(condition(&object["status"])),
        ]
    },
};

fn condition(status: &Value) -> String {
    let mut words: Vec<&str> = array(&status["conditions"]).map(|condition| str_of(&condition["type"])).collect();
    if words.is_empty() {
        words.push("Pending");
    }
    if status["certificate"].as_str().is_some_and(|certificate| !certificate.is_empty()) {
        words.push("Issued");
    }
    words.join(",")
}

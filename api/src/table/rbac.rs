use serde_json::{Value, json};

use super::{AGE, Columns, NAME, age, array, name, str_of, text};

/// Of both kinds of bindings; roles have the default columns.
pub static ROLEBINDING: Columns = Columns {
    definitions: &[
        NAME,
        text("Role", 0, "The role that is bound."),
        AGE,
        text("Users", 1, "The users that it is bound to."),
        text("Groups", 1, "The groups that it is bound to."),
        text("ServiceAccounts", 1, "The service accounts that it is bound to."),
    ],
    row: |object, now| {
        let role = &object["roleRef"];
        let role = format!("{}/{}", str_of(&role["kind"]), str_of(&role["name"]));
        let subjects = |kind: &str| json!(subjects(object, kind));
        vec![
            name(object),
            json!(role),
            age(object, now),
            subjects("User"),
            subjects("Group"),
            subjects("ServiceAccount"),
        ]
    },
};

fn subjects(binding: &Value, kind: &str) -> String {
    let of_kind = array(&binding["subjects"]).filter(|subject| subject["kind"] == kind);
    let shown = of_kind.map(|subject| match kind {
        "ServiceAccount" => format!("{}/{}", str_of(&subject["namespace"]), str_of(&subject["name"])),
        _ => str_of(&subject["name"]).to_owned(),
    });
    shown.collect::<Vec<_>>().join(", ")
}

//! Tables have the columns that a real server's have: names, types and which of them are for wide output only.

use std::collections::BTreeMap;

use wasmk_api::kind;

/// Name, type, format and priority, as a kube-apiserver 1.20 told them, by the path of the list.
type Columns = BTreeMap<String, Vec<(String, String, String, i32)>>;

/// What has joined since.
const NEWER: [(&str, &str); 4] = [
    ("jobs", "Status"),
    ("cronjobs", "Timezone"),
    ("persistentvolumeclaims", "VolumeAttributesClass"),
    ("priorityclasses", "PreemptionPolicy"),
];
/// What has become a text since: `3 (2m ago)`.
const NOW_TEXT: [(&str, &str); 1] = [("pods", "Restarts")];
/// Where the age has gone to the end.
const AGE_IS_LAST: [&str; 1] = ["resourcequotas"];

#[test]
fn tables_have_the_recorded_columns() {
    let recorded: Columns = serde_json::from_str(include_str!("data/table-columns.json")).unwrap();
    let (mut checked, mut differing) = (0, Vec::new());
    for (path, mut columns) in recorded {
        let [group, plural] = match path.trim_start_matches('/').split('/').collect::<Vec<_>>()[..] {
            ["api", _, plural] => ["", plural],
            ["apis", group, _, plural] => [group, plural],
            _ => panic!("{path}"),
        };
        let now_text = columns.iter_mut().filter(|column| NOW_TEXT.contains(&(plural, &*column.0)));
        now_text.for_each(|column| column.1 = "string".to_owned());
        if AGE_IS_LAST.contains(&plural) {
            columns.sort_by_key(|column| column.0 == "Age");
        }
        // Kinds that are not served yet are nobody's to check.
        for kind in kind::all().iter().filter(|kind| kind.group == group && kind.plural == plural) {
            let found = kind.columns.definitions().iter();
            let found = found.filter(|column| !NEWER.contains(&(plural, column.name)));
            let found: Vec<_> = found
                .map(|one| (one.name.to_owned(), one.kind.to_owned(), one.format.to_owned(), one.priority))
                .collect();
            if found != columns {
                differing.push(format!("{kind:?}: {found:?}"));
            }
            checked += 1;
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    assert!(checked >= 20, "{checked}");
}

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use expect_test::{Expect, expect};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::Secret;

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Settings {
    greeting: String,
    limit: u8,
    #[serde(default)]
    verbose: bool,
    #[serde(default)]
    languages: Vec<String>,
    note: Option<String>,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code)]
struct Shop {
    database: Database,
    token: Option<Secret<String>>,
    #[serde(default)]
    mode: Mode,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(dead_code)]
struct Database {
    host: String,
    #[serde(default)]
    max_connections: Option<u16>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    #[default]
    Fast,
    Safe,
}

/// Variables and files, a line each: `NAME=value` or `name: content`.
#[track_caller]
fn check<T: DeserializeOwned + std::fmt::Debug>(given: &str, expected: Expect) {
    let dir = tempfile::tempdir().unwrap();
    let mut env = Vec::new();
    for line in given.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_at(line.find(['=', ':']).unwrap());
        match value.strip_prefix(": ") {
            Some(content) => fs::write(dir.path().join(name), content.replace("\\n", "\n")).unwrap(),
            None => env.push((name, &value[1..])),
        }
    }
    let told = match Config::of(env).prefix("app").dir(dir.path()).load::<T>() {
        Ok(settings) => format!("{settings:?}"),
        Err(error) => error.to_string(),
    };
    expected.assert_eq(&told.replace(dir.path().to_str().unwrap(), "/etc/app"));
}

#[test]
fn variables_and_files_are_settings() {
    check::<Settings>(
        "APP_GREETING=Hello\nlimit: 7\\n\nAPP_VERBOSE=on\nlanguages: en, de,\nAPP_NOTE=",
        expect![[r#"Settings { greeting: "Hello", limit: 7, verbose: true, languages: ["en", "de"], note: None }"#]],
    );
}

#[test]
fn a_variable_comes_before_a_file() {
    check::<Settings>(
        "APP_GREETING=env\ngreeting: file\nAPP_LIMIT=1\nAPP_NOTE=n\nAPP_LANGUAGES=[\"a,b\"]",
        expect![[r#"Settings { greeting: "env", limit: 1, verbose: false, languages: ["a,b"], note: Some("n") }"#]],
    );
}

#[test]
fn what_is_missing_is_said_with_every_way_to_give_it() {
    check::<Settings>(
        "APP_LIMIT=1",
        expect![
            "setting greeting is missing: set the environment variable APP_GREETING, or mount a ConfigMap or Secret with the key greeting at /etc/app"
        ],
    );
    check::<Shop>(
        "APP_MODE=safe",
        expect![
            "setting database is missing: set the environment variable APP_DATABASE, or mount a ConfigMap or Secret with the key database at /etc/app"
        ],
    );
    check::<Shop>(
        "APP_DATABASE_MAX_CONNECTIONS=3",
        expect![
            "setting database.host is missing: set the environment variable APP_DATABASE_HOST, or mount a ConfigMap or Secret with the key database.host at /etc/app"
        ],
    );
    let error = Config::of([("", "")]).load::<Settings>().unwrap_err().to_string();
    expect!["setting greeting is missing: set the environment variable GREETING (env in the manifest)"]
        .assert_eq(&error);
}

#[test]
fn a_value_of_the_wrong_kind_is_shown_with_its_place() {
    check::<Settings>(
        "APP_GREETING=x\nAPP_LIMIT=300",
        expect![[
            r#"setting limit: "300" in environment variable APP_LIMIT is not a whole number from 0 to 255; correct it"#
        ]],
    );
    check::<Settings>(
        "APP_GREETING=x\nlimit: many",
        expect![[r#"setting limit: "many" in file /etc/app/limit is not a whole number from 0 to 255; correct it"#]],
    );
    check::<Settings>(
        "APP_GREETING=x\nAPP_LIMIT=1\nAPP_VERBOSE=maybe",
        expect![[r#"setting verbose: "maybe" in environment variable APP_VERBOSE is not true or false; correct it"#]],
    );
    check::<Shop>(
        "database.host: db\nAPP_MODE=slow",
        expect![[r#"setting mode: "slow" in environment variable APP_MODE is not one of fast, safe; correct it"#]],
    );
}

#[test]
fn a_struct_has_its_settings_below_its_name_or_in_json() {
    check::<Shop>(
        "database.host: db\\n\nAPP_DATABASE_MAX_CONNECTIONS=3\nAPP_MODE=safe",
        expect![[r#"Shop { database: Database { host: "db", max_connections: Some(3) }, token: None, mode: Safe }"#]],
    );
    check::<Shop>(
        r#"database.json: {"host": "db", "maxConnections": 4}"#,
        expect![[r#"Shop { database: Database { host: "db", max_connections: Some(4) }, token: None, mode: Fast }"#]],
    );
    check::<Shop>(
        r#"APP_DATABASE={"host": 5}"#,
        expect![
            "setting database: environment variable APP_DATABASE: invalid type: integer `5`, expected a string; correct it"
        ],
    );
    check::<Shop>(
        "APP_DATABASE=db",
        expect![[r#"setting database: "db" in environment variable APP_DATABASE is not a JSON object; correct it"#]],
    );
}

#[test]
fn a_secret_is_not_in_what_is_said_about_it() {
    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Pin {
        pin: Secret<u16>,
    }
    check::<Pin>("pin: 1234", expect!["Pin { pin: Secret([secret]) }"]);
    check::<Pin>(
        "pin: hunter2",
        expect!["setting pin: file /etc/app/pin: this secret is not valid (its value is not shown); correct it"],
    );
}

#[test]
fn a_variable_may_name_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("mounted");
    fs::write(&file, "s3cret\n").unwrap();
    #[derive(Debug, Deserialize)]
    struct Login {
        token: Secret<String>,
    }
    let load = |path: &Path| Config::of([("TOKEN_FILE", path.to_str().unwrap())]).load::<Login>();
    assert_eq!(load(&file).unwrap().token.expose(), "s3cret");
    let error = load(Path::new("/nowhere/token")).unwrap_err().to_string();
    expect!["setting token: file /nowhere/token is not there, though TOKEN_FILE names it; mount it, or correct its path or content"]
        .assert_eq(&error);
}

#[test]
fn a_file_that_is_no_text_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("greeting"), [0xff, 0xfe]).unwrap();
    let error = Config::default().dir(dir.path()).load::<Settings>().unwrap_err().to_string();
    assert!(error.starts_with("setting greeting: file ") && error.contains("greeting is not UTF-8 text"), "{error}");
}

#[test]
fn durations_are_written_with_units() {
    #[derive(Debug, Deserialize)]
    struct Waits {
        #[serde(deserialize_with = "duration")]
        wait: Duration,
    }
    let load = |text: &str| Config::of([("WAIT", text)]).load::<Waits>();
    assert_eq!(load("1m 30s").unwrap().wait, Duration::from_secs(90));
    let error = load("soon").unwrap_err().to_string();
    assert!(error.starts_with("setting wait: environment variable WAIT: no duration such as 500ms or 30s"), "{error}");
}

#[test]
fn settings_that_are_no_struct_are_refused() {
    let error = Config::of([("A", "b")]).load::<HashMap<String, String>>().unwrap_err().to_string();
    assert!(error.contains("must be a struct"), "{error}");
}

#[test]
fn names_of_variables_are_upper_case_with_underscores() {
    for (name, expected) in [
        ("limit", "LIMIT"),
        ("max_items", "MAX_ITEMS"),
        ("maxItems", "MAX_ITEMS"),
        ("a-b.c", "A_B_C"),
        ("HTTPPort", "HTTPPORT"),
    ] {
        assert_eq!(super::source::variable(name), expected);
    }
}

use serde_json::{Value, json};
use wasmk_api::write::{self, FieldValidation, Propagation};
use wasmk_api::{Cause, Reason, Status};

/// The query of a request, decoded; the first of several values counts, except where Kubernetes reads them all.
#[derive(Clone, Default, Debug)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The value, when it is given and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        (!value.is_empty()).then_some(value)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// As Kubernetes converts: anything but `0` and `false` is true, an empty value too.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or(false)
    }

    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(!(value == "0" || value.eq_ignore_ascii_case("false")))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<i64>, Status> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let refused = || {
            Status::bad_request(format!(
                "unable to decode query parameter {name}: strconv.ParseInt: parsing {text:?}: invalid syntax"
            ))
        };
        text.parse().map(Some).map_err(|_| refused())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ResourceVersionMatch {
    Exact,
    NotOlderThan,
}

/// `ListOptions`, for lists, watches and collection deletes.
#[derive(Clone, Default, Debug)]
pub(crate) struct ListOptions {
    pub(crate) label_selector: String,
    pub(crate) field_selector: String,
    /// `None`: everything.
    pub(crate) limit: Option<usize>,
    pub(crate) continue_token: Option<String>,
    /// `None` when it is not given; 0 means "any, also an old one".
    pub(crate) resource_version: Option<u64>,
    pub(crate) resource_version_match: Option<ResourceVersionMatch>,
    pub(crate) watch: bool,
    pub(crate) allow_bookmarks: bool,
    pub(crate) send_initial_events: Option<bool>,
    pub(crate) timeout_seconds: Option<u64>,
}

impl ListOptions {
    pub(crate) fn parse(query: &Query) -> Result<Self, Status> {
        let options = Self {
            label_selector: query.text("labelSelector").unwrap_or_default().to_owned(),
            field_selector: query.text("fieldSelector").unwrap_or_default().to_owned(),
            limit: query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0),
            continue_token: query.text("continue").map(str::to_owned),
            resource_version: query.text("resourceVersion").map(parse_resource_version).transpose()?,
            resource_version_match: query.text("resourceVersionMatch").map(parse_match).transpose()?,
            watch: query.flag("watch"),
            allow_bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query.optional_flag("sendInitialEvents"),
            timeout_seconds: query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()),
        };
        options.check().map(|()| options)
    }

    /// Which options go together; source: `ValidateListOptions` of apimachinery.
    fn check(&self) -> Result<(), Status> {
        let forbidden =
            |field: &str, detail: &str| Err(invalid_options("ListOptions", Cause::forbidden(field, detail)));
        if self.watch {
            return match (self.send_initial_events, self.resource_version_match) {
                (Some(_), None) => forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ),
                (Some(_), Some(ResourceVersionMatch::Exact)) => {
                    forbidden("resourceVersionMatch", "sendInitialEvents requires NotOlderThan")
                }
                (None, Some(_)) => forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ),
                _ => Ok(()),
            };
        }
        if self.send_initial_events.is_some() {
            return forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        match (self.resource_version_match, self.resource_version) {
            (Some(_), None) => forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ),
            (Some(_), _) if self.continue_token.is_some() => {
                forbidden("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
            }
            (Some(ResourceVersionMatch::Exact), Some(0)) => forbidden(
                "resourceVersionMatch",
                "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
            ),
            _ => Ok(()),
        }
    }
}

/// `CreateOptions`, `UpdateOptions` and `PatchOptions`.
#[derive(Clone, Default, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    /// What the request said; empty when it did not.
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    /// Server-side apply takes over what others own.
    pub(crate) force: bool,
}

impl WriteOptions {
    /// `options` is the kind's name for errors, such as `CreateOptions`.
    pub(crate) fn parse(query: &Query, options: &str) -> Result<Self, Status> {
        let field_validation = match query.text("fieldValidation") {
            None => FieldValidation::default(),
            Some("Ignore") => FieldValidation::Ignore,
            Some("Warn") => FieldValidation::Warn,
            Some("Strict") => FieldValidation::Strict,
            Some(other) => {
                let cause = Cause::unsupported("fieldValidation", &json!(other), &["", "Ignore", "Strict", "Warn"]);
                return Err(invalid_options(options, cause));
            }
        };
        Ok(Self {
            dry_run: dry_run(query.all("dryRun"), options)?,
            field_manager: query.text("fieldManager").unwrap_or_default().to_owned(),
            field_validation,
            force: query.flag("force"),
        })
    }
}

/// `DeleteOptions`, from the query or from the body, which wins.
#[derive(Clone, Default, Debug)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(crate) write: write::DeleteOptions,
}

const DELETE_OPTIONS: &str = "DeleteOptions";

impl DeleteOptions {
    /// `body` is null when the request has none.
    pub(crate) fn parse(query: &Query, body: &Value) -> Result<Self, Status> {
        if !body.is_null() && !body["kind"].is_null() && body["kind"] != DELETE_OPTIONS {
            return Err(Status::bad_request(format!("decode DeleteOptions: the body is of kind {}", body["kind"])));
        }
        let body_dry_run = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let body_orphans = body["orphanDependents"].as_bool().or(query.optional_flag("orphanDependents"));
        let policy = body["propagationPolicy"].as_str().or(query.text("propagationPolicy"));
        let propagation = match policy {
            Some("Orphan") => Some(Propagation::Orphan),
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some(other) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                let cause = Cause::unsupported("propagationPolicy", &json!(other), &supported);
                return Err(invalid_options(DELETE_OPTIONS, cause));
            }
            None => body_orphans.map(|orphan| if orphan { Propagation::Orphan } else { Propagation::Background }),
        };
        let preconditions = &body["preconditions"];
        let text = |name: &str| preconditions[name].as_str().map(str::to_owned);
        let write = write::DeleteOptions {
            grace_period_seconds: body["gracePeriodSeconds"].as_i64().or(query.number("gracePeriodSeconds")?),
            propagation,
            uid: text("uid"),
            resource_version: text("resourceVersion"),
        };
        Ok(Self { dry_run: dry_run(query.all("dryRun").chain(body_dry_run), DELETE_OPTIONS)?, write })
    }
}

fn dry_run<'a>(values: impl Iterator<Item = &'a str>, options: &str) -> Result<bool, Status> {
    let values: Vec<&str> = values.collect();
    if values.iter().all(|value| *value == "All") {
        return Ok(!values.is_empty());
    }
    let list: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    let message = format!("Unsupported value: []string{{{}}}: supported values: \"All\"", list.join(", "));
    Err(invalid_options(options, Cause::new("FieldValueNotSupported", "dryRun", message)))
}

/// 422 about the options themselves.
pub(crate) fn invalid_options(options: &str, cause: Cause) -> Status {
    Status::invalid(options, "meta.k8s.io", "", vec![cause])
}

fn parse_resource_version(text: &str) -> Result<u64, Status> {
    let message =
        format!("resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
    text.parse().map_err(|_| Status::new(Reason::BadRequest, message))
}

fn parse_match(text: &str) -> Result<ResourceVersionMatch, Status> {
    match text {
        "Exact" => Ok(ResourceVersionMatch::Exact),
        "NotOlderThan" => Ok(ResourceVersionMatch::NotOlderThan),
        other => {
            let supported = ["Exact", "NotOlderThan", ""];
            Err(invalid_options("ListOptions", Cause::unsupported("resourceVersionMatch", &json!(other), &supported)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_ampersand_is_harmless() {
        let query = Query::parse("&dryRun=All");
        assert!(WriteOptions::parse(&query, "PatchOptions").unwrap().dry_run);
    }

    #[test]
    fn a_bad_dry_run_is_worded_as_kubernetes_words_it() {
        let status = WriteOptions::parse(&Query::parse("dryRun=foo"), "CreateOptions").unwrap_err();
        assert_eq!(
            status.message,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: []string{\"foo\"}: supported values: \"All\""
        );
        assert_eq!(status.code, 422);
    }

    #[test]
    fn flags_convert_as_in_kubernetes() {
        let query = Query::parse("watch=1&a=false&b=&c=0&d=True");
        let flags = ["watch", "a", "b", "c", "d", "absent"].map(|name| query.flag(name));
        assert_eq!(flags, [true, false, true, false, true, false]);
    }

    #[test]
    fn a_delete_body_wins_over_the_query() {
        let query = Query::parse("propagationPolicy=Foreground&gracePeriodSeconds=30");
        let body = json!({"propagationPolicy": "Orphan", "gracePeriodSeconds": 0, "preconditions": {"uid": "u"}});
        let options = DeleteOptions::parse(&query, &body).unwrap();
        assert_eq!(options.write.propagation, Some(Propagation::Orphan));
        assert_eq!(options.write.grace_period_seconds, Some(0));
        assert_eq!(options.write.uid.as_deref(), Some("u"));
    }

    #[test]
    fn options_that_do_not_go_together_are_refused() {
        let refused = ["watch=1&resourceVersionMatch=Exact", "sendInitialEvents=true", "resourceVersionMatch=Exact"];
        for query in refused {
            assert_eq!(ListOptions::parse(&Query::parse(query)).unwrap_err().code, 422, "{query}");
        }
    }
}

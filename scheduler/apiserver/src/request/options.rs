use serde_json::{Value, json};
use wasmk_api::write::{self, FieldValidation, Propagation};
use wasmk_api::{Cause, Reason, Status, schema};

/// Read in two places, which must agree: what is asked for, and whether it may be.
pub(super) const FIELD_SELECTOR: &str = "fieldSelector";

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

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Every value, empty ones too.
    pub(crate) fn every<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
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
        let refused = || Status::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"));
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
        Self::read(query, false)
    }

    /// For what is a watch by its path too.
    pub(crate) fn parse_watch(query: &Query) -> Result<Self, Status> {
        Self::read(query, true)
    }

    fn read(query: &Query, watch: bool) -> Result<Self, Status> {
        let options = Self {
            label_selector: query.text("labelSelector").unwrap_or_default().to_owned(),
            field_selector: query.text(FIELD_SELECTOR).unwrap_or_default().to_owned(),
            limit: query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0),
            continue_token: query.text("continue").map(str::to_owned),
            resource_version: query.text("resourceVersion").map(parse_resource_version).transpose()?,
            resource_version_match: query.text("resourceVersionMatch").map(parse_match).transpose()?,
            watch,
            allow_bookmarks: query.flag("allowWatchBookmarks"),
            send_initial_events: query.optional_flag("sendInitialEvents"),
            timeout_seconds: query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok()),
        };
        options.check().map(|()| options)
    }

    /// Which options go together; source: `ValidateListOptions` of apimachinery.
    fn check(&self) -> Result<(), Status> {
        let causes = if self.watch { self.watch_faults() } else { self.list_faults() };
        if causes.is_empty() { Ok(()) } else { Err(Status::invalid("ListOptions", META_GROUP, "", causes)) }
    }

    fn list_faults(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut forbid = |field: &str, detail: &str| causes.push(Cause::forbidden(field, detail));
        if let Some(wanted) = self.resource_version_match {
            if self.resource_version.is_none() {
                forbid(MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided");
            }
            if self.continue_token.is_some() {
                forbid(MATCH, "resourceVersionMatch is forbidden when continue is provided");
            }
            if wanted == ResourceVersionMatch::Exact && self.resource_version == Some(0) {
                forbid(MATCH, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
            }
        }
        if self.send_initial_events.is_some() {
            forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        causes
    }

    fn watch_faults(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let not_older = self.resource_version_match == Some(ResourceVersionMatch::NotOlderThan);
        if self.send_initial_events.is_some() && !not_older {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            causes.push(Cause::forbidden(MATCH, detail));
        }
        if self.resource_version_match.is_some() {
            if self.send_initial_events.is_none() {
                let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                causes.push(Cause::forbidden(MATCH, detail));
            }
            if !not_older {
                causes.push(Cause::unsupported(MATCH, &json!("Exact"), &["NotOlderThan"]));
            }
            if self.continue_token.is_some() {
                let detail = "resourceVersionMatch is forbidden when continue is provided";
                causes.push(Cause::forbidden(MATCH, detail));
            }
        }
        causes
    }
}

const MATCH: &str = "resourceVersionMatch";
const META_GROUP: &str = "meta.k8s.io";
/// Kubernetes' own bound on the name of a field manager.
pub(crate) const FIELD_MANAGER_BYTES_MAX: usize = 128;

/// `CreateOptions`, `UpdateOptions` and `PatchOptions`.
#[derive(Clone, Default, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    /// What the request said; empty when it did not.
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    /// Server-side apply takes over what others own; `None` when the request did not say.
    pub(crate) force: Option<bool>,
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
            field_manager: field_manager(query.text("fieldManager").unwrap_or_default(), options)?,
            field_validation,
            force: query.optional_flag("force"),
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
        let findings = schema::check("", "v1", DELETE_OPTIONS, body);
        if let Some(status) = findings.and_then(|findings| findings.type_error("v1", DELETE_OPTIONS)) {
            return Err(status);
        }
        let body_dry_run = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let body_orphans = body["orphanDependents"].as_bool().or(query.optional_flag("orphanDependents"));
        let policy = body["propagationPolicy"].as_str().or(query.text("propagationPolicy"));
        if policy.is_some() && body_orphans.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            return Err(invalid_options(DELETE_OPTIONS, Cause::invalid("propagationPolicy", &json!(policy), detail)));
        }
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

/// The name, if it can be one.
fn field_manager(name: &str, options: &str) -> Result<String, Status> {
    let mut causes = Vec::new();
    if name.len() > FIELD_MANAGER_BYTES_MAX {
        let message = format!("Too long: may not be more than {FIELD_MANAGER_BYTES_MAX} bytes");
        causes.push(Cause::new("FieldValueTooLong", "fieldManager", message));
    }
    for (position, character) in name.char_indices().filter(|(_, character)| character.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {position})", u32::from(character));
        causes.push(Cause::invalid("fieldManager", &json!(name), &detail));
    }
    if causes.is_empty() { Ok(name.to_owned()) } else { Err(Status::invalid(options, META_GROUP, "", causes)) }
}

/// 422 about the options themselves.
pub(crate) fn invalid_options(options: &str, cause: Cause) -> Status {
    Status::invalid(options, META_GROUP, "", vec![cause])
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
        #[track_caller]
        fn check(parsed: Result<ListOptions, Status>, expected: &str) {
            let status = parsed.unwrap_err();
            assert_eq!(status.code, 422);
            assert_eq!(status.message, format!("ListOptions.meta.k8s.io \"\" is invalid: {expected}"));
        }
        let watch = |query: &str| ListOptions::parse_watch(&Query::parse(query));
        let list = |query: &str| ListOptions::parse(&Query::parse(query));
        check(
            watch("sendInitialEvents=true"),
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        );
        check(
            watch("resourceVersionMatch=Exact"),
            "[resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]",
        );
        check(list("sendInitialEvents=true"), "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list");
        check(
            list("resourceVersionMatch=NotOlderThan"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided",
        );
        check(
            list("resourceVersionMatch=Exact&resourceVersion=0"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        );
        check(
            list("resourceVersionMatch=Exact&resourceVersion=5&continue=x"),
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided",
        );
        check(
            list("resourceVersionMatch=x&resourceVersion=5"),
            "resourceVersionMatch: Unsupported value: \"x\": supported values: \"Exact\", \"NotOlderThan\", \"\"",
        );
        assert!(watch("sendInitialEvents=true&resourceVersionMatch=NotOlderThan").is_ok());
    }
}

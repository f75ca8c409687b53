//! Every parameter that an operation may take, in one table.

/// A parameter of a path or a query.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `string`, `integer` or `boolean`.
    pub(super) json_type: &'static str,
    pub(super) description: &'static str,
}

pub(super) const LIST: &[&str] = &[
    "allowWatchBookmarks",
    "continue",
    "fieldSelector",
    "labelSelector",
    "limit",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
    "watch",
];
pub(super) const WRITE: &[&str] = &["dryRun", "fieldManager", "fieldValidation"];
pub(super) const PATCH: &[&str] = &["dryRun", "fieldManager", "fieldValidation", "force"];
pub(super) const DELETE: &[&str] = &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];
pub(super) const DELETE_COLLECTION: &[&str] = &[
    "continue",
    "dryRun",
    "fieldSelector",
    "gracePeriodSeconds",
    "labelSelector",
    "limit",
    "orphanDependents",
    "propagationPolicy",
    "resourceVersion",
    "resourceVersionMatch",
    "sendInitialEvents",
    "timeoutSeconds",
];

/// What a subresource that is no view of the object takes.
pub(super) fn of_subresource(name: &str) -> &'static [&'static str] {
    match name {
        "log" => &[
            "container",
            "follow",
            "limitBytes",
            "previous",
            "sinceSeconds",
            "sinceTime",
            "stream",
            "tailLines",
            "timestamps",
        ],
        "exec" => &["command", "container", "stderr", "stdin", "stdout", "tty"],
        "attach" => &["container", "stderr", "stdin", "stdout", "tty"],
        "portforward" => &["ports"],
        "proxy" => &["path"],
        _ => &[],
    }
}

/// The parameter of that name; every name in this file has one.
pub(super) fn parameter(name: &str) -> Option<&'static Parameter> {
    PARAMETERS.iter().find(|parameter| parameter.name == name)
}

const fn text(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, json_type: "string", description }
}

const fn number(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, json_type: "integer", description }
}

const fn flag(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, json_type: "boolean", description }
}

static PARAMETERS: &[Parameter] = &[
    text("name", "The name of the object."),
    text("namespace", "The namespace of the object, such as for teams and projects."),
    text("pretty", "If true, the answer is printed for people."),
    flag("allowWatchBookmarks", "Asks a watch for events of type BOOKMARK, which tell how far it has come."),
    text("continue", "Where a list that came in chunks goes on: the token of its last chunk."),
    text("fieldSelector", "Selects objects by their fields. Everything is selected by default."),
    text("labelSelector", "Selects objects by their labels. Everything is selected by default."),
    number("limit", "The largest number of objects in one answer; what is left is reached by its continue token."),
    text("resourceVersion", "The version that the answer is about, as resourceVersionMatch says."),
    text("resourceVersionMatch", "How resourceVersion is meant: Exact or NotOlderThan."),
    flag("sendInitialEvents", "A watch begins with what is there, ended by a bookmark."),
    number("timeoutSeconds", "After which a list or a watch ends, whether anything happened or not."),
    flag("watch", "Tells changes as they happen, as a stream of ADDED, MODIFIED and DELETED events."),
    text("dryRun", "All: everything is checked and nothing is written."),
    text("fieldManager", "Who is recorded as the writer of the fields; required by server-side apply."),
    text("fieldValidation", "What becomes of unknown and duplicate fields: Ignore, Warn or Strict."),
    flag("force", "Server-side apply takes over fields that others own."),
    number("gracePeriodSeconds", "How long the object has to end; zero ends it at once."),
    flag("orphanDependents", "Deprecated: use propagationPolicy. Whether what the object owns stays."),
    text("propagationPolicy", "What becomes of what the object owns: Orphan, Background or Foreground."),
    text("command", "What to execute; not run by a shell."),
    text("container", "The container that is meant; the only one by default."),
    flag("stdin", "Whether standard input is connected."),
    flag("stdout", "Whether standard output is connected."),
    flag("stderr", "Whether standard error is connected."),
    flag("tty", "Whether a terminal is made for the command."),
    number("ports", "The ports to forward; needed by WebSocket clients."),
    text("path", "The path below the target, with its query."),
    flag("follow", "Goes on until the container ends."),
    number("limitBytes", "After which the log is cut."),
    flag("previous", "The log of the container's last run."),
    number("sinceSeconds", "Lines of the last so many seconds only."),
    text("sinceTime", "Lines after this time (RFC 3339) only."),
    text("stream", "Which stream: All, Stdout or Stderr."),
    number("tailLines", "So many lines from the end of the log."),
    flag("timestamps", "Each line begins with its time."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_explained() {
        let subresources = ["log", "exec", "attach", "portforward", "proxy"].map(of_subresource);
        let lists = [LIST, WRITE, PATCH, DELETE, DELETE_COLLECTION].into_iter().chain(subresources);
        for name in lists.flatten().chain(&["name", "namespace", "pretty"]) {
            assert!(parameter(name).is_some(), "{name}");
        }
    }
}

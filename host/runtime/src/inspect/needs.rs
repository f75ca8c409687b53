use super::{GuestKind, Import};

/// What a guest can make use of only if it is given to it. A guest that was linked with more than it calls may ask for
/// less than this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Requests come in over HTTP, without sockets of its own.
    pub http_in: bool,
    /// Listens on TCP ports.
    pub listens: bool,
    /// Opens TCP connections.
    pub connects: bool,
    /// Opens UDP sockets, which are not there.
    pub udp: bool,
    /// Looks up names.
    pub names: bool,
    /// Sends HTTP requests.
    pub http_out: bool,
    /// Reads environment variables.
    pub env: bool,
    /// Reads its arguments.
    pub args: bool,
    /// Reads standard input.
    pub stdin: bool,
    /// Opens files, which are there only if something is mounted or the image brings them.
    pub files: bool,
}

/// A need, what it is seen by in a component, and in a wasip1 module: the start of an interface's name with the ends of
/// functions (any if there are none), and functions.
type Rule = (fn(&mut Needs) -> &mut bool, &'static str, &'static [&'static str], &'static [&'static str]);

const RULES: [Rule; 13] = [
    (|needs| &mut needs.listens, "wasi:sockets/tcp@", &[".start-listen"], &["sock_accept"]),
    (|needs| &mut needs.listens, "wasi:sockets/types@0.3", &["tcp-socket.listen"], &[]),
    (|needs| &mut needs.connects, "wasi:sockets/tcp@", &[".start-connect"], &[]),
    (|needs| &mut needs.connects, "wasi:sockets/types@0.3", &["tcp-socket.connect"], &[]),
    (|needs| &mut needs.udp, "wasi:sockets/udp@", &[".start-bind"], &[]),
    (|needs| &mut needs.names, "wasi:sockets/ip-name-lookup", &[], &[]),
    (|needs| &mut needs.http_out, "wasi:http/outgoing-handler", &[], &[]),
    (|needs| &mut needs.http_out, "wasi:http/client", &[], &[]),
    (|needs| &mut needs.env, "wasi:cli/environment", &["get-environment"], &["environ_get"]),
    (|needs| &mut needs.args, "wasi:cli/environment", &["get-arguments"], &["args_get"]),
    (|needs| &mut needs.stdin, "wasi:cli/stdin", &[], &["fd_read"]),
    (|needs| &mut needs.files, "wasi:filesystem/types", &["descriptor.open-at"], &["path_open"]),
    (
        |needs| &mut needs.files,
        "wasi:filesystem/types",
        &["descriptor.create-directory-at"],
        &["path_create_directory"],
    ),
];

impl Needs {
    pub(super) fn of(imports: &[Import], kind: Option<GuestKind>) -> Self {
        let mut needs = Self { http_in: kind.is_some_and(GuestKind::is_http), ..Self::default() };
        for (need, interface, ends, preview1) in &RULES {
            let is_used = imports.iter().any(|import| match import.name.strip_prefix("wasi_snapshot_preview1.") {
                Some(function) => preview1.contains(&function),
                None => {
                    let used = |end: &&str| import.functions.iter().any(|function| function.ends_with(end));
                    import.name.starts_with(interface) && (ends.is_empty() || ends.iter().any(used))
                }
            });
            *need(&mut needs) |= is_used;
        }
        needs
    }

    /// In words, for lists.
    pub fn words(&self) -> Vec<&'static str> {
        let all = [
            (self.http_in, "http-in"),
            (self.listens, "listen"),
            (self.connects, "connect"),
            (self.udp, "udp"),
            (self.names, "names"),
            (self.http_out, "http-out"),
            (self.env, "env"),
            (self.args, "args"),
            (self.stdin, "stdin"),
            (self.files, "files"),
        ];
        all.into_iter().filter(|(is_set, _)| *is_set).map(|(_, word)| word).collect()
    }
}

//! `Impersonate-*` headers: whoever may `impersonate` acts with another's rights. Source:
//! `k8s.io/apiserver/pkg/endpoints/filters/impersonation.go`.

use std::collections::BTreeMap;

use http::HeaderMap;
use wasmk_api::{Snapshot, Status};

use crate::Identity;
use crate::authz::{self, Attributes, What};
use crate::identity::{ANONYMOUS_USER, UNAUTHENTICATED_GROUP};
use crate::request::ResourcePath;
use crate::tokens::account_groups;

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";

/// The identity that counts: the one that is asked for, if `asker` may act as it; the asker's own when none is.
pub(super) fn act_as(asker: Identity, headers: &HeaderMap, snapshot: &Snapshot) -> Result<Identity, Status> {
    let wanted = Wanted::parse(headers)?;
    let Some(user) = &wanted.user else {
        return match wanted == Wanted::default() {
            true => Ok(asker),
            false => Err(Status::bad_request("requested groups, uid or extra without impersonating a user")),
        };
    };
    for path in wanted.rights(user) {
        authz::require(&Attributes { identity: &asker, verb: "impersonate", what: What::Resource(&path) }, snapshot)?;
    }
    Ok(wanted.identity())
}

#[derive(Default, PartialEq)]
struct Wanted {
    user: Option<String>,
    groups: Vec<String>,
    uid: Option<String>,
    extra: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    fn parse(headers: &HeaderMap) -> Result<Self, Status> {
        let mut wanted = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            if ![USER, GROUP, UID].contains(&name) && !name.starts_with(EXTRA) {
                continue;
            }
            let text = value.to_str().map_err(|_| Status::bad_request(format!("{name} is no text")))?;
            match name {
                _ if text.is_empty() => {}
                USER => wanted.user = Some(text.to_owned()),
                UID => wanted.uid = Some(text.to_owned()),
                GROUP => wanted.groups.push(text.to_owned()),
                _ => {
                    let key = percent_decoded(name.trim_start_matches(EXTRA));
                    wanted.extra.entry(key).or_default().push(text.to_owned());
                }
            }
        }
        Ok(wanted)
    }

    /// On what the asker must have the verb `impersonate`.
    fn rights(&self, user: &str) -> Vec<ResourcePath> {
        let path = |group: &str, resource: &str, name: &str| ResourcePath {
            group: group.to_owned(),
            resource: resource.to_owned(),
            name: name.to_owned(),
            ..ResourcePath::default()
        };
        let who = match account(user) {
            Some((namespace, name)) => {
                ResourcePath { namespace: namespace.to_owned(), ..path("", "serviceaccounts", name) }
            }
            None => path("", "users", user),
        };
        let group = "authentication.k8s.io";
        let mut rights = vec![who];
        rights.extend(self.groups.iter().map(|name| path("", "groups", name)));
        rights.extend(self.uid.iter().map(|uid| path(group, "uids", uid)));
        for (key, values) in &self.extra {
            rights.extend(
                values
                    .iter()
                    .map(|value| ResourcePath { subresource: key.clone(), ..path(group, "userextras", value) }),
            );
        }
        rights
    }

    fn identity(self) -> Identity {
        let user = self.user.unwrap_or_default();
        let mut groups = self.groups;
        if groups.is_empty() {
            match account(&user) {
                Some((namespace, _)) => groups = account_groups(namespace),
                None if user == ANONYMOUS_USER => groups.push(UNAUTHENTICATED_GROUP.to_owned()),
                None => {}
            }
        }
        let uid = self.uid.unwrap_or_default();
        Identity { user, uid, groups, extra: self.extra }.authenticated()
    }
}

/// Namespace and name of the ServiceAccount that a user is.
fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?.split_once(':')
}

/// Keys with slashes come as `%2f`, for a header's name may have none.
fn percent_decoded(key: &str) -> String {
    let encoded = key.replace('+', "%2B");
    let decoded = form_urlencoded::parse(encoded.as_bytes()).next();
    decoded.map_or_else(|| key.to_owned(), |(key, _)| key.into_owned())
}

use wasmk_api::{Reason, Status};

use crate::Identity;
use crate::request::{ResourcePath, Target};

/// Who wants to do what with what.
pub(crate) struct Attributes<'a> {
    pub(crate) identity: &'a Identity,
    /// As in rules, which may name others than those of HTTP: `bind`, `escalate`, `impersonate`, `*`.
    pub(crate) verb: &'a str,
    pub(crate) what: What<'a>,
}

pub(crate) enum What<'a> {
    Resource(&'a ResourcePath),
    /// Anything else that has a path, such as `/metrics`.
    Path(&'a str),
}

impl<'a> Attributes<'a> {
    pub(crate) fn of(identity: &'a Identity, target: &'a Target) -> Self {
        let what = target.resource.as_ref().map_or(What::Path(&target.path), What::Resource);
        Self { identity, verb: target.verb_name(), what }
    }

    pub(crate) fn forbidden(&self) -> Status {
        let (user, verb) = (&self.identity.user, self.verb);
        let path = match self.what {
            What::Resource(path) => path,
            What::Path(path) => {
                let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
                return Status::new(Reason::Forbidden, message);
            }
        };
        let qualified = match path.group.as_str() {
            "" => path.resource.clone(),
            group => format!("{}.{group}", path.resource),
        };
        let subject = if path.name.is_empty() { qualified } else { format!("{qualified} \"{}\"", path.name) };
        let place = match path.rights_namespace() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let message = format!(
            "{subject} is forbidden: User \"{user}\" cannot {verb} resource \"{}\" in API group \"{}\" {place}",
            path.qualified(),
            path.group
        );
        Status::new(Reason::Forbidden, message).about(&path.resource, &path.group, &path.name)
    }
}

use std::cmp::Reverse;

use wasmk_api::kind::{self, Kind};

use crate::ApiServer;

/// The kinds that are served at one moment.
pub(crate) struct Catalog {
    kinds: Vec<&'static Kind>,
}

impl Catalog {
    pub(crate) fn of(server: &ApiServer) -> Self {
        Self { kinds: kind::served(&server.store.snapshot()) }
    }

    pub(crate) fn of_version(&self, group: &str, version: &str) -> impl Iterator<Item = &'static Kind> {
        self.kinds.iter().copied().filter(move |kind| kind.group == group && kind.version == version)
    }

    /// Every group, the core one (empty) first, then in the registry's order, then those of definitions by name.
    pub(crate) fn groups(&self) -> Vec<&'static str> {
        distinct(self.kinds.iter().map(|kind| kind.group))
    }

    /// The versions of a group, the preferred one first: that of the registry, or the most mature one.
    pub(crate) fn versions(&self, group: &str) -> Vec<&'static str> {
        let of_group = || self.kinds.iter().filter(|kind| kind.group == group);
        let mut versions = distinct(of_group().map(|kind| kind.version));
        if of_group().all(|kind| kind.definition().is_some()) {
            versions.sort_by_key(|version| Reverse(maturity(version)));
        }
        versions
    }
}

/// `v10` comes before `v2`, that before `v1beta1`, that before `v1alpha1`, and that before any other name.
/// Source: `k8s.io/apimachinery/pkg/version.CompareKubeAwareVersionStrings`.
fn maturity(version: &str) -> (u8, u64, u64, Reverse<&str>) {
    let parse = || -> Option<(u8, u64, u64)> {
        let rest = version.strip_prefix('v')?;
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major = rest[..end].parse().ok()?;
        let (stage, minor) = match &rest[end..] {
            "" => return Some((3, major, 0)),
            rest => match rest.strip_prefix("beta") {
                Some(minor) => (2, minor),
                None => (1, rest.strip_prefix("alpha")?),
            },
        };
        Some((stage, major, minor.parse().ok()?))
    };
    let (stage, major, minor) = parse().unwrap_or((0, 0, 0));
    (stage, major, minor, Reverse(version))
}

fn distinct(names: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let mut known = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mature_versions_come_first() {
        let mut versions = ["v1alpha1", "foo", "v2", "v1beta2", "v10", "v1", "v11alpha2", "v1beta10"];
        versions.sort_by_key(|version| Reverse(maturity(version)));
        assert_eq!(versions, ["v10", "v2", "v1", "v1beta10", "v1beta2", "v11alpha2", "v1alpha1", "foo"]);
    }
}

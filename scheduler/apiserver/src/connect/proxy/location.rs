use http::Uri;

/// What of a path comes before the pod's own: `/api/v1/namespaces/a/pods/p/proxy`.
pub(super) struct Prefix(String);

impl Prefix {
    pub(super) fn of(path: &str, tail: &str) -> Self {
        Self(path.strip_suffix(tail).unwrap_or(path).to_owned())
    }

    pub(super) fn join(&self, tail: &str) -> String {
        format!("{}{tail}", self.0)
    }

    /// A redirect within the pod stays below the prefix; one to elsewhere, or relative, is left alone. Source: `rewriteURL`
    /// of apimachinery's proxy transport.
    pub(super) fn rewrite(&self, location: &str) -> String {
        let Ok(uri) = location.parse::<Uri>() else { return location.to_owned() };
        let is_within = uri.host().is_none() && location.starts_with('/') && !location.starts_with("//");
        let is_prefixed =
            location.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        if is_within && !is_prefixed { self.join(location) } else { location.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_within_the_pod_stay_below_the_prefix() {
        let prefix = Prefix::of("/api/v1/namespaces/a/pods/p/proxy/x/", "/x/");
        assert_eq!(prefix.rewrite("/login/?a=b"), "/api/v1/namespaces/a/pods/p/proxy/login/?a=b");
        for kept in ["there", "https://example.com/x", "//example.com/x", "/api/v1/namespaces/a/pods/p/proxy/y"] {
            assert_eq!(prefix.rewrite(kept), kept);
        }
    }
}

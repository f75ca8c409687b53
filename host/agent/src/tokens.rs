//! Tokens of ServiceAccounts for the pods of this node: asked for when a volume is to show one, and anew before they end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Pod, ServiceAccount, ServiceAccountTokenProjection};
use kube::Api;
use kube::api::PostParams;

use crate::{Clock, PodUid, volumes};

/// What the API gives to who says nothing.
const LIFE_SECONDS_DEFAULT: i64 = 3600;
/// A token is renewed when so much of its life is over, as kubelets do.
const RENEWED_AFTER_PERCENT: i32 = 80;
/// A server that is away must not keep the pod's task from everything else.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Which token a volume shows; a pod has one account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct TokenRef {
    /// Empty: the API server itself.
    audience: String,
    seconds: i64,
}

/// What was had for a pod's volumes. An error says why there is no token.
pub(crate) type Tokens = BTreeMap<TokenRef, Result<String, String>>;

pub(crate) struct TokenCache {
    client: kube::Client,
    clock: Clock,
    /// As many as the pods that run here ask for; a pod's go with it.
    held: Mutex<HashMap<PodUid, BTreeMap<TokenRef, Held>>>,
}

#[derive(Clone)]
struct Held {
    token: String,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

impl TokenRef {
    pub(crate) fn of(source: &ServiceAccountTokenProjection) -> Self {
        let seconds = source.expiration_seconds.unwrap_or(LIFE_SECONDS_DEFAULT);
        Self { audience: source.audience.clone().unwrap_or_default(), seconds }
    }
}

impl TokenCache {
    pub(crate) fn new(client: kube::Client, clock: Clock) -> Self {
        Self { client, clock, held: Mutex::default() }
    }

    /// A token for each place in the pod's volumes that is to show one. One that is due for renewal but not to be had
    /// still counts while it lasts.
    pub(crate) async fn gather(&self, pod: &Pod, uid: &PodUid) -> Tokens {
        let mut tokens = Tokens::new();
        for wanted in wanted(pod) {
            let now = self.clock.now();
            let held = self.held(uid, &wanted);
            let token = match held.filter(|held| now < held.renew_at) {
                Some(held) => Ok(held.token),
                None => self.renew(pod, uid, &wanted).await,
            };
            tokens.insert(wanted, token);
        }
        tokens
    }

    pub(crate) fn forget(&self, uid: &PodUid) {
        self.held.lock().expect("no panic while held").remove(uid);
    }

    fn held(&self, uid: &PodUid, wanted: &TokenRef) -> Option<Held> {
        self.held.lock().expect("no panic while held").get(uid)?.get(wanted).cloned()
    }

    async fn renew(&self, pod: &Pod, uid: &PodUid, wanted: &TokenRef) -> Result<String, String> {
        match self.request(pod, uid, wanted).await {
            Ok(fresh) => {
                let mut held = self.held.lock().expect("no panic while held");
                held.entry(uid.clone()).or_default().insert(wanted.clone(), fresh.clone());
                Ok(fresh.token)
            }
            Err(error) => {
                let held = self.held(uid, wanted).filter(|held| self.clock.now() < held.ends_at);
                held.map(|held| held.token).ok_or(error)
            }
        }
    }

    async fn request(&self, pod: &Pod, uid: &PodUid, wanted: &TokenRef) -> Result<Held, String> {
        let (meta, spec) = (&pod.metadata, pod.spec.as_ref());
        let account = spec.and_then(|spec| spec.service_account_name.as_deref()).unwrap_or("default");
        let api = Api::<ServiceAccount>::namespaced(self.client.clone(), meta.namespace.as_deref().unwrap_or_default());
        let asked_at = self.clock.now();
        let params = PostParams::default();
        let request = request(meta.name.clone(), uid, wanted);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, api.create_token_request(account, &params, &request)).await;
        let answer = answer.map_err(|_| "the server does not answer".to_owned())?.map_err(|error| error.to_string())?;
        let status = answer.status.ok_or("the server's answer has no token")?;
        // By this machine's clock, which is the one that the renewal goes by.
        let life = SignedDuration::from_secs(answer.spec.expiration_seconds.unwrap_or(wanted.seconds));
        let renew_at = asked_at + life * RENEWED_AFTER_PERCENT / 100;
        Ok(Held { token: status.token, renew_at, ends_at: asked_at + life })
    }
}

fn request(pod: Option<String>, uid: &PodUid, wanted: &TokenRef) -> TokenRequest {
    let pod = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: pod,
        uid: Some(uid.0.clone()),
    };
    let audiences = if wanted.audience.is_empty() { Vec::new() } else { vec![wanted.audience.clone()] };
    let spec = TokenRequestSpec { audiences, bound_object_ref: Some(pod), expiration_seconds: Some(wanted.seconds) };
    TokenRequest { spec, ..TokenRequest::default() }
}

fn wanted(pod: &Pod) -> BTreeSet<TokenRef> {
    let projected = volumes::volumes(pod).iter().filter_map(|volume| volume.projected.as_ref());
    let sources = projected.flat_map(|projected| projected.sources.iter().flatten());
    sources.filter_map(|source| source.service_account_token.as_ref()).map(TokenRef::of).collect()
}

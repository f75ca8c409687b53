use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use wasmk_api::{Key, Object};

use super::*;

fn tokens() -> AccountTokens {
    AccountTokens::load_or_create(tempfile::tempdir().unwrap().path()).unwrap()
}

fn object(resource: &str, name: &str, uid: &str) -> std::sync::Arc<Object> {
    Object::new(Key::new(resource, "ns", name), 1, json!({"metadata": {"name": name, "uid": uid}}))
}

fn snapshot(account_uid: &str, pod_uid: &str) -> Snapshot {
    Snapshot::from_objects(1, [object("serviceaccounts", "bot", account_uid), object("pods", "p", pod_uid)])
}

fn claims(now: Timestamp) -> Claims {
    let reference = |name: &str, uid: &str| Reference { name: name.to_owned(), uid: uid.to_owned() };
    let (serviceaccount, pod) = (reference("bot", "u"), Some(reference("p", "v")));
    let bound = Bound { namespace: "ns".to_owned(), serviceaccount, pod, ..Bound::default() };
    Claims::new(bound, vec![ISSUER.to_owned()], "id".to_owned(), now, Some(600))
}

#[test]
fn a_token_says_whose_it_is_while_everything_it_speaks_of_is_there() {
    let (tokens, now) = (tokens(), Timestamp::now());
    let token = tokens.sign(&claims(now)).unwrap();
    let verify = |snapshot: &Snapshot, now| tokens.verify(&token, &[ISSUER], snapshot, now);
    let identity = verify(&snapshot("u", "v"), now).unwrap();
    assert_eq!((identity.user.as_str(), identity.uid.as_str()), ("system:serviceaccount:ns:bot", "u"));
    assert_eq!(identity.groups, ["system:serviceaccounts", "system:serviceaccounts:ns"]);
    assert_eq!(identity.extra["authentication.kubernetes.io/pod-uid"], ["v"]);
    assert_eq!(verify(&snapshot("other", "v"), now), Err(TokenFault::Gone("serviceaccounts/ns/bot".to_owned())));
    assert_eq!(verify(&snapshot("u", "other"), now), Err(TokenFault::Gone("pods/ns/p".to_owned())));
    let later = now + SignedDuration::from_secs(601);
    assert_eq!(verify(&snapshot("u", "v"), later), Err(TokenFault::Expired));
    assert!(matches!(tokens.verify(&token, &["vault"], &snapshot("u", "v"), now), Err(TokenFault::Audience(_))));
}

#[test]
fn what_others_signed_or_changed_is_no_token() {
    let (ours, theirs, now) = (tokens(), tokens(), Timestamp::now());
    let token = theirs.sign(&claims(now)).unwrap();
    let verify = |token: &str| ours.verify(token, &[ISSUER], &snapshot("u", "v"), now);
    assert_eq!(verify(&token), Err(TokenFault::Foreign));
    let good = ours.sign(&claims(now)).unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for bad in ["", "a.b.c", &format!("{unsigned}.{}.", parts[1]), &format!("{}.{}.", parts[0], parts[1])] {
        assert_eq!(verify(bad), Err(TokenFault::Foreign), "{bad}");
    }
}

#[test]
fn the_key_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let first = AccountTokens::load_or_create(directory.path()).unwrap();
    let token = first.sign(&claims(Timestamp::now())).unwrap();
    let again = AccountTokens::load_or_create(directory.path()).unwrap();
    assert!(again.claims(&token).is_ok());
    std::fs::write(directory.path().join(KEY_FILE), "nonsense").unwrap();
    assert!(matches!(AccountTokens::load_or_create(directory.path()), Err(PkiError::Damaged { .. })));
}

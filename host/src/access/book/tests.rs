//! Keys made, recognised, changed and revoked, with a store on a real disk.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::access::{Limits, Scope};
use crate::store::SqliteStore;

async fn book(dir: &Path) -> KeyBook {
    let store = SqliteStore::open(&dir.join("store.sqlite")).await.unwrap();
    KeyBook::open(Arc::new(store), dir).await.unwrap()
}

fn wanted(json: &str) -> NewKey {
    serde_json::from_str(json).unwrap()
}

#[tokio::test]
async fn a_key_is_shown_once_and_recognised_until_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let (later, token) = {
        let book = book(dir.path()).await;
        assert!(!book.is_in_use());
        let (key, token) = book.create(wanted(r#"{"name":" team ","expires_in":60}"#), now).await.unwrap();
        assert_eq!((key.name.as_str(), key.scopes.as_slice()), ("team", &[Scope::Chat][..]));
        assert!(token.expose_secret().starts_with("pb-") && token.expose_secret().len() == 67);
        assert!(book.is_in_use());
        (book, token)
    };
    // The file has nothing that would let anybody in.
    let kept = std::fs::read(dir.path().join("store.sqlite-wal")).unwrap();
    let secret = &token.expose_secret().as_bytes()[20..50];
    assert!(!kept.windows(secret.len()).any(|window| window == secret));
    drop(later);

    let book = book(dir.path()).await;
    let recognise = |token: &str, time| book.recognise(token.as_bytes(), time).map(|key| key.name.clone());
    assert_eq!(recognise(token.expose_secret(), now), Ok("team".to_owned()));
    assert_eq!(recognise(token.expose_secret(), now + Duration::from_secs(60)), Err(Unrecognised::Expired));
    assert_eq!(recognise("pb-guess", now), Err(Unrecognised::Unknown));
    let id = book.list()[0].id.clone();
    assert!(book.is_good(&id, now) && !book.is_good(&id, now + Duration::from_secs(60)));
    book.revoke(&id).await.unwrap();
    assert!(!book.is_good(&id, now));
    assert_eq!(recognise(token.expose_secret(), now), Err(Unrecognised::Unknown));
    assert!(matches!(book.revoke(&id).await, Err(BookError::Unknown(_))));
    assert!(book.is_in_use(), "whoever had the last key is not let in without it");
}

#[tokio::test]
async fn without_the_secret_that_they_were_made_with_keys_are_not_opened() {
    let dir = tempfile::tempdir().unwrap();
    book(dir.path()).await.create(wanted(r#"{"name":"k"}"#), SystemTime::now()).await.unwrap();
    std::fs::remove_file(dir.path().join("keys.secret")).unwrap();
    let store = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap();
    let error = KeyBook::open(Arc::new(store), dir.path()).await.unwrap_err().to_string();
    assert!(error.contains("keys.secret is not there") && error.contains("from a backup"), "{error}");
}

#[tokio::test]
async fn a_key_is_changed_in_part_and_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let first = book(dir.path()).await;
    let json = r#"{"name":"team","models":["m"],"expires_in":60,
        "limits":{"max_concurrent":7,"budget_usd_per_day":"1234567.123456789","tokens_per_minute":9}}"#;
    let (made, token) = first.create(wanted(json), now).await.unwrap();
    let patch = |json: &str| serde_json::from_str::<KeyPatch>(json).unwrap();
    let change = async |json: &str| first.change(&made.id, &patch(json), now).await;

    let changed = change(r#"{"name":" crew ","limits":{"tokens_per_minute":null,"max_concurrent":8}}"#).await;
    let limits =
        Limits { max_concurrent: std::num::NonZeroU32::new(8), tokens_per_minute: None, ..made.limits };
    let expected = VirtualKey { name: "crew".to_owned(), limits, ..VirtualKey::clone(&made) };
    assert_eq!(*changed.unwrap(), expected);
    for (json, problem) in [
        (r#"{"models":["gpt-*-mini"]}"#, "\"gpt-*-mini\" is no name that a key can be bound to"),
        (r#"{"expires_in":0}"#, "expires_in is in seconds, from 1"),
        (r#"{"name":null}"#, "that is nothing that a key can be: missing field `name`"),
        (r#"{"limits":{"limit":1}}"#, "that is nothing that a key can be: unknown field `limit`"),
        (r#"{"hash":"00"}"#, "that is nothing that a key can be: unknown field `hash`"),
    ] {
        let error = change(json).await.unwrap_err();
        assert!(error.to_string().starts_with(problem), "{error}");
    }
    let recognised = first.recognise(token.expose_secret().as_bytes(), now).unwrap();
    assert_eq!(*recognised, expected, "what was refused changed nothing, and the rest holds at once");
    change(r#"{"expires_in":null,"models":null,"limits":null,"scopes":["read"]}"#).await.unwrap();
    drop(first);

    let book = book(dir.path()).await;
    let key = book.recognise(token.expose_secret().as_bytes(), now + Duration::from_secs(90)).unwrap();
    assert_eq!((&key.limits, key.expires_at), (&Limits::default(), None));
    assert!(key.permits.is_everything() && key.scopes == [Scope::Read]);
    book.revoke(&key.id).await.unwrap();
    let error = book.change(&key.id, &patch(r#"{"name":"late"}"#), now).await.unwrap_err();
    assert!(matches!(error, BookError::Unknown(_)) && book.list().is_empty());
}

#[tokio::test]
async fn what_is_asked_for_is_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path()).await;
    for (json, problem) in [
        (r#"{"name":"  "}"#, "name must be a text"),
        (r#"{"name":"a\nb"}"#, "name must be a text"),
        (r#"{"name":"k","scopes":[]}"#, "scopes must name at least one"),
        (r#"{"name":"k","models":["gpt-*-mini"]}"#, "\"gpt-*-mini\" is no name that a key can be bound to"),
        (r#"{"name":"k","limits":{"requests_per_minute":1000001}}"#, "limits.requests_per_minute may be"),
        (r#"{"name":"k","limits":{"budget_usd_per_day":0}}"#, "a budget must be above 0"),
        (r#"{"name":"k","expires_in":0}"#, "expires_in is in seconds, from 1"),
    ] {
        let error = book.create(wanted(json), SystemTime::now()).await.unwrap_err();
        assert!(error.to_string().starts_with(problem), "{error}");
    }
    assert!(serde_json::from_str::<NewKey>(r#"{"name":"k","limit":1}"#).is_err());
}

#[tokio::test]
async fn another_secret_makes_the_old_one_none_and_the_key_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let (id, old, new) = {
        let book = book(dir.path()).await;
        let json = r#"{"name":"k","models":["m"],"limits":{"max_concurrent":2}}"#;
        let (key, old) = book.create(wanted(json), now).await.unwrap();
        let Rotated { key: rotated, before, token } = book.rotate(&key.id).await.unwrap();
        let expected =
            VirtualKey { hash: rotated.hash, hint: rotated.hint.clone(), ..VirtualKey::clone(&key) };
        assert_eq!((&*rotated, &before), (&expected, &key));
        assert!(token.expose_secret().starts_with(&rotated.hint[..7]) && rotated.hint != key.hint);
        assert!(matches!(book.rotate("key_0").await, Err(BookError::Unknown(_))));
        (key.id.clone(), old, token)
    };
    let book = book(dir.path()).await;
    let recognise = |token: &SecretString| book.recognise(token.expose_secret().as_bytes(), now);
    assert_eq!(recognise(&old), Err(Unrecognised::Unknown));
    assert_eq!(recognise(&new).unwrap().id, id);
    book.revoke(&id).await.unwrap();
    assert_eq!(recognise(&new), Err(Unrecognised::Unknown));
}

#[tokio::test]
async fn a_lost_store_lets_nobody_in_who_had_no_key_before() {
    let dir = tempfile::tempdir().unwrap();
    assert!(!book(dir.path()).await.is_in_use());
    assert!(!book(dir.path()).await.is_in_use(), "to start twice is not to have given out keys");
    book(dir.path()).await.create(wanted(r#"{"name":"k"}"#), SystemTime::now()).await.unwrap();
    for file in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let _ = std::fs::remove_file(dir.path().join(file));
    }
    let found = book(dir.path()).await;
    assert!(found.list().is_empty() && found.is_in_use());
    found.create(wanted(r#"{"name":"new"}"#), SystemTime::now()).await.unwrap();
    assert_eq!(book(dir.path()).await.list().len(), 1);
}

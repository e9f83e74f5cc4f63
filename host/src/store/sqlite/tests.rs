//! The store on a real disk.

// Usage: written once, summed up, asked for, pruned.
mod usage;
// What becomes of it when the file is locked, deleted, replaced or damaged.
mod faults;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::UNIX_EPOCH;

use super::*;
use crate::access::testing::key;

pub(super) async fn store(dir: &tempfile::TempDir) -> SqliteStore {
    SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap()
}

#[tokio::test]
async fn keys_are_there_after_a_restart_until_they_are_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (key("one", b"1"), key("two", b"2"));
    {
        let store = store(&dir).await;
        store.add_key(&one).await.unwrap();
        store.add_key(&two).await.unwrap();
        assert!(store.add_key(&one).await.is_err(), "one of a kind");
        store.close().await;
    }
    let store = store(&dir).await;
    assert_eq!(store.keys().await.unwrap(), [one.clone(), two.clone()]);
    store.revoke_key(&one.id).await.unwrap();
    assert_eq!(store.keys().await.unwrap(), std::slice::from_ref(&two));
    store.revoke_key(&two.id).await.unwrap();
    let names = store.key_names(&["one", "two", "nobody"]).await.unwrap();
    assert_eq!(names, ["one", "two"].map(|name| (name.to_owned(), name.to_owned())).into());
    assert!(store.keys().await.unwrap().is_empty() && store.had_keys().await.unwrap());
}

#[tokio::test]
async fn nobody_else_reads_it_and_a_later_version_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.sqlite");
    // As it may come out of a backup.
    std::fs::write(&file, "").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let store = store(&dir).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    sqlx::raw_sql("PRAGMA user_version = 99").execute(&store.pool()).await.unwrap();
    store.close().await;
    let error = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap_err().to_string();
    assert!(error.contains("is of version 99, and this host knows up to"), "{error}");
}

#[tokio::test]
async fn what_is_no_store_is_refused_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(
        dir.path().join("store.sqlite"),
        "this is not a database, and long enough to be read as one",
    )
    .unwrap();
    let error = SqliteStore::open(&dir.path().join("store.sqlite")).await.unwrap_err();
    assert!(error.to_string().contains("moved away to begin anew"), "{error}");
    assert!(error.to_string().contains("with its -wal and -shm"), "{error}");
}

#[tokio::test]
async fn after_its_upkeep_and_at_its_end_the_file_alone_has_everything() {
    let (dir, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copied = async || {
        let copy = copies.path().join("store.sqlite");
        std::fs::copy(dir.path().join("store.sqlite"), &copy).unwrap();
        let copy = SqliteStore::open(&copy).await.unwrap();
        let keys = copy.keys().await.unwrap().len();
        copy.close().await;
        keys
    };
    let store = store(&dir).await;
    store.add_key(&key("one", b"1")).await.unwrap();
    let nothing_is_old = UsageHorizon { requests: 0, minutes: 0, hours: 0 };
    assert!(store.prune_usage(&nothing_is_old).await.unwrap());
    assert_eq!(copied().await, 1);
    store.add_key(&key("two", b"2")).await.unwrap();
    store.close().await;
    assert_eq!(copied().await, 2);
    assert!(file::companions(&dir.path().join("store.sqlite")).iter().all(|it| !it.exists()));
}

#[tokio::test]
async fn the_audit_trail_is_bounded_and_refusals_push_nothing_out() {
    let entry = |status: u16, outcome: &str| {
        let json = serde_json::json!({"who": "local", "address": "127.0.0.1", "request_id": "r", "route": "x",
            "target": null, "outcome": outcome, "status": status, "code": null, "before": null, "after": null});
        Seen { at: UNIX_EPOCH + Duration::from_millis(7), entry: serde_json::from_value(json).unwrap() }
    };
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.add_audit(&[entry(201, "done"), entry(204, "done")]).await.unwrap();
    let refusals = vec![entry(401, "refused"); 1_200];
    store.add_audit(&refusals).await.unwrap();
    store.add_audit(&[entry(200, "failed")]).await.unwrap();
    let all = store.audit(None, 5_000).await.unwrap();
    let statuses: Vec<u16> = all.iter().map(|(_, seen)| seen.entry.status).collect();
    assert_eq!(statuses.len(), 1_003);
    assert_eq!((statuses[0], &statuses[1_001..]), (200, &[204, 201][..]));
    assert!(all.iter().all(|(_, seen)| seen.at == UNIX_EPOCH + Duration::from_millis(7)));
    let (last, _) = all[1];
    let next = store.audit(Some(last), 2).await.unwrap();
    assert_eq!(next.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [last - 1, last - 2]);
}

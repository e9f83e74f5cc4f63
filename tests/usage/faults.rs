//! A store that does not do what it should: no request fails, and afterwards every one is there, once.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::*;
use crate::skip::skip;

/// A connection to the store beside the host's own.
pub(super) async fn somebody(data: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(data.join("store.sqlite"));
    SqliteConnection::connect_with(&options).await.unwrap()
}

#[tokio::test]
async fn a_locked_store_is_waited_for() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let before = ask_often(&host, 3).await;
    all_are_kept(&host, 3).await;
    let mut somebody = somebody(data.path()).await;
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut somebody).await.unwrap();
    let during = ask_often(&host, 40).await;
    host.logs("the store does not take usage", "locked").await;
    assert!(during.iter().all(|id| journal(data.path()).contains(id)));
    sqlx::raw_sql("COMMIT").execute(&mut somebody).await.unwrap();
    all_are_kept(&host, 43).await;
    assert_eq!(ids(&host).await, &before | &during);
    host.logs("the store takes usage again", "").await;
    host.stop().await;
}

#[tokio::test]
async fn a_deleted_store_is_put_back() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let before = ask_often(&host, 5).await;
    let made = host.post_json("/api/keys", &json!({ "name": "team" })).await.json();
    let key = made["key"].as_str().unwrap();
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        // The host may be putting it back already.
        let _ = fs::remove_file(data.path().join(name));
    }
    for _ in 0..5 {
        let path = "/v1/chat/completions";
        let asked = with_key(&host, Method::POST, path, key, Some(body("remembers", false))).await;
        assert_eq!(asked.status, 200, "{}", asked.body);
    }
    host.logs("somebody has deleted the store", "store.sqlite").await;
    all_are_kept(&host, 10).await;
    host.kill().await;
    let host = start(&upstream, data.path()).await;
    all_are_kept(&host, 10).await;
    assert!(ids(&host).await.is_superset(&before));
    assert_eq!(host.get("/api/keys").await.json()["keys"][0]["name"], "team");
    host.stop().await;
}

#[tokio::test]
async fn a_store_that_tells_nothing_keeps_nobody_from_starting() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let before = ask_often(&host, 3).await;
    all_are_kept(&host, 3).await;
    host.stop().await;
    let mut somebody = somebody(data.path()).await;
    sqlx::raw_sql("ALTER TABLE usage_sums RENAME TO aside").execute(&mut somebody).await.unwrap();
    let host = start(&upstream, data.path()).await;
    host.logs("what was spent could not be read", "no such table").await;
    let during = ask_often(&host, 3).await;
    sqlx::raw_sql("ALTER TABLE aside RENAME TO usage_sums").execute(&mut somebody).await.unwrap();
    host.logs("what was spent is known again", "").await;
    all_are_kept(&host, 6).await;
    assert_eq!(ids(&host).await, &before | &during);
    host.stop().await;
}

#[tokio::test]
async fn a_damaged_store_is_not_started_with() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    fs::write(data.path().join("store.sqlite"), vec![0x5a; 100_000]).unwrap();
    let (status, said) = Host::refuses(options(&upstream, data.path())).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("store.sqlite cannot be used") && said.contains("moved away to begin anew"),
        "{said}"
    );
}

/// What begins as it should is started with; the rest of it shows when it is read.
#[tokio::test]
async fn damage_that_shows_later_fails_no_request_and_loses_none() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let before = ask_often(&host, 50).await;
    all_are_kept(&host, 50).await;
    host.stop().await;
    let (file, backup) = (data.path().join("store.sqlite"), data.path().join("backup"));
    fs::copy(&file, &backup).unwrap();
    // Where single requests begin, and nothing that a host reads when it starts.
    let sql = "SELECT rootpage FROM sqlite_master WHERE name = 'usage_requests'";
    let mut connection = somebody(data.path()).await;
    let page: i64 = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let begin = (usize::try_from(page).unwrap() - 1) * 4096;
    bytes[begin..begin + 4096].fill(0x5a);
    fs::write(&file, bytes).unwrap();
    let host = start(&upstream, data.path()).await;
    let during = ask_often(&host, 5).await;
    host.logs("the store does not take usage", "the store is damaged: stop the host").await;
    assert_eq!(host.get("/api/usage/requests").await.error().1, "store_unavailable");
    host.stop().await;
    // As the message says.
    fs::rename(backup, &file).unwrap();
    let host = start(&upstream, data.path()).await;
    all_are_kept(&host, 55).await;
    assert_eq!(ids(&host).await, &before | &during);
    host.stop().await;
}

/// A disk of its own, which is small.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: &Path) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=96m,mode=700", "tmpfs"])
            .arg(place)
            .output();
        mounted.is_ok_and(|mounted| mounted.status.success()).then(|| Self(place.to_owned()))
    }

    /// Leaves not a byte.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![0; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // At once, whoever still uses it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_waited_for() {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let Some(disk) = SmallDisk::mount(data.path()) else {
        return skip("a disk of its own", "run the tests as root, where mount may mount a tmpfs");
    };
    let host = start(&upstream, data.path()).await;
    let before = ask_often(&host, 5).await;
    all_are_kept(&host, 5).await;
    disk.fill();
    // More than what is left in a page of the file.
    let during = ask_often(&host, 200).await;
    host.logs("usage cannot be written into the data directory", "No space left").await;
    disk.empty();
    all_are_kept(&host, 205).await;
    assert_eq!(ids(&host).await, &before | &during);
    host.stop().await;
    let checked =
        sqlx::query("PRAGMA integrity_check").fetch_one(&mut somebody(data.path()).await).await.unwrap();
    assert_eq!(sqlx::Row::get::<&str, _>(&checked, 0), "ok");
}

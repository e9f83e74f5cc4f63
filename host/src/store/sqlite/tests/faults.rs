use std::io::{Seek as _, Write as _};

use super::*;
use crate::usage::testing::record;

async fn kept(store: &SqliteStore) -> usize {
    store.recent_usage(None, 1000).await.unwrap().len()
}

#[tokio::test]
async fn a_deleted_file_is_put_back_with_all_that_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("store.sqlite");
    let [wal, shm] = file::companions(&file);
    // The file alone, or with what is beside it, or a part of that.
    for (round, deleted) in [vec![&file], vec![&file, &wal, &shm], vec![&wal], vec![&shm]].iter().enumerate()
    {
        let store = store(&dir).await;
        let (keys, before) = (store.keys().await.unwrap().len(), kept(&store).await);
        store.add_key(&key(&format!("k{round}"), &[round as u8])).await.unwrap();
        store.write_usage(&[record(1)]).await.unwrap();
        deleted.iter().for_each(|name| std::fs::remove_file(name).unwrap());
        store.write_usage(&[record(2), record(3)]).await.unwrap();
        assert!(store.keys().await.unwrap().len() == keys + 1 && kept(&store).await == before + 3);
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        // The last thing that happens to it.
        std::fs::remove_file(&file).unwrap();
        store.close().await;
        let store = super::store(&dir).await;
        assert!(store.keys().await.unwrap().len() == keys + 1 && kept(&store).await == before + 3);
        let checked = sqlx::query("PRAGMA integrity_check").fetch_one(&store.pool()).await.unwrap();
        assert_eq!(checked.get::<&str, _>(0), "ok");
        store.close().await;
    }
}

#[tokio::test]
async fn another_file_in_its_place_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir).await;
    store.write_usage(&[record(1)]).await.unwrap();
    let file = dir.path().join("store.sqlite");
    std::fs::rename(&file, dir.path().join("moved")).unwrap();
    std::fs::write(&file, "somebody's").unwrap();
    let error = store.write_usage(&[record(2)]).await.unwrap_err().to_string();
    assert!(
        error.contains("is another file than the one that the host has opened: stop the host"),
        "{error}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), b"somebody's");
    std::fs::rename(dir.path().join("moved"), &file).unwrap();
    store.write_usage(&[record(2)]).await.unwrap();
    assert_eq!(kept(&store).await, 2);
}

#[tokio::test]
async fn damage_that_shows_later_is_called_so() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = store(&dir).await;
        store.write_usage(&(0..1000).map(record).collect::<Vec<_>>()).await.unwrap();
        store.close().await;
    }
    // The file begins as it should, which is all that is read of it at first.
    let mut file = std::fs::OpenOptions::new().write(true).open(dir.path().join("store.sqlite")).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(std::io::SeekFrom::Start(16_384)).unwrap();
    file.write_all(&vec![0x5a; usize::try_from(length).unwrap() - 16_384]).unwrap();
    let store = store(&dir).await;
    let error = store.write_usage(&[record(2000)]).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    assert!(store.recent_usage(None, 1000).await.is_err());
}

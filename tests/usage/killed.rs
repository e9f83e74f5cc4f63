//! A host that is killed in the middle of it all.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::faults::somebody;
use super::*;

/// Clients that ask until nobody answers. The ids of what was answered.
fn load(host: &Host, clients: usize) -> (JoinSet<Vec<String>>, Arc<AtomicBool>) {
    let (mut running, is_over) = (JoinSet::new(), Arc::new(AtomicBool::new(false)));
    let url = format!("{}/v1/chat/completions", host.address());
    for _ in 0..clients {
        let (url, is_over) = (url.clone(), Arc::clone(&is_over));
        running.spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let mut ids = Vec::new();
            loop {
                let request = client.post(&url).header("content-type", "application/json");
                match request.body(body("remembers", false).to_string()).send().await {
                    Ok(answer) => {
                        assert_eq!(answer.status(), 200);
                        ids.push(answer.headers()["x-request-id"].to_str().unwrap().to_owned());
                    }
                    Err(error) => {
                        assert!(is_over.load(Ordering::SeqCst), "a request failed: {error:?}");
                        return ids;
                    }
                }
            }
        });
    }
    (running, is_over)
}

/// What was kept when it was killed is kept for good, once each; nothing is made up; and the file is sound. Where the
/// store is locked, what is kept is in the other file.
async fn killed(is_locked: bool) {
    let (upstream, data) = (Upstream::start().await, tempfile::tempdir().unwrap());
    let host = start(&upstream, data.path()).await;
    let mut somebody = somebody(data.path()).await;
    if is_locked {
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut somebody).await.unwrap();
    }
    let (mut running, is_over) = load(&host, 8);
    let before = eventually("some of them to be kept", async || {
        let kept = if is_locked {
            let journal = journal(data.path());
            let ids = journal.split(r#""request_id":""#).skip(1).filter_map(|rest| rest.split_once('"'));
            ids.map(|(id, _)| id.to_owned()).collect()
        } else {
            ids(&host).await
        };
        (kept.len() > 200).then_some(kept)
    })
    .await;
    is_over.store(true, Ordering::SeqCst);
    host.kill().await;
    let mut answered = BTreeSet::new();
    while let Some(ids) = running.join_next().await {
        answered.extend(ids.unwrap());
    }
    if is_locked {
        sqlx::raw_sql("COMMIT").execute(&mut somebody).await.unwrap();
    }
    let host = start(&upstream, data.path()).await;
    let kept = ids(&host).await;
    all_are_kept(&host, kept.len()).await;
    assert!(kept.is_superset(&before), "what was kept is gone");
    // Of each client one may be kept that was answered and that it did not hear of.
    assert!(kept.difference(&answered).count() <= 8);
    let checked = sqlx::query("PRAGMA integrity_check").fetch_one(&mut somebody).await.unwrap();
    assert_eq!(sqlx::Row::get::<&str, _>(&checked, 0), "ok");
    host.stop().await;
}

#[tokio::test]
async fn under_load() {
    killed(false).await;
}

#[tokio::test]
async fn under_load_while_the_store_is_locked() {
    killed(true).await;
}

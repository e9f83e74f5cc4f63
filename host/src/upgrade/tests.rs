//! Both sides in one process.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream as StdStream;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::net::UnixStream;

use super::wire::{VERSION, Wire, Word};
use super::*;
use crate::http::Readiness;
use crate::providers::Registry;

struct Place {
    dir: tempfile::TempDir,
    control: Control,
    readiness: Readiness,
    listener: TcpListener,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let lock = File::create(dir.path().join("lock")).unwrap();
    lock.lock().unwrap();
    let (readiness, handed) =
        (Readiness::default(), Handed { listener: listener.try_clone().unwrap(), lock, opened: true });
    let estate = Estate {
        handed,
        term: 4,
        readiness: readiness.clone(),
        registry: Arc::new(Registry::default()),
        started_within: Duration::ZERO,
    };
    let control = Control::listen(dir.path(), estate).unwrap();
    Place { dir, control, readiness, listener }
}

#[tokio::test]
async fn the_socket_and_the_lock_are_handed_on() {
    let place = place();
    let (mut inheritance, handed) = ask(place.dir.path()).await.unwrap().unwrap();
    assert_eq!((inheritance.term, handed.opened), (5, true));
    assert_eq!(handed.listener.local_addr().unwrap(), place.listener.local_addr().unwrap());
    let lock = File::open(place.dir.path().join("lock")).unwrap();
    assert_eq!(handed.lock.metadata().unwrap().ino(), lock.metadata().unwrap().ino());
    inheritance.ready().await.unwrap();
    let mut predecessor = inheritance.taken().await;
    let successor = place.control.taken().await;
    assert_eq!(successor.process, Some(std::process::id().cast_signed()));
    assert!(place.readiness.change().is_err(), "nobody would know of it any more");
    assert!(predecessor.rests().now_or_never().is_none());
    successor.rest().await;
    predecessor.rests().await;
    let mut gone = Box::pin(predecessor.gone());
    assert!(gone.as_mut().now_or_never().is_none());
    drop((successor, place.control));
    gone.await;
    // It was never free, and is not while either has it.
    assert!(lock.try_lock().is_err());
    drop(handed);
    lock.try_lock().unwrap();
}

#[tokio::test]
async fn whoever_goes_away_leaves_everything_as_it_was() {
    let place = place();
    for words in 0..3 {
        let Some((mut inheritance, handed)) = ask(place.dir.path()).await.unwrap() else { panic!("{words}") };
        if words > 0 {
            inheritance.ready().await.unwrap();
        }
        drop((inheritance, handed));
    }
    // Who asks next is handed the same, and everything is as it was when that one has gone, too.
    let (inheritance, _handed) = ask(place.dir.path()).await.unwrap().unwrap();
    assert_eq!(inheritance.term, 5);
    assert!(place.readiness.change().is_err(), "nothing is changed meanwhile");
    drop(inheritance);
    while place.readiness.change().is_err() {
        tokio::task::yield_now().await;
    }
    assert!(place.control.taken().now_or_never().is_none());
}

#[tokio::test]
async fn while_one_takes_over_others_are_told_so() {
    let place = place();
    let (mut inheritance, _handed) = ask(place.dir.path()).await.unwrap().unwrap();
    for _ in 0..2 {
        let refused = ask(place.dir.path()).await.unwrap_err().to_string();
        let expected = format!("another host (process {}) is about to take over", std::process::id());
        assert!(refused.contains(&expected) && refused.contains("try again"), "{refused}");
    }
    inheritance.ready().await.unwrap();
    let _predecessor = inheritance.taken().await;
    place.control.taken().await;
}

#[tokio::test]
async fn another_version_is_refused_and_nonsense_is_not_answered() {
    let place = place();
    let connect = || StdStream::connect(place.dir.path().join(SOCKET)).unwrap();
    let wire = |stream: StdStream| {
        stream.set_nonblocking(true).unwrap();
        Wire::new(UnixStream::from_std(stream).unwrap())
    };
    let mut other = wire(connect());
    other.say(&Word::TakeOver { version: VERSION + 1 }).await.unwrap();
    assert!(matches!(other.hear(PROMPT).await.unwrap(), Word::Refused { .. }));
    let mut nonsense = connect();
    nonsense.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(wire(nonsense).hear(PROMPT).await.is_err());
    assert!(ask(place.dir.path()).await.unwrap().is_some());
}

#[tokio::test]
async fn where_nobody_is_there_is_nobody_to_ask() {
    let dir = tempfile::tempdir().unwrap();
    assert!(ask(&dir.path().join("not/there")).await.unwrap().is_none());
    assert!(ask(dir.path()).await.unwrap().is_none());
    drop(std::os::unix::net::UnixListener::bind(dir.path().join(SOCKET)).unwrap());
    assert!(ask(dir.path()).await.unwrap().is_none(), "left by a host that was killed");
}

#[tokio::test]
async fn a_folder_may_lie_deeper_than_a_sockets_name_is_long() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    let place = place();
    let handed = Handed {
        listener: place.listener.try_clone().unwrap(),
        lock: File::create(deep.join("lock")).unwrap(),
        opened: false,
    };
    let estate = Estate {
        handed,
        term: 0,
        readiness: Readiness::default(),
        registry: Arc::default(),
        started_within: Duration::ZERO,
    };
    let _control = Control::listen(&deep, estate).unwrap();
    assert!(ask(&deep).await.unwrap().is_some());
    forget(&deep);
    assert!(!deep.join(SOCKET).exists());
}

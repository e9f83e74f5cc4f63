//! Clients that leave cost nothing more, and clients that do not read cost no memory.

use std::fs;

use serde_json::json;

use super::form::Form;
use super::pair::{Pair, nothing_is_under_way};
use crate::harness::Host;
use crate::harness::scripted::script::{Script, role, says};

/// What the host's process holds.
#[derive(Debug)]
struct Held {
    kilobytes: u64,
    descriptors: usize,
}

fn held(host: &Host) -> Held {
    let process = format!("/proc/{}", host.process_id());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes = line.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    Held { kilobytes, descriptors: fs::read_dir(format!("{process}/fd")).unwrap().count() }
}

#[tokio::test]
async fn upstream_is_left_with_the_client_however_much_it_still_says() {
    let endless = Script::stream().send(role()).repeat(says("on and on "));
    let pair = Pair::start(&endless, &Script::nothing()).await;
    for (count, form) in Form::STREAMED.into_iter().enumerate() {
        let mut stream = form.ask(&pair.host, "up/m").await.unwrap();
        while form.hear(&stream.text).words.len() < 1000 {
            assert!(stream.next().await.unwrap().is_some(), "{form:?} ended");
        }
        drop(stream);
        pair.left_alone(count + 1).await;
    }
    pair.stop().await;
}

const ROUNDS: usize = 1000;

/// Rounds after which everything that is kept for the next request is there.
const WARM: usize = 100;

/// What the allocator may keep. Nine hundred requests that leave five kilobytes each are more.
const SLACK_KILOBYTES: u64 = 4 * 1024;

/// Connections that are about to be closed.
const SLACK_DESCRIPTORS: usize = 5;

/// A thousand clients, one after the other, in one form after the other. Each leaves once it has heard this much,
/// and upstream has been asked.
async fn check_leaving(streamed: Script, whole: Script, forms: &[Form], words: &str) {
    let pair = Pair::start(&streamed, &whole).await;
    let mut warm = None;
    for round in 1..=ROUNDS {
        let form = forms[round % forms.len()];
        let client = async {
            let mut answer = form.ask(&pair.host, "up/m").await.unwrap();
            while words.is_empty() || form.hear(&answer.text).words != words {
                assert!(answer.next().await.unwrap().is_some(), "{form:?} ended: {}", answer.text);
            }
            answer
        };
        let asked = pair.upstream.sees("up", |notes| notes.requests == round);
        if words.is_empty() {
            tokio::select! {
                answer = client => panic!("{form:?} began: {}", answer.text),
                _ = asked => {}
            }
        } else {
            drop(client.await);
        }
        pair.left_alone(round).await;
        if round == WARM {
            nothing_is_under_way(&pair.host).await;
            warm = Some(held(&pair.host));
        }
    }
    nothing_is_under_way(&pair.host).await;
    let (warm, now) = (warm.unwrap(), held(&pair.host));
    assert!(now.kilobytes < warm.kilobytes + SLACK_KILOBYTES, "{warm:?} became {now:?}");
    assert!(now.descriptors < warm.descriptors + SLACK_DESCRIPTORS, "{warm:?} became {now:?}");
    check_nobody_is_blamed(&pair).await;
    pair.stop().await;
}

/// Who leaves has asked, and it is no fault of the provider's that they did not wait.
async fn check_nobody_is_blamed(pair: &Pair) {
    let providers = pair.host.get("/api/providers").await.json();
    let up =
        providers["providers"].as_array().unwrap().iter().find(|provider| provider["name"] == "up").unwrap();
    assert_eq!((&up["requests_total"], &up["errors_total"]), (&json!(ROUNDS), &json!(0)), "{up}");
    let log = pair.host.log();
    let blamed = log.lines().find(|line| line.contains(" WARN ") && line.contains("provider=\"up\""));
    assert_eq!(blamed, None);
}

#[tokio::test]
async fn a_thousand_who_leave_before_the_first_token_leave_nothing_behind() {
    let (streamed, whole) = (Script::stream().send(role()).hang(), Script::json().send("{").hang());
    check_leaving(streamed, whole, &Form::ALL, "").await;
}

#[tokio::test]
async fn a_thousand_who_leave_between_tokens_leave_nothing_behind() {
    let streamed = Script::stream().send(says("a")).send(says(" b")).hang();
    check_leaving(streamed, Script::nothing(), &Form::STREAMED, "a b").await;
}

/// What fits into the sockets on the way, and much less than what an upstream says in a second.
const ON_THE_WAY: usize = 64 << 20;

/// What the host may hold of an answer that nobody reads, on top of what it needs to serve at all.
const BUFFERED_KILOBYTES: u64 = 8 * 1024;

/// So many others are served while nothing more of an answer moves.
const OTHERS: usize = 20;

#[tokio::test]
async fn upstream_waits_for_a_client_that_does_not_read() {
    let endless = Script::stream().send(role()).repeat(says(&"on and on ".repeat(100)));
    let pair = Pair::start(&endless, &Script::nothing()).await;
    for (count, form) in Form::STREAMED.into_iter().enumerate() {
        let before = (held(&pair.host), pair.upstream.notes("up").written);
        let stream = form.ask(&pair.host, "up/m").await.unwrap();
        // It stands still when nothing was written while others were served.
        loop {
            let blocked = pair.upstream.sees("up", |notes| notes.blocked).await;
            assert!(blocked.written - before.1 < ON_THE_WAY, "{form:?}: {blocked:?}");
            for _ in 0..OTHERS {
                assert_eq!(pair.host.ask("well", "hi").await.response(), "a b c");
            }
            if pair.upstream.notes("up").written == blocked.written {
                break;
            }
        }
        let now = held(&pair.host);
        let allowed = before.0.kilobytes + BUFFERED_KILOBYTES;
        assert!(now.kilobytes < allowed, "{form:?}: {before:?} became {now:?}");
        assert_eq!(pair.upstream.notes("up").open, 1, "{form:?}");
        drop(stream);
        pair.left_alone(count + 1).await;
    }
    pair.stop().await;
}

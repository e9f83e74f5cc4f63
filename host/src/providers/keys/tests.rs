use super::*;

fn ring(keys: &[&str], before: Option<&KeyRing>) -> KeyRing {
    let keys: Vec<SecretString> = keys.iter().map(|key| SecretString::from(*key)).collect();
    KeyRing::new(&keys, before)
}

fn limited(seconds: Option<u64>) -> ProviderError {
    let error = ProviderError::new(ErrorKind::RateLimited, "slow").with_status(429);
    seconds.map_or(error.clone(), |seconds| error.with_retry_after(Duration::from_secs(seconds)))
}

fn refused(status: u16) -> ProviderError {
    ProviderError::new(ErrorKind::Authentication, "no").with_status(status)
}

fn seconds(rest: Rest, now: Instant) -> u64 {
    (rest.until - now).as_secs()
}

#[test]
fn a_limited_key_rests_and_the_one_limited_longest_ago_is_next() {
    let (ring, now) = (ring(&["a", "b", "c"], None), Instant::now());
    let later = |seconds| now + Duration::from_secs(seconds);
    assert_eq!((ring.take(now), ring.last_rotation()), (Ok(0), None));
    ring.note(0, Err(&limited(Some(10))), now);
    assert_eq!(ring.take(now), Ok(1));
    assert!(ring.last_rotation().is_some());
    ring.note(1, Err(&limited(Some(3))), later(1));
    assert_eq!((ring.take(later(1)), ring.current()), (Ok(2), Some(2)));
    ring.note(2, Err(&limited(Some(30))), later(2));
    // All rest; the second one wakes first.
    assert_eq!(ring.take(later(3)).map_err(|rest| seconds(rest, later(3))), Err(1));
    assert_eq!((ring.resting(later(3)).is_some(), ring.resting_count(later(3))), (true, 3));
    assert_eq!(ring.take(later(4)), Ok(1));
    // Once the first is back too it is not gone back to while the one in use will do.
    assert_eq!(ring.take(later(11)), Ok(1));
    ring.note(1, Err(&limited(Some(5))), later(11));
    assert_eq!(ring.take(later(11)), Ok(0));
}

#[test]
fn without_a_word_the_rest_grows() {
    let (ring, now) = (ring(&["a"], None), Instant::now());
    let mut rests = Vec::new();
    let mut later = now;
    for _ in 0..8 {
        ring.note(0, Err(&limited(None)), later);
        // Others that were under way and say the same at that moment make it no worse.
        ring.note(0, Err(&limited(None)), later);
        rests.push(seconds(ring.take(later).unwrap_err(), later));
        later += Duration::from_secs(100);
    }
    assert_eq!(rests, [1, 2, 4, 8, 16, 32, 60, 60]);
    ring.note(0, Ok(()), later);
    ring.note(0, Err(&limited(None)), later);
    assert_eq!(seconds(ring.take(later).unwrap_err(), later), 1);
    ring.note(0, Err(&limited(Some(1_000_000))), later);
    assert_eq!(seconds(ring.take(later).unwrap_err(), later), 3600);
    ring.note(0, Err(&limited(Some(1))), later);
    assert_eq!(seconds(ring.take(later).unwrap_err(), later), 3600, "a rest is not cut short");
}

#[test]
fn an_upstream_that_says_when_to_come_back_is_left_alone_until_then() {
    let (ring, now) = (ring(&["a"], None), Instant::now());
    let overloaded = ProviderError::new(ErrorKind::Provider, "busy").with_status(503);
    ring.note(0, Err(&overloaded), now);
    assert_eq!(ring.take(now), Ok(0));
    ring.note(0, Err(&overloaded.with_retry_after(Duration::ZERO)), now);
    assert!(ring.take(now).is_err() && ring.take(now + SHORTEST_REST).is_ok());
}

#[test]
fn a_refused_key_rests_and_one_that_may_not_be_meant_only_while_there_are_others() {
    let now = Instant::now();
    let two = ring(&["a", "b"], None);
    for status in [401, 402, 403] {
        let two = ring(&["a", "b"], None);
        two.note(0, Err(&refused(status)), now);
        assert_eq!(two.take(now), Ok(1), "{status}");
        two.note(1, Err(&refused(status)), now);
        assert_eq!(two.take(now).is_err(), status == 401, "{status}");
    }
    two.note(0, Err(&refused(401)), now);
    two.note(1, Err(&refused(401)), now);
    assert!(two.take(now).unwrap_err().refused);
}

#[test]
fn whoever_needs_no_key_may_be_limited_too() {
    let (ring, now) = (ring(&[], None), Instant::now());
    assert_eq!((ring.take(now), ring.current(), ring.count()), (Ok(0), None, 0));
    assert!(ring.key(0).is_none());
    ring.note(0, Err(&limited(Some(2))), now);
    assert_eq!(seconds(ring.take(now).unwrap_err(), now), 2);
    assert_eq!(ring.resting_count(now), 0, "there is no key that could rest");
}

#[test]
fn keys_that_stay_are_remembered() {
    let (first, now) = (ring(&["a", "b"], None), Instant::now());
    first.note(0, Err(&limited(Some(9))), now);
    assert_eq!(first.take(now), Ok(1));
    let second = ring(&["c", "b", "a"], Some(&first));
    assert_eq!((second.current(), second.last_rotation()), (Some(1), first.last_rotation()));
    second.note(1, Err(&limited(Some(9))), now);
    assert_eq!(second.take(now), Ok(0), "the new one; the other one rests still");
    assert_eq!(second.resting_count(now), 2);
}

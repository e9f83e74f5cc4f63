//! Everybody's counts, apart and together.

use std::time::Duration;

use super::*;

fn requests(limit: u32) -> Allowance {
    let rates = Rates { requests_per_minute: Some(limit), ..Rates::default() };
    Allowance { rates, ..Allowance::default() }
}

fn address(text: &str) -> Subject {
    Subject::of_address(text.parse().unwrap())
}

#[test]
fn everybody_is_counted_by_themselves() {
    let (limiter, now) = (Arc::new(Limiter::default()), Instant::now());
    let allowance = requests(1);
    let admit = |subject| limiter.admit(subject, &allowance, now).map(|it| it.standing.unwrap().remaining);
    let over = Standing { limit: 1, remaining: 0, reset: Duration::from_secs(60) };
    let over = Exceeded::Own(Over::Requests(over));
    for (subject, expected) in [
        (address("10.0.0.1"), Ok(0)),
        (address("10.0.0.1"), Err(over)),
        (address("::ffff:10.0.0.1"), Err(over)),
        (address("10.0.0.2"), Ok(0)),
        (address("2001:db8:1:2::7"), Ok(0)),
        // The same network, so the same client.
        (address("2001:db8:1:2:9:9:9:9"), Err(over)),
        (address("2001:db8:1:3::7"), Ok(0)),
        (Subject::Key([1; 32]), Ok(0)),
        (Subject::Key([1; 32]), Err(over)),
    ] {
        assert_eq!(admit(subject), expected, "{subject:?}");
    }
}

#[test]
fn what_is_under_way_counts_until_it_ends() {
    let (limiter, now) = (Arc::new(Limiter::default()), Instant::now());
    let allowance =
        Allowance { max_concurrent: Some(1), host_max_concurrent: Some(2), ..Allowance::default() };
    let admit = |text| limiter.admit(address(text), &allowance, now);
    let first = admit("10.0.0.1").unwrap();
    assert_eq!(admit("10.0.0.1").unwrap_err(), Exceeded::Concurrent(1));
    let second = admit("10.0.0.2").unwrap();
    assert_eq!(admit("10.0.0.3").unwrap_err(), Exceeded::Host(2));
    drop(first);
    let third = admit("10.0.0.3").unwrap();
    drop((second, third));
    assert!(admit("10.0.0.1").is_ok());
    assert_eq!(limiter.in_flight.load(Ordering::Relaxed), 0);
}

#[test]
fn of_many_threads_exactly_as_many_are_let_in() {
    let limiter = Arc::new(Limiter::default());
    let allowance = requests(100);
    let now = Instant::now();
    let let_in: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let one = || limiter.admit(address("10.0.0.1"), &allowance, now).is_ok();
                scope.spawn(move || (0..50).filter(|_| one()).count())
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(let_in, 100);
}

#[test]
fn whoever_has_many_addresses_does_not_fill_the_memory() {
    let (limiter, now) = (Arc::new(Limiter::default()), Instant::now());
    let allowance = requests(5);
    let busy = limiter.admit(address("10.0.0.1"), &allowance, now).unwrap();
    for n in 0..(SHARDS * MOST_SUBJECTS * 2) as u32 {
        let subject = Subject::Address(IpAddr::from((0x0b00_0000 + n).to_be_bytes()));
        assert!(limiter.admit(subject, &allowance, now).is_ok());
    }
    let remembered: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().of.len()).sum();
    assert!(remembered <= SHARDS * MOST_SUBJECTS, "{remembered}");
    // After a minute they are nobody, as soon as others need their room.
    let later = now + Duration::from_secs(60);
    let others = SHARDS * MOST_SUBJECTS * 5 / 8;
    for n in 0..others as u32 {
        let subject = Subject::Address(IpAddr::from((0x0c00_0000 + n).to_be_bytes()));
        assert!(limiter.admit(subject, &allowance, later).is_ok());
    }
    let remembered: usize = limiter.shards.iter().map(|shard| shard.lock().unwrap().of.len()).sum();
    assert_eq!(remembered, others + 1);
    // Who has something under way is never forgotten.
    let standing = limiter.admit(address("10.0.0.1"), &allowance, now).unwrap().standing.unwrap();
    assert_eq!(standing.remaining, 3);
    drop(busy);
}

#[test]
fn what_a_key_has_spent_is_not_forgotten_for_others() {
    let limiter = Arc::new(Limiter::default());
    let now = Instant::now();
    let spent = Spent { day: "1".parse::<rust_decimal::Decimal>().unwrap().into(), ..Spent::default() };
    let spent = Spent { month: spent.day, ..spent };
    limiter.recall_key([7; 32], spent);
    let later = now + Duration::from_secs(3600);
    for n in 0..(SHARDS * MOST_SUBJECTS * 2) as u32 {
        let subject = Subject::Address(IpAddr::from((0x0b00_0000 + n).to_be_bytes()));
        assert!(limiter.admit(subject, &requests(5), later).is_ok());
    }
    assert_eq!(limiter.spent_with([7; 32]), spent);
    assert_eq!(limiter.spent_with([8; 32]), Spent::default());
}

#[test]
fn a_provider_keeps_its_meter_while_there_is_something_to_remember() {
    let limiter = Limiter::default();
    let rates = Rates { requests_per_minute: Some(9), ..Rates::default() };
    let kept = limiter.provider("kept");
    drop(limiter.provider("gone"));
    limiter.provider("busy").take_request(&rates, Instant::now()).unwrap();
    assert!(Arc::ptr_eq(&kept, &limiter.provider("kept")));
    drop(limiter.provider("other"));
    let mut names: Vec<String> = limiter.providers.lock().unwrap().keys().cloned().collect();
    names.sort_unstable();
    assert_eq!(names, ["busy", "kept", "other"]);
}

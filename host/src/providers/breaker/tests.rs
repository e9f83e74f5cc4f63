use super::*;

const SETTINGS: BreakerSettings =
    BreakerSettings { failures: 3, window: Duration::from_secs(10), open_for: Duration::from_secs(5) };

fn after(seconds: u64, begin: Instant) -> Instant {
    begin + Duration::from_secs(seconds)
}

fn fail(breaker: &Breaker, at: Instant) -> bool {
    let passage = breaker.enter(at).unwrap();
    breaker.failed(passage, at, at)
}

#[test]
fn failures_in_a_row_open_it() {
    let (breaker, begin) = (Breaker::new(&SETTINGS), Instant::now());
    assert!(!fail(&breaker, begin) && !fail(&breaker, begin));
    assert!(!breaker.succeeded(Passage::Usual, begin), "it was not open");
    assert!(!fail(&breaker, begin) && !fail(&breaker, begin), "the success began the count anew");
    assert!(fail(&breaker, after(10, begin)));
    assert_eq!(breaker.enter(after(11, begin)), Err(Duration::from_secs(4)));
    assert_eq!(breaker.state(after(11, begin)), BreakerState::Open);
}

#[test]
fn failures_that_lie_far_apart_do_not() {
    let (breaker, begin) = (Breaker::new(&SETTINGS), Instant::now());
    for seconds in [0, 11, 22, 33, 34] {
        assert!(!fail(&breaker, after(seconds, begin)), "after {seconds} s");
    }
    assert!(fail(&breaker, after(40, begin)));
}

#[test]
fn failures_that_take_longer_than_the_window_are_in_a_row_too() {
    let (breaker, begin) = (Breaker::new(&SETTINGS), Instant::now());
    let opened =
        [0, 30, 60].map(|at| breaker.failed(Passage::Usual, after(at, begin), after(at + 30, begin)));
    assert_eq!(opened, [false, false, true]);
}

#[test]
fn a_shorter_time_holds_for_one_that_is_open_too() {
    let begin = Instant::now();
    let breaker = opened(begin);
    breaker.configure(&BreakerSettings { open_for: Duration::from_millis(1), ..SETTINGS });
    assert_eq!(breaker.enter(after(2, begin)), Ok(Passage::Trial));
}

fn opened(begin: Instant) -> Breaker {
    let breaker = Breaker::new(&SETTINGS);
    let opened: Vec<bool> = (0..3).map(|_| fail(&breaker, begin)).collect();
    assert_eq!(opened, [false, false, true]);
    breaker
}

#[test]
fn one_trial_decides() {
    let begin = Instant::now();
    for success in [true, false] {
        let (breaker, then) = (opened(begin), after(5, begin));
        assert_eq!(breaker.enter(then), Ok(Passage::Trial));
        assert!(breaker.enter(then).is_err(), "there is one trial at a time");
        assert_eq!(breaker.state(then), BreakerState::HalfOpen);
        // What was let through before decides nothing.
        assert!(!breaker.succeeded(Passage::Usual, then) && !breaker.failed(Passage::Usual, then, then));
        if success {
            assert!(breaker.succeeded(Passage::Trial, then));
            assert_eq!(breaker.enter(then), Ok(Passage::Usual));
        } else {
            assert!(breaker.failed(Passage::Trial, then, then));
            assert_eq!(breaker.enter(after(6, begin)), Err(Duration::from_secs(4)));
        }
    }
}

#[test]
fn a_trial_that_is_given_up_leaves_the_next_one_its_turn() {
    let begin = Instant::now();
    let (breaker, then) = (opened(begin), after(5, begin));
    assert_eq!(breaker.enter(then), Ok(Passage::Trial));
    breaker.undecided(Passage::Trial, then);
    assert_eq!(breaker.enter(then), Ok(Passage::Trial));
}

#[test]
fn what_one_client_asked_for_is_no_trouble_of_the_provider() {
    let error = |kind, status: u16| {
        let error = ProviderError::new(kind, "x");
        if status == 0 { error } else { error.with_status(status) }
    };
    for (kind, status, expected) in [
        (ErrorKind::Provider, 500, true),
        (ErrorKind::Provider, 0, true),
        (ErrorKind::Provider, 404, false),
        (ErrorKind::Provider, 402, false),
        (ErrorKind::TimedOut, 408, true),
        (ErrorKind::Connection, 0, true),
        (ErrorKind::RateLimited, 429, false),
        (ErrorKind::Authentication, 401, false),
        (ErrorKind::InvalidInput, 400, false),
    ] {
        assert_eq!(counts(&error(kind, status)), expected, "{kind} {status}");
    }
}

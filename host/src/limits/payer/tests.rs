//! What requests take, and what goes back.

use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::*;
use crate::limits::{Admitted, Allowance, Clock, Limiter, Over, Subject};

const EVENING: &str = "2026-11-20T20:15:00Z";

/// A limiter, and the clock that it looks at.
struct Stand {
    limiter: Arc<Limiter>,
    clock: Arc<Mutex<SystemTime>>,
    now: Instant,
}

impl Stand {
    fn new() -> Self {
        let clock = Arc::new(Mutex::new(humantime::parse_rfc3339(EVENING).unwrap()));
        let told = Arc::clone(&clock);
        let limiter = Arc::new(Limiter::with_clock(Clock::of(move || *told.lock().unwrap())));
        Self { limiter, clock, now: Instant::now() }
    }

    fn payer(&self, rates: Rates, host_budget: Budget) -> Payer {
        let allowance = Allowance { rates, host_budget, ..Allowance::default() };
        let subject = Subject::Address(IpAddr::from([10, 0, 0, 1]));
        let Admitted { payer, .. } = self.limiter.admit(subject, &allowance, self.now).unwrap();
        payer.unwrap()
    }
}

fn usd(text: &str) -> Cost {
    text.parse::<rust_decimal::Decimal>().unwrap().into()
}

fn tokens(limit: u32) -> Rates {
    Rates { tokens_per_minute: Some(limit), ..Rates::default() }
}

/// So many tokens, and no word of money.
fn of(tokens: u64) -> Wish {
    Wish { tokens, ..Wish::default() }
}

fn day(text: &str) -> Budget {
    Budget { day: Some(usd(text)), month: None }
}

/// How a request can end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Nobody was asked.
    Unasked,
    /// Whoever was asked failed.
    Failed,
    /// It was served, and this many tokens were counted, for this much.
    Told(u64, &'static str),
    /// It was served, and nobody said what it took.
    Untold,
    /// The client has left while somebody was at it.
    Left,
}

#[test]
fn what_was_not_used_goes_back() {
    for (end, remaining, money) in [
        (End::Unasked, 100, "1"),
        (End::Failed, 100, "1"),
        (End::Told(10, "0.25"), 90, "0.75"),
        (End::Told(70, "0.5"), 30, "0.5"),
        (End::Told(170, "2"), 0, "0"),
        (End::Untold, 40, "0.6"),
        (End::Left, 40, "0.6"),
    ] {
        let stand = Stand::new();
        let payer = stand.payer(Rates { budget: day("1"), ..tokens(100) }, day("1"));
        let provider = stand.limiter.provider("p");
        let rates = Rates { requests_per_minute: Some(5), ..tokens(100) };
        let wish = Wish { cost: usd("0.4"), ..of(60) };
        let claim = provider.claim(&rates, wish, stand.now).unwrap();

        let mut claims = payer.claim(of(60), stand.now).unwrap();
        assert!(matches!(payer.claim(of(41), stand.now), Err(Exceeded::Own(Over::Tokens(_)))), "{end:?}");
        payer.reserve(&mut claims, usd("0.4")).unwrap();
        match end {
            End::Unasked => drop(claim),
            _ => claims.asks_provider(Some(claim)),
        }
        match end {
            End::Failed => claims.give_back(),
            End::Told(tokens, cost) => assert_eq!(claims.settle(Some(tokens), Some(usd(cost))), None),
            // What stays counted is told to whoever writes it down.
            End::Untold => assert_eq!(claims.settle(None, None), Some(wish)),
            End::Left => assert_eq!(claims.leave(), Some(wish)),
            End::Unasked => assert_eq!(claims.leave(), None),
        }
        assert_eq!(claims.leave(), None, "once, {end:?}");
        drop(claims);
        let (tokens, left) = payer.standing(stand.now);
        assert_eq!((tokens.unwrap().remaining, left), (remaining, Some(usd(money))), "{end:?}");
        assert_eq!(provider.standing(&rates, stand.now).0.unwrap().remaining, remaining, "{end:?}");
        let spent = if matches!(end, End::Told(170, _)) { usd("2") } else { usd("1").less(usd(money)) };
        assert_eq!(payer.host.spent().day, spent, "{end:?}");
        // A request counts where it came, whatever became of it.
        let free = (0..5).filter(|_| provider.take_request(&rates, stand.now).is_ok()).count();
        assert_eq!(free, if matches!(end, End::Unasked) { 5 } else { 4 }, "{end:?}");
    }
}

#[test]
fn a_second_provider_takes_the_place_of_the_first() {
    let stand = Stand::new();
    let payer = stand.payer(Rates { budget: day("1"), ..tokens(100) }, Budget::default());
    let (first, second) = (stand.limiter.provider("a"), stand.limiter.provider("b"));
    let wish = of(50);
    let mut claims = payer.claim(of(50), stand.now).unwrap();
    payer.reserve(&mut claims, usd("1")).unwrap();
    assert!(payer.claim(of(1), stand.now).is_err(), "all of it is set aside");
    claims.asks_provider(first.claim(&tokens(100), wish, stand.now).ok());
    claims.provider_failed();
    payer.reserve(&mut claims, usd("0.1")).unwrap();
    claims.asks_provider(second.claim(&tokens(100), wish, stand.now).ok());
    let left = |meter: &Meter| meter.standing(&tokens(100), stand.now).0.unwrap().remaining;
    assert_eq!((left(&first), left(&second)), (100, 50));
    assert!(payer.claim(of(1), stand.now).is_ok());
    claims.settle(Some(7), Some(usd("0.2")));
    assert_eq!((left(&first), left(&second)), (100, 93));
    assert_eq!(payer.standing(stand.now).1, Some(usd("0.8")));
}

#[test]
fn what_is_too_large_by_itself_is_told_so_and_takes_nothing() {
    let stand = Stand::new();
    let payer = stand.payer(tokens(100), Budget::default());
    let over = payer.claim(of(101), stand.now).unwrap_err();
    assert_eq!(over, Exceeded::Own(Over::TooLarge { tokens: 101, limit: 100 }));
    assert!(payer.claim(of(100), stand.now).is_ok());
}

#[test]
fn limits_change_while_what_was_taken_stays() {
    let stand = Stand::new();
    let mut claims = stand.payer(tokens(100), Budget::default()).claim(of(80), stand.now).unwrap();
    claims.settle(Some(80), None);
    let later = stand.now + Duration::from_secs(59);
    assert!(stand.payer(tokens(150), Budget::default()).claim(of(70), later).is_ok(), "it has grown");
    let small = stand.payer(tokens(50), Budget::default());
    let over = small.claim(of(50), later).unwrap_err();
    let Exceeded::Own(Over::Tokens(standing)) = over else { panic!("{over:?}") };
    assert_eq!((standing.remaining, standing.reset), (0, Duration::from_secs(1)));
    assert!(small.claim(of(50), later + standing.reset).is_ok(), "who waits for as long as is said gets in");
}

#[test]
fn a_budget_is_overspent_by_no_more_than_is_under_way() {
    let stand = Stand::new();
    let rates = Rates { budget: day("10"), ..Rates::default() };
    let payer = stand.payer(rates, Budget::default());
    // Estimated at 0.3, and 0.5 in truth; eight at a time.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let Ok(mut claims) = payer.claim(of(1), stand.now) else { continue };
                    if payer.reserve(&mut claims, usd("0.3")).is_ok() {
                        claims.asks_provider(None);
                        claims.settle(Some(1), Some(usd("0.5")));
                    }
                }
            });
        }
    });
    let spent = payer.own.spent().day;
    // 0.2 more than was thought for each of eight, after one that found the last of it.
    assert!(spent >= usd("10") && spent <= usd("10").plus(usd("0.5")).plus(usd("1.6")), "{spent}");
    let over = payer.claim(of(1), stand.now).unwrap_err();
    let Exceeded::Own(Over::Spent(over)) = over else { panic!("{over:?}") };
    assert_eq!((over.spent, over.is_for_now()), (spent, false));
    // Until midnight, and not a moment longer.
    *stand.clock.lock().unwrap() += over.wait - Duration::from_millis(1);
    assert!(payer.claim(of(1), stand.now).is_err());
    *stand.clock.lock().unwrap() += Duration::from_millis(1);
    assert!(payer.claim(of(1), stand.now).is_ok());
}

#[test]
fn what_everybody_may_spend_holds_for_each() {
    let stand = Stand::new();
    let payer = stand.payer(tokens(100), day("1"));
    stand.limiter.recall_all(crate::limits::Spent { day: usd("1"), month: usd("1") });
    let over = payer.claim(of(1), stand.now).unwrap_err();
    assert!(matches!(over, Exceeded::Everybodys(Over::Spent(_))), "{over:?}");
    assert_eq!(payer.standing(stand.now).0.unwrap().remaining, 100, "its own tokens went back");
    assert_eq!(payer.standing(stand.now).1, None, "what others spent is nobody's business");
}

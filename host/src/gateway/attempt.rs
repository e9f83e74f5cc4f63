//! Asking the candidates until one of them answers: the next key, the next provider, and then, after a while, those
//! again that failed for a passing reason.

use std::sync::Arc;
use std::time::Duration;

use patchbay_plugin_api::{ErrorKind, ProviderError};
use tokio::time::Instant;
use tracing::warn;

use super::estimate::Forecast;
use super::select::{Candidate, Found, Needs, Next, Passed, Queue, Reason, SelectError};
use super::{Failed, GatewayError, Served};
use crate::config::{RetrySettings, RoutingSettings};
use crate::dice::Dice;
use crate::limits::Over;
use crate::providers::{Admission, CallContext, Refusal};

/// The wait before the first second try; doubled each time, up to the longest.
const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(5);

/// Upstreams ask for any time they like, and clocks have an end.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);

/// One request is not tried more often, however many providers and keys there are.
const MOST_TRIES: usize = 50;

/// So many of those who did not serve are named in the explanation of who did.
const MOST_EXPLAINED: usize = 8;

/// The candidates of one request, and what came of those that were asked.
pub(super) struct Attempts<'r> {
    pub(super) call: CallContext,
    needs: Needs<'r>,
    /// What it may take.
    pub(super) forecast: Forecast<'r>,
    queue: Queue,
    dice: Dice,
    fallback: bool,
    retries: RetrySettings,
    deadline: Instant,
    passed: Vec<(Candidate, Reason)>,
    failed: Vec<Failed>,
    /// To be asked next: the same provider, with its next key.
    again: Option<Tried>,
    /// To be asked once everybody else was.
    later: Vec<Later>,
}

/// Somebody who is asked, or was.
#[derive(Clone, Debug)]
pub(super) struct Tried {
    pub(super) candidate: Candidate,
    /// How often it was asked again after a wait.
    rounds: u32,
    /// How many keys were tried in this round; none while it was not asked at all.
    keys: usize,
}

#[derive(Debug)]
struct Later {
    tried: Tried,
    at: Instant,
}

impl<'r> Attempts<'r> {
    pub(super) fn new(
        call: CallContext,
        needs: Needs<'r>,
        forecast: Forecast<'r>,
        queue: Queue,
        dice: Dice,
        routing: &RoutingSettings,
        began: Instant,
    ) -> Self {
        let retries = routing.retries.clone();
        let deadline = began + retries.deadline;
        let (passed, failed, later) = (Vec::new(), Vec::new(), Vec::new());
        let fallback = routing.fallback;
        let again = None;
        Self { call, needs, forecast, queue, dice, fallback, retries, deadline, passed, failed, again, later }
    }

    fn admit(&self, candidate: &Candidate, now: Instant) -> Result<Admission, Refusal> {
        candidate.provider.admit(now, || self.forecast.at(candidate))
    }

    /// Who is asked next, let in already. None when there is nobody, nobody worth waiting for, or no time.
    pub(super) async fn next(&mut self) -> Option<(Tried, Admission)> {
        let now = Instant::now();
        let over = !self.failed.is_empty() && now >= self.deadline;
        if over || self.failed.len() >= MOST_TRIES {
            return None;
        }
        if let Some(tried) = self.again.take() {
            match self.admit(&tried.candidate, now) {
                Ok(admission) => return Some((tried, admission.repeated())),
                Err(refusal) => self.postpone(tried, refusal),
            }
        }
        if self.fallback || self.failed.is_empty() {
            while let Some(next) = self.queue.next(self.needs, now, &mut || self.dice.roll()) {
                match next {
                    Next::Passed(candidate, reason) => self.pass(candidate, reason),
                    Next::Candidate(candidate) => match self.admit(&candidate, now) {
                        Ok(admission) => {
                            candidate.provider.standing.budget.pay_in(self.retries.budget);
                            return Some((Tried { candidate, rounds: 0, keys: 1 }, admission));
                        }
                        Err(refusal) => self.pass(candidate, Reason::Refused(refusal)),
                    },
                }
            }
        }
        self.wait_for_one().await
    }

    /// Everybody had a turn: whoever can be asked again first.
    async fn wait_for_one(&mut self) -> Option<(Tried, Admission)> {
        if !self.fallback
            && let Some(first) = self.failed.first()
        {
            self.later.retain(|later| later.tried.candidate.provider.name() == first.provider);
        }
        loop {
            let soonest = (0..self.later.len()).min_by_key(|place| self.later[*place].at)?;
            let Later { mut tried, at } = self.later.swap_remove(soonest);
            if at > Instant::now() + self.retries.longest_wait || at >= self.deadline {
                return None;
            }
            let provider = Arc::clone(&tried.candidate.provider);
            let budget = &provider.standing.budget;
            // Whoever has not asked yet makes no outage worse by waiting.
            let asked_before = tried.keys > 0;
            if asked_before && !budget.take() {
                continue;
            }
            tokio::time::sleep_until(at).await;
            tried.rounds += 1;
            match self.admit(&tried.candidate, Instant::now()) {
                Ok(admission) if asked_before => {
                    tried.keys = 1;
                    return Some((tried, admission.repeated()));
                }
                Ok(admission) => {
                    budget.pay_in(self.retries.budget);
                    tried.keys = 1;
                    return Some((tried, admission));
                }
                Err(refusal) => {
                    if asked_before {
                        budget.give_back();
                    }
                    self.postpone(tried, refusal);
                }
            }
        }
    }

    fn pass(&mut self, candidate: Candidate, reason: Reason) {
        self.passed.push((candidate.clone(), reason));
        if let Reason::Refused(refusal) = reason {
            self.postpone(Tried { candidate, rounds: 0, keys: 0 }, refusal);
        }
    }

    /// Only whoever gets fewer requests says when to come back, and who is full may have room any moment; other
    /// refusals are not worth waiting for.
    fn postpone(&mut self, tried: Tried, refusal: Refusal) {
        if tried.rounds >= tried.candidate.provider.settings.retry_attempts {
            return;
        }
        let wait = match refusal {
            // Those who wait for the same moment do not come all at once.
            Refusal::Resting { wait, refused: false } => wait + FIRST_BACKOFF.mul_f64(self.dice.share()),
            Refusal::Over(Over::Requests(standing) | Over::Tokens(standing)) => {
                standing.reset + FIRST_BACKOFF.mul_f64(self.dice.share())
            }
            Refusal::Full(_) => self.backoff(tried.rounds),
            Refusal::Over(Over::Spent(over)) if over.is_for_now() => self.backoff(tried.rounds),
            _ => return,
        };
        self.later.push(Later { tried, at: Instant::now() + wait });
    }

    /// Until when a try may go on. The first one has its provider's own limits alone.
    pub(super) fn limit(&self) -> Option<Instant> {
        (!self.failed.is_empty()).then_some(self.deadline)
    }

    /// What a try that reached the limit failed with. It had less than its own time, so nothing is held against the
    /// provider.
    pub(super) fn overdue(&self) -> ProviderError {
        let within = humantime::format_duration(self.retries.deadline);
        ProviderError::new(ErrorKind::TimedOut, format!("no answer within {within}, all tries together"))
    }

    /// Takes note of a failure; an error when asking anybody again is of no use.
    pub(super) fn note(&mut self, tried: &Tried, error: ProviderError) -> Result<(), GatewayError> {
        let provider = &tried.candidate.provider;
        warn!(
            provider = provider.name(),
            request_id = &*self.call.request_id,
            kind = error.kind.as_str(),
            status = error.status,
            detail = error.detail.as_deref(),
            problem = error.message,
            "provider failed"
        );
        let hopeless = !error.kind.retryable();
        self.plan_again(tried.clone(), &error);
        self.failed.push(Failed { provider: provider.name().to_owned(), error });
        if hopeless { Err(self.exhausted()) } else { Ok(()) }
    }

    /// Decides whether whoever failed is asked again, and when.
    fn plan_again(&mut self, tried: Tried, error: &ProviderError) {
        let (provider, now) = (&tried.candidate.provider, Instant::now());
        let of_the_key = matches!(error.kind, ErrorKind::RateLimited | ErrorKind::Authentication)
            || error.status == Some(402);
        // The place that it has given up just now others may have taken; that says nothing about the failure.
        let refusal = provider.refuses(now).filter(|refusal| !matches!(refusal, Refusal::Full(_)));
        if of_the_key && refusal.is_none() && tried.keys < provider.keys.count() {
            self.again = Some(Tried { keys: tried.keys + 1, ..tried });
            return;
        }
        match refusal {
            Some(refusal) => self.postpone(tried, refusal),
            None if passes(error) && tried.rounds < provider.settings.retry_attempts => {
                // Who asks for longer than anybody would wait is not waited for; whatever number it sent.
                let asked = error.retry_after.unwrap_or_default().min(LONGEST_ASKED);
                let wait = self.backoff(tried.rounds).max(asked);
                self.later.push(Later { tried, at: now + wait });
            }
            None => {}
        }
    }

    /// Twice as long each time, less up to half of it: those who failed together do not come back together.
    fn backoff(&mut self, rounds: u32) -> Duration {
        let whole = FIRST_BACKOFF.saturating_mul(1 << rounds.min(10)).min(LONGEST_BACKOFF);
        whole.mul_f64(0.5 + 0.5 * self.dice.share())
    }

    /// What to say when nobody answered.
    pub(super) fn exhausted(&mut self) -> GatewayError {
        let mut earlier = std::mem::take(&mut self.failed);
        match earlier.pop() {
            Some(last) => GatewayError::Failed { last, earlier },
            None => GatewayError::Select(SelectError::NothingAvailable { passed: self.passed() }),
        }
    }

    fn passed(&self) -> Vec<Passed> {
        let passed = self.passed.iter();
        let name = |candidate: &Candidate| candidate.provider.name().to_owned();
        passed.map(|(candidate, reason)| Passed { provider: name(candidate), reason: *reason }).collect()
    }

    /// Who served, and why.
    pub(super) fn served(&self, tried: Tried, model: Option<String>) -> Served {
        let route = self.route(&tried);
        let Candidate { provider, model: asked, .. } = tried.candidate;
        let model = model.or_else(|| asked.clone()).unwrap_or_default();
        Served { provider, model, asked, attempts: self.failed.len() + 1, route }
    }

    /// The decision in one line.
    fn route(&self, tried: &Tried) -> String {
        let mut route = match &self.queue.found {
            Found::ByName => "asked for by name".to_owned(),
            Found::ByChain => "of its chain".to_owned(),
            Found::By(strategy, 1) => format!("{}, the only one", strategy.word()),
            Found::By(strategy, count) => format!("{} of {count}", strategy.word()),
        };
        route.insert_str(0, ": ");
        route.insert_str(0, tried.candidate.provider.name());
        let passed = self.passed().into_iter().map(|passed| passed.to_string());
        let failed = self.failed.iter().map(|it| format!("{} failed: {}", it.provider, it.error.kind));
        for other in passed.chain(failed).take(MOST_EXPLAINED) {
            route.push_str("; ");
            route.push_str(&other);
        }
        route
    }
}

/// Whether the same request may succeed at the same provider a moment later.
fn passes(error: &ProviderError) -> bool {
    match error.kind {
        ErrorKind::Connection | ErrorKind::BrokenStream | ErrorKind::UnreadableAnswer => true,
        // And what went round in a loop will again.
        ErrorKind::Provider => {
            !error.status.is_some_and(|status| (400..500).contains(&status) || status == 508)
        }
        // Who did not answer in time has enough to do, and a plugin that panicked will again.
        _ => false,
    }
}

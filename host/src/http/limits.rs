//! The limits in front of the routes that ask providers, and the headers that tell how they stand.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::connection::Connection;
use super::error::{ApiError, whole_seconds};
use super::state::AppState;
use crate::access::VirtualKey;
use crate::config::{Network, Unpriced};
use crate::limits::{Admitted, Allowance, Budget, InFlight, Rates, Standing, Subject};

/// Counts a request; nothing where nothing is limited.
pub(super) fn admit(
    state: &AppState,
    parts: &Parts,
    key: Option<&VirtualKey>,
) -> Result<Option<Admitted>, ApiError> {
    let allowance = allowance(state, key);
    if allowance.is_unlimited() {
        return Ok(None);
    }
    let subject = match key {
        Some(key) => Subject::Key(key.hash),
        None => Subject::of_address(client(&parts.headers, &parts.extensions, &state.trusted_proxies)),
    };
    let admitted = state.registry.limiter.admit(subject, &allowance, Instant::now());
    admitted.map(Some).map_err(ApiError::from)
}

fn allowance(state: &AppState, key: Option<&VirtualKey>) -> Allowance {
    let for_all = &state.registry.snapshot().rules.limits;
    let own = key.map(|key| key.limits).unwrap_or_default();
    let budget = Budget::of(
        own.budget_usd_per_day.or(for_all.budget_usd_per_day),
        own.budget_usd_per_month.or(for_all.budget_usd_per_month),
    );
    let host_budget = Budget::of(for_all.host_budget_usd_per_day, for_all.host_budget_usd_per_month);
    let has_budget = !budget.is_unlimited() || !host_budget.is_unlimited();
    Allowance {
        rates: Rates {
            requests_per_minute: own.requests_per_minute.map(Into::into).or(for_all.requests_per_minute),
            tokens_per_minute: own.tokens_per_minute.map(Into::into).or(for_all.tokens_per_minute),
            budget,
        },
        max_concurrent: own.max_concurrent.map(Into::into),
        host_max_concurrent: for_all.max_concurrent,
        host_budget,
        refuses_unpriced: has_budget && for_all.unpriced == Unpriced::Refuse,
    }
}

/// Who asks: the other side of the connection, unless that is a proxy which is believed when it says for whom it asks.
pub(super) fn client(headers: &HeaderMap, extensions: &Extensions, trusted: &[Network]) -> IpAddr {
    let unknown = IpAddr::from([0, 0, 0, 0]);
    let peer = extensions.get::<Connection>().map_or(unknown, |connection| connection.peer.ip());
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(*address));
    if !is_trusted(&peer) {
        return peer;
    }
    // Each proxy adds whom it saw at the end: the last one that is no proxy of ours is the client.
    let lines = headers.get_all("x-forwarded-for").iter();
    let lines = lines.map(|line| line.to_str().unwrap_or(UNREADABLE));
    let mut seen: Vec<Option<IpAddr>> = lines.flat_map(|line| line.split(',')).map(forwarded).collect();
    while let Some(last) = seen.pop() {
        match last {
            Some(address) if is_trusted(&address) => {}
            Some(address) => return address,
            // What cannot be read was written by whoever is behind it.
            None => break,
        }
    }
    peer
}

/// Stands for what was written by whoever is behind the proxies.
const UNREADABLE: &str = "?";

fn forwarded(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

/// Says how things stand, and counts the request as under way until its answer has gone out.
pub(super) fn accompany(response: Response, admitted: Admitted) -> Response {
    let Admitted { standing, payer, in_flight } = admitted;
    let mut response = response.map(|body| Body::new(Counted { body, _in_flight: in_flight }));
    let headers = response.headers_mut();
    if let Some(standing) = standing {
        put_standing(headers, &standing);
    }
    let (tokens, money) = payer.map(|payer| payer.standing(Instant::now())).unwrap_or_default();
    if let Some(Standing { limit, remaining, reset }) = tokens {
        headers.insert("x-ratelimit-limit-tokens", limit.into());
        headers.insert("x-ratelimit-remaining-tokens", remaining.into());
        headers.insert("x-ratelimit-reset-tokens", seconds(reset));
    }
    if let Some(value) = money.and_then(|money| HeaderValue::try_from(money.to_string()).ok()) {
        headers.insert("x-patchbay-budget-remaining-usd", value);
    }
    response
}

/// How requests stand, for this host's own clients and, with another name, for those made for OpenAI's.
pub(super) fn put_standing(headers: &mut HeaderMap, standing: &Standing) {
    let Standing { limit, remaining, reset } = *standing;
    headers.insert("x-ratelimit-limit", limit.into());
    headers.insert("x-ratelimit-remaining", remaining.into());
    headers.insert("x-ratelimit-reset", whole_seconds(reset));
    headers.insert("x-ratelimit-limit-requests", limit.into());
    headers.insert("x-ratelimit-remaining-requests", remaining.into());
    headers.insert("x-ratelimit-reset-requests", seconds(reset));
}

/// A time as OpenAI's clients read it.
fn seconds(time: Duration) -> HeaderValue {
    let text = format!("{}s", time.as_secs() + u64::from(time.subsec_nanos() > 0));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("60s"))
}

/// A body that somebody is counted for.
struct Counted {
    body: Body,
    _in_flight: InFlight,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_proxy_says_for_whom_it_asks() {
        let trusted = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        for (peer, lines, expected) in [
            ("192.0.2.7:1", &["203.0.113.9"][..], "192.0.2.7"),
            ("10.0.0.1:1", &["203.0.113.9"], "203.0.113.9"),
            ("[::ffff:10.0.0.1]:1", &["203.0.113.9"], "203.0.113.9"),
            // What a client wrote itself stands in front, and is not believed.
            ("10.0.0.1:1", &["127.0.0.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            ("10.0.0.1:1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1:1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1:1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1:1", &["203.0.113.9, nonsense"], "10.0.0.1"),
            ("10.0.0.1:1", &["1.1.1.1", "\u{ff}"], "10.0.0.1"),
            ("10.0.0.1:1", &[], "10.0.0.1"),
        ] {
            let mut builder = http::Request::builder();
            for line in lines {
                builder =
                    builder.header("x-forwarded-for", HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            let (mut parts, ()) = builder.body(()).unwrap().into_parts();
            parts.extensions.insert(Connection::new(peer.parse().unwrap(), Duration::MAX));
            let seen = client(&parts.headers, &parts.extensions, &trusted);
            assert_eq!(seen, expected.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }
}

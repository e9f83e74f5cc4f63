//! What the plugin asks of its vendor, led to the scripted upstream: wherever it believes that its vendor is, a test
//! never asks there.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use patchbay_plugin_api::{Plan, Result};

use crate::plugins::fetch::{Fetch, Incoming, Outgoing};
use crate::plugins::outbound::Outbound;

/// The host's client on a detour. It names no keys: what a plugin says of them must be seen, and not be hidden.
pub(super) struct Detour {
    pub(super) client: Outbound,
    /// Scheme and authority.
    pub(super) upstream: String,
}

impl Fetch for Detour {
    fn fetch(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming>> {
        let url = led_to(&self.upstream, &request.url);
        let fetched = self.client.fetch(Outgoing { url, ..request });
        async move {
            let incoming = fetched.await?;
            Ok(Incoming { body: OneByOne { body: incoming.body, rested: false }.boxed(), ..incoming })
        }
        .boxed()
    }
}

/// The same path elsewhere. What is no address stays as it is, and is refused like anywhere else.
fn led_to(upstream: &str, url: &str) -> String {
    let Some((_, rest)) = url.split_once("://") else { return url.to_owned() };
    let path = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    format!("{upstream}{}", &rest[path..])
}

/// A plan whose requests take the same way.
pub(super) fn plan(mut plan: Plan, upstream: &str) -> Plan {
    for endpoint in [&mut plan.chat, &mut plan.completions, &mut plan.embeddings].into_iter().flatten() {
        endpoint.url = led_to(upstream, &endpoint.url);
    }
    plan
}

/// A body whose pieces never come together: a cut that a check has made must reach the plugin.
struct OneByOne {
    body: BoxStream<'static, Result<Bytes>>,
    rested: bool,
}

impl Stream for OneByOne {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !std::mem::replace(&mut self.rested, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.body.poll_next_unpin(context);
        self.rested = polled.is_pending();
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_place_changes() {
        for (url, expected) in [
            ("https://api.example.com/v1/models?key={{key}}", "http://up/v1/models?key={{key}}"),
            ("https://api.example.com", "http://up"),
            ("https://user@[::1]:8443?x=/y", "http://up?x=/y"),
            ("no address", "no address"),
        ] {
            assert_eq!(led_to("http://up", url), expected);
        }
    }
}

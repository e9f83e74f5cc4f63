//! The functions behind [`HostServices`], answered from the script.

use std::task::Poll;
use std::time::Duration;

use abi_stable::std_types::{ROption, RResult, RSliceMut, RStr, RVec};
use async_ffi::{FutureExt as _, LocalFfiFuture};
use futures_util::{Stream, StreamExt as _, stream};

use super::reply::{End, Head};
use super::{LogLine, Metric, Reply, SentRequest, State};
use crate::abi::{self, AbiError, Header, HostContext, HostServices, Now, PullStream, RawInterface};
use crate::http::HttpRequest;
use crate::{ErrorKind, ProviderError};

/// When tests begin: 2026-01-01T00:00:00Z.
const START: Duration = Duration::from_secs(1_767_225_600);

pub(super) fn of(context: HostContext) -> HostServices {
    HostServices { context, http, sleep, now, log, random, config, metric, get_service }
}

fn state(context: HostContext) -> &'static State {
    // SAFETY: a context of these functions was made by `TestHost::services` from a `&'static State`; one made by
    // hand would be wrong with any host.
    unsafe { &*context.0.cast::<State>() }
}

extern "C" fn http(
    context: HostContext,
    request: abi::HttpRequest,
) -> LocalFfiFuture<RResult<abi::HttpResponse, AbiError>> {
    let mut script = state(context).script();
    let (method, url) = (request.method.into_string(), request.url.into_string());
    let reply = script.replies.pop_front().unwrap_or_else(|| {
        let missing = format!("the test's script has no reply for {method} {url}");
        Reply { head: Head::Failed(ProviderError::new(ErrorKind::Connection, missing)), ..Reply::new(0) }
    });
    let header = |header: Header| (header.name.into_string(), header.value.into_string());
    let headers = request.headers.into_iter().map(header).collect();
    let request_made = HttpRequest { method, url, headers, body: request.body.into_vec() };
    script.requests.push(SentRequest { call: request.call, request: request_made });
    async move {
        match &reply.head {
            Head::Status(status) => RResult::ROk(response(*status, reply)),
            Head::Failed(error) => RResult::RErr(error.clone().into()),
            Head::Silent => std::future::pending().await,
        }
    }
    .into_local_ffi()
}

fn response(status: u16, reply: Reply) -> abi::HttpResponse {
    let header = |(name, value): (String, String)| Header { name: name.into(), value: value.into() };
    let pieces = stream::iter(reply.pieces).map(|piece| Ok(RVec::from(piece)));
    let end = match reply.end {
        End::Complete => stream::empty().boxed_local(),
        End::Failed(error) => stream::iter([Err(AbiError::from(error))]).boxed_local(),
        End::Silent => stream::pending().boxed_local(),
    };
    abi::HttpResponse {
        status,
        headers: reply.headers.into_iter().map(header).collect(),
        body: PullStream::new(hesitant(pieces.chain(end))),
    }
}

/// Is not ready the first time it is asked for an item, as networks are.
fn hesitant<S: Stream + Unpin>(mut stream: S) -> impl Stream<Item = S::Item> {
    let mut asked = false;
    stream::poll_fn(move |context| {
        asked = !asked;
        if asked {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        stream.poll_next_unpin(context)
    })
}

extern "C" fn sleep(context: HostContext, millis: u64) -> LocalFfiFuture<()> {
    // The clock moves when the sleeper is waited for, not when it is made.
    async move { state(context).script().slept += Duration::from_millis(millis) }.into_local_ffi()
}

extern "C" fn now(context: HostContext) -> Now {
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let slept = state(context).script().slept;
    Now { unix_nanos: nanos(START + slept), monotonic_nanos: nanos(slept) }
}

extern "C" fn log(context: HostContext, level: u32, message: RStr<'_>, fields: RStr<'_>) {
    let line = LogLine { level, message: message.as_str().to_owned(), fields: fields.as_str().to_owned() };
    state(context).script().logs.push(line);
}

/// The same bytes in every run.
extern "C" fn random(context: HostContext, mut bytes: RSliceMut<'_, u8>) {
    let mut script = state(context).script();
    for byte in bytes.as_mut_slice() {
        // Knuth's multiplier: enough to look arbitrary.
        script.random =
            script.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *byte = script.random.to_be_bytes()[0];
    }
}

extern "C" fn config(context: HostContext) -> RVec<u8> {
    state(context).config.clone().into_bytes().into()
}

extern "C" fn metric(context: HostContext, kind: u32, name: RStr<'_>, labels: RStr<'_>, value: f64) {
    let metric = Metric { kind, name: name.as_str().to_owned(), labels: labels.as_str().to_owned(), value };
    state(context).script().metrics.push(metric);
}

extern "C" fn get_service(_context: HostContext, _name: RStr<'_>, _version: u32) -> ROption<RawInterface> {
    ROption::RNone
}

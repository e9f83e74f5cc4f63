//! The process.

use serde_json::json;

use super::{HOST, example, stream};
use crate::events::{Body, Topic};
use crate::http::error::Code;
use crate::http::events::{EventsQuery, Missed};
use crate::http::health::Status;
use crate::http::openapi::Operation;
use crate::http::{audit, log, stats};

pub(in crate::http) fn live(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "isAlive", "Whether the process is up").answers::<Status>(
        200,
        "It is.",
        r#"{"status": "alive"}"#,
    )
}

pub(in crate::http) fn ready(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "isReady", "Whether the host can serve")
        .answers::<Status>(200, "It can.", r#"{"status": "ready"}"#)
        .answers::<Status>(503, "It starts or drains, or has no providers.", r#"{"status": "draining"}"#)
}

pub(in crate::http) fn metrics(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "getMetrics", "What Prometheus is told").answers_text(
        200,
        "Prometheus' text format.",
        "text/plain; version=0.0.4; charset=utf-8",
        "# TYPE patchbay_uptime_seconds gauge\npatchbay_uptime_seconds 12.5\n",
    )
}

pub(in crate::http) fn events(it: Operation<'_>) -> Operation<'_> {
    let id = json!({ "type": "string", "pattern": "^[0-9]{1,18}$" });
    it.named(HOST, "listen", "What happens to the host, as it happens")
        .about(
            "What is kept, or what came after `last-event-id`, and then whatever happens: reloads, how providers do, \
             what becomes of plugins, and who changed what. Comments keep it alive; it does not end by itself. Of events \
             that came too fast `missed` says how many are not told.",
        )
        .query::<EventsQuery>()
        .header("last-event-id", "The `id` of the last event that was heard.", id)
        .streams(200, "The events.", stream!("events"))
        .event::<Body>(&Topic::ALL.map(Topic::word))
        .event::<stats::Stats<'_>>(&["stats"])
        .event::<Missed>(&["missed"])
        .refuses(400, &[Code::InvalidLastEventId])
        .refuses(503, &[Code::TooManyListeners])
}

pub(in crate::http) fn trail(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "listChanges", "Who changed what, and who was refused")
        .about("The latest first. Secrets are masked. Reloads by `watch` and `signal` have no address, and no request.")
        .query::<audit::ListQuery>()
        .answers::<audit::List>(200, "The entries.", example!("listChanges"))
        .refuses(503, &[Code::StoreUnavailable])
}

pub(in crate::http) fn log(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "getLog", "How much is logged").answers::<log::View<'_>>(
        200,
        "What is set.",
        example!("getLog"),
    )
}

pub(in crate::http) fn change_log(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "changeLog", "Log more, or less")
        .about("Until the host ends, or for some time.")
        .takes::<log::Wanted>(example!("changeLog.body"))
        .answers::<log::View<'_>>(200, "What is set from now on.", example!("getLog"))
        .refuses(400, &[Code::InvalidLogLevel])
}

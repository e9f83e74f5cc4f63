//! What spans say, by OpenTelemetry's conventions: those for HTTP, and those for generative AI as they are since they
//! have a repository of their own (<https://github.com/open-telemetry/semantic-conventions-genai>). Never what was asked
//! or answered, and no key.

use http::Method;
use reqwest::Url;

use super::span::{Attributes, Value};
use super::spans::Came;
use crate::accounts::{Attempt, AttemptSpan, MAX_NAME_BYTES, Outcome, Record, Trace, Visit, cut};
use crate::providers::PluginRef;

pub(super) fn name(text: &str) -> &str {
    cut(text, MAX_NAME_BYTES)
}

/// A method as the conventions have it: there are no others.
pub(super) fn method(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "CONNECT" | "OPTIONS" | "TRACE" | "PATCH") => {
            known
        }
        _ => "HTTP",
    }
}

/// The request's own.
pub(super) fn request(out: &mut Attributes, record: &Record, visit: &Visit) {
    let known = method(&visit.method);
    out.text("http.request.method", if known == "HTTP" { "_OTHER" } else { known });
    // Only routes without a variable part are traced.
    out.text("http.route", &*visit.path);
    out.text("url.path", &*visit.path);
    out.text("url.scheme", "http");
    out.text("client.address", visit.client.to_string());
    if let Some(status) = record.status {
        out.count("http.response.status_code", status.into());
    }
    let is_ours = record.status.is_some_and(|status| status >= 500);
    let code = record.outcome.code();
    out.maybe_text("error.type", code.filter(|_| is_ours || matches!(record.outcome, Outcome::Cut(_))));
    out.text("patchbay.request.id", &*record.request_id);
    out.text("patchbay.outcome", record.outcome.word());
    out.maybe_text("patchbay.error.code", code);
    out.maybe_text("patchbay.key.id", record.key.as_ref().map(|key| &*key.id));
}

/// An attempt's.
pub(super) fn attempt(
    out: &mut Attributes,
    record: &Record,
    trace: &Trace,
    attempt: &Attempt,
    told: &AttemptSpan,
    came: Came,
) {
    out.text("gen_ai.operation.name", told.operation);
    out.text("gen_ai.provider.name", provider(&attempt.provider.plugin));
    out.maybe_text("gen_ai.request.model", told.model.as_deref().map(name));
    server(out, told.url.as_deref());
    out.text("patchbay.provider", &*attempt.provider.name);
    out.maybe_text("error.type", came.failed);
    if came.served {
        answer(out, record, trace, attempt, came);
    }
}

/// What the answer said of itself.
fn answer(out: &mut Attributes, record: &Record, trace: &Trace, attempt: &Attempt, came: Came) {
    if record.streamed {
        out.put("gen_ai.request.stream", Value::Flag(true));
        if let Some(first) = record.first_token {
            let first = first.saturating_sub(attempt.after);
            out.put("gen_ai.response.time_to_first_chunk", Value::Fraction(first.as_secs_f64()));
        }
    }
    out.maybe_text("gen_ai.response.id", trace.answer_id.as_deref());
    out.maybe_text("gen_ai.response.model", record.model.as_deref().map(name));
    // One that was expected and did not come has a word, too.
    let reason = trace.finish_reason.as_deref().or(came.failed.map(|_| "error"));
    if let Some(reason) = reason {
        out.put("gen_ai.response.finish_reasons", Value::Texts(vec![reason.to_owned()]));
    }
    if let Some(usage) = record.usage {
        out.count("gen_ai.usage.input_tokens", usage.prompt_tokens);
        out.count("gen_ai.usage.output_tokens", usage.completion_tokens);
        for (name, count) in [
            ("gen_ai.usage.cache_read.input_tokens", usage.cached_tokens),
            ("gen_ai.usage.cache_write.input_tokens", usage.cache_write_tokens),
            ("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens),
        ] {
            if count > 0 {
                out.count(name, count);
            }
        }
    }
    if let Some(cost) = record.cost.and_then(|cost| cost.to_string().parse().ok()) {
        out.put("patchbay.cost.usd", Value::Fraction(cost));
    }
}

/// Which code was asked.
pub(super) fn plugin(out: &mut Attributes, plugin: &PluginRef) {
    out.text("patchbay.plugin.id", &*plugin.id);
    out.text("patchbay.plugin.version", plugin.version.to_string());
    out.count("patchbay.plugin.generation", plugin.generation);
}

/// The conventions' names for providers that they know; others have that of their plugin.
fn provider(plugin: &str) -> &str {
    match plugin {
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        other => other,
    }
}

fn server(out: &mut Attributes, url: Option<&str>) {
    let Some(url) = url.and_then(|url| Url::parse(url).ok()) else { return };
    if let Some(host) = url.host_str() {
        out.text("server.address", host);
        if let Some(port) = url.port_or_known_default() {
            out.count("server.port", port.into());
        }
    }
}

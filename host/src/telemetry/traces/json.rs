//! OTLP's request in JSON, for receivers that read nothing else.

use serde_json::{Value as Json, json};

use super::span::{Attributes, FAILED, Span, Value};

/// `ExportTraceServiceRequest`. Ids are hexadecimal there, and what may not fit a double is a text.
pub(super) fn request(resource: &Attributes, scope: (&str, &str), spans: &[Span]) -> Vec<u8> {
    let spans: Vec<Json> = spans.iter().map(span).collect();
    let (name, version) = scope;
    json!({"resourceSpans": [{
        "resource": {"attributes": attributes(resource)},
        "scopeSpans": [{"scope": {"name": name, "version": version}, "spans": spans}],
    }]})
    .to_string()
    .into_bytes()
}

fn span(span: &Span) -> Json {
    let mut json = json!({
        "traceId": span.trace.to_string(),
        "spanId": span.id.to_string(),
        "traceState": span.state,
        "name": span.name,
        "kind": span.kind as u64,
        "startTimeUnixNano": span.began.to_string(),
        "endTimeUnixNano": span.ended.to_string(),
        "attributes": attributes(&span.attributes),
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = parent.to_string().into();
    }
    if span.failed {
        json["status"] = json!({"code": FAILED});
    }
    json
}

fn attributes(attributes: &Attributes) -> Json {
    attributes.0.iter().map(|(name, it)| json!({"key": name, "value": value(it)})).collect()
}

fn value(it: &Value) -> Json {
    match it {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Flag(flag) => json!({"boolValue": flag}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Fraction(fraction) => json!({"doubleValue": fraction}),
        Value::Texts(texts) => {
            let values: Vec<Json> = texts.iter().map(|text| json!({"stringValue": text})).collect();
            json!({"arrayValue": {"values": values}})
        }
    }
}

//! OTLP's request in protobuf, written by hand: it has a dozen kinds of fields, and they are frozen.
//!
//! The numbers are those of `opentelemetry/proto/trace/v1/trace.proto` and `common/v1/common.proto`.

use super::span::{Attributes, FAILED, Span, Value};

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;

/// `ExportTraceServiceRequest`: one resource, one scope, these spans.
pub(super) fn request(resource: &Attributes, scope: (&str, &str), spans: &[Span]) -> Vec<u8> {
    let mut out = Message::default();
    out.message(1, |resource_spans| {
        resource_spans.message(1, |it| attributes(it, 1, resource));
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |it| {
                it.text(1, scope.0);
                it.text(2, scope.1);
            });
            for span in spans {
                scope_spans.message(2, |it| self::span(it, span));
            }
        });
    });
    out.0
}

fn span(out: &mut Message, span: &Span) {
    out.bytes(1, &span.trace.to_bytes());
    out.bytes(2, &span.id.to_bytes());
    if !span.state.is_empty() {
        out.text(3, &span.state);
    }
    if let Some(parent) = span.parent {
        out.bytes(4, &parent.to_bytes());
    }
    out.text(5, &span.name);
    out.number(6, span.kind as u64);
    out.eight_bytes(7, span.began.to_le_bytes());
    out.eight_bytes(8, span.ended.to_le_bytes());
    attributes(out, 9, &span.attributes);
    if span.failed {
        out.message(15, |status| status.number(3, FAILED));
    }
}

fn attributes(out: &mut Message, field: u64, attributes: &Attributes) {
    for (name, it) in &attributes.0 {
        out.message(field, |pair| {
            pair.text(1, name);
            pair.message(2, |any| value(any, it));
        });
    }
}

fn value(out: &mut Message, it: &Value) {
    match it {
        Value::Text(text) => out.text(1, text),
        Value::Flag(flag) => out.number(2, u64::from(*flag)),
        Value::Number(number) => out.number(3, number.cast_unsigned()),
        Value::Fraction(fraction) => out.eight_bytes(4, fraction.to_le_bytes()),
        Value::Texts(texts) => out.message(5, |list| {
            for text in texts {
                list.message(1, |any| any.text(1, text));
            }
        }),
    }
}

/// A message on its way into bytes.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut number: u64) {
        loop {
            let last = (number & 0x7f) as u8;
            number >>= 7;
            if number == 0 {
                return self.0.push(last);
            }
            self.0.push(last | 0x80);
        }
    }

    fn key(&mut self, field: u64, kind: u64) {
        self.varint((field << 3) | kind);
    }

    fn number(&mut self, field: u64, number: u64) {
        self.key(field, VARINT);
        self.varint(number);
    }

    fn eight_bytes(&mut self, field: u64, bytes: [u8; 8]) {
        self.key(field, EIGHT_BYTES);
        self.0.extend_from_slice(&bytes);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, LENGTH);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}

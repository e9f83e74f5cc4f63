//! The trace that a request is a part of, as the headers of W3C's Trace Context say it.

use std::fmt;
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::dice::Dice;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// A longer list of other tracers' notes is not passed on; W3C asks for this much.
const MAX_STATE_BYTES: usize = 512;
const MAX_STATE_MEMBERS: usize = 32;

/// Ids need not be secret, only unlike each other's.
static IDS: LazyLock<(Dice, u64)> =
    LazyLock::new(|| (Dice::new(), getrandom::u64().unwrap_or_else(|_| std::process::id().into())));

/// Of all that is done for one request of somebody's, on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(u128);

/// Of one part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanId(u64);

impl TraceId {
    fn new() -> Self {
        let (dice, process) = &*IDS;
        let high = dice.roll() ^ process;
        // All zeros stand for no id.
        Self((u128::from(high) << 64) | u128::from(dice.roll().max(1)))
    }

    /// As it goes over the wire.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// What a share of all traces is chosen by: the half that everybody makes at random.
    pub fn low(self) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "it is the lower half")]
        let low = self.0 as u64;
        low
    }
}

impl SpanId {
    /// One that was never there before.
    pub fn new() -> Self {
        Self(IDS.0.roll().max(1))
    }

    /// As it goes over the wire.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl Default for SpanId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a request says of the trace that it is a part of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    trace: TraceId,
    span: SpanId,
    sampled: bool,
    state: Option<HeaderValue>,
}

impl Parent {
    /// Reads the headers. What is not exactly as it should be counts as not there.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(PARENT).iter();
        let line = lines.next()?;
        // Of two, nobody knows which one is meant.
        if lines.next().is_some() {
            return None;
        }
        let (trace, span, sampled) = read_parent(line.as_bytes())?;
        Some(Self { trace, span, sampled, state: read_state(headers) })
    }

    /// Whether whoever asks keeps the trace.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// `00-<32 hex digits>-<16 hex digits>-<2 hex digits>`; later versions may say more behind it.
fn read_parent(line: &[u8]) -> Option<(TraceId, SpanId, bool)> {
    let (line, rest) = line.split_at_checked(55)?;
    let dashes = [2, 35, 52].iter().all(|place| line[*place] == b'-');
    let version = hex(&line[..2])?;
    let ends = rest.is_empty() || (version != 0 && rest[0] == b'-');
    if !dashes || version == 0xff || !ends {
        return None;
    }
    let (trace, span, flags) = (hex(&line[3..35])?, hex(&line[36..52])?, hex(&line[53..])?);
    let span = u64::try_from(span).ok()?;
    (trace != 0 && span != 0).then_some((TraceId(trace), SpanId(span), flags & 1 == 1))
}

/// Small letters only, as the standard has it.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number: u128, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((number << 4) | u128::from(value))
    })
}

/// The notes of other tracers, in one line, if all of them are what they should be.
fn read_state(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut whole = Vec::new();
    for line in headers.get_all(STATE) {
        if !whole.is_empty() {
            whole.push(b',');
        }
        whole.extend_from_slice(line.as_bytes());
        if whole.len() > MAX_STATE_BYTES {
            return None;
        }
    }
    let members = || whole.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|it| !it.is_empty());
    let fine = members().count() <= MAX_STATE_MEMBERS && members().all(is_member);
    (fine && members().next().is_some()).then(|| HeaderValue::from_bytes(&whole).ok()).flatten()
}

fn is_member(member: &[u8]) -> bool {
    let of_key = |byte: &u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@')
    };
    let Some(equals) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&member[..equals], &member[equals + 1..]);
    let first = key.first().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    first
        && key.len() <= 256
        && key.iter().all(of_key)
        && (1..=256).contains(&value.len())
        && value.iter().all(|byte| (0x20..=0x7e).contains(byte) && *byte != b'=')
}

/// A request's place in its trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The trace.
    pub id: TraceId,
    /// What the request is in it.
    pub span: SpanId,
    /// What it was asked by.
    pub parent: Option<SpanId>,
    /// Whether it is kept.
    pub sampled: bool,
    /// The notes of other tracers, who write visible characters only.
    pub state: Option<HeaderValue>,
    /// Upstream's name for the answer, of a trace that is kept.
    pub answer_id: Option<String>,
    /// Why the answer ended, likewise.
    pub finish_reason: Option<String>,
}

impl Trace {
    /// Goes on with the trace of whoever asks, or begins one. `keep` decides by the parent and the trace's id.
    pub fn begin(parent: Option<Parent>, keep: impl FnOnce(Option<&Parent>, TraceId) -> bool) -> Self {
        let id = parent.as_ref().map_or_else(TraceId::new, |parent| parent.trace);
        let sampled = keep(parent.as_ref(), id);
        let (parent, state) = parent.map_or((None, None), |parent| (Some(parent.span), parent.state));
        Self { id, span: SpanId::new(), parent, sampled, state, answer_id: None, finish_reason: None }
    }

    /// What a request that is made for this one says.
    pub(super) fn headers(&self, span: SpanId) -> TraceHeaders {
        let line = format!("00-{}-{span}-0{}", self.id, u8::from(self.sampled));
        // Hex digits and dashes always are a header.
        TraceHeaders { parent: HeaderValue::from_str(&line).ok(), state: self.state.clone() }
    }
}

/// The headers that tell an upstream which trace it is a part of.
#[derive(Clone, Debug, Default)]
pub struct TraceHeaders {
    parent: Option<HeaderValue>,
    state: Option<HeaderValue>,
}

impl TraceHeaders {
    /// To be sent.
    pub fn pairs(&self) -> impl Iterator<Item = (HeaderName, HeaderValue)> + use<> {
        let (parent, state) = (self.parent.clone(), self.state.clone());
        parent.map(|value| (PARENT, value)).into_iter().chain(state.map(|value| (STATE, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, line)| (HeaderName::from_static(name), HeaderValue::from_str(line).unwrap()))
            .collect()
    }

    #[test]
    fn a_parent_is_exactly_what_it_should_be_or_none() {
        for (line, sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), Some(true)),
            (format!("00-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("00-{TRACE}-{SPAN}-03"), Some(true)),
            (format!("01-{TRACE}-{SPAN}-01-what-comes-later"), Some(true)),
            (format!("cc-{TRACE}-{SPAN}-00"), Some(false)),
            (format!("00-{TRACE}-{SPAN}-01-"), None),
            (format!("01-{TRACE}-{SPAN}-01x"), None),
            (format!("ff-{TRACE}-{SPAN}-01"), None),
            (format!("00-{TRACE}-{SPAN}"), None),
            (format!("00-{TRACE}-{SPAN}-0"), None),
            (format!("00-{TRACE}-{SPAN}-0x"), None),
            (format!("00-{}-{SPAN}-01", TRACE.to_uppercase()), None),
            (format!("00-{}-{SPAN}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00_{TRACE}_{SPAN}_01"), None),
            (format!(" 00-{TRACE}-{SPAN}-01"), None),
            (String::new(), None),
        ] {
            let read = Parent::of(&headers(&[("traceparent", &line)]));
            assert_eq!(read.as_ref().map(Parent::is_sampled), sampled, "{line}");
            if let Some(Parent { trace, span, .. }) = read {
                assert_eq!((trace.to_string(), span.to_string()), (TRACE.to_owned(), SPAN.to_owned()));
            }
        }
        let line = format!("00-{TRACE}-{SPAN}-01");
        let mut twice = headers(&[("traceparent", &line)]);
        twice.append(PARENT, HeaderValue::from_str(&line).unwrap());
        assert_eq!(Parent::of(&twice), None, "of two, nobody knows which");
    }

    #[test]
    fn notes_of_other_tracers_go_along_while_they_are_sound() {
        let line = format!("00-{TRACE}-{SPAN}-01");
        for (state, kept) in [
            ("a=1,b@c=2 x", true),
            (" a=1 , ,b=2", true),
            ("", false),
            ("a", false),
            ("A=1", false),
            ("a=b=c", false),
            (&*format!("a={}", "x".repeat(257)), false),
            (&*(0..33).map(|n| format!("k{n}=v,")).collect::<String>(), false),
            (&*(0..9).map(|n| format!("k{n}={},", "v".repeat(60))).collect::<String>(), false),
        ] {
            let parent = Parent::of(&headers(&[("traceparent", &line), ("tracestate", state)])).unwrap();
            assert_eq!(parent.state.is_some(), kept, "{state}");
        }
        assert_eq!(Parent::of(&headers(&[("tracestate", "a=1")])), None, "none without a parent");
    }

    #[test]
    fn upstream_is_told_the_trace_and_whose_part_it_is() {
        let line = format!("00-{TRACE}-{SPAN}-01");
        let parent = Parent::of(&headers(&[("traceparent", &line), ("tracestate", "a=1")]));
        let trace = Trace::begin(parent, |parent, _| parent.is_some_and(Parent::is_sampled));
        let span = SpanId::new();
        let told: Vec<_> = trace.headers(span).pairs().collect();
        assert_eq!(told[0].1, format!("00-{TRACE}-{span}-01"));
        assert_eq!(told[1], (STATE, HeaderValue::from_static("a=1")));
        assert!(trace.parent.unwrap().to_string() == SPAN && trace.span != span);

        let (one, other) = (Trace::begin(None, |_, _| false), Trace::begin(None, |_, _| false));
        assert!(one.id != other.id && one.parent.is_none());
        let told: Vec<_> = one.headers(span).pairs().collect();
        assert_eq!(told.len(), 1);
        let again = Parent::of(&told.into_iter().collect()).unwrap();
        assert_eq!((again.trace, again.span, again.sampled), (one.id, span, false));
    }
}

//! OpenTelemetry's own variables, as settings. They lie below the file: whoever sets them for everything on a machine
//! did not mean this host in particular.

use serde_json::{Map, Value};

use super::describe::PROTOCOLS;
use super::environment::{Environment, Set};
use super::layered::Setting;
use super::reader::Reader;

/// What a variable says, as the value of a key; or what it should have said.
type Meaning = fn(&str, &Environment) -> Result<Value, &'static str>;

/// In this order: what comes later says more.
const MEANINGS: [(&str, &str, Meaning); 10] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "otlp_endpoint", |base, _| {
        Ok(format!("{}/v1/traces", base.trim_end_matches('/')).into())
    }),
    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "otlp_endpoint", |address, _| Ok(address.into())),
    ("OTEL_EXPORTER_OTLP_PROTOCOL", "protocol", |word, _| protocol(word)),
    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "protocol", |word, _| protocol(word)),
    ("OTEL_EXPORTER_OTLP_HEADERS", "headers", |list, _| pairs(list)),
    ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "headers", |list, _| pairs(list)),
    ("OTEL_RESOURCE_ATTRIBUTES", "resource", |list, _| pairs(list)),
    ("OTEL_SERVICE_NAME", "service_name", |name, _| Ok(name.into())),
    ("OTEL_TRACES_SAMPLER", "sample", share),
    ("OTEL_TRACES_SAMPLER", "follow_parent", |sampler, _| Ok(sampler.starts_with("parentbased_").into())),
];

const TRACES: &str = "/telemetry/traces";

/// The settings that these variables make.
pub(super) fn layer(environment: &Environment, reader: &mut Reader<'_>) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (name, key, meaning) in MEANINGS {
        let Some(set) = environment.get(name) else { continue };
        let pointer = format!("{TRACES}/{key}");
        match meant(&set, environment, meaning) {
            Ok(value) => settings.push(Setting { pointer, value: Some(value), origin: set.origin() }),
            Err(should) => {
                // Its value may be a secret.
                let reason = format!("{name} is not {should}");
                let hint = format!("mend it, or set telemetry.traces.{key} and leave {name} out");
                reader.problems.push(set.problem(reader.dotenv, &pointer, &reason, &hint));
            }
        }
    }
    settings
}

fn meant(set: &Set<'_>, environment: &Environment, meaning: Meaning) -> Result<Value, &'static str> {
    meaning(set.value.to_str().ok_or("UTF-8")?.trim(), environment)
}

fn protocol(word: &str) -> Result<Value, &'static str> {
    if PROTOCOLS.contains(&word) {
        return Ok(word.into());
    }
    Err("http/protobuf or http/json, the protocols that this host speaks")
}

/// `name=value,name=value`, whose values are percent-encoded where they have to be.
fn pairs(list: &str) -> Result<Value, &'static str> {
    const SHOULD: &str = "a list such as name=value,name=value";
    let mut read = Map::new();
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(SHOULD)?;
        let value = decoded(value.trim()).ok_or(SHOULD)?;
        read.insert(name.trim().to_owned(), value.into());
    }
    Ok(Value::Object(read))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let digits = behind.first_chunk::<2>().and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| first == b'%').map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

fn share(sampler: &str, environment: &Environment) -> Result<Value, &'static str> {
    match sampler.strip_prefix("parentbased_").unwrap_or(sampler) {
        "always_on" => Ok(1.0.into()),
        "always_off" => Ok(0.0.into()),
        "traceidratio" => {
            let Some(share) = environment.text("OTEL_TRACES_SAMPLER_ARG") else { return Ok(1.0.into()) };
            let share = share.trim().parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            share.map(Value::from).ok_or("followed by a share from 0 to 1 in OTEL_TRACES_SAMPLER_ARG")
        }
        _ => Err("always_on, always_off or traceidratio, or one of them behind parentbased_"),
    }
}

//! Every variable that the host reads, and what each is for.

use super::environment::Environment;

/// A variable, for `.env.example`.
#[derive(Debug)]
pub struct Variable {
    /// Its name; `<NAME>` is a provider's, in capitals and with `_` for everything that is no letter or digit.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// A value it could have.
    pub example: &'static str,
    /// Where it goes; none for what is no part of the configuration.
    pub(super) key: Option<&'static str>,
}

const fn variable(
    name: &'static str,
    key: Option<&'static str>,
    example: &'static str,
    about: &'static str,
) -> Variable {
    Variable { name, about, example, key }
}

/// See the module.
pub const VARIABLES: &[Variable] = &[
    variable("HOST", Some("/server/host"), "127.0.0.1", "The address to listen on."),
    variable("PORT", Some("/server/port"), "5000", "The port to listen on; 0 picks a free one."),
    variable(
        "ADMIN_TOKEN",
        None,
        "",
        "What admin routes ask for; needed to listen beyond this machine. `openssl rand -hex 32` makes one.",
    ),
    variable(
        "LOG_LEVEL",
        None,
        "info",
        "How much is logged: off, error, warn, info, debug or trace, or per module as in info,patchbay::plugins=debug.",
    ),
    variable("RUST_LOG", None, "info", "The same, where LOG_LEVEL is not set."),
    variable("LOG_FORMAT", None, "text", "How log lines look: text or json."),
    variable("NO_COLOR", None, "1", "No colours, not on a terminal either. Only from the real environment."),
    variable(
        "PATCHBAY_CONFIG",
        None,
        "plugin_config.json",
        "The configuration file; this file is looked for beside it. Only from the real environment.",
    ),
    variable(
        "PATCHBAY_PLUGIN_DIRS",
        Some("/plugin_dirs"),
        "/opt/patchbay/plugins:more",
        "Folders with plugins besides plugins/custom and plugins/builtin, with colons in between; relative to the \
         configuration file's folder.",
    ),
    variable(
        "PATCHBAY_DATA_DIR",
        None,
        ".patchbay",
        "Where the host keeps what it has to remember; relative to the configuration file's folder.",
    ),
    variable(
        "PATCHBAY_URL",
        None,
        "http://127.0.0.1:5000",
        "The host that commands such as `patchbay reload` talk to. Only from the real environment.",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        None,
        "http://127.0.0.1:4318",
        "Who takes traces of requests; /v1/traces is added. Off when empty. These variables hold where the configuration \
         says nothing.",
    ),
    variable(
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        None,
        "http://127.0.0.1:4318/v1/traces",
        "The same, as the whole address.",
    ),
    variable("OTEL_EXPORTER_OTLP_PROTOCOL", None, "http/protobuf", "How they are written; or http/json."),
    variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", None, "http/protobuf", "The same, for traces alone."),
    variable(
        "OTEL_EXPORTER_OTLP_HEADERS",
        None,
        "",
        "Headers sent with them, as in authorization=Bearer%20abc,x-tenant=7.",
    ),
    variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS", None, "", "The same, for traces alone."),
    variable("OTEL_SERVICE_NAME", None, "patchbay", "What this host is called in them."),
    variable(
        "OTEL_RESOURCE_ATTRIBUTES",
        None,
        "deployment.environment.name=production",
        "What else they say of it.",
    ),
    variable(
        "OTEL_TRACES_SAMPLER",
        None,
        "parentbased_traceidratio",
        "Which are kept: always_on, always_off or traceidratio; behind parentbased_ whoever asks may decide.",
    ),
    variable("OTEL_TRACES_SAMPLER_ARG", None, "0.01", "The share of them that is kept."),
    variable(
        "<NAME>_API_KEY",
        Some("/config/api_key"),
        "",
        "The key of the provider <name>, as in GROQ_API_KEY.",
    ),
    variable(
        "<NAME>_API_KEYS",
        Some("/config/api_keys"),
        "",
        "Several keys, with commas in between: the next one is used when upstream limits or refuses one.",
    ),
    variable(
        "<NAME>_BASE_URL",
        Some("/config/base_url"),
        "https://api.example.com/v1",
        "Where its API begins.",
    ),
    variable("<NAME>_MODEL", Some("/config/model"), "my-model", "Its model for requests that name none."),
    variable(
        "<NAME>_TIMEOUT",
        Some("/config/timeout"),
        "30",
        "Seconds for a plain answer, or a stream's first token.",
    ),
    variable(
        "<NAME>_RETRY_ATTEMPTS",
        Some("/config/retry_attempts"),
        "3",
        "How often a request that failed for a passing reason is tried again.",
    ),
    variable(
        "PATCHBAY__<SECTION>__<KEY>",
        None,
        "",
        "Anything else: PATCHBAY__SERVER__OPEN=true, PATCHBAY__PLUGINS__GROQ__CONFIG__MAX_TOKENS=512.",
    ),
];

pub(super) const PER_PROVIDER: &str = "<NAME>";
pub(super) const STEPPING_IN: &str = "PATCHBAY__";

/// How a provider is called in variables.
pub(super) fn in_capitals(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    name.chars().map(plain).collect()
}

/// The variable with a provider's key, where nothing else was said of it.
pub fn key_variable(name: &str) -> String {
    format!("{}_API_KEY", in_capitals(name))
}

/// The capitals of every provider whose key is set, whether or not there is one of that name.
pub(super) fn with_keys(environment: &Environment) -> impl Iterator<Item = &str> {
    let names = environment.all(true).chain(environment.all(false)).map(|set| set.name);
    let stem = |name: &'_ str| {
        name.len()
            - ["_API_KEY", "_API_KEYS"]
                .iter()
                .find(|end| name.ends_with(*end))
                .map_or(name.len(), |end| end.len())
    };
    names
        .filter(|name| !name.starts_with(STEPPING_IN))
        .map(move |name| &name[..stem(name)])
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::describe::CONFIG;

    #[test]
    fn every_short_form_names_a_key_that_is_described() {
        for known in VARIABLES {
            let Some(key) = known.key else { continue };
            let name = key.rsplit('/').next().unwrap();
            let described = match key.strip_prefix("/config/") {
                Some(name) => CONFIG.key(name).is_some(),
                None => name == "plugin_dirs" || key.starts_with("/server/"),
            };
            assert!(described, "{}", known.name);
        }
    }
}

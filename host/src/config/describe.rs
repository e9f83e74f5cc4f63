//! What may stand in the configuration: the one description that files are checked by, that defaults come from, and
//! that the JSON Schema is made of.

use super::check::expected_numbers;

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole {
        least: i64,
        most: i64,
    },
    /// Any number.
    Number {
        least: f64,
        most: f64,
    },
    /// A time; none is shorter than it takes to say it.
    Seconds,
    Text,
    /// A text that is never shown.
    Secret,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// `true`, `false` or `"auto"`.
    Enabled,
    /// An IP address, or a network of them.
    Network,
    /// US dollars, as a number or, to be exact, as a text.
    Dollars,
    /// Whatever the plugin makes of it.
    Any,
    List(&'static Shape),
    /// Any keys, all with values of one shape.
    Map(&'static Shape),
    /// The entries of `plugins`: layers are laid over each other inside them, not over them.
    Providers(&'static Section),
    Section(&'static Section),
}

/// Keys that belong together.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) keys: &'static [Key],
    /// Whether keys that are not described go to the plugin.
    pub(super) open: bool,
    /// Whether any key may be `null`, as if it were not there.
    pub(super) nulls: bool,
}

/// One key of a section.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    /// The host's default as JSON. `null` is one: the key may then be written as `null`. None for what has none.
    pub(super) default: Option<&'static str>,
    /// For the JSON Schema.
    pub(super) about: &'static str,
}

impl Section {
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.keys.iter().map(|key| key.name)
    }

    pub(super) fn may_be_null(&self, key: &Key) -> bool {
        self.nulls || key.default == Some("null")
    }
}

impl Shape {
    /// Whether a text in its place may be a secret.
    pub(super) fn hides(&self) -> bool {
        matches!(self, Self::Secret | Self::List(Self::Secret) | Self::Map(Self::Secret))
    }

    /// For "not ...".
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Flag => "true or false".to_owned(),
            Self::Whole { least, most } => expected_numbers("a whole number", *least, *most),
            Self::Number { least, most } => format!("a number from {least} to {most}"),
            Self::Seconds => "a time in seconds, above 0 and up to ten years".to_owned(),
            Self::Text | Self::Secret => "a text".to_owned(),
            Self::OneOf(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
                words.join(", ")
            }
            Self::Enabled => "true, false or \"auto\"".to_owned(),
            Self::Network => "an IP address or a network such as \"10.0.0.0/8\"".to_owned(),
            Self::Dollars => "an amount in US dollars".to_owned(),
            Self::Any => "anything".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) | Self::Providers(_) | Self::Section(_) => "an object".to_owned(),
        }
    }

    /// For a hint, as JSON.
    pub(super) fn example(&self) -> &'static str {
        match self {
            Self::Flag | Self::Enabled => "true",
            Self::Whole { .. } | Self::Dollars => "1",
            Self::Number { .. } => "0.5",
            Self::Seconds => "30",
            Self::Text | Self::Secret | Self::Any => "\"...\"",
            Self::OneOf(_) => "one of them",
            Self::Network => "\"127.0.0.1\"",
            Self::List(Self::Text | Self::Secret) => "[\"...\"]",
            Self::List(_) => "[]",
            Self::Map(_) | Self::Providers(_) | Self::Section(_) => "{}",
        }
    }
}

/// The names of the ways to choose a provider.
pub(super) const STRATEGIES: &[&str] =
    &["priority_first", "round_robin", "weighted", "least_latency", "lowest_cost"];

/// How traces may be written.
pub(super) const PROTOCOLS: &[&str] = &["http/protobuf", "http/json"];

/// Each that counts is remembered.
const LIMIT: Shape = Shape::Whole { least: 1, most: 1_000_000 };

/// Each is kept for as long as the host runs.
const SERIES: Shape = Shape::Whole { least: 1, most: 10_000 };

const COUNT: Shape = Shape::Whole { least: 1, most: u32::MAX as i64 };

const fn key(name: &'static str, shape: Shape, default: &'static str, about: &'static str) -> Key {
    Key { name, shape, default: Some(default), about }
}

/// Nothing is no price: what has none has no cost.
const fn price(name: &'static str, about: &'static str) -> Key {
    Key { name, shape: Shape::Dollars, default: None, about }
}

/// A section's default are those of its keys.
const fn section(name: &'static str, keys: &'static Section, about: &'static str) -> Key {
    Key { name, shape: Shape::Section(keys), default: None, about }
}

const fn closed(keys: &'static [Key]) -> Section {
    Section { keys, open: false, nulls: false }
}

pub(super) static ROOT: Section = closed(&[
    Key {
        name: "$schema",
        shape: Shape::Text,
        default: None,
        about: "Where editors find what may stand here.",
    },
    section("server", &SERVER, "Where and how to listen."),
    key(
        "plugin_dirs",
        Shape::List(&Shape::Text),
        "[]",
        "Folders with plugins besides plugins/custom and plugins/builtin; relative to this file's folder.",
    ),
    section("routing", &ROUTING, "Which provider serves a request, and what happens when one fails."),
    section("health", &HEALTH, "How providers are checked while nobody asks them. Times are in seconds."),
    section("models", &MODELS, "How the vendors' lists of models are kept up."),
    section("limits", &LIMITS, "How much anybody may ask; keys may have limits of their own."),
    section("usage", &USAGE, "What is kept of requests in the data directory; read at start."),
    section("loader", &LOADER, "How libraries are loaded and watched over. Times are in seconds."),
    section("telemetry", &TELEMETRY, "What the host says about itself; read when it starts."),
    Key { name: "plugins", shape: Shape::Providers(&ENTRY), default: None, about: "The providers, by name." },
]);

static SERVER: Section = closed(&[
    key("host", Shape::Text, "\"127.0.0.1\"", "The address to listen on."),
    key("port", Shape::Whole { least: 0, most: 65535 }, "5000", "The port; 0 picks a free one."),
    key("open", Shape::Flag, "false", "Whether anyone who can connect may spend."),
    key(
        "max_body_bytes",
        Shape::Whole { least: 1, most: i64::MAX },
        "20971520",
        "The largest request body taken.",
    ),
    key(
        "keep_alive",
        Shape::Seconds,
        "15",
        "After so many seconds without a chunk a stream of events sends a comment, lest somebody on the way cuts it.",
    ),
    key("cors_origins", Shape::List(&Shape::Text), "[]", "Origins that browsers may call from."),
    key(
        "trusted_proxies",
        Shape::List(&Shape::Network),
        "[]",
        "Addresses of proxies, or networks such as 10.0.0.0/8, that are believed when they say, in X-Forwarded-For, for whom they ask.",
    ),
]);

static ROUTING: Section = closed(&[
    key(
        "default_strategy",
        Shape::OneOf(STRATEGIES),
        "\"priority_first\"",
        "How the providers that could serve are ordered.",
    ),
    key("fallback", Shape::Flag, "true", "Whether the next provider is asked when one fails."),
    key(
        "chains",
        Shape::Map(&Shape::List(&Shape::Text)),
        "{}",
        "For a model, the models to try in its place, in order, as \"provider/model\".",
    ),
    section("retries", &RETRIES, "How long, and how often, it goes on trying. Times are in seconds."),
    section("breaker", &BREAKER, "When a failing provider is left alone for a while."),
]);

static RETRIES: Section = closed(&[
    key(
        "deadline",
        Shape::Seconds,
        "120",
        "No try but the first goes on for longer, counted from the request's arrival.",
    ),
    key(
        "longest_wait",
        Shape::Seconds,
        "5",
        "A provider that wants to be left alone for longer is not waited for.",
    ),
    key(
        "budget",
        Shape::Number { least: 0.0, most: 10.0 },
        "0.2",
        "Second tries at one provider, for each request it gets: an outage is not made worse.",
    ),
]);

static BREAKER: Section = closed(&[
    key("failures", COUNT, "5", "So many failures in a row open it."),
    key("window", Shape::Seconds, "30", "After so many seconds without one, failures are counted anew."),
    key("open_for", Shape::Seconds, "15", "Seconds until the provider is tried again."),
]);

static HEALTH: Section = closed(&[
    key("enabled", Shape::Flag, "true", "Whether they are checked at all."),
    key("interval", Shape::Seconds, "30", "Between two checks of a provider that served nothing in between."),
    key("timeout", Shape::Seconds, "10", "A check may take this long."),
    key("concurrency", COUNT, "8", "Checks at one time."),
]);

static MODELS: Section = closed(&[
    key(
        "refresh",
        Shape::Flag,
        "true",
        "Whether vendors are asked in the background, at start and when a list is a day old.",
    ),
    key("concurrency", COUNT, "4", "So many vendors are asked at one time."),
]);

static LIMITS: Section = closed(&[
    key(
        "requests_per_minute",
        LIMIT,
        "null",
        "In any minute, by each key, or client address where none is used; null is without a limit.",
    ),
    key(
        "tokens_per_minute",
        COUNT,
        "null",
        "In any minute, read and written, by each key, or client address where none is used.",
    ),
    key(
        "budget_usd_per_day",
        Shape::Dollars,
        "null",
        "What each key, or client address where none is used, may spend in a day of UTC.",
    ),
    key(
        "budget_usd_per_month",
        Shape::Dollars,
        "null",
        "What each key, or client address where none is used, may spend in a month of UTC.",
    ),
    key("max_concurrent", COUNT, "null", "Requests of everybody at one time; null is without a limit."),
    key(
        "host_budget_usd_per_day",
        Shape::Dollars,
        "null",
        "What everybody together may spend in a day of UTC.",
    ),
    key(
        "host_budget_usd_per_month",
        Shape::Dollars,
        "null",
        "What everybody together may spend in a month of UTC.",
    ),
    key(
        "unpriced",
        Shape::OneOf(&["allow", "refuse"]),
        "\"allow\"",
        "Whether whoever has a budget may ask models without a price, which cost nothing.",
    ),
]);

/// Ten years.
const DAYS: Shape = Shape::Whole { least: 1, most: 3650 };

static USAGE: Section = closed(&[
    key("requests_days", DAYS, "30", "Each single request is kept for so many days."),
    key("minutes_days", DAYS, "14", "The sums of each minute."),
    key("hours_days", DAYS, "400", "The sums of each hour and day; a month of them is kept for budgets."),
    key(
        "queue_records",
        Shape::Whole { least: 1, most: 10_000_000 },
        "20000",
        "So many requests may wait in memory for the disk; of more than that nothing is kept.",
    ),
    key(
        "spill_mib",
        Shape::Whole { least: 1, most: 1 << 20 },
        "256",
        "So many MiB of requests may wait in a file for the store; while it is emptied the file may be twice as long.",
    ),
]);

pub(super) static LOADER: Section = closed(&[
    key(
        "allow_unsafe_permissions",
        Shape::Flag,
        "false",
        "Takes libraries that others than the host's user can write to.",
    ),
    key(
        "max_file_bytes",
        Shape::Whole { least: 1, most: i64::MAX },
        "268435456",
        "The largest library that is taken.",
    ),
    key("probe_timeout", Shape::Seconds, "5.0", "The probe process may take this long."),
    key(
        "load_timeout",
        Shape::Seconds,
        "5.0",
        "Opening a library, or making a provider, may take this long.",
    ),
    key("stall_limit", Shape::Seconds, "5.0", "Plugin code may block its thread this long."),
    key("panic_limit", COUNT, "5", "So many panics within the window quarantine a plugin."),
    key("panic_window", Shape::Seconds, "60.0", "In seconds."),
    key(
        "drain_timeout",
        Shape::Seconds,
        "null",
        "A replaced plugin may finish what it had begun for this long; null is without a bound.",
    ),
]);

static TELEMETRY: Section = closed(&[
    key(
        "access_log",
        Shape::Flag,
        "false",
        "Whether the log has a line for each request; `patchbay log-level --access-log on` while it runs.",
    ),
    section("metrics", &METRICS, "What Prometheus is told, at /metrics."),
    section(
        "traces",
        &TRACES,
        "Traces of requests, sent over OTLP. OTEL_* variables hold where nothing is said.",
    ),
]);

static METRICS: Section = closed(&[
    key(
        "max_models",
        SERIES,
        "200",
        "So many models are told apart, each at each provider; what others took is told together, as other.",
    ),
    key("max_keys", SERIES, "200", "Likewise keys that this host gives out."),
]);

static TRACES: Section = closed(&[
    key(
        "otlp_endpoint",
        Shape::Text,
        "null",
        "Who takes them, as in http://127.0.0.1:4318; an address without a path gets /v1/traces. null keeps them off.",
    ),
    key("protocol", Shape::OneOf(PROTOCOLS), "\"http/protobuf\"", "How they are written."),
    key(
        "sample",
        Shape::Number { least: 0.0, most: 1.0 },
        "1.0",
        "The share of requests whose traces are kept, where whoever asks has not decided.",
    ),
    key(
        "follow_parent",
        Shape::Flag,
        "true",
        "Whether those who ask with a traceparent decide whether their trace is kept.",
    ),
    key("headers", Shape::Map(&Shape::Secret), "{}", "Sent along, to say who this is."),
    key("service_name", Shape::Text, "null", "What this host is called there; patchbay when left out."),
    key(
        "resource",
        Shape::Map(&Shape::Text),
        "{}",
        "What else is said of it, as in deployment.environment.name.",
    ),
]);

pub(super) static ENTRY: Section = closed(&[
    key("plugin", Shape::Text, "null", "The plugin's id; the entry's name when left out."),
    key("enabled", Shape::Enabled, "true", "\"auto\": if its key is there."),
    key(
        "priority",
        Shape::Whole { least: i32::MIN as i64, most: i32::MAX as i64 },
        "null",
        "Lower is tried first; the plugin's own when left out, else 50.",
    ),
    key(
        "weight",
        Shape::Whole { least: 0, most: u32::MAX as i64 },
        "1",
        "Share under the weighted strategy; 0 is only asked when the others fail.",
    ),
    key("isolation", Shape::OneOf(&["in_process"]), "\"in_process\"", "Where the plugin's code runs."),
    section("config", &CONFIG, "For host and plugin; keys that the host does not know go to the plugin."),
]);

/// Whether the host itself reads this key of an entry's `config`, and knows what it means.
pub(crate) fn is_host_key(name: &str) -> bool {
    CONFIG.key(name).is_some()
}

/// Whether it says what a model costs.
pub(super) fn is_price_key(name: &str) -> bool {
    PRICE.key(name).is_some()
}

/// The keys of an entry's `config` that the host reads.
pub(crate) fn host_keys<'a>() -> impl Iterator<Item = &'a str> + Clone {
    CONFIG.keys.iter().map(|key| key.name)
}

pub(super) static CONFIG: Section = Section {
    open: true,
    nulls: true,
    keys: &[
        key("name", Shape::Text, "null", "The name for people."),
        key("api_key", Shape::Secret, "null", "The key, best as \"${VARIABLE}\"."),
        key(
            "api_keys",
            Shape::List(&Shape::Secret),
            "[]",
            "Several keys: the next one is used when upstream limits or refuses one.",
        ),
        key("api_key_env", Shape::Text, "null", "The variable that holds the key."),
        key("base_url", Shape::Text, "null", "Where the API begins."),
        key("model", Shape::Text, "null", "The model of requests to /api/* that name none."),
        key("max_tokens", COUNT, "null", "Default for /api/*."),
        key("temperature", Shape::Number { least: 0.0, most: 2.0 }, "null", "Default for /api/*."),
        key("timeout", Shape::Seconds, "30", "A plain answer, or a stream's first token, within this time."),
        key("connect_timeout", Shape::Seconds, "5", "The connection within this time."),
        key("chunk_timeout", Shape::Seconds, "60", "The next chunk of a stream within this time."),
        key(
            "total_timeout",
            Shape::Seconds,
            "null",
            "A whole stream within this time; null is without a bound.",
        ),
        key("allow_http", Shape::Flag, "false", "Whether plain http is allowed beyond loopback."),
        key(
            "retry_attempts",
            Shape::Whole { least: 0, most: 100 },
            "3",
            "How often a request that failed for a passing reason is tried again here, after the others were tried.",
        ),
        key(
            "max_concurrent",
            COUNT,
            "null",
            "Requests at one time; more go to others. null is without a limit.",
        ),
        key("requests_per_minute", LIMIT, "null", "In any minute; more go to others."),
        key("tokens_per_minute", COUNT, "null", "In any minute, read and written; more go to others."),
        key(
            "budget_usd_per_day",
            Shape::Dollars,
            "null",
            "What may be spent here in a day of UTC, by its prices; then requests go to others.",
        ),
        key(
            "budget_usd_per_month",
            Shape::Dollars,
            "null",
            "What may be spent here in a month of UTC, by its prices; then requests go to others.",
        ),
        key("extra_headers", Shape::Map(&Shape::Text), "{}", "Sent with every request upstream."),
        key("models", Shape::List(&Shape::Text), "[]", "The models it serves, where it is not to be asked."),
        key(
            "pricing",
            Shape::Map(&Shape::Section(&PRICE)),
            "{}",
            "What its models cost, by model. What is not said here the plugin may say, or the vendor's list of models.",
        ),
    ],
};

static PRICE: Section = closed(&[
    price("prompt", "US dollars for what is sent."),
    price("cached_prompt", "For what of it the vendor had read before; as all of it when left out."),
    price("cache_write", "For what of it the vendor keeps for the next time; as all of it when left out."),
    price("completion", "US dollars for what comes back."),
    price("reasoning", "For what of it are thoughts; as all of it when left out."),
    key(
        "per",
        Shape::Whole { least: 1, most: 1_000_000 },
        "1000000",
        "For so many tokens; price lists per thousand say 1000.",
    ),
]);

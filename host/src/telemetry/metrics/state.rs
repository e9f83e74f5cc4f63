//! What is now: read when somebody asks, and kept by nobody, so that what is gone is gone.

use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use tokio::runtime::RuntimeMetrics;
use tokio::time::Instant;

use super::process::Process;
use super::text::{Kind, Text};
use crate::plugins::{Reloads, Vitals};
use crate::providers::{BreakerState, Condition, Provider, Snapshot};
use crate::usage::Counts;

/// What connections and requests are under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections.
    pub connections: usize,
    /// Requests of every kind.
    pub requests: usize,
    /// Those of them whose answer is sent as it comes, and has begun.
    pub streams: usize,
}

/// Everything that is read.
#[derive(Debug)]
pub struct Now<'a> {
    /// The providers.
    pub snapshot: &'a Snapshot,
    /// The plugins.
    pub plugins: &'a [Vitals],
    /// How reloads went.
    pub reloads: Reloads,
    /// What is under way.
    pub traffic: Traffic,
    /// The records of what requests took, on their way to the store.
    pub usage: &'a Counts,
    /// How long the host has run.
    pub uptime: Duration,
}

impl Now<'_> {
    pub(super) fn write(&self, text: &mut Text) {
        self.write_host(text);
        self.write_providers(text);
        self.write_plugins(text);
        self.write_reloads(text);
        self.write_usage(text);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            write_runtime(&runtime.metrics(), text);
        }
        Process::read().write(text);
    }

    fn write_host(&self, text: &mut Text) {
        let mut build = text.family("patchbay_build_info", Kind::Gauge, "The version that runs; always 1.");
        build.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
        let uptime = self.uptime.as_secs_f64();
        text.single("patchbay_uptime_seconds", Kind::Gauge, "How long the host has run.", uptime);
        let Traffic { connections, requests, streams } = self.traffic;
        for (name, help, count) in [
            ("patchbay_connections_open", "Connections of clients.", connections),
            (
                "patchbay_requests_in_flight",
                "Requests of every kind that are under way, this one too.",
                requests,
            ),
            ("patchbay_streams_open", "Answers that are being sent as they come.", streams),
        ] {
            text.single(name, Kind::Gauge, help, count);
        }
    }

    fn write_providers(&self, text: &mut Text) {
        let (providers, now) = (self.snapshot.by_priority(), Instant::now());
        let mut info = text.family(
            "patchbay_provider_info",
            Kind::Gauge,
            "The providers, and the plugin that each is made by; always 1.",
        );
        for provider in providers {
            info.sample(&[("provider", provider.name()), ("plugin", &provider.plugin.id)], 1);
        }
        let mut condition = text.family(
            "patchbay_provider_condition",
            Kind::Gauge,
            "What is known of a provider's health: 1 for the condition that it is in.",
        );
        let conditions = Condition::ALL.map(Condition::word);
        for provider in providers {
            let word = provider.condition().word();
            condition.state(&[("provider", provider.name())], "condition", &conditions, word);
        }
        for name in self.snapshot.disabled() {
            let word = Condition::Disabled.word();
            condition.state(&[("provider", name)], "condition", &conditions, word);
        }
        let mut breaker = text.family(
            "patchbay_provider_breaker_state",
            Kind::Gauge,
            "Whether a provider is left alone because it failed too often: 1 for the state that its breaker is in.",
        );
        for provider in providers {
            let word = provider.standing.breaker.state(now).word();
            breaker.state(
                &[("provider", provider.name())],
                "state",
                &BreakerState::ALL.map(BreakerState::word),
                word,
            );
        }
        for (name, kind, help, value) in NUMBERS {
            let mut family = text.family(name, kind, help);
            for provider in providers {
                family.sample(&[("provider", provider.name())], value(provider, now));
            }
        }
        let mut checks = text.family(
            "patchbay_health_check_duration_seconds",
            Kind::Histogram,
            "How long checks of a provider's health took, by what they found.",
        );
        for provider in providers {
            for (found, histogram) in provider.counters.checks.all() {
                checks.histogram(&[("provider", provider.name()), ("result", found.word())], histogram);
            }
        }
    }

    fn write_plugins(&self, text: &mut Text) {
        let mut generations = text.family(
            "patchbay_plugin_generations",
            Kind::Gauge,
            "Generations of a plugin by where they are in their lives: they serve, finish what they had begun, are \
             being unloaded, or stay mapped for good.",
        );
        for plugin in self.plugins {
            let count = plugin.generations;
            for (state, count) in [
                ("active", count.active),
                ("draining", count.draining),
                ("closing", count.closing),
                ("resident", count.resident),
            ] {
                generations.sample(&[("plugin", &plugin.id), ("state", state)], count);
            }
        }
        for (name, kind, help, value) in PLUGIN_NUMBERS {
            let mut family = text.family(name, kind, help);
            for plugin in self.plugins {
                family.sample(&[("plugin", &plugin.id)], value(plugin));
            }
        }
        let mut cpu = text.family(
            "patchbay_plugin_cpu_seconds_total",
            Kind::Counter,
            "CPU time, as the system counts it, of the threads that a plugin's code is called on, over all of its \
             generations. Requests that are served by a plan call no plugin; threads that a plugin starts by itself \
             are not counted.",
        );
        for plugin in self.plugins {
            cpu.sample(&[("plugin", &plugin.id)], plugin.totals.cpu.as_secs_f64());
        }
    }

    fn write_reloads(&self, text: &mut Text) {
        let Reloads { ok, partial, failed, last_seconds, last_success } = self.reloads;
        let mut reloads = text.family("patchbay_reloads_total", Kind::Counter, "Reloads by how they went.");
        for (status, count) in [("ok", ok), ("partial", partial), ("failed", failed)] {
            reloads.sample(&[("status", status)], count);
        }
        text.single(
            "patchbay_last_reload_duration_seconds",
            Kind::Gauge,
            "How long the last reload took.",
            last_seconds,
        );
        if let Some(last_success) = last_success {
            text.single(
                "patchbay_last_successful_reload_timestamp_seconds",
                Kind::Gauge,
                "When the last reload ended after which everything was as it was asked for.",
                last_success.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            );
        }
        text.single(
            "patchbay_config_generation",
            Kind::Gauge,
            "Counts the sets of providers that were put in place.",
            self.snapshot.number,
        );
    }

    fn write_usage(&self, text: &mut Text) {
        let Counts { queued, spilled, written, dropped, .. } = self.usage;
        let mut waiting = text.family(
            "patchbay_usage_queue_depth",
            Kind::Gauge,
            "Records of what requests took that the store does not have yet, by where they are.",
        );
        waiting.sample(&[("place", "memory")], queued);
        waiting.sample(&[("place", "file")], spilled);
        let mut settled = text.family(
            "patchbay_usage_records_total",
            Kind::Counter,
            "Records that the store was given, or for which there was no room.",
        );
        settled.sample(&[("result", "written")], written);
        settled.sample(&[("result", "dropped")], dropped);
    }
}

/// What is told of every provider by one number.
type Number = (&'static str, Kind, &'static str, fn(&Provider, Instant) -> u64);

const NUMBERS: [Number; 6] = [
    (
        "patchbay_provider_requests_in_flight",
        Kind::Gauge,
        "Requests that a provider is serving.",
        |provider, _| provider.counters.in_flight.load(Ordering::Relaxed),
    ),
    ("patchbay_provider_keys", Kind::Gauge, "The keys that a provider is asked with.", |provider, _| {
        provider.keys.count() as u64
    }),
    (
        "patchbay_provider_keys_resting",
        Kind::Gauge,
        "Those of them that are not used for a while: their vendor limited or refused them.",
        |provider, now| provider.keys.resting_count(now) as u64,
    ),
    (
        "patchbay_provider_key_rests_total",
        Kind::Counter,
        "How often a key was laid to rest; or the provider itself, where it has no key.",
        |provider, _| provider.counters.key_rests.get(),
    ),
    (
        "patchbay_provider_breaker_openings_total",
        Kind::Counter,
        "How often a provider was left alone because it had failed too often.",
        |provider, _| provider.counters.breaker_openings.get(),
    ),
    (
        "patchbay_provider_models",
        Kind::Gauge,
        "Models that a provider is known to offer: those configured, else those that its vendor lists.",
        |provider, _| provider.offered_models().map_or(0, |models| models.len() as u64),
    ),
];

/// And of every plugin.
type PluginNumber = (&'static str, Kind, &'static str, fn(&Vitals) -> u64);

const PLUGIN_NUMBERS: [PluginNumber; 5] = [
    ("patchbay_plugin_generation", Kind::Gauge, "Counts the loads of a plugin.", |plugin| plugin.generation),
    (
        "patchbay_plugin_requests_in_flight",
        Kind::Gauge,
        "Requests that run on any generation of a plugin.",
        |plugin| plugin.in_flight as u64,
    ),
    ("patchbay_plugin_queue_depth", Kind::Gauge, "Calls that wait for the thread of a plugin.", |plugin| {
        plugin.queued as u64
    }),
    (
        "patchbay_plugin_quarantined",
        Kind::Gauge,
        "Whether a plugin takes no calls, because it failed too often.",
        |plugin| u64::from(plugin.quarantined),
    ),
    ("patchbay_plugin_panics_total", Kind::Counter, "Panics of a plugin's code.", |plugin| {
        plugin.totals.panics
    }),
];

fn write_runtime(runtime: &RuntimeMetrics, text: &mut Text) {
    let workers = runtime.num_workers();
    for (name, help, count) in [
        ("patchbay_runtime_workers", "Threads that serve requests.", workers),
        ("patchbay_runtime_tasks", "Tasks of the runtime that have not ended.", runtime.num_alive_tasks()),
        (
            "patchbay_runtime_queue_depth",
            "Tasks that are ready, and wait in the queue of all workers.",
            runtime.global_queue_depth(),
        ),
    ] {
        text.single(name, Kind::Gauge, help, count);
    }
    let busy: Duration = (0..workers).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
    text.single(
        "patchbay_runtime_busy_seconds_total",
        Kind::Counter,
        "How long the workers were at work, all together.",
        busy.as_secs_f64(),
    );
}

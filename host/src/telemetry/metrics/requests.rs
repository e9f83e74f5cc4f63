//! How what requests came to is told.

use std::sync::Arc;

use patchbay_plugin_api::ErrorKind;

use super::series::{NANODOLLARS, OUTCOMES, OfModel, OfProvider, OfRoute};
use super::text::{Kind, Text};
use super::{CLASSES, Counter, Metrics};

/// A provider's series, by its name; without one for what came to nobody.
type Named = (Arc<str>, Arc<OfProvider>);

impl Metrics {
    pub(super) fn write_requests(&self, text: &mut Text) {
        let mut http = text.family(
            "patchbay_http_responses_total",
            Kind::Counter,
            "Answers to requests of every kind, by class of status; none where the client had gone before.",
        );
        for (class, counter) in CLASSES.iter().zip(&self.classes) {
            http.sample(&[("class", class)], counter.get());
        }
        let providers = self.providers.all();
        self.write_routes(&providers, text);
        let mut overhead = text.family(
            "patchbay_overhead_seconds",
            Kind::Histogram,
            "What the host adds to the time of the provider that is asked first and answers, by route: up to the end \
             of a whole answer, or the first words of a streamed one.",
        );
        for (place, histogram) in self.overhead.iter().enumerate() {
            overhead.histogram(&[("route", self.route(place))], histogram);
        }
        write_attempts(&providers, text);
        write_models(&providers, text);
        self.write_keys(text);
    }

    fn write_routes(&self, providers: &[Named], text: &mut Text) {
        let nobody = self.nobody.routes().map(|of_route| ("", of_route));
        let named = providers.iter().flat_map(|(name, of)| of.routes().map(|of_route| (&**name, of_route)));
        let routes: Vec<(&str, &str, &OfRoute)> = nobody
            .chain(named)
            .map(|(provider, (place, of_route))| (self.route(place), provider, of_route))
            .collect();
        let mut requests = text.family(
            "patchbay_requests_total",
            Kind::Counter,
            "Requests that are over, by route, by the provider that was asked last (none where nobody was), and by \
             how they ended.",
        );
        for (route, provider, of_route) in &routes {
            for (outcome, counter) in OUTCOMES.iter().zip(&of_route.outcomes) {
                requests.counted(&[("route", route), ("provider", provider), ("outcome", outcome)], counter);
            }
        }
        let mut errors = text.family(
            "patchbay_errors_total",
            Kind::Counter,
            "Requests that ended in an error, or were cut by one, by its code.",
        );
        for (route, provider, of_route) in &routes {
            for (code, count) in of_route.errors().iter() {
                errors.sample(&[("route", route), ("provider", provider), ("code", code)], count);
            }
        }
        let mut durations = text.family(
            "patchbay_request_duration_seconds",
            Kind::Histogram,
            "From a request's arrival to the last of its answer.",
        );
        for (route, provider, of_route) in &routes {
            durations.histogram(&[("route", route), ("provider", provider)], &of_route.duration);
        }
        let mut first = text.family(
            "patchbay_time_to_first_token_seconds",
            Kind::Histogram,
            "From a request's arrival to the first words of an answer that is sent as it comes.",
        );
        for (route, provider, of_route) in &routes {
            first.histogram(&[("route", route), ("provider", provider)], &of_route.first_token);
        }
    }

    fn write_keys(&self, text: &mut Text) {
        let keys = self.keys.all();
        let mut requests = text.family(
            "patchbay_key_requests_total",
            Kind::Counter,
            "Requests to the routes that ask providers, by the id of the virtual key they came with.",
        );
        for (key, of_key) in &keys {
            requests.counted(&[("key", key)], &of_key.requests);
        }
        let mut tokens =
            text.family("patchbay_key_tokens_total", Kind::Counter, "Tokens that they took, both ways.");
        for (key, of_key) in &keys {
            tokens.counted(&[("key", key)], &of_key.tokens);
        }
        let mut costs = text.family(
            "patchbay_key_cost_dollars_total",
            Kind::Counter,
            "What they cost in US dollars, as far as the models have prices.",
        );
        for (key, of_key) in &keys {
            if of_key.nanodollars.get() > 0 {
                costs.sample(&[("key", key)], dollars(&of_key.nanodollars));
            }
        }
    }
}

fn write_attempts(providers: &[Named], text: &mut Text) {
    let mut attempts = text.family(
        "patchbay_provider_attempts_total",
        Kind::Counter,
        "How often a provider was asked, by what came of it: answered, or the kind of its failure.",
    );
    for (provider, of) in providers {
        attempts.counted(&[("provider", provider), ("result", "answered")], &of.answered);
        for (kind, counter) in ErrorKind::ALL.iter().zip(&of.failed) {
            attempts.counted(&[("provider", provider), ("result", kind.as_str())], counter);
        }
    }
    let mut durations = text.family(
        "patchbay_provider_attempt_duration_seconds",
        Kind::Histogram,
        "How long a provider took to answer, to begin to, or to fail.",
    );
    for (provider, of) in providers {
        durations.histogram(&[("provider", provider)], &of.took);
    }
}

fn write_models(providers: &[Named], text: &mut Text) {
    type Part = fn(&OfModel) -> &Counter;
    let models: Vec<(&str, Arc<str>, Arc<OfModel>)> = providers
        .iter()
        .flat_map(|(provider, of)| {
            of.models.all().into_iter().map(|(model, of_model)| (&**provider, model, of_model))
        })
        .collect();
    let mut requests = text.family(
        "patchbay_model_requests_total",
        Kind::Counter,
        "Requests that a model answered. Those for which there is no room any more are one, other.",
    );
    for (provider, model, of_model) in &models {
        requests.counted(&[("provider", provider), ("model", model)], &of_model.requests);
    }
    let mut unpriced = text.family(
        "patchbay_unpriced_requests_total",
        Kind::Counter,
        "Of them, those of which nobody knows the cost: the model has no price, or upstream did not count the tokens.",
    );
    for (provider, model, of_model) in &models {
        unpriced.counted(&[("provider", provider), ("model", model)], &of_model.unpriced);
    }
    let ways: [(&str, Part); 2] = [("prompt", |of| &of.prompt), ("completion", |of| &of.completion)];
    let among: [(&str, Part); 3] = [
        ("cached_prompt", |of| &of.cached),
        ("cache_write", |of| &of.cache_write),
        ("reasoning", |of| &of.reasoning),
    ];
    for (name, help, parts) in [
        ("patchbay_tokens_total", "Tokens by model, as its provider counts them.", &ways[..]),
        (
            "patchbay_token_details_total",
            "Of the tokens in patchbay_tokens_total, those that have prices of their own: parts of the prompt, and \
             reasoning, which is part of the completion.",
            &among[..],
        ),
    ] {
        let mut tokens = text.family(name, Kind::Counter, help);
        for (provider, model, of_model) in &models {
            for (kind, part) in parts {
                let labels = [("provider", *provider), ("model", &**model), ("kind", *kind)];
                tokens.counted(&labels, part(of_model));
            }
        }
    }
    let mut costs = text.family(
        "patchbay_cost_dollars_total",
        Kind::Counter,
        "What answers cost in US dollars, by model, as far as it has prices.",
    );
    for (provider, model, of_model) in &models {
        if of_model.nanodollars.get() > 0 {
            costs.sample(&[("provider", provider), ("model", model)], dollars(&of_model.nanodollars));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "that is how Prometheus counts")]
fn dollars(nanodollars: &Counter) -> f64 {
    nanodollars.get() as f64 / NANODOLLARS
}

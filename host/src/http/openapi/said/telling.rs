//! What tells applications of providers.

use super::{CHAT, HOST, OPENAI, PROVIDERS, body, example};
use crate::http::error::Code;
use crate::http::health::Health;
use crate::http::openapi::Operation;
use crate::http::{cost, openai, providers};

pub(in crate::http) fn models(it: Operation<'_>) -> Operation<'_> {
    it.named(OPENAI, "listModels", "All names that a request may have in `model`")
        .about("As `provider/model`, and the bare model where it is of one provider alone.")
        .answers::<openai::List<'_>>(200, "The models.", example!("listModels"))
}

pub(in crate::http) fn model(it: Operation<'_>) -> Operation<'_> {
    it.named(OPENAI, "getModel", "One of the models")
        .answers::<openai::Model<'_>>(200, "The model.", example!("getModel"))
        .refuses(404, &[Code::ModelNotFound, Code::ProviderNotFound, Code::NotFound])
}

pub(in crate::http) fn estimate(it: Operation<'_>) -> Operation<'_> {
    it.named(CHAT, "estimateCost", "What a request would cost, without making it")
        .about(
            "Takes the body of a request to any surface, or token counts in place of what would be counted.",
        )
        .takes_this(
            body!("estimate"),
            true,
            &[("counts", example!("estimate.counts")), ("chat", example!("chat.plain"))],
        )
        .answers::<cost::Body<'_>>(200, "What it would cost, there and elsewhere.", example!("estimateCost"))
        .refuses(400, &[Code::InvalidJson, Code::MissingField, Code::InvalidMessages, Code::InvalidField])
        .refuses(403, &[Code::NotPermitted])
        .refuses(404, &[Code::ProviderNotFound, Code::ModelNotFound])
        .refuses(503, &[Code::NoProviders, Code::NoProvidersAvailable])
}

pub(in crate::http) fn health(it: Operation<'_>) -> Operation<'_> {
    it.named(HOST, "getHealth", "How the providers are")
        .about("Answers from what is known: no provider is asked, so it never waits.")
        .answers::<Health<'_>>(200, "Some can serve, or all: `healthy` or `degraded`.", example!("getHealth"))
        .answers::<Health<'_>>(
            503,
            "None can serve: `unhealthy` or `no_providers`.",
            example!("getHealth.none"),
        )
}

pub(in crate::http) fn list(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "listProviders", "Who is configured, and how they do")
        .about("By priority, then by name.")
        .answers::<providers::List<'_>>(200, "The providers.", example!("listProviders"))
}

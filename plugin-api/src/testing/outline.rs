//! All that a provider with a plan says and asks, as one value.

use serde_json::{Map, Value, json};

use super::{Reply, TestHost, block_on, call};
use crate::abi::KEY_PLACEHOLDER;
use crate::chat::ChatRequest;
use crate::plan::Endpoint;
use crate::provider::Provider;

/// What a provider with a plan sends where, and what it reads of upstream's list of models: one value, for one
/// comparison with what should be.
///
/// `config` is what an operator writes over the manifest's `defaults`; `asked` is a client's request for chat, without
/// messages; `listed` what upstream answers when it is asked for its models.
///
/// ```
/// # use patchbay_plugin_api::openai::{OpenAi, Vendor};
/// # use patchbay_plugin_api::{Http, Plan};
/// # struct Example;
/// # impl Vendor for Example {
/// #     type Config = ();
/// #     fn plan(plan: Plan, _config: &()) -> Plan { plan.without_completions().with_renamed("seed", "random_seed") }
/// # }
/// use patchbay_plugin_api::testing::outline;
/// use serde_json::json;
///
/// const DEFAULTS: &str = r#"{"base_url": "https://x.test/v1", "model": "large"}"#;
/// let (config, asked) = (json!({"model": "tiny"}), json!({"seed": 1}));
/// let outline =
///     outline::<Http<OpenAi<Example>>>(DEFAULTS, &config, &asked, r#"{"data": [{"id": "tiny"}]}"#);
/// assert_eq!(outline["chat"], "https://x.test/v1/chat/completions");
/// assert_eq!(outline["completions"], json!(null));
/// assert_eq!(outline["headers"], json!({"authorization": "Bearer {{key}}"}));
/// assert_eq!(outline["body"], json!({"model": "tiny", "random_seed": 1}));
/// assert_eq!(outline["credentials"], "https://x.test/v1/models");
/// assert_eq!(outline["listed"][0]["id"], "tiny");
/// ```
///
/// # Panics
///
/// When the configuration or the list is refused, when there is no plan, or when a URL holds the key.
pub fn outline<P: Provider>(defaults: &str, config: &Value, asked: &Value, listed: &str) -> Value {
    let mut merged: Map<String, Value> = serde_json::from_str(defaults).expect("the defaults are an object");
    merged.extend(config.as_object().cloned().unwrap_or_default());
    let host = TestHost::new();
    let provider: P = host.provider(&Value::from(merged).to_string()).expect("the configuration is good");
    let plan = provider.plan().expect("the provider has a plan");
    plan.validate().expect("the plan can be followed");

    let mut asked = asked.clone();
    asked["messages"] = json!([]);
    let request = ChatRequest::parse(asked.to_string().as_bytes()).expect("the request is one for chat");
    let sent = plan.chat_request(&request).expect("the plan serves chat");
    let mut body: Map<String, Value> = serde_json::from_slice(&sent.body).expect("the body is JSON");
    body.remove("messages");

    host.reply(Reply::json(listed)).reply(Reply::json("{}"));
    let models = block_on(provider.models(call())).expect("the list can be read");
    block_on(provider.credentials(call())).expect("credentials can be checked");

    let requests = host.requests();
    let asked_at = |index: usize| requests.get(index).map(|sent| sent.url.clone());
    let url = |endpoint: &Option<Endpoint>| endpoint.as_ref().map(|endpoint| endpoint.url.clone());
    let urls = json!({
        "chat": url(&plan.chat), "completions": url(&plan.completions), "embeddings": url(&plan.embeddings),
        "models": asked_at(0), "credentials": asked_at(1),
    });
    assert!(!urls.to_string().contains(KEY_PLACEHOLDER), "a URL holds the key, and URLs are logged: {urls}");

    let headers: Map<_, _> =
        plan.headers.into_iter().map(|header| (header.name, Value::from(header.value))).collect();
    let mut outline = urls;
    outline["headers"] = headers.into();
    outline["body"] = body.into();
    outline["listed"] = json!(models);
    outline
}

//! A provider for a vendor that speaks OpenAI's dialect: all of it but for what is the vendor's own.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::models_with;
use crate::Result;
use crate::dialect::Upstream;
use crate::http::HttpRequest;
use crate::http_provider::HttpProvider;
use crate::manifest::Implied;
use crate::model::Model;
use crate::plan::Plan;

/// What a vendor does differently from OpenAI. Everything has a default, so that the least vendor is a name; its
/// address and model are defaults of the configuration, where an operator can see and change them.
///
/// ```
/// use patchbay_plugin_api::openai::{OpenAi, Vendor};
/// use patchbay_plugin_api::{Http, Plan};
///
/// pub struct Example;
///
/// impl Vendor for Example {
///     type Config = ();
///
///     fn plan(plan: Plan, _config: &()) -> Plan {
///         plan.without_embeddings().with_renamed("seed", "random_seed")
///     }
/// }
///
/// patchbay_plugin_api::export! {
///     Http<OpenAi<Example>>,
///     name: "Example",
///     features: ["function_calling", "vision"],
///     config_defaults: r#"{"base_url": "https://api.example.com/v1", "model": "example-1"}"#,
/// }
/// ```
pub trait Vendor: 'static {
    /// What may be configured beside [`Upstream`]'s own; `()` for nothing.
    type Config: DeserializeOwned;

    /// Changes the plan, which is OpenAI's. Headers that the operator configured come later, and win.
    fn plan(plan: Plan, _config: &Self::Config) -> Plan {
        plan
    }

    /// Adds to a model what only this vendor's list says of it; none for what nobody can use.
    fn model(model: Model, _listed: &Value) -> Option<Model> {
        Some(model)
    }

    /// Where a `GET` succeeds only with a good key, and says that the vendor is there; by default the list of models.
    /// Whoever shows that to everybody needs another place.
    fn credentials_url(base_url: &str) -> String {
        models_url(base_url)
    }
}

/// The provider for a [`Vendor`]: a plan, and the models, the health and the credentials that the host asks for.
/// Export it as `Http<OpenAi<V>>`.
pub struct OpenAi<V: Vendor> {
    plan: Plan,
    upstream: Upstream<V::Config>,
}

impl<V: Vendor> HttpProvider for OpenAi<V> {
    const IMPLIED: Implied = Implied {
        features: &[
            ("chat_completion", true),
            ("streaming", true),
            ("model_list", true),
            ("health_check", true),
            ("credentials_check", true),
        ],
        ..Implied::NOTHING
    };

    type Config = Upstream<V::Config>;
    type StreamState = ();

    fn create(upstream: Self::Config) -> Result<Self> {
        Ok(Self { plan: plan::<V>(&upstream), upstream })
    }

    fn validate(upstream: &Self::Config) -> Result<()> {
        upstream.check("https://api.example.com/v1", &["/chat/completions"])?;
        plan::<V>(upstream).validate()
    }

    fn plan(&self) -> Option<Plan> {
        Some(self.plan.clone())
    }

    fn models_request(&self) -> Option<HttpRequest> {
        self.upstream.models.is_empty().then(|| self.plan.get(models_url(&self.upstream.base_url)))
    }

    fn models_response(&self, body: Option<&[u8]>) -> Result<Vec<Model>> {
        self.upstream.listed(body, |body| models_with(body, V::model))
    }

    // The health, too: it is asked again and again, and a list that everybody may see can be long.
    fn credentials_request(&self) -> Option<HttpRequest> {
        let base_url = self.upstream.base_url.trim_end_matches('/');
        Some(self.plan.get(V::credentials_url(base_url)))
    }
}

fn models_url(base_url: &str) -> String {
    format!("{}/models", base_url.trim_end_matches('/'))
}

fn plan<V: Vendor>(upstream: &Upstream<V::Config>) -> Plan {
    let mut plan = Plan::openai(&upstream.base_url);
    plan.model.default.clone_from(&upstream.model);
    let plan = V::plan(plan, &upstream.own);
    upstream.extra_headers.iter().fold(plan, |plan, (name, value)| plan.with_header(name, value))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::testing::{Reply, TestHost, block_on, call};
    use crate::{Credentials, Health, Http, Provider as _};

    /// Differs in everything in which a vendor can.
    struct Odd;

    #[derive(Deserialize)]
    struct Own {
        region: Option<String>,
    }

    impl Vendor for Odd {
        type Config = Own;

        fn plan(plan: Plan, config: &Own) -> Plan {
            let plan =
                plan.without_members(["user"]).with_renamed("seed", "random_seed").without_usage_option();
            plan.with_header("x-region", config.region.as_deref().unwrap_or("anywhere"))
        }

        fn model(model: Model, listed: &Value) -> Option<Model> {
            (listed["gone"] != true).then(|| model.with_capabilities(["vision"]))
        }

        fn credentials_url(base_url: &str) -> String {
            format!("{base_url}/key")
        }
    }

    /// Differs in nothing.
    struct Plain;

    impl Vendor for Plain {
        type Config = ();
    }

    fn made<V: Vendor>(config: &Value) -> (TestHost, Http<OpenAi<V>>) {
        let host = TestHost::new();
        (host, host.provider(&config.to_string()).unwrap())
    }

    #[test]
    fn the_vendor_changes_the_plan_and_the_operator_has_the_last_word() {
        let (_, plain) = made::<Plain>(&json!({"base_url": "https://x.test/v1/", "model": "m", "name": "X"}));
        assert_eq!(plain.plan(), Some(Plan::openai("https://x.test/v1").with_default_model("m")));

        let expected = |region| {
            let plan = Plan::openai("https://x.test").with_header("x-region", region);
            plan.without_members(["user"]).with_renamed("seed", "random_seed").without_usage_option()
        };
        for (config, region) in [
            (json!({"base_url": "https://x.test"}), "anywhere"),
            (json!({"base_url": "https://x.test", "region": "eu"}), "eu"),
            (
                json!({"base_url": "https://x.test", "region": "eu", "extra_headers": {"x-region": "us"}}),
                "us",
            ),
        ] {
            assert_eq!(made::<Odd>(&config).1.plan(), Some(expected(region)), "{config}");
        }
    }

    #[test]
    fn the_vendor_has_its_say_in_the_list_of_models() {
        let (host, odd) = made::<Odd>(&json!({"base_url": "https://x.test"}));
        host.reply(Reply::json(r#"{"data": [{"id": "a"}, {"id": "b", "gone": true}, {"gone": false}]}"#));
        let models = block_on(odd.models(call())).unwrap();
        assert_eq!(models, [Model::new("a").with_capabilities(["vision"])]);
    }

    #[test]
    fn credentials_and_health_are_checked_where_the_vendor_says() {
        let config = json!({"base_url": "https://x.test/v1"});
        let asked = |host: TestHost| host.requests().last().map(|sent| sent.url.clone()).unwrap();
        let (host, odd) = made::<Odd>(&config);
        host.reply(Reply::json("{}")).reply(Reply::json("{}"));
        assert_eq!(block_on(odd.credentials(call())), Ok(Credentials::Valid));
        assert_eq!(asked(host), "https://x.test/v1/key");
        assert_eq!(block_on(odd.health(call())), Ok(Health::Available));
        assert_eq!(asked(host), "https://x.test/v1/key");

        let (host, plain) = made::<Plain>(&config);
        host.reply(Reply::json("{}"));
        assert_eq!(block_on(plain.credentials(call())), Ok(Credentials::Valid));
        assert_eq!(asked(host), "https://x.test/v1/models");
    }
}

//! What is configured of an upstream, and what follows from it for every request.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::http::HttpRequest;
use crate::model::Model;
use crate::plan::check::{header_problem, url_problem};
use crate::{ErrorKind, ProviderError, Result};

/// What an operator configures of an HTTP API, beside `own`, which is the vendor's. The key is not among it: the host
/// puts it where a header has its placeholder.
///
/// ```
/// # use patchbay_plugin_api::{abi::KEY_PLACEHOLDER, dialect::Upstream};
/// let upstream: Upstream = serde_json::from_str(r#"{"base_url": "https://x.test/v1/", "model": "tiny"}"#).unwrap();
/// upstream.check("https://api.example.com/v1", &["/generate"])?;
/// let request = upstream.with_header("x-api-key", KEY_PLACEHOLDER).post("generate");
/// assert_eq!(request.url, "https://x.test/v1/generate");
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Upstream<C = ()> {
    /// Where the API begins.
    pub base_url: String,
    /// The model of requests that name none.
    pub model: Option<String>,
    /// Headers sent with every request, in place of those of the same name.
    pub extra_headers: BTreeMap<String, String>,
    /// The models to offer, instead of all that are listed.
    pub models: Vec<String>,
    /// The vendor's own.
    pub own: C,
}

impl<C> Upstream<C> {
    /// Checks what can be checked without asking; the error says what to mend. `example` is a good address, and
    /// `paths` are those of the API that operators copy along with it.
    pub fn check(&self, example: &str, paths: &[&str]) -> Result<()> {
        let url = &*self.base_url;
        let example = || format!("`base_url` is where the API begins, such as {example}");
        // It may be the plugin's own default, of which an operator has not thought.
        let unlisted = |model: &&String| !self.models.is_empty() && !self.models.contains(model);
        let problem = url_problem("`base_url`", url)
            .or_else(|| {
                (url.contains(['?', '#']) || paths.iter().any(|path| url.contains(path))).then(example)
            })
            .or_else(|| {
                let model = self.model.as_ref().filter(unlisted)?;
                Some(format!("`model` is `{model}`, which is not among `models`: set it to one of them"))
            })
            .or_else(|| {
                let mut headers = self.extra_headers.iter();
                headers.find_map(|(name, value)| header_problem("`extra_headers`", name, value))
            });
        problem.map_or(Ok(()), |problem| Err(ProviderError::invalid_input(problem)))
    }

    /// Adds a header to every request, unless the operator has one of this name.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if !self.extra_headers.keys().any(|given| given.eq_ignore_ascii_case(name)) {
            self.extra_headers.insert(name.into(), value.into());
        }
        self
    }

    /// A `GET` of what is below the address, with the headers.
    pub fn get(&self, path: &str) -> HttpRequest {
        self.request("GET", path)
    }

    /// A `POST` to what is below the address, with the headers.
    pub fn post(&self, path: &str) -> HttpRequest {
        self.request("POST", path)
    }

    fn request(&self, method: &str, path: &str) -> HttpRequest {
        let url = format!("{}/{path}", self.base_url.trim_end_matches('/'));
        let headers = self.extra_headers.iter();
        headers.fold(HttpRequest::new(method, url), |request, (name, value)| request.header(name, value))
    }

    /// The model to ask: the request's, or the operator's.
    pub fn model<'a>(&'a self, asked: Option<&'a str>) -> Result<&'a str> {
        // Not the request's fault: another provider may have a default.
        let unnamed = || ProviderError::new(ErrorKind::Unsupported, "the request names no `model`");
        asked.or(self.model.as_deref()).ok_or_else(|| unnamed().with_param("model"))
    }

    /// The request for the list of models; none where the operator has said which to offer.
    pub fn list(&self, path: &str) -> Option<HttpRequest> {
        self.models.is_empty().then(|| self.get(path))
    }

    /// The models: as `read` from the list that upstream gave, or those that the operator offers.
    pub fn listed(
        &self,
        list: Option<&[u8]>,
        read: impl FnOnce(&[u8]) -> Result<Vec<Model>>,
    ) -> Result<Vec<Model>> {
        list.map_or_else(|| Ok(self.models.iter().map(Model::new).collect()), read)
    }
}

impl<'de, C: DeserializeOwned> Deserialize<'de> for Upstream<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Map::deserialize(deserializer)?;
        Ok(Self {
            base_url: take(&mut members, "base_url")?.ok_or_else(|| D::Error::missing_field("base_url"))?,
            model: take(&mut members, "model")?,
            extra_headers: take(&mut members, "extra_headers")?.unwrap_or_default(),
            models: take(&mut members, "models")?.unwrap_or_default(),
            own: own(&members).map_err(D::Error::custom)?,
        })
    }
}

fn take<T: DeserializeOwned, E: Error>(members: &mut Map<String, Value>, name: &str) -> Result<Option<T>, E> {
    let value = members.remove(name).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| E::custom(format!("`{name}` is not usable: {error}")))
}

/// Reads the vendor's own, which `()` is nothing of. The error does not say which member is wrong: it is the one without
/// which there is no such error.
fn own<C: DeserializeOwned>(members: &Map<String, Value>) -> Result<C, String> {
    let read = |members: Map<String, Value>| C::deserialize(Value::Object(members));
    let error = match read(members.clone()).or_else(|error| C::deserialize(Value::Null).map_err(|_| error)) {
        Ok(own) => return Ok(own),
        Err(error) => error.to_string(),
    };
    let without = |name: &String| {
        let mut rest = members.clone();
        rest.remove(name);
        rest
    };
    let is_wrong = |name: &&String| read(without(name)).err().is_none_or(|other| other.to_string() != error);
    Err(match members.keys().find(is_wrong) {
        Some(name) => format!("`{name}` is not usable: {error}"),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn upstream(config: Value) -> Upstream {
        serde_json::from_value(config).unwrap()
    }

    #[test]
    fn what_is_wrong_is_said_in_a_sentence() {
        for (config, says) in [
            (json!({"base_url": "x.test"}), "must begin with https://"),
            (json!({"base_url": "https://x.test/v1?a"}), "such as https://example.com"),
            (json!({"base_url": "https://x.test/v1/generate"}), "such as https://example.com"),
            (json!({"base_url": "https:///v1"}), "names no host"),
            (json!({"base_url": "https://x", "model": "a", "models": ["b"]}), "`a`, which is not among"),
            (json!({"base_url": "https://x", "extra_headers": {"a b": "c"}}), "not the name of a header"),
        ] {
            let error = upstream(config).check("https://example.com", &["/generate"]).unwrap_err();
            assert_eq!(error.kind, ErrorKind::InvalidInput);
            assert!(error.message.contains(says), "{error} does not say {says}");
        }
        assert_eq!(upstream(json!({"base_url": "http://x/v1"})).check("", &[]), Ok(()));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        #[derive(Debug, Deserialize)]
        struct Own {
            #[serde(rename = "limit")]
            _limit: Option<u64>,
        }
        let read = |config: Value| serde_json::from_value::<Upstream<Own>>(config);
        assert!(read(json!({"base_url": "x", "model": null, "limit": 1, "newer": true})).is_ok());
        for (config, says) in [
            (json!({}), "missing field `base_url`"),
            (json!({"base_url": "x", "models": 3}), "`models` is not usable: invalid type"),
            (json!({"base_url": "x", "keep": "a", "limit": "b"}), "`limit` is not usable: invalid type"),
        ] {
            let error = read(config).unwrap_err().to_string();
            assert!(error.contains(says), "{error} does not say {says}");
        }
    }

    #[test]
    fn the_operators_headers_win() {
        let config = json!({"base_url": "https://x.test/", "extra_headers": {"X-Version": "2"}});
        let made = upstream(config).with_header("x-version", "1").with_header("x-key", "k").get("models?a=1");
        assert_eq!((&*made.method, &*made.url), ("GET", "https://x.test/models?a=1"));
        let headers = [("X-Version".to_owned(), "2".to_owned()), ("x-key".to_owned(), "k".to_owned())];
        assert_eq!(made.headers, headers);
    }

    #[test]
    fn the_operator_says_which_models() {
        let all = upstream(json!({"base_url": "https://x.test"}));
        assert_eq!(all.list("models").unwrap().url, "https://x.test/models");
        assert_eq!(all.model(None).unwrap_err().kind, ErrorKind::Unsupported);
        assert_eq!(all.listed(Some(b"a"), |_| Ok(vec![Model::new("a")])), Ok(vec![Model::new("a")]));
        let one = upstream(json!({"base_url": "https://x.test", "model": "b", "models": ["b"]}));
        assert_eq!(one.list("models"), None);
        assert_eq!((one.model(None), one.model(Some("c"))), (Ok("b"), Ok("c")));
        assert_eq!(one.listed(None, |_| Ok(Vec::new())), Ok(vec![Model::new("b")]));
    }
}

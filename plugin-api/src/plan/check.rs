//! Whether a plan can be followed.

use super::{BodyRule, Plan};
use crate::abi::KEY_PLACEHOLDER;
use crate::{ProviderError, Result};

/// Members the host itself sees to; a plan that touched them would break its routing or its streams.
const OF_THE_HOST: [&str; 3] = ["messages", "model", "stream"];

impl Plan {
    /// Checks that the plan can be followed; the error says what to mend.
    pub fn validate(&self) -> Result<()> {
        let problem = if self.version != Self::VERSION {
            Some(format!("the plan's version must be {}, not {}", Self::VERSION, self.version))
        } else if self.dialect != "openai" {
            Some(format!("the plan's dialect must be `openai`, not `{}`", self.dialect))
        } else if self.chat.is_none() && self.completions.is_none() && self.embeddings.is_none() {
            Some("the plan serves nothing: it needs `chat`, `completions` or `embeddings`".to_owned())
        } else if self.stream.terminal.is_empty() {
            Some("the plan's `stream.terminal` is empty, so no stream would ever be complete".to_owned())
        } else {
            let endpoints =
                [("chat", &self.chat), ("completions", &self.completions), ("embeddings", &self.embeddings)];
            endpoints
                .iter()
                .find_map(|(name, endpoint)| {
                    url_problem(&format!("the plan's `{name}.url`"), &endpoint.as_ref()?.url)
                })
                .or_else(|| {
                    let mut headers = self.headers.iter();
                    headers
                        .find_map(|header| header_problem("the plan's headers", &header.name, &header.value))
                })
                .or_else(|| body_problem(&self.body))
        };
        problem.map_or(Ok(()), |problem| Err(ProviderError::invalid_input(problem)))
    }
}

/// What is wrong with an address; `what` says which it is.
pub(crate) fn url_problem(what: &str, url: &str) -> Option<String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let Some(rest) = rest else {
        return Some(format!("{what} must begin with https:// or http://, not `{url}`"));
    };
    let (place, _query) = rest.split_once('?').unwrap_or((rest, ""));
    let host = place.split('/').next().unwrap_or_default();
    let problem = if host.is_empty() {
        "names no host"
    } else if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
        "holds a space or a control character"
    } else if host.contains('@') {
        "holds a user name or password: use a header"
    } else if place.contains(KEY_PLACEHOLDER) {
        "has the key outside its query, where logs would show it"
    } else {
        return None;
    };
    Some(format!("{what} {problem}"))
}

/// What is wrong with a header; `place` says where it stands.
pub(crate) fn header_problem(place: &str, name: &str, value: &str) -> Option<String> {
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return Some(format!("`{}` in {place} is not the name of a header", name.escape_debug()));
    }
    if ["host", "content-length", "transfer-encoding", "connection"].contains(&&*name.to_ascii_lowercase()) {
        return Some(format!("{place} set the header `{name}`, which is the host's to set"));
    }
    let unusable = |c: char| c.is_control() && c != '\t';
    value.contains(unusable).then(|| format!("the header `{name}` in {place} holds a control character"))
}

fn body_problem(body: &BodyRule) -> Option<String> {
    let set = body.set.keys().chain(body.defaults.keys()).chain(&body.drop);
    let touched = set.chain(body.rename.keys()).chain(body.rename.values()).map(String::as_str);
    let refused = touched.into_iter().find(|name| OF_THE_HOST.contains(name))?;
    Some(format!("the plan's `body` changes `{refused}`, which is the host's to set"))
}

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::*;

    #[test]
    fn what_cannot_be_followed_is_refused_in_a_sentence() {
        type Change = fn(&mut Plan);
        let table: &[(Change, &str)] = &[
            (|plan| plan.version = 3, "version must be 1, not 3"),
            (|plan| plan.dialect = "latin".into(), "must be `openai`, not `latin`"),
            (|plan| (plan.chat, plan.completions, plan.embeddings) = (None, None, None), "serves nothing"),
            (|plan| plan.stream.terminal.clear(), "`stream.terminal` is empty"),
            (|plan| plan.chat = at("ftp://x"), "must begin with https://"),
            (|plan| plan.embeddings = at("https:///v1"), "`embeddings.url` names no host"),
            (|plan| plan.completions = at("x/completions"), "`completions.url` must begin with https://"),
            (|plan| plan.chat = at("https://x/a b"), "holds a space"),
            (|plan| plan.chat = at("https://me:pw@x/"), "a user name or password"),
            (|plan| plan.chat = at("https://x/{{key}}/chat"), "outside its query"),
            (|plan| plan.headers[0].name = "a b".into(), "not the name of a header"),
            (|plan| plan.headers[0].name = "Host".into(), "the host's to set"),
            (|plan| plan.headers[0].value = "a\r\nb".into(), "holds a control character"),
            (|plan| plan.body.drop = vec!["messages".into()], "changes `messages`"),
            (|plan| plan.body.rename = [("a".into(), "stream".into())].into(), "changes `stream`"),
        ];
        for (change, says) in table {
            let mut plan = Plan::openai("https://x.test/v1");
            assert_eq!(plan.validate(), Ok(()));
            change(&mut plan);
            let error = plan.validate().unwrap_err();
            assert!(error.message.contains(says), "{error} does not say {says}");
        }
    }

    #[test]
    fn a_key_may_stand_in_the_query() {
        let mut plan = Plan::openai("https://x.test/v1");
        plan.chat = at("https://x.test/chat?key={{key}}");
        assert_eq!(plan.validate(), Ok(()));
    }

    fn at(url: &str) -> Option<Endpoint> {
        Some(Endpoint { url: url.into() })
    }
}

//! Where a vendor's API is.

use crate::split::Framing;

/// The header of APIs that take the key as most do, for [`Api::headers`].
pub const BEARER_KEY: (&str, &str) = ("authorization", "Bearer {{key}}");

/// Where a vendor's API is: paths below the configured `base_url`, with their queries. Take what is not special from
/// [`Api::at`].
#[derive(Debug, Clone, Copy)]
pub struct Api {
    /// Where it begins: the `base_url` by default, and an example of a good one.
    pub begins: &'static str,
    /// The model of requests that name none, where the operator has not chosen it.
    pub model: Option<&'static str>,
    /// What comes after that, and operators copy along with it: such a `base_url` is refused.
    pub goes_on: &'static [&'static str],
    /// The headers of all requests, such as the one for the key; those of the operator come in their place.
    pub headers: &'static [(&'static str, &'static str)],
    /// What stands before the names of models in addresses and lists, and is left out elsewhere, such as `models/`.
    pub before_model: &'static str,
    /// For answers. May hold `{model}`, as the other two that ask a model may.
    pub chat: &'static str,
    /// For answers in events, where that is another place.
    pub stream: Option<&'static str>,
    /// For vectors.
    pub embed: Option<&'static str>,
    /// The list of models.
    pub models: Option<&'static str>,
    /// What succeeds only with a good key; without it keys cannot be checked.
    pub credentials: Option<&'static str>,
    /// What succeeds when all is well, where that needs no key.
    pub health: Option<&'static str>,
    /// How streams are cut into events.
    pub framing: Framing,
}

impl Api {
    /// An API that begins there, of which the rest has to be said.
    pub const fn at(begins: &'static str) -> Self {
        Self {
            begins,
            model: None,
            goes_on: &[],
            headers: &[],
            before_model: "",
            chat: "",
            stream: None,
            embed: None,
            models: None,
            credentials: None,
            health: None,
            framing: Framing::Sse,
        }
    }

    /// A model's name alone.
    pub(super) fn bare<'a>(&self, model: &'a str) -> &'a str {
        model.strip_prefix(self.before_model).unwrap_or(model)
    }
}

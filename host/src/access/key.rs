//! A virtual key: what somebody may do who does not have the keys of the providers themselves.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::{SystemTime, UNIX_EPOCH};

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::rules::{LONGEST_ENTRY, LONGEST_LIFE, LONGEST_LIST, LONGEST_NAME, MOST_PER_MINUTE};
use crate::config::{as_number, dollars, dollars_schema};
use crate::{objects, patch};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The routes of applications.
    Chat,
    /// Looking at everything, changing nothing.
    Read,
    /// Everything.
    Admin,
}

/// A key as it is kept. The key itself is only its owner's: here is a keyed hash of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VirtualKey {
    /// How it is spoken of.
    pub id: String,
    /// For people.
    pub name: String,
    /// Enough of the key to tell it from others.
    pub hint: String,
    /// What the key is recognised by.
    #[serde(with = "hex")]
    pub hash: [u8; 32],
    /// What it is for.
    pub scopes: Vec<Scope>,
    /// Whom and what it may ask.
    #[serde(flatten)]
    pub permits: Permits,
    /// How much it may ask.
    #[serde(default)]
    pub limits: Limits,
    /// In milliseconds since 1970.
    pub created_at: u64,
    /// In milliseconds since 1970; none for never.
    pub expires_at: Option<u64>,
}

/// What a key may ask for; a list of nothing permits everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Permits {
    /// Models by name, wherever they are, or as `provider/model`; with a `*` at the end for all that begin like this.
    /// What stands before the first slash is always a provider.
    pub models: Vec<String>,
    /// Providers by name.
    pub providers: Vec<String>,
}

/// How much a key may ask; what is none is as for everybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "KeyLimits")]
pub struct Limits {
    /// Requests in any minute.
    #[schemars(range(min = 1, max = MOST_PER_MINUTE))]
    #[serde(deserialize_with = "count")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Tokens in any minute.
    #[serde(deserialize_with = "count")]
    pub tokens_per_minute: Option<NonZeroU32>,
    /// US dollars in a day of UTC.
    #[serde(serialize_with = "as_number", deserialize_with = "dollars")]
    #[schemars(schema_with = "dollars_schema")]
    pub budget_usd_per_day: Option<Decimal>,
    /// US dollars in a month of UTC.
    #[serde(serialize_with = "as_number", deserialize_with = "dollars")]
    #[schemars(schema_with = "dollars_schema")]
    pub budget_usd_per_month: Option<Decimal>,
    /// Requests at one time.
    #[serde(deserialize_with = "count")]
    pub max_concurrent: Option<NonZeroU32>,
}

/// What is asked for when a key is made.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// For people.
    #[schemars(length(min = 1, max = LONGEST_NAME))]
    pub name: String,
    /// What it is for; chat where nothing is said.
    #[schemars(length(min = 1))]
    #[serde(default = "chat")]
    pub scopes: Vec<Scope>,
    /// The models that it may ask for, as `model` or `provider/model`, with a `*` at the end for all that begin like
    /// this; nothing permits all.
    #[serde(default)]
    #[schemars(length(max = LONGEST_LIST), inner(length(min = 1, max = LONGEST_ENTRY)))]
    pub models: Vec<String>,
    /// The providers that it may ask; nothing permits all.
    #[serde(default)]
    #[schemars(length(max = LONGEST_LIST), inner(length(min = 1, max = LONGEST_ENTRY)))]
    pub providers: Vec<String>,
    /// How much it may ask.
    #[serde(default, deserialize_with = "objects::object")]
    pub limits: Limits,
    /// In seconds from now; none for never.
    #[serde(default, deserialize_with = "lifetime")]
    #[schemars(range(min = 1, max = LONGEST_LIFE))]
    pub expires_in: Option<u64>,
}

/// What is to be otherwise about a key: members as in [`NewKey`], of which what is left out stays. Null takes one back to
/// what it is for a key that is made without it.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub struct KeyPatch(Map<String, Value>);

impl JsonSchema for KeyPatch {
    fn schema_name() -> Cow<'static, str> {
        "KeyPatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = NewKey::json_schema(generator);
        schema.remove("required");
        let members = schema.get_mut("properties").and_then(Value::as_object_mut);
        for member in members.into_iter().flat_map(Map::values_mut) {
            let about = member.get("description").cloned().unwrap_or_default();
            *member = json!({ "description": about, "anyOf": [member.take(), { "type": "null" }] });
        }
        schema
    }
}

impl KeyPatch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it says anything of when the key ends.
    pub fn sets_end(&self) -> bool {
        self.0.contains_key("expires_in")
    }

    /// What would be asked for to make the key as it is to be; of its end, only what the patch says.
    pub fn over(&self, key: &VirtualKey) -> Result<NewKey, serde_json::Error> {
        let VirtualKey { name, scopes, permits, limits, .. } = key;
        let Permits { models, providers } = permits;
        let mut whole = Map::new();
        for (member, value) in [
            ("name", serde_json::to_value(name)?),
            ("scopes", serde_json::to_value(scopes)?),
            ("models", serde_json::to_value(models)?),
            ("providers", serde_json::to_value(providers)?),
            ("limits", serde_json::to_value(limits)?),
        ] {
            whole.insert(member.to_owned(), value);
        }
        patch::merge(&mut whole, &self.0);
        serde_json::from_value(Value::Object(whole))
    }
}

/// A limit, in words for whoever has written something else.
fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<NonZeroU32>, D::Error> {
    let wanted = Option::<Value>::deserialize(deserializer)?;
    let read =
        |value: Value| value.as_u64().and_then(|count| NonZeroU32::new(count.try_into().ok()?)).ok_or(value);
    wanted.map(read).transpose().map_err(|value| {
        D::Error::custom(format!(
            "a limit is {value}: it has to be a whole number above 0; leave it out for what holds for everybody"
        ))
    })
}

/// A time in seconds, likewise.
fn lifetime<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let wanted = Option::<Value>::deserialize(deserializer)?;
    wanted.map(|value| value.as_u64().ok_or(value)).transpose().map_err(|value| {
        D::Error::custom(format!(
            "expires_in is {value}: it has to be in whole seconds, such as 7776000 for 90 days"
        ))
    })
}

fn chat() -> Vec<Scope> {
    vec![Scope::Chat]
}

impl VirtualKey {
    /// Whether it is for this; who may do everything may do each of it.
    pub fn is_for(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }

    /// Whether its time is over.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_at.is_some_and(|end| end <= millis(now))
    }
}

/// A time as keys have it: milliseconds since 1970.
pub(super) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

impl Permits {
    /// Whether everybody and everything may be asked.
    pub fn is_everything(&self) -> bool {
        self.models.is_empty() && self.providers.is_empty()
    }

    /// Whether a provider may be asked for a model; for its own default where none is named.
    pub fn allow(&self, provider: &str, model: Option<&str>) -> bool {
        let provider_allowed =
            self.providers.is_empty() || self.providers.iter().any(|name| name == provider);
        provider_allowed && (self.models.is_empty() || self.allow_model(provider, model.unwrap_or_default()))
    }

    fn allow_model(&self, provider: &str, model: &str) -> bool {
        self.models.iter().any(|allowed| match allowed.split_once('/') {
            Some((of, allowed)) => of == provider && matches(allowed, model),
            None => matches(allowed, model),
        })
    }
}

fn matches(allowed: &str, model: &str) -> bool {
    match allowed.strip_suffix('*') {
        Some(beginning) => model.starts_with(beginning),
        None => model == allowed,
    }
}

/// 32 bytes as text.
mod hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&crate::hex::hex(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |place: usize| {
            text.get(place * 2..place * 2 + 2).and_then(|two| u8::from_str_radix(two, 16).ok())
        };
        let bytes: Option<Vec<u8>> = (0..text.len() / 2).map(byte).collect();
        bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| D::Error::custom("not 32 bytes in hex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_permits_what_it_names() {
        let permits = |models: &[&str], providers: &[&str]| Permits {
            models: models.iter().map(|&name| name.to_owned()).collect(),
            providers: providers.iter().map(|&name| name.to_owned()).collect(),
        };
        for (permits, provider, model, allowed) in [
            (permits(&[], &[]), "a", Some("m"), true),
            (permits(&["m"], &[]), "a", Some("m"), true),
            (permits(&["m"], &[]), "a", Some("m2"), false),
            (permits(&["m*"], &[]), "a", Some("m2"), true),
            (permits(&["a/m"], &[]), "a", Some("m"), true),
            (permits(&["a/m"], &[]), "b", Some("m"), false),
            (permits(&["a/*"], &[]), "a", Some("x/y"), true),
            (permits(&["a/*"], &[]), "b", Some("x/y"), false),
            (permits(&["a/*"], &[]), "ab", Some("m"), false),
            // A model's own slashes stand behind its provider's: another's name may be in front of them.
            (permits(&["a/*"], &[]), "b", Some("a/m"), false),
            (permits(&["x/y"], &[]), "b", Some("x/y"), false),
            (permits(&["b/x/y"], &[]), "b", Some("x/y"), true),
            (permits(&["m"], &[]), "a", None, false),
            (permits(&["*"], &[]), "a", None, true),
            (permits(&[], &["a"]), "a", None, true),
            (permits(&[], &["a"]), "b", Some("m"), false),
            (permits(&["m"], &["a"]), "a", Some("n"), false),
        ] {
            assert_eq!(permits.allow(provider, model), allowed, "{permits:?} {provider} {model:?}");
        }
    }

    #[test]
    fn a_key_is_kept_as_it_was() {
        let key = VirtualKey { expires_at: Some(1), ..crate::access::testing::key("k", b"\x01\xff") };
        let kept = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<VirtualKey>(&kept).unwrap(), key);
    }
}

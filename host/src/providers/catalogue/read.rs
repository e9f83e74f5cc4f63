//! Reads what a plugin says that its vendor lists, and takes no nonsense: of whatever size, it is refused or cut.

use std::collections::BTreeMap;
use std::fmt;

use patchbay_plugin_api::{Model, Pricing, ProviderError};
use secrecy::{ExposeSecret, SecretString};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::plugins::{Feature, Features};
use crate::services::redact;

/// Models of one vendor. The longest lists that there are have a tenth of it.
pub(super) const MOST_MODELS: usize = 10_000;

/// Bytes of one list.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// Characters of an id. Longer ones are none that anybody could type.
const ID_CHARS: usize = 256;

/// Characters of a name or an owner, of which the rest is cut.
const NAME_CHARS: usize = 200;

/// Characters of a type or of a capability.
const WORD_CHARS: usize = 64;

/// Bytes of a key. Real ones are longer, and words shorter.
const KEY_BYTES: usize = 16;

/// Capabilities of one model, of which the rest is left out.
const MOST_CAPABILITIES: usize = 32;

/// How a plugin lists its models.
#[derive(Deserialize)]
struct Answer {
    models: FewModels,
}

/// Models, up to a number: where more come, the rest is not even read.
#[derive(Debug)]
pub(super) struct FewModels(pub(super) Vec<Model>);

impl<'de> Deserialize<'de> for FewModels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl<'de> Visitor<'de> for Counting {
            type Value = FewModels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of up to {MOST_MODELS} models")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut listed: A) -> Result<FewModels, A::Error> {
                let mut models = Vec::new();
                while let Some(model) = listed.next_element()? {
                    if models.len() == MOST_MODELS {
                        return Err(serde::de::Error::custom(format!("more than {MOST_MODELS} models")));
                    }
                    models.push(model);
                }
                Ok(FewModels(models))
            }
        }

        deserializer.deserialize_seq(Counting)
    }
}

/// Reads a plugin's answer.
pub(super) fn answer(answer: &[u8], keys: &[SecretString]) -> Result<Vec<Model>, ProviderError> {
    let unreadable = |detail: String| {
        ProviderError::unreadable(format!("the provider's list of models cannot be used: {detail}"))
    };
    if answer.len() > MOST_BYTES {
        return Err(unreadable(format!("it has more than {MOST_BYTES} bytes")));
    }
    let read: Answer = serde_json::from_slice(answer)
        .map_err(|error| unreadable(redact::clean(&error.to_string(), keys)))?;
    let models = read.models.0.into_iter().filter_map(|model| without_keys(model, keys));
    checked(models.collect()).map_err(|why| unreadable(redact::hide(&why, keys).into_owned()))
}

/// A vendor that repeats the key that it was asked with has it shown to nobody: texts for people are shown without it.
/// What programs go by is no other one's for that, so a model that has it there is left out.
fn without_keys(mut model: Model, keys: &[SecretString]) -> Option<Model> {
    let is_told = |key: &str| {
        let mut words = [&model.id, &model.kind].into_iter().chain(&model.capabilities);
        is_telling(key) && words.any(|word| word.contains(key))
    };
    if keys.iter().any(|key| is_told(key.expose_secret())) {
        return None;
    }
    for text in [&mut model.name, &mut model.owner].into_iter().flatten() {
        *text = redact::hide(text, keys).into_owned();
    }
    Some(model)
}

/// Whether it gives anything away. What is set where no key is needed is some word, and models have words in their ids.
fn is_telling(key: &str) -> bool {
    key.len() >= KEY_BYTES
}

/// Each model once, and of a size to be shown; the error says what cannot be meant.
pub(super) fn checked(models: Vec<Model>) -> Result<Vec<Model>, String> {
    let mut known: BTreeMap<String, Model> = BTreeMap::new();
    for model in models {
        check_id(&model.id)?;
        let model = tidy(model);
        match known.get(&model.id) {
            // Some say the same thing twice.
            Some(first) if !contradicts(first, &model) => {}
            Some(_) => return Err(format!("{:?} is there twice, and not the same", model.id)),
            None => _ = known.insert(model.id.clone(), model),
        }
    }
    Ok(known.into_values().collect())
}

fn check_id(id: &str) -> Result<(), String> {
    if id.trim().is_empty() {
        return Err("a model has no id".to_owned());
    }
    if id.chars().nth(ID_CHARS).is_some() {
        let beginning: String = id.chars().take(WORD_CHARS).collect();
        return Err(format!("an id has more than {ID_CHARS} characters: {beginning:?}..."));
    }
    if id.contains(char::is_control) {
        return Err(format!("an id has control characters in it: {id:?}"));
    }
    Ok(())
}

/// Whether the two cannot both be true of one model, in what somebody may rely on.
fn contradicts(one: &Model, other: &Model) -> bool {
    let relied_on = |model: &Model| (model.kind.clone(), model.capabilities.clone(), model.context_length);
    relied_on(one) != relied_on(other) || one.pricing != other.pricing
}

fn tidy(mut model: Model) -> Model {
    model.kind = cut(&model.kind, WORD_CHARS).unwrap_or_else(|| "chat".to_owned());
    model.name = model.name.and_then(|name| cut(&name, NAME_CHARS));
    model.owner = model.owner.and_then(|owner| cut(&owner, NAME_CHARS));
    model.context_length = model.context_length.filter(|tokens| *tokens > 0);
    model.pricing = model.pricing.filter(|pricing| {
        let Pricing { prompt, cached_prompt, cache_write, completion, reasoning } = *pricing;
        let prices = [Some(prompt), cached_prompt, cache_write, Some(completion), reasoning];
        prices.into_iter().flatten().all(|price| price >= 0.0)
    });
    // What a type says need not be said again; here it is, so that one list has all that a model can do.
    let implied = match model.kind.as_str() {
        "chat" => Some(Feature::ChatCompletion),
        "embedding" => Some(Feature::Embeddings),
        _ => None,
    };
    let words = model.capabilities.iter().take(MOST_CAPABILITIES).filter_map(|word| cut(word, WORD_CHARS));
    let implied = implied.map(|feature| feature.word().to_owned());
    model.capabilities = Features::from_iter(words.chain(implied)).words().map(str::to_owned).collect();
    model
}

/// A text for people, in one line; none where nothing is left.
fn cut(text: &str, most: usize) -> Option<String> {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    Some(plain.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use patchbay_plugin_api::ErrorKind;
    use serde_json::{Value, json};

    use super::*;

    fn read(listed: &Value) -> Result<Vec<Model>, String> {
        let keys = [SecretString::from("sk-test-000111222")];
        answer(json!({ "models": listed }).to_string().as_bytes(), &keys).map_err(|error| {
            assert_eq!(error.kind, ErrorKind::UnreadableAnswer);
            error.message
        })
    }

    #[track_caller]
    fn refused(listed: &Value, why: &str) {
        let error = read(listed).unwrap_err();
        let expected = format!("the provider's list of models cannot be used: {why}");
        assert!(error.starts_with(&expected), "{error}");
    }

    #[test]
    fn nonsense_is_refused() {
        refused(&json!(7), "invalid type: integer `7`, expected a list of up to 10000 models");
        refused(&json!([7]), "invalid type: integer `7`");
        refused(&json!([{ "name": "x" }]), "missing field `id`");
        refused(&json!([{ "id": " " }]), "a model has no id");
        refused(&json!([{ "id": "a\nb" }]), "an id has control characters in it: \"a\\nb\"");
        refused(&json!([{ "id": "x".repeat(257) }]), "an id has more than 256 characters: \"xxx");
        refused(&json!([{ "id": "m", "context_length": -1 }]), "invalid value: integer `-1`");
        refused(
            &json!([{ "id": "m" }, { "id": "m", "type": "image" }]),
            "\"m\" is there twice, and not the same",
        );
        for answered in [&b"<html>"[..], b"", b"{}", b"{\"models\":[\xff]}"] {
            assert_eq!(answer(answered, &[]).unwrap_err().kind, ErrorKind::UnreadableAnswer);
        }
    }

    #[test]
    fn a_list_without_end_is_not_read_to_its_end() {
        let models: Vec<Value> = (0..=MOST_MODELS).map(|n| json!({ "id": n.to_string() })).collect();
        assert_eq!(read(&json!(models[1..])).unwrap().len(), MOST_MODELS);
        refused(&json!(models), "more than 10000 models");
        let error = answer(&vec![b' '; MOST_BYTES + 1], &[]).unwrap_err();
        assert!(error.message.ends_with("it has more than 16777216 bytes"), "{error}");
    }

    #[test]
    fn what_is_too_long_for_people_is_cut() {
        let long = "word ".repeat(1000);
        let words: Vec<String> = (0..100).map(|n| format!("can-{n}")).collect();
        let listed = json!([{ "id": "m", "name": long, "owner": "a\u{1b}[2J", "type": long, "capabilities": words,
                              "context_length": 0, "pricing": { "prompt": -1.0, "completion": 1.0 } }]);
        let model = read(&listed).unwrap().remove(0);
        assert_eq!(model.name.map(|name| name.len()), Some(199));
        assert_eq!((model.owner.as_deref(), model.kind.len()), (Some("a [2J"), 64));
        assert_eq!((model.context_length, model.pricing), (None, None));
        assert_eq!(model.capabilities.len(), MOST_CAPABILITIES);
    }

    #[test]
    fn each_model_is_there_once_with_all_that_it_can_do() {
        let models = read(&json!([
            { "id": "m", "name": "M", "capabilities": ["vision", "telepathy", "streaming", "vision"] },
            { "id": "m", "capabilities": ["streaming", "vision", "telepathy"] },
            { "id": "e", "type": "embedding" },
            { "id": "i", "type": "image" },
        ]))
        .unwrap();
        let can: Vec<String> = models.iter().map(|model| model.capabilities.join(" ")).collect();
        assert_eq!(can, ["embeddings", "", "chat_completion streaming vision telepathy"]);
        assert_eq!(models[2].name.as_deref(), Some("M"), "the first of the two stands");
    }

    #[test]
    fn a_key_that_is_repeated_is_not_shown() {
        let key = "sk-test-000111222";
        let models = read(&json!([
            { "id": "m", "owner": key, "name": format!("M of {key}") },
            { "id": format!("ft:{key}") },
            { "id": "t", "type": key },
            { "id": "c", "capabilities": ["vision", key] },
        ]))
        .unwrap();
        assert_eq!(models.len(), 1, "{models:?}");
        assert_eq!((models[0].owner.as_deref(), models[0].name.as_deref()), (Some("***"), Some("M of ***")));
    }

    #[test]
    fn a_word_in_place_of_a_key_changes_no_id() {
        let listed = json!({ "models": [
            { "id": "mistral-7b", "name": "mistral 7B", "capabilities": ["vision"] },
            { "id": "embedding-1", "type": "embedding" },
        ] });
        let keys = ["mistral", "vision", "embedding"].map(SecretString::from);
        let models = answer(listed.to_string().as_bytes(), &keys).unwrap();
        let seen: Vec<_> = models.iter().map(|model| (model.id.as_str(), model.kind.as_str())).collect();
        assert_eq!(seen, [("embedding-1", "embedding"), ("mistral-7b", "chat")]);
        assert_eq!((models[1].name.as_deref(), &models[1].capabilities[1][..]), (Some("*** 7B"), "vision"));
    }
}

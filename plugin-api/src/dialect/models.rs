//! How a vendor lists its models.

use serde_json::{Map, Value};

use super::{NOWHERE, read, unix_seconds};
use crate::model::Model;
use crate::{ProviderError, Result};

/// Where a vendor's list says what of a model; take what it does not say from [`ModelList::PLAIN`].
///
/// Signs are paths to what is `true` or there at all: `/vision/supported`, or down to a word of a list or a part of a
/// text: `/features/tools`. The empty one is always there.
///
/// ```
/// use patchbay_plugin_api::dialect::ModelList;
///
/// const MODELS: ModelList = ModelList {
///     list: "/models",
///     id: "/name",
///     capabilities: &[("/features", "streaming"), ("/features/tools", "function_calling")],
///     ..ModelList::PLAIN
/// };
///
/// let models = MODELS.read(br#"{"models": [{"name": "tiny", "features": ["tools"]}]}"#, |model, _| Some(model))?;
/// assert_eq!((&*models[0].id, &*models[0].kind), ("tiny", "chat"));
/// assert_eq!(models[0].capabilities, ["streaming", "function_calling"]);
/// # Ok::<(), patchbay_plugin_api::ProviderError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ModelList {
    /// The path to the list.
    pub list: &'static str,
    /// The path, from a model's entry, to what it is asked for by; what has none is left out.
    pub id: &'static str,
    /// The path to its name for people.
    pub name: &'static str,
    /// The path to how many tokens it can look at.
    pub context_length: &'static str,
    /// The path to when it came: a date (`2026-01-02T00:00:00Z`; not a day alone), or seconds since 1970.
    pub created: &'static str,
    /// Who made all of them.
    pub owner: Option<&'static str>,
    /// The signs of what a model is for, of which the first that is there holds. What shows none of them is left out, as
    /// nobody can ask for it; where the list has no such signs, all models are for chat.
    pub kinds: &'static [(&'static str, &'static str)],
    /// Parts of names that say of a model what it is for, where by all signs it would be for chat.
    pub names: &'static [(&'static str, &'static str)],
    /// The signs of what it can do, and the features that they stand for. A list that says nothing of it, which is not
    /// the same as that it can do nothing, has none of them.
    pub capabilities: &'static [(&'static str, &'static str)],
}

impl ModelList {
    /// A list as OpenAI's, of ids.
    pub const PLAIN: Self = Self {
        list: "/data",
        id: "/id",
        name: NOWHERE,
        context_length: NOWHERE,
        created: NOWHERE,
        owner: None,
        kinds: &[],
        names: &[],
        capabilities: &[],
    };

    /// Reads a list. `each` has a say in what becomes of a model: it is given what was read, and the entry that it was
    /// read from, and gives none for what nobody can ask for.
    pub fn read(&self, body: &[u8], each: impl Fn(Model, &Value) -> Option<Model>) -> Result<Vec<Model>> {
        const WHAT: &str = "the provider's list of models";
        let body: Value = read(WHAT, body)?;
        match body.pointer(self.list) {
            Some(Value::Array(listed)) => {
                Ok(listed.iter().filter_map(|listed| each(self.model(listed)?, listed)).collect())
            }
            // Some leave out what is empty.
            _ if body.as_object().is_some_and(Map::is_empty) => Ok(Vec::new()),
            _ => {
                let error = ProviderError::unreadable(format!("{WHAT} cannot be read"));
                Err(error.with_detail(format!("it has no list at `{}`", self.list)))
            }
        }
    }

    fn model(&self, listed: &Value) -> Option<Model> {
        let text = |path: &str| listed.pointer(path)?.as_str().map(str::to_owned);
        // What is not known is left out by some, and nothing by others.
        let number = |path: &str| listed.pointer(path)?.as_f64().filter(|number| *number > 0.0);
        let date = |path: &str| unix_seconds(listed.pointer(path)?.as_str()?).filter(|seconds| *seconds > 0);
        let mut model = Model::new(text(self.id)?);
        model.name = text(self.name);
        model.owner = self.owner.map(str::to_owned);
        model.context_length = number(self.context_length).map(|tokens| tokens as u64);
        model.created = number(self.created).map(|seconds| seconds as u64).or_else(|| date(self.created));
        if !self.kinds.is_empty() {
            let (_, kind) = self.kinds.iter().find(|(sign, _)| shows(listed, sign))?;
            model.kind = (*kind).to_owned();
        }
        if model.kind == "chat" {
            model = model.kind_by_name(self.names);
        }
        let can = self.capabilities.iter().filter(|(sign, _)| shows(listed, sign));
        Some(model.with_capabilities(can.map(|(_, feature)| *feature)))
    }
}

/// Whether there is a sign.
fn shows(listed: &Value, sign: &str) -> bool {
    let mut found = listed;
    for step in sign.split('/').skip(1) {
        found = match found {
            Value::Array(words) => return words.iter().any(|word| word == step),
            Value::String(text) => return text.contains(step),
            other => &other[step],
        };
    }
    !found.is_null() && *found != false
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn a_list_of_models_is_one_or_unreadable() {
        let read = |body: &str| ModelList::PLAIN.read(body.as_bytes(), |model, _| Some(model));
        assert_eq!(read(r#"{"data": [{"id": "a"}, {"id": 1}]}"#), Ok(vec![Model::new("a")]));
        assert_eq!(read("{}"), Ok(Vec::new()));
        for body in ["<html>", "[]", r#"{"data": {}}"#, r#"{"error": "no"}"#] {
            assert_eq!(read(body).unwrap_err().kind, ErrorKind::UnreadableAnswer, "{body}");
        }
    }

    #[test]
    fn a_model_is_what_its_signs_say() {
        let list = ModelList {
            list: "/models",
            name: "/title",
            context_length: "/reads/most",
            created: "/since",
            owner: Some("us"),
            kinds: &[("/does/chat", "chat"), ("/family/bert", "embedding")],
            names: &[("-tts", "audio")],
            capabilities: &[("/can", "streaming"), ("/can/see", "vision"), ("/can/think/yes", "reasoning")],
            ..ModelList::PLAIN
        };
        let read = |entry: Value| {
            let body = json!({"models": [entry]}).to_string();
            list.read(body.as_bytes(), |model, listed| (listed["gone"] != true).then_some(model))
                .unwrap()
                .pop()
        };
        let model = |kind: &str| Model { owner: Some("us".into()), kind: kind.into(), ..Model::new("a") };
        let (chat, other) =
            (json!({"id": "a", "does": ["walk", "chat"]}), json!({"id": "a", "does": ["chats"]}));
        assert_eq!((read(chat), read(other)), (Some(model("chat")), None));
        let speaks = read(json!({"id": "a-tts", "does": "chat"}));
        assert_eq!(speaks, Some(Model { id: "a-tts".into(), ..model("audio") }));
        let reads = read(json!({"id": "a-tts", "family": "bert"}));
        assert_eq!(
            reads,
            Some(Model { id: "a-tts".into(), ..model("embedding") }),
            "that is what its signs say"
        );
        assert_eq!(read(json!({"id": "a", "does": "chat", "gone": true})), None);

        let full = json!({"id": "a", "title": "A", "family": "old-bert", "reads": {"most": 8.0}, "since": "1970-01-02T00:00:00Z",
            "can": {"see": false, "think": {"yes": true}}});
        let expected = Model {
            name: Some("A".into()),
            context_length: Some(8),
            created: Some(86_400),
            ..model("embedding")
        };
        assert_eq!(read(full), Some(expected.with_capabilities(["streaming", "reasoning"])));
        let bare =
            json!({"id": "a", "does": "chat", "reads": {"most": 0}, "since": 5, "can": ["see", "run"]});
        let expected = Model { created: Some(5), ..model("chat") };
        assert_eq!(read(bare), Some(expected.with_capabilities(["streaming", "vision"])));
    }
}

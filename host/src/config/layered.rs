//! Layers laid over each other: the values that are left in force, and where each comes from.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::describe::{Section, Shape};
use super::origin::Origin;
use super::pointer::{join, place, within};

/// One value of one layer. Without a value it only says that there is an object.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) pointer: String,
    pub(super) value: Option<Value>,
    pub(super) origin: Origin,
}

/// See the module.
#[derive(Clone)]
pub(super) struct Layered {
    value: Value,
    origins: BTreeMap<String, Origin>,
    /// What is shown in place of texts with variables filled in.
    pub(super) shown: BTreeMap<String, String>,
}

const KEYS: [&str; 3] = ["api_key", "api_keys", "api_key_env"];

impl Layered {
    pub(super) fn new() -> Self {
        Self { value: Value::Object(Map::new()), origins: BTreeMap::new(), shown: BTreeMap::new() }
    }

    /// Lays a layer over what is there.
    pub(super) fn lay(&mut self, layer: Vec<Setting>) {
        self.drop_keys_replaced_by(&layer);
        for Setting { pointer, value, origin } in layer {
            match value {
                Some(value) => self.set(&pointer, value, origin),
                None => self.ensure(&pointer, origin),
            }
        }
    }

    /// Keys are one thing, however they are given: a layer that gives some replaces those of the layers below.
    fn drop_keys_replaced_by(&mut self, layer: &[Setting]) {
        for setting in layer {
            let Some((config, key)) = setting.pointer.rsplit_once('/') else { continue };
            let gives = setting.value.as_ref().is_some_and(|value| !value.is_null());
            if gives && KEYS.contains(&key) && config.ends_with("/config") {
                KEYS.iter().for_each(|key| self.remove(&join(config, key)));
            }
        }
    }

    fn ensure(&mut self, pointer: &str, origin: Origin) {
        let place = place(&mut self.value, pointer);
        if !place.is_object() {
            *place = Value::Object(Map::new());
            self.origins.insert(pointer.to_owned(), origin);
        }
    }

    pub(super) fn set(&mut self, pointer: &str, value: Value, origin: Origin) {
        self.forget(pointer);
        *place(&mut self.value, pointer) = value;
        self.origins.insert(pointer.to_owned(), origin);
    }

    /// A text with its variables filled in. Its origin stays what it was.
    pub(super) fn fill(&mut self, pointer: &str, value: Value, shown: String) {
        *place(&mut self.value, pointer) = value;
        self.shown.insert(pointer.to_owned(), shown);
    }

    pub(super) fn remove(&mut self, pointer: &str) {
        self.forget(pointer);
        if let Some((parent, _)) = pointer.rsplit_once('/')
            && let Some(Value::Object(members)) = self.value.pointer_mut(parent)
            && let Some(key) = super::pointer::segments(pointer).last()
        {
            members.remove(&key);
        }
    }

    fn forget(&mut self, pointer: &str) {
        self.origins.retain(|known, _| !within(known, pointer));
        self.shown.retain(|known, _| !within(known, pointer));
    }

    pub(super) fn get(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer)
    }

    pub(super) fn object(&self, pointer: &str) -> Option<&Map<String, Value>> {
        self.get(pointer)?.as_object()
    }

    /// Where a value comes from: what set it, or what it is in.
    pub(super) fn origin(&self, pointer: &str) -> Origin {
        let mut ancestor = pointer;
        loop {
            match self.origins.get(ancestor) {
                Some(Origin::File { path, .. }) => {
                    return Origin::File { path: path.clone(), pointer: pointer.to_owned() };
                }
                Some(origin) => return origin.clone(),
                None => match ancestor.rsplit_once('/') {
                    Some((parent, _)) => ancestor = parent,
                    None => return Origin::HostDefault,
                },
            }
        }
    }

    /// Every text at or below a place.
    pub(super) fn texts(&self, pointer: &str) -> Vec<(String, String)> {
        let mut texts = Vec::new();
        if let Some(value) = self.get(pointer) {
            collect_texts(value, pointer.to_owned(), &mut texts);
        }
        texts
    }

    /// Lays the entry that `other` has at a place over what is here.
    pub(super) fn lay_entry(&mut self, other: &Self, entry: &str) {
        let (below, config) = (|known: &String| within(known, entry), join(entry, "config"));
        let setting = |known: &String| Setting {
            pointer: known.clone(),
            // Of sections it is enough that they are there: what is in them has origins of its own.
            value: other.get(known).filter(|_| known != entry && *known != config).cloned(),
            origin: other.origin(known),
        };
        self.lay(other.origins.keys().filter(|known| below(known)).map(setting).collect());
        let shown = other.shown.iter().filter(|(known, _)| below(known));
        self.shown.extend(shown.map(|(known, text)| (known.clone(), text.clone())));
    }

    /// Takes over the entry that `other` has at a place, as the whole of this.
    pub(super) fn lay_moved(&mut self, other: &Self, entry: &str) {
        let moved = |known: &String| known.strip_prefix(entry).map(str::to_owned);
        self.value = other.get(entry).cloned().unwrap_or_default();
        let below = |known: &String| within(known, entry);
        let origins = other.origins.keys().filter(|known| below(known));
        self.origins = origins.filter_map(|known| Some((moved(known)?, other.origin(known)))).collect();
        let shown = other.shown.iter().filter(|(known, _)| below(known));
        self.shown = shown.filter_map(|(known, text)| Some((moved(known)?, text.clone()))).collect();
    }

    /// Without the values of `config` that say to take the default.
    pub(super) fn without_nulls(&self) -> Self {
        let mut without = self.clone();
        let nulls = self.object("/config").into_iter().flatten().filter(|(_, value)| value.is_null());
        nulls.for_each(|(key, _)| without.remove(&join("/config", key)));
        if self.get("/priority").is_some_and(Value::is_null) {
            without.remove("/priority");
        }
        without
    }
}

fn collect_texts(value: &Value, pointer: String, texts: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) => texts.push((pointer, text.clone())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_texts(item, join(&pointer, &index.to_string()), texts);
            }
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| collect_texts(value, join(&pointer, key), texts));
        }
        _ => {}
    }
}

/// The shape of what `key` holds in a value of this shape.
pub(super) fn shape_of(shape: &Shape, key: &str) -> &'static Shape {
    match shape {
        Shape::Section(section) => section.key(key).map_or(&Shape::Any, |key| &key.shape),
        Shape::Providers(_) => &PROVIDER,
        Shape::Map(inner) | Shape::List(inner) => inner,
        _ => &Shape::Any,
    }
}

static PROVIDER: Shape = Shape::Section(&super::describe::ENTRY);

/// What a section says, one setting for each value that another layer could replace.
pub(super) fn settings_of(
    section: &Section,
    members: &Map<String, Value>,
    pointer: &str,
    origin: &Origin,
) -> Vec<Setting> {
    let mut settings = vec![Setting { pointer: pointer.to_owned(), value: None, origin: origin.clone() }];
    for (name, value) in members {
        let at = join(pointer, name);
        match (section.key(name).map(|key| &key.shape), value) {
            (Some(Shape::Section(inner)), Value::Object(members)) => {
                settings.extend(settings_of(inner, members, &at, origin));
            }
            (Some(Shape::Providers(entry)), Value::Object(entries)) => {
                settings.push(Setting { pointer: at.clone(), value: None, origin: origin.clone() });
                for (name, entry_value) in entries {
                    if let Value::Object(members) = entry_value {
                        settings.extend(settings_of(entry, members, &join(&at, name), origin));
                    }
                }
            }
            _ => settings.push(Setting { pointer: at, value: Some(value.clone()), origin: origin.clone() }),
        }
    }
    settings
}

/// The host's defaults of a section.
pub(super) fn defaults_of(section: &Section, pointer: &str) -> Vec<Setting> {
    let mut settings =
        vec![Setting { pointer: pointer.to_owned(), value: None, origin: Origin::HostDefault }];
    for key in section.keys {
        let at = join(pointer, key.name);
        match (&key.shape, key.default) {
            (Shape::Section(inner), _) => settings.extend(defaults_of(inner, &at)),
            // A test reads every default.
            (_, Some(json)) => settings.push(Setting {
                pointer: at,
                value: serde_json::from_str(json).ok(),
                origin: Origin::HostDefault,
            }),
            (_, None) => {}
        }
    }
    settings
}

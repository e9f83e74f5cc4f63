//! JSON pointers: how a place in the configuration is named.

use serde_json::{Map, Value};

/// The pointer to what `key` holds.
pub(super) fn join(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The keys on the way.
pub(super) fn segments(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~"))
}

/// Whether `pointer` is `ancestor`, or inside it.
pub(super) fn within(pointer: &str, ancestor: &str) -> bool {
    pointer.strip_prefix(ancestor).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The place itself, made where it is not there yet; what is no object gives way on the way to it.
pub(super) fn place<'a>(root: &'a mut Value, pointer: &str) -> &'a mut Value {
    segments(pointer).fold(root, |value, key| {
        if let Value::Array(items) = value
            && key.parse::<usize>().is_ok_and(|index| index < items.len())
        {
            return &mut value[key.parse::<usize>().unwrap_or_default()];
        }
        if !value.is_object() {
            *value = Value::Object(Map::new());
        }
        &mut value[key]
    })
}

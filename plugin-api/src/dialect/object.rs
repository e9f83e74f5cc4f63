//! JSON to be sent, written as it looks.

use serde_json::{Map, Value};

/// A JSON object, of what there is: members that come to `null` are left out, and so are objects and lists of which
/// nothing is left. What is optional in a request is written as the `Option` that it is. Values are moved into it, where
/// `json!` would copy them (of what is borrowed write `&*name` and `text.as_deref()`); what is in a value is left as it is.
///
/// ```
/// # use patchbay_plugin_api::object;
/// # use serde_json::json;
/// let (seed, stop) = (None::<u64>, Some("END"));
/// let body = object!({
///     "model": "tiny",
///     "schema": json!({"default": null, "items": {}}),
///     "options": {"seed": seed, "stop": [stop], "said": [{"text": None::<&str>}]},
///     "limits": {"tokens": seed},
/// });
/// assert_eq!(body, json!({"model": "tiny", "schema": {"default": null, "items": {}}, "options": {"stop": ["END"]}}));
/// ```
#[macro_export]
macro_rules! object {
    ({$($members:tt)*}) => {{
        let mut object = $crate::dialect::object::Members::default();
        $crate::object!(@members object, $($members)*);
        object.into_value()
    }};
    ([$($items:tt)*]) => {{
        let mut list = $crate::dialect::object::Items::default();
        $crate::object!(@items list, $($items)*);
        list.into_value()
    }};
    (@members $object:ident,) => {};
    (@members $object:ident, $name:literal: {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $object.put($name, $crate::object!({$($inner)*}));
        $crate::object!(@members $object, $($($rest)*)?);
    };
    (@members $object:ident, $name:literal: [$($inner:tt)*] $(, $($rest:tt)*)?) => {
        $object.put($name, $crate::object!([$($inner)*]));
        $crate::object!(@members $object, $($($rest)*)?);
    };
    (@members $object:ident, $name:literal: $value:expr $(, $($rest:tt)*)?) => {
        $object.put($name, $value.into());
        $crate::object!(@members $object, $($($rest)*)?);
    };
    (@items $list:ident,) => {};
    (@items $list:ident, {$($inner:tt)*} $(, $($rest:tt)*)?) => {
        $list.push($crate::object!({$($inner)*}));
        $crate::object!(@items $list, $($($rest)*)?);
    };
    (@items $list:ident, $value:expr $(, $($rest:tt)*)?) => {
        $list.push($value.into());
        $crate::object!(@items $list, $($($rest)*)?);
    };
}

/// An object that [`object!`] writes.
#[doc(hidden)]
#[derive(Default)]
pub struct Members(Map<String, Value>);

impl Members {
    // Once in a library, not once for every member.
    #[inline(never)]
    pub fn put(&mut self, name: &str, value: Value) {
        if !value.is_null() {
            self.0.insert(name.to_owned(), value);
        }
    }

    pub fn into_value(self) -> Value {
        if self.0.is_empty() { Value::Null } else { self.0.into() }
    }
}

/// A list that [`object!`] writes.
#[doc(hidden)]
#[derive(Default)]
pub struct Items(Vec<Value>);

impl Items {
    #[inline(never)]
    pub fn push(&mut self, value: Value) {
        if !value.is_null() {
            self.0.push(value);
        }
    }

    pub fn into_value(self) -> Value {
        list(self.0).into()
    }
}

/// A list or, where it would be empty, nothing: for members of an [`object!`] that upstream wants full or not at all.
pub fn list(items: impl IntoIterator<Item = Value>) -> Option<Value> {
    let items: Vec<Value> = items.into_iter().collect();
    (!items.is_empty()).then(|| items.into())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_there_is_left_out() {
        let nothing = None::<&str>;
        assert_eq!(object!({"a": {"b": {"c": nothing}, "d": [nothing, {"e": nothing}]}}), Value::Null);
        let some = object!({
            "list": [1, nothing, {"a": true}, Vec::<Value>::new()],
            "last": if nothing.is_none() { "b" } else { "c" },
        });
        assert_eq!(some, json!({"list": [1, {"a": true}, []], "last": "b"}));
        assert_eq!((list([]), list(["a".into()])), (None, Some(json!(["a"]))));
    }

    #[test]
    fn values_may_begin_as_lists_do() {
        let texts = ["a", "b"];
        let made = object!({"texts": [texts[0], texts[1]].concat(), "of": [[1, 2].len(), 3]});
        assert_eq!(made, json!({"texts": "ab", "of": [2, 3]}));
    }
}

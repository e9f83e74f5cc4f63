//! Objects that clients send. For serde, a list of an object's values in their order would do as well: nobody means that,
//! and of an empty one every value would be left out.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// Reads an object and nothing else; for `deserialize_with` wherever there is one within another.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_map(Object(PhantomData))
}

struct Object<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        #[serde(deserialize_with = "object")]
        inner: Inner,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        name: Option<String>,
    }

    #[test]
    fn a_list_is_no_object() {
        let named = |name: &str| Outer { inner: Inner { name: Some(name.to_owned()) } };
        for (json, expected) in [
            (r#"{"inner": {"name": "a"}}"#, Some(named("a"))),
            (r#"{"inner": {}}"#, Some(Outer::default())),
            ("{}", Some(Outer::default())),
            (r#"{"inner": ["a"]}"#, None),
            (r#"{"inner": []}"#, None),
            (r#"{"inner": "a"}"#, None),
            (r#"{"inner": null}"#, None),
            (r#"[{"name": "a"}]"#, None),
            ("[]", None),
            ("\"a\"", None),
        ] {
            let read = object::<_, Outer>(&mut serde_json::Deserializer::from_str(json));
            assert_eq!(read.ok(), expected, "{json}");
            let value: serde_json::Value = serde_json::from_str(json).unwrap();
            let read = object::<_, Outer>(value);
            assert_eq!(read.is_ok(), expected.is_some(), "{json} as a value");
        }
    }
}

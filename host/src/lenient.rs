//! What upstreams write, read as far as it is what it should be: anything else is as good as nothing, and fails no
//! answer for the sake of a count.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// What was wanted, where it was that. Whatever else stands there is passed over, also texts that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// What can be wanted: by default, nothing of what there may be.
pub(crate) trait Wanted: Sized {
    /// Where there is a number.
    fn of_number(_number: f64) -> Option<Self> {
        None
    }

    /// Where there is a number that counts something.
    fn of_count(count: u64) -> Option<Self> {
        Self::of_number(count as f64)
    }

    /// Where there is a text.
    fn of_text(_text: &str) -> Option<Self> {
        None
    }

    /// Where there is an object, all of which must be read.
    fn of_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// A count. Some upstreams count in floating point.
impl Wanted for u64 {
    fn of_number(number: f64) -> Option<Self> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "`as` saturates, which will do"
        )]
        Some(number as Self)
    }

    fn of_count(count: u64) -> Option<Self> {
        Some(count)
    }
}

impl Wanted for String {
    fn of_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl<'de, T: Wanted> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let read = Anything(PhantomData).deserialize(&mut serde_json::Deserializer::from_str(json));
        Ok(Self(read.unwrap_or(None)))
    }
}

/// The first of a list; the others are passed over.
pub(crate) struct First<T>(pub(crate) Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for First<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for List<T> {
            type Value = First<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<T>, A::Error> {
                let first = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(First(first))
            }
        }
        deserializer.deserialize_seq(List(PhantomData))
    }
}

/// The next value of an object that is read leniently as a whole.
pub(crate) fn wanted<'de, T: Wanted, A: MapAccess<'de>>(object: &mut A) -> Result<Option<T>, A::Error> {
    object.next_value_seed(Anything(PhantomData))
}

struct Anything<T>(PhantomData<T>);

impl<'de, T: Wanted> DeserializeSeed<'de> for Anything<T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Wanted> Visitor<'de> for Anything<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<T>, E> {
        Ok(T::of_number(number as f64))
    }

    fn visit_u64<E>(self, count: u64) -> Result<Option<T>, E> {
        Ok(T::of_count(count))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Option<T>, E> {
        Ok(T::of_number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Option<T>, E> {
        Ok(T::of_text(text))
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Option<T>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Option<T>, A::Error> {
        T::of_object(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_else_is_nothing() {
        // The last is half a character, which no text can hold.
        let others = ["null", "true", "[1, {}]", r#"{"a": [1]}"#, r#""\ud83d""#];
        let read = |json: &str| -> (Option<u64>, Option<String>) {
            let Lenient(count) = serde_json::from_str(json).unwrap();
            let Lenient(text) = serde_json::from_str(json).unwrap();
            (count, text)
        };
        for json in others {
            assert_eq!(read(json), (None, None), "{json}");
        }
        for (json, count) in
            [("7", 7), ("2.9", 2), ("-3", 0), ("1e300", u64::MAX), ("18446744073709551615", u64::MAX)]
        {
            assert_eq!(read(json), (Some(count), None), "{json}");
        }
        assert_eq!(read(r#""3\u00e9""#), (None, Some("3é".to_owned())));
        assert!(serde_json::from_str::<Lenient<u64>>("[1,").is_err());
    }
}

//! A JSON object as its top-level members, each a slice of the bytes it came in.
//!
//! Requests are changed in a few members and sent on; what is inside the others (a megabyte of messages, say) is
//! neither understood nor copied until the new object is written.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut as _, Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::RawValue;

/// More members than any API has; keeps looking one up cheap, whatever a client sends.
const MAX_MEMBERS: usize = 128;

/// The members of an object in the order they came. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Members(Vec<Member>);

#[derive(Clone, Debug)]
struct Member {
    name: Cow<'static, str>,
    /// Its JSON.
    value: Bytes,
}

impl Members {
    /// Takes an object apart. Of two members of one name the last counts, so that nobody further down reads another.
    pub fn parse(json: &Bytes) -> Result<Self, serde_json::Error> {
        let Borrowed(borrowed) = serde_json::from_slice(json)?;
        let mut members = Self(Vec::with_capacity(borrowed.len() + 4));
        for (name, value) in borrowed {
            members.set(kept(name), json.slice_ref(value.get().as_bytes()));
        }
        Ok(members)
    }

    /// The JSON of a member.
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0.iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// Whether there is such a member, and it is not `null`.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.as_ref() != b"null")
    }

    /// Puts a member in, in the place of the one of that name.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|member| member.name == name) {
            Some(member) => member.value = value,
            None => self.0.push(Member { name, value }),
        }
    }

    /// Puts any value in that can be written as JSON.
    pub fn set_json<T: Serialize + ?Sized>(&mut self, name: impl Into<Cow<'static, str>>, value: &T) {
        // Writing strings, numbers and JSON values to memory cannot fail; a member that could is left out.
        if let Ok(json) = serde_json::to_vec(value) {
            self.set(name, json);
        }
    }

    /// Takes a member out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|member| member.name != name);
    }

    /// Takes out all whose names are not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|member| wanted(&member.name));
    }

    /// Gives a member another name, in the place of one that has it already.
    pub fn rename(&mut self, from: &str, to: &str) {
        if from == to || self.get(from).is_none() {
            return;
        }
        self.remove(to);
        for member in self.0.iter_mut().filter(|member| member.name == from) {
            member.name = Cow::Owned(to.to_owned());
        }
    }

    /// The object as JSON.
    pub fn write(&self) -> Bytes {
        let size: usize = self.0.iter().map(|member| member.name.len() + member.value.len() + 8).sum();
        let mut out = BytesMut::with_capacity(size + 2);
        for (index, member) in self.0.iter().enumerate() {
            out.put_u8(if index == 0 { b'{' } else { b',' });
            write_name(&mut out, &member.name);
            out.put_u8(b':');
            out.extend_from_slice(&member.value);
        }
        if self.0.is_empty() {
            out.put_u8(b'{');
        }
        out.put_u8(b'}');
        out.freeze()
    }
}

/// A name to keep: those that most requests have are not copied, now and whenever the members are.
fn kept(name: Cow<'_, str>) -> Cow<'static, str> {
    const USUAL: [&str; 12] = [
        "model",
        "messages",
        "stream",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "top_p",
        "tools",
        "tool_choice",
        "response_format",
        "stream_options",
        "input",
    ];
    match USUAL.into_iter().find(|usual| *usual == name) {
        Some(usual) => Cow::Borrowed(usual),
        None => Cow::Owned(name.into_owned()),
    }
}

fn write_name(out: &mut BytesMut, name: &str) {
    // A buffer in memory takes everything.
    let _ = serde_json::to_writer(out.writer(), name);
}

/// What `parse` reads: nothing is copied but names with escapes in them.
struct Borrowed<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Borrowed<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Borrowed<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Name(name), value)) = map.next_entry()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(A::Error::custom(format_args!("more than {MAX_MEMBERS} members")));
                    }
                    members.push((name, value));
                }
                Ok(Borrowed(members))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn members(json: &str) -> Members {
        Members::parse(&Bytes::copy_from_slice(json.as_bytes())).unwrap()
    }

    #[test]
    fn what_is_not_touched_stays_byte_for_byte() {
        let json = r#"{"model":"a","messages":[ {"content" : "\u00e9 1.50"} ],"n\"x":1e3}"#;
        assert_eq!(members(json).write(), json);
        assert_eq!(members("{}").write(), "{}");
    }

    #[test]
    fn values_are_slices_of_what_came() {
        let json = Bytes::from_static(br#"{"messages":[1,2,3]}"#);
        let members = Members::parse(&json).unwrap();
        assert_eq!(members.get("messages").unwrap().as_ptr(), json[12..].as_ptr());
    }

    #[test]
    fn members_are_set_renamed_and_taken_out() {
        let mut object = members(r#"{"a":1,"b":2,"c":3,"a":4}"#);
        assert_eq!(object.get("a").unwrap(), "4");
        object.set("b", "20");
        object.set_json("d", "x\"y");
        object.remove("c");
        object.rename("a", "b");
        object.rename("missing", "d");
        assert_eq!(object.write(), r#"{"b":4,"d":"x\"y"}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for json in ["[]", "1", "", "{\"a\":}", "{} x", "\"{}\""] {
            assert!(Members::parse(&Bytes::copy_from_slice(json.as_bytes())).is_err(), "{json}");
        }
        let many: Vec<String> = (0..MAX_MEMBERS + 1).map(|i| format!("\"m{i}\":1")).collect();
        let error = Members::parse(&format!("{{{}}}", many.join(",")).into()).unwrap_err();
        assert!(error.to_string().contains("more than 128 members"), "{error}");
    }
}

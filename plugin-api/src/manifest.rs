//! The manifest, made at compile time: JSON in a section of the library, readable without running its code.

/// What [`export!`](crate::export) collects. Everything is known to the compiler, so that the text can be.
#[derive(Debug)]
pub struct Manifest {
    /// The crate's name.
    pub id: &'static str,
    /// The name for people.
    pub name: &'static str,
    /// The crate's version.
    pub version: &'static str,
    /// The crate's authors, as cargo gives them: separated by colons.
    pub authors: &'static str,
    /// One sentence.
    pub description: &'static str,
    /// Where the project lives.
    pub homepage: &'static str,
    /// Where it is explained.
    pub documentation: &'static str,
    /// SPDX expression.
    pub license: &'static str,
    /// `official`, `community` or `custom`.
    pub category: &'static str,
    /// What must be there: `patchbay>=0.1`, `service:http>=1`, `plugin:ID>=1.2`.
    pub requires: &'static [&'static str],
    /// What the router may ask of the provider.
    pub supported_features: &'static [&'static str],
    /// JSON Schema of what the configuration has beside the host's own members, or empty. With
    /// `"additionalProperties": false` the host refuses all but those, and its own.
    pub config_schema: &'static str,
    /// JSON object of defaults for the configuration, or empty.
    pub config_defaults: &'static str,
    /// JSON object that `create` accepts when a host tries the library out, or empty for `{}`.
    pub sample_config: &'static str,
    /// Starts threads of its own: the host then never unmaps the library.
    pub threads: bool,
    /// Sees the provider's keys in its configuration.
    pub secrets: bool,
    /// How its panics behave: only `unwind` is loaded.
    pub panic: &'static str,
    /// What need not be said.
    pub implied: Implied,
}

/// What follows from what kind of a provider it is, so that [`export!`](crate::export) need not be told.
#[derive(Debug, Clone, Copy)]
pub struct Implied {
    /// What must be there.
    pub requires: &'static [&'static str],
    /// Features, and whether it has them.
    pub features: &'static [(&'static str, bool)],
    /// Members of the configuration, and what they are by default.
    pub config: &'static [(&'static str, Option<&'static str>)],
}

impl Implied {
    /// Nothing follows.
    pub const NOTHING: Self = Self { requires: &[], features: &[], config: &[] };
}

impl Manifest {
    /// The length of the text, for the array that holds it.
    pub const fn json_len(&self) -> usize {
        let mut counter = Writer::<0>::new();
        self.write(&mut counter);
        counter.at
    }

    /// The text. `N` must be [`json_len`](Self::json_len).
    pub const fn json<const N: usize>(&self) -> [u8; N] {
        let mut writer = Writer::<N>::new();
        self.write(&mut writer);
        assert!(writer.at == N, "the array has the length that json_len says");
        writer.text
    }

    const fn write<const N: usize>(&self, out: &mut Writer<N>) {
        out.raw("{");
        out.field("id", self.id);
        out.field("name", self.name);
        out.field("version", self.version);
        out.raw("\"author\":\"");
        out.escaped(self.authors, b':', ", ");
        out.raw("\",");
        out.field("description", self.description);
        out.field("api_version", crate::abi::API_VERSION);
        out.optional("homepage", self.homepage);
        out.optional("documentation", self.documentation);
        out.optional("license", self.license);
        out.optional("category", self.category);
        out.begin("requires", b'[');
        out.items(self.implied.requires, self.requires);
        out.items(self.requires, &[]);
        out.end(b']');
        out.begin("supported_features", b'[');
        let mut i = 0;
        while i < self.implied.features.len() {
            if let (feature, true) = self.implied.features[i] {
                out.items(&[feature], self.supported_features);
            }
            i += 1;
        }
        out.items(self.supported_features, &[]);
        out.end(b']');
        out.json("config_schema", self.config_schema);
        out.defaults(self.implied.config, self.config_defaults);
        out.json("sample_config", self.sample_config);
        out.json("threads", if self.threads { "true" } else { "false" });
        out.json("secrets", if self.secrets { "true" } else { "false" });
        out.field("target", env!("PATCHBAY_TARGET"));
        out.field("rustc", env!("PATCHBAY_RUSTC"));
        out.field("sdk_version", env!("CARGO_PKG_VERSION"));
        out.raw("\"panic\":\"");
        out.raw(self.panic);
        out.raw("\"}");
    }
}

/// Writes JSON in a `const fn`; with `N = 0` it only counts.
struct Writer<const N: usize> {
    text: [u8; N],
    at: usize,
    last: u8,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self { text: [0; N], at: 0, last: 0 }
    }

    const fn byte(&mut self, byte: u8) {
        if self.at < N {
            self.text[self.at] = byte;
        }
        self.at += 1;
        self.last = byte;
    }

    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            self.byte(bytes[i]);
            i += 1;
        }
    }

    /// A JSON string's inside, with one byte replaced by a text.
    const fn escaped(&mut self, text: &str, replace: u8, with: &str) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let bytes = text.as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            let byte = bytes[i];
            if byte == replace {
                self.raw(with);
            } else if byte == b'"' || byte == b'\\' {
                self.byte(b'\\');
                self.byte(byte);
            } else if byte < 0x20 {
                self.raw("\\u00");
                self.byte(HEX[(byte >> 4) as usize]);
                self.byte(HEX[(byte & 15) as usize]);
            } else {
                self.byte(byte);
            }
            i += 1;
        }
    }

    const fn string(&mut self, text: &str) {
        self.byte(b'"');
        // No text of a manifest holds a NUL, so nothing is replaced but what JSON asks for.
        self.escaped(text, 0, "");
        self.byte(b'"');
    }

    const fn key(&mut self, key: &str) {
        self.string(key);
        self.byte(b':');
    }

    const fn field(&mut self, key: &str, value: &str) {
        self.key(key);
        self.string(value);
        self.byte(b',');
    }

    const fn optional(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.field(key, value);
        }
    }

    /// A value that is JSON already.
    const fn json(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.key(key);
            self.raw(value);
            self.byte(b',');
        }
    }

    const fn begin(&mut self, key: &str, bracket: u8) {
        self.key(key);
        self.byte(bracket);
    }

    /// Items of a list, but for those that are said elsewhere.
    const fn items(&mut self, items: &[&str], elsewhere: &[&str]) {
        let mut i = 0;
        while i < items.len() {
            if !is_among(items[i], elsewhere) {
                self.string(items[i]);
                self.byte(b',');
            }
            i += 1;
        }
    }

    /// Ends a list or an object, in the place of the comma behind what is in it.
    const fn end(&mut self, bracket: u8) {
        if self.last == b',' {
            self.at -= 1;
        }
        self.byte(bracket);
        self.byte(b',');
    }

    /// Defaults that are implied, and those of a JSON object; of two of one name the reader takes the latter.
    const fn defaults(&mut self, implied: &[(&str, Option<&str>)], said: &str) {
        if implied.is_empty() {
            return self.json("config_defaults", said);
        }
        self.begin("config_defaults", b'{');
        let mut i = 0;
        while i < implied.len() {
            if let (name, Some(value)) = implied[i] {
                self.field(name, value);
            }
            i += 1;
        }
        self.inside(said.as_bytes().trim_ascii());
        self.end(b'}');
    }

    /// The members of a JSON object.
    const fn inside(&mut self, object: &[u8]) {
        if let [b'{', members @ .., b'}'] = object
            && !members.trim_ascii().is_empty()
        {
            let mut i = 0;
            while i < members.len() {
                self.byte(members[i]);
                i += 1;
            }
            self.byte(b',');
        }
    }
}

const fn is_among(text: &str, texts: &[&str]) -> bool {
    let mut i = 0;
    while i < texts.len() {
        if is_same(text.as_bytes(), texts[i].as_bytes()) {
            return true;
        }
        i += 1;
    }
    false
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const MANIFEST: Manifest = Manifest {
        id: "demo",
        name: "A \"quoted\" name\\",
        version: "1.2.3",
        authors: "Ada:Grace",
        description: "line\nbreak, tab\t, ünïcode",
        homepage: "",
        documentation: "",
        license: "MIT",
        category: "custom",
        requires: &["patchbay>=0.1", "service:http>=1"],
        supported_features: &["chat_completion"],
        config_schema: r#"{"type":"object"}"#,
        config_defaults: "",
        sample_config: "",
        threads: false,
        secrets: true,
        panic: "unwind",
        implied: Implied::NOTHING,
    };
    static TEXT: [u8; MANIFEST.json_len()] = MANIFEST.json();

    const IMPLYING: Manifest = Manifest {
        supported_features: &["vision", "streaming"],
        config_defaults: r#" {"model": "b", "priority": 9} "#,
        implied: Implied {
            requires: &["service:http>=1"],
            features: &[("streaming", true), ("embeddings", false), ("chat_completion", true)],
            config: &[("base_url", Some("https://x.test")), ("model", Some("a")), ("region", None)],
        },
        ..MANIFEST
    };
    static IMPLIED: [u8; IMPLYING.json_len()] = IMPLYING.json();

    #[test]
    fn the_text_is_json_with_every_field() {
        let value: Value = serde_json::from_slice(&TEXT).unwrap();
        assert_eq!(value["name"], "A \"quoted\" name\\");
        assert_eq!(value["author"], "Ada, Grace");
        assert_eq!(value["description"], "line\nbreak, tab\t, ünïcode");
        assert_eq!(value["requires"], json!(["patchbay>=0.1", "service:http>=1"]));
        assert_eq!(value["config_schema"], json!({"type": "object"}));
        assert_eq!(value["secrets"], true);
        assert_eq!(value["api_version"], "v1");
        assert!(value.get("homepage").is_none(), "what is not known is left out");
        assert!(value["rustc"].as_str().unwrap().starts_with("rustc "));
        assert!(value.get("config_defaults").is_none(), "there are none");
    }

    #[test]
    fn what_is_implied_is_said_once_and_may_be_said_otherwise() {
        let value: Value = serde_json::from_slice(&IMPLIED).unwrap();
        assert_eq!(value["requires"], json!(["patchbay>=0.1", "service:http>=1"]));
        assert_eq!(value["supported_features"], json!(["chat_completion", "vision", "streaming"]));
        let expected = json!({"base_url": "https://x.test", "model": "b", "priority": 9});
        assert_eq!(value["config_defaults"], expected);
    }
}

//! What a plugin's vendor says, as its author captured it: a kit cannot know every dialect.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The folder beside a crate's `Cargo.toml` that the captures are in.
pub const FOLDER: &str = "conformance";

/// A folder that cannot be used; the words say how to mend it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct CapturesError(String);

/// The bodies that upstream answers with. What is none cannot be tested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Captures {
    /// What answer and stream say.
    pub(super) text: Option<String>,
    /// What the provider is configured with, over its manifest's defaults and sample.
    pub(super) config: Map<String, Value>,
    pub(super) answer: Option<String>,
    pub(super) stream: Option<String>,
    pub(super) stream_type: String,
    pub(super) models: Option<String>,
    pub(super) health: Option<String>,
    pub(super) embeddings: Option<String>,
    /// With `{status}` where it stands.
    pub(super) error: String,
}

/// What `kit.json` may say.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Kit {
    text: Option<String>,
    stream_type: Option<String>,
    config: Map<String, Value>,
}

const FILES: [&str; 7] =
    ["kit.json", "answer.json", "stream.txt", "models.json", "health.json", "embeddings.json", "error.json"];

/// The most bytes of a capture.
const MOST_BYTES: usize = 8 << 10;

const SSE: &str = "text/event-stream";

const ANSWER: &str = r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},"finish_reason":"stop"}]}"#;

const STREAM: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hel"}}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"lo!"}}]}

data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

"#;

const MODELS: &str = r#"{"object":"list","data":[{"id":"kit","object":"model"}]}"#;

const EMBEDDINGS: &str = r#"{"object":"list","model":"kit","data":[{"object":"embedding","index":0,"embedding":[0.5,-0.5]}],"usage":{"prompt_tokens":1,"total_tokens":1}}"#;

const ERROR: &str =
    r#"{"error":{"message":"the kit answers {status}","type":"kit","param":null,"code":"kit_{status}"}}"#;

impl Default for Captures {
    /// OpenAI's dialect.
    fn default() -> Self {
        Self {
            text: Some("Hello!".to_owned()),
            config: Map::new(),
            answer: Some(ANSWER.to_owned()),
            stream: Some(STREAM.to_owned()),
            stream_type: SSE.to_owned(),
            models: Some(MODELS.to_owned()),
            health: Some(MODELS.to_owned()),
            embeddings: Some(EMBEDDINGS.to_owned()),
            error: ERROR.to_owned(),
        }
    }
}

impl Captures {
    /// Reads a folder. One without an `answer.json` is for a vendor of OpenAI's dialect, of which nothing has to be
    /// captured; the files that are there come first all the same.
    pub fn read(folder: &Path) -> Result<Self, CapturesError> {
        check_names(folder)?;
        let file = |name: &str| match fs::read_to_string(folder.join(name)) {
            Ok(text) if text.len() > MOST_BYTES => {
                let (path, size) = (folder.join(name), text.len());
                Err(CapturesError(format!(
                    "{} has {size} bytes, more than {MOST_BYTES}: it is cut at every one, and a short one says as much",
                    path.display()
                )))
            }
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(CapturesError(format!("{} cannot be read: {error}", folder.join(name).display())))
            }
        };
        let kit: Kit = match file("kit.json")? {
            None => Kit::default(),
            Some(text) => serde_json::from_str(&text).map_err(|error| {
                let place = folder.join("kit.json");
                CapturesError(format!("{} is not what the kit takes: {error}", place.display()))
            })?,
        };
        let answer = file("answer.json")?;
        if answer.is_some() && kit.text.is_none() {
            let folder = folder.display();
            let message =
                format!("{folder}/kit.json does not say the \"text\" of answer.json and stream.txt");
            return Err(CapturesError(message));
        }
        let openai = if answer.is_none() { Self::default() } else { Self::nothing() };
        let models = file("models.json")?.or(openai.models);
        Ok(Self {
            text: kit.text.or(openai.text),
            config: kit.config,
            answer: answer.or(openai.answer),
            stream: file("stream.txt")?.or(openai.stream),
            stream_type: kit.stream_type.unwrap_or(openai.stream_type),
            health: file("health.json")?.or_else(|| models.clone()),
            models,
            embeddings: file("embeddings.json")?.or(openai.embeddings),
            error: file("error.json")?.unwrap_or(openai.error),
        })
    }

    fn nothing() -> Self {
        Self {
            text: None,
            answer: None,
            stream: None,
            models: None,
            health: None,
            embeddings: None,
            ..Self::default()
        }
    }

    /// The body of a failure.
    pub(super) fn failure(&self, status: u16) -> String {
        self.error.replace("{status}", &status.to_string())
    }
}

/// A file with a name that nobody reads would be a test that nobody runs.
fn check_names(folder: &Path) -> Result<(), CapturesError> {
    let listed = fs::read_dir(folder)
        .map_err(|error| CapturesError(format!("{} cannot be read: {error}", folder.display())))?;
    for entry in listed.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !FILES.contains(&&*name) && !name.starts_with('.') {
            let (folder, files) = (folder.display(), FILES.join(", "));
            return Err(CapturesError(format!("{folder}/{name} is nothing the kit reads: it reads {files}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Captures, String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Captures::read(folder.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn without_an_answer_it_is_openais_dialect() {
        assert_eq!(read(&[]), Ok(Captures::default()));
        let kit = read(&[("kit.json", r#"{"config": {"region": "eu"}}"#), (".hidden", "")]).unwrap();
        assert_eq!(kit.config["region"], "eu");
        assert_eq!(kit.answer, Captures::default().answer);
    }

    #[test]
    fn with_an_answer_only_what_is_there_is_known() {
        let said = ("kit.json", r#"{"text": "Hello!"}"#);
        let kit = read(&[said, ("answer.json", "{}"), ("models.json", "[]")]).unwrap();
        assert_eq!((kit.answer.as_deref(), kit.health.as_deref()), (Some("{}"), Some("[]")));
        assert_eq!((kit.stream, kit.embeddings), (None, None));
    }

    #[test]
    fn what_nobody_reads_is_refused() {
        let error = read(&[("streams.txt", "")]).unwrap_err();
        assert!(
            error.contains("streams.txt is nothing the kit reads: it reads kit.json, answer.json"),
            "{error}"
        );
        let error = read(&[("kit.json", r#"{"txt": "x"}"#)]).unwrap_err();
        assert!(error.contains("unknown field `txt`"), "{error}");
        let error = read(&[("answer.json", "{}")]).unwrap_err();
        assert!(error.contains("kit.json does not say the \"text\""), "{error}");
        let error = read(&[("stream.txt", &"x".repeat(MOST_BYTES + 1))]).unwrap_err();
        assert!(error.contains("has 8193 bytes, more than 8192"), "{error}");
    }

    #[test]
    fn a_failure_names_its_status() {
        let body = Captures::default().failure(429);
        assert!(body.contains("the kit answers 429") && body.contains("kit_429"), "{body}");
    }
}

//! A plugin that a test turns into many: its behaviour and its version are bytes in the built library, which the
//! test replaces by others of the same length. One build, any number of different libraries.

use std::time::Duration;

use patchbay_plugin_api::{
    Answer, Call, ChatRequest, Chunk, ChunkStream, FinishReason, Host, Provider, Result,
};
use serde_json::Value;

mod misbehaviour;

use misbehaviour::{Place, misbehave};

/// What to do. A test writes another word over `none` and the dots behind it; see `misbehaviour.rs`.
#[used]
static BEHAVIOUR: [u8; 64] = *b"CHAMELEON-BEHAVIOUR=none........................................";

/// Which one this is: told in every chunk of every answer, so that a mixture would be seen.
#[used]
static COLOUR: [u8; 32] = *b"CHAMELEON-COLOUR=green..........";

struct Chameleon {
    host: Host,
    /// Whether its configuration asks for misbehaviour.
    asked: bool,
}

/// The word behind `=`. Read at run time: what the compiler saw is not what counts.
fn word(place: &'static [u8]) -> String {
    // SAFETY: reads a static byte by byte.
    let bytes = place.iter().map(|byte| unsafe { std::ptr::from_ref(byte).read_volatile() });
    let word = bytes.skip_while(|byte| *byte != b'=').skip(1).take_while(|byte| *byte != b'.');
    String::from_utf8_lossy(&word.collect::<Vec<_>>()).into_owned()
}

/// The word `misbehave`, in a request or as a member of the configuration.
fn asks(config: &Value) -> bool {
    config.get("misbehave").is_some()
}

impl Provider for Chameleon {
    type Config = Value;

    fn create(config: Value, host: Host) -> Result<Self> {
        let asked = asks(&config);
        misbehaviour::misbehave_with(host, asked)?;
        Ok(Self { host, asked })
    }

    fn validate(config: &Value) -> Result<()> {
        misbehave(Place::Validate, asks(config))
    }

    async fn complete(&self, request: ChatRequest, _call: Call) -> Result<Answer> {
        self.begin(&request).await?;
        let colour = word(&COLOUR);
        Ok(Answer::text([colour.as_str(); 5].join(" ")))
    }

    /// `pause=3` in a request waits so many milliseconds before each chunk, 0 only for its turn; `chunks=9` makes
    /// them so many instead of five, and one for the end.
    async fn stream(&self, request: ChatRequest, _call: Call) -> Result<ChunkStream> {
        self.begin(&request).await?;
        let said = request.last_user_text();
        let asked = self.asked || said.contains("misbehave");
        let number = |name: &str| {
            let value = said.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        let (pause, count, host) = (number("pause"), number("chunks").unwrap_or(5), self.host);
        Ok(ChunkStream::unfold(0, async move |n| {
            if n == 3 {
                misbehave(Place::Chunk, asked)?;
            }
            if let (Some(pause), true) = (pause, n <= count) {
                host.sleep(Duration::from_millis(pause)).await;
            }
            let colour = word(&COLOUR);
            let chunk = match n {
                0 => Chunk::text(colour),
                n if n < count => Chunk::text(format!(" {colour}")),
                n if n == count => Chunk::finish(FinishReason::Stop),
                _ => return Ok(None),
            };
            Ok(Some((chunk, n + 1)))
        }))
    }
}

impl Chameleon {
    async fn begin(&self, request: &ChatRequest) -> Result<()> {
        let asked = self.asked || request.last_user_text().contains("misbehave");
        misbehave(Place::Call, asked)?;
        misbehaviour::while_waiting(self.host, asked).await;
        Ok(())
    }
}

impl Drop for Chameleon {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = misbehave(Place::Drop, self.asked);
    }
}

patchbay_plugin_api::export! {
    Chameleon,
    name: "Chameleon",
    description: "Becomes what a test wants",
    features: ["chat_completion", "streaming"],
}

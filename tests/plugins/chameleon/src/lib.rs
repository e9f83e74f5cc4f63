//! A plugin that a test turns into many: its behaviour and its version are bytes in the built library, which the
//! test replaces by others of the same length. One build, any number of different libraries.

use std::time::Duration;

use patchbay_plugin_api::{
    Answer, Call, ChatRequest, Chunk, ChunkStream, FinishReason, Host, Provider, Result,
};

/// What to do. A test writes another word over `none` and the dots behind it.
#[used]
static BEHAVIOUR: [u8; 64] = *b"CHAMELEON-BEHAVIOUR=none........................................";

/// Which one this is: told in every chunk of every answer, so that a mixture would be seen.
#[used]
static COLOUR: [u8; 32] = *b"CHAMELEON-COLOUR=green..........";

struct Chameleon {
    host: Host,
}

/// The word behind `=`. Read at run time: what the compiler saw is not what counts.
fn word(place: &'static [u8]) -> String {
    // SAFETY: reads a static byte by byte.
    let bytes = place.iter().map(|byte| unsafe { std::ptr::from_ref(byte).read_volatile() });
    let word = bytes.skip_while(|byte| *byte != b'=').skip(1).take_while(|byte| *byte != b'.');
    String::from_utf8_lossy(&word.collect::<Vec<_>>()).into_owned()
}

impl Provider for Chameleon {
    type Config = serde_json::Value;

    fn create(_config: Self::Config, host: Host) -> Result<Self> {
        let _ = word(&BEHAVIOUR);
        Ok(Self { host })
    }

    async fn complete(&self, _request: ChatRequest, _call: Call) -> Result<Answer> {
        let colour = word(&COLOUR);
        Ok(Answer::text([colour.as_str(); 5].join(" ")))
    }

    /// `pause=3` in a request waits so many milliseconds before each chunk, 0 only for its turn; `chunks=9` makes
    /// them so many instead of five, and one for the end.
    async fn stream(&self, request: ChatRequest, _call: Call) -> Result<ChunkStream> {
        let colour = word(&COLOUR);
        let asked = request.last_user_text();
        let number = |name: &str| {
            let value = asked.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            value.and_then(|value| value.parse::<u64>().ok())
        };
        let (pause, count) = (number("pause"), number("chunks").unwrap_or(5));
        let chunks = (0..count)
            .map(move |n| Chunk::text(if n == 0 { colour.clone() } else { format!(" {colour}") }))
            .chain([Chunk::finish(FinishReason::Stop)]);
        let host = self.host;
        Ok(ChunkStream::unfold(chunks, async move |mut left| {
            let Some(chunk) = left.next() else { return Ok(None) };
            if let Some(pause) = pause {
                host.sleep(Duration::from_millis(pause)).await;
            }
            Ok(Some((chunk, left)))
        }))
    }
}

patchbay_plugin_api::export! {
    Chameleon,
    name: "Chameleon",
    description: "Becomes what a test wants",
    features: ["chat_completion", "streaming"],
}

//! The scripted HTTP service that a plugin meets in the probe: it answers everything at once, in OpenAI's words.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use patchbay_plugin_api::Result;

use crate::plugins::fetch::{Fetch, Incoming, Outgoing};

const ANSWER: &str = r#"{"id":"probe","object":"chat.completion","created":1,"model":"probe","choices":[{"index":0,"message":{"role":"assistant","content":"pong"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

const EVENTS: [&str; 3] = [
    "data: {\"id\":\"probe\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"probe\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"po\"}}]}\n\n",
    "data: {\"id\":\"probe\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"probe\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ng\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: [DONE]\n\n",
];

/// See the module.
pub(super) struct Script;

impl Fetch for Script {
    fn fetch(&self, request: Outgoing) -> BoxFuture<'static, Result<Incoming>> {
        let streams = request.body.windows(13).any(|window| window == b"\"stream\":true");
        let (content_type, pieces) =
            if streams { ("text/event-stream", EVENTS.to_vec()) } else { ("application/json", vec![ANSWER]) };
        let pieces = pieces.into_iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes())));
        let incoming = Incoming {
            status: 200,
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: stream::iter(pieces.collect::<Vec<_>>()).boxed(),
        };
        async move { Ok(incoming) }.boxed()
    }
}

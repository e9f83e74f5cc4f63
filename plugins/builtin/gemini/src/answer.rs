//! What Gemini answered, whole or in the events of a stream: both hold the same object.

use patchbay_plugin_api::dialect::prelude::*;

/// Google counts thoughts apart from the answer, and OpenAI within.
const COUNTS: Counts = Counts {
    prompt: &["/promptTokenCount", "/toolUsePromptTokenCount"],
    completion: &["/candidatesTokenCount", "/thoughtsTokenCount"],
    total: "/totalTokenCount",
    cached: "/cachedContentTokenCount",
    reasoning: "/thoughtsTokenCount",
    ..Counts::NONE
};

/// Why answers end.
const ENDS: Ends = Ends {
    stop: &["STOP"],
    length: &["MAX_TOKENS"],
    // SAFETY, RECITATION, PROHIBITED_CONTENT and what may be added to them: an answer that is not whole, for a reason
    // of Google's.
    content_filter: &["*"],
    failed: &[(
        // The model wrote what even Google could not read. Another try may do better, which an answer that looks like
        // a good one would prevent.
        &["*MALFORMED", "*TOOL_CALL", "*MISSING"],
        ErrorKind::Provider,
        "the provider's model ended with an answer that cannot be used",
    )],
    ..Ends::UNKNOWN
};

/// Counts come with every event, and the last ones hold.
#[derive(Default)]
pub(crate) struct Reader(Ending);

impl AnswerReader for Reader {
    /// Streams have no word for their end: the event that says why the answer ended is the last, and a stream without
    /// one was cut.
    fn event(&mut self, said: Json<'_>, out: &mut Chunks) -> Result<()> {
        let [candidates, counts] = said.members(["candidates", "usageMetadata"]);
        // More than one is never asked for. What else a part may be (an image, code that ran) has no place in a chat
        // answer, and comes only if asked for.
        let first = candidates.at("/0");
        self.0.keep(counts, first.at("/finishReason"));
        for part in first.items("/content/parts") {
            if !part.at("/functionCall").is_null() {
                out.tool_call(call(part, &said.text("/responseId"), out));
            } else if part.is_true("/thought") {
                out.reasoning(part.text("/text"));
            } else {
                out.text(part.text("/text"));
            }
        }
        // The question itself may have been withheld from the model.
        let blocked = first.is_null() && !said.at("/promptFeedback/blockReason").is_null();
        let reason = first.text("/finishReason");
        if blocked || !matches!(&*reason, "" | "FINISH_REASON_UNSPECIFIED") {
            out.name(said.string("/responseId"), said.string("/modelVersion"));
            let why = first.text("/finishMessage");
            self.0.end(&ENDS, &COUNTS, out).map_err(|error| error.with_code(&reason).with_detail(why))?;
        }
        Ok(())
    }
}

/// Older models give their calls no id, by which a result could refer to them.
///
/// The signature of a call must come back with its result, so it goes along as `extra_content`, where Google's own
/// endpoint for OpenAI's clients has it. That of a text may come back, and no client would bring it.
fn call(part: Json<'_>, answer: &str, out: &Chunks) -> ToolCall {
    let id = out.call_id(part.string("/functionCall/id"), answer);
    let [name, arguments] = part.at("/functionCall").members(["name", "args"]);
    let mut call = ToolCall::function(id, name.text(""), arguments.as_str());
    let signature = part.string("/thoughtSignature");
    let google = signature.map(|signature| json!({"google": {"thought_signature": signature}}));
    call.extra.extend(google.map(|google| ("extra_content".to_owned(), google)));
    call
}

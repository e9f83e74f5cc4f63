//! A request in Gemini's terms: first how to answer, then the conversation.

use patchbay_plugin_api::dialect::prelude::*;

/// Google's own way to say that a call has no signature because no model of its own made it, or because a client
/// has not kept it. Without one or the other Gemini 3 refuses the first call of every step.
const UNSIGNED: &str = "skip_thought_signature_validator";

pub(crate) fn body(request: &ChatRequest, model: &str) -> Result<Value> {
    // A model that is no Gemini is of none of its generations.
    let new = model.starts_with("gemini-") && version(model) >= (3, 0);
    let mut turns = turns(request, new)?;
    let mut system = request.system_text().and_then(filled);
    if turns.is_empty() {
        // Gemini answers somebody. Where there are only instructions, they are the question.
        turns.extend(system.take().map(|text| json!({"role": "user", "parts": [{"text": text}]})));
    }
    // Unlike `parameters`, this is JSON Schema as it is, and nothing has to be cut from it.
    let declared = |it: &ToolFunction| it.declared("parametersJsonSchema", it.parameters.clone());
    let functions = filled(request.functions()?.into_iter().map(declared).collect::<Vec<_>>());
    let choice = request.choice().map(|choice| allowed(&choice)).transpose()?;
    // As Google's own endpoint for OpenAI's clients takes them.
    let google = request.member("extra_body").map_or(&Value::Null, |body| &body["google"]);
    Ok(object([
        ("systemInstruction", system.map(|text| json!({"parts": [{"text": text}]})).into()),
        ("contents", turns.into()),
        ("tools", functions.map(|functions| json!([{"functionDeclarations": functions}])).into()),
        ("toolConfig", choice.map(|choice| json!({"functionCallingConfig": choice})).into()),
        ("generationConfig", unless_empty(config(request, &google["thinking_config"], model, new)?).into()),
        ("cachedContent", google["cached_content"].clone()),
        ("safetySettings", google["safety_settings"].clone()),
    ]))
}

/// Which functions may or must be called. That no two be called at one time cannot be said.
fn allowed(choice: &ToolChoice<'_>) -> Result<Value> {
    let mode = match choice {
        // `AUTO` takes no names; this is the mode in which the model may call one of them or none.
        ToolChoice::Allowed { required: false, .. } => "VALIDATED",
        other => other.word(["AUTO", "NONE", "ANY"])?,
    };
    Ok(object([("mode", mode.into()), ("allowedFunctionNames", choice.names().into())]))
}

fn config(request: &ChatRequest, own_thinking: &Value, model: &str, new: bool) -> Result<Value> {
    let form = request.form()?;
    let own_thinking = Some(own_thinking).filter(|own| !own.is_null()).cloned();
    // Clients send zeros unasked, and many models refuse even those.
    let penalty = |name| request.member(name).filter(|penalty| penalty.as_f64() != Some(0.0));
    Ok(object([
        ("temperature", request.temperature.into()),
        ("topP", request.top_p.into()),
        ("topK", request.member("top_k").cloned().into()),
        ("maxOutputTokens", request.token_limit().into()),
        ("stopSequences", filled(request.stops().to_vec()).into()),
        // Google's are shorter; a part of a seed is as good as all of it, so long as it is always the same.
        ("seed", request.member("seed").and_then(Value::as_i64).map(|seed| seed as i32).into()),
        ("presencePenalty", penalty("presence_penalty").cloned().into()),
        ("frequencyPenalty", penalty("frequency_penalty").cloned().into()),
        ("responseMimeType", (form != AnswerForm::Text).then_some("application/json").into()),
        // As it is: unlike `responseSchema`, this is JSON Schema.
        ("responseJsonSchema", form.schema().cloned().into()),
        ("thinkingConfig", own_thinking.or(thinking(request, model, new)?).into()),
    ]))
}

/// How much to think: in words since Gemini 3, in tokens before. Who says how much wants to see the thoughts, too.
/// The numbers are those of Google's endpoint for OpenAI's clients.
fn thinking(request: &ChatRequest, model: &str, new: bool) -> Result<Option<Value>> {
    // The larger new models cannot think less than a little, and no new one not at all.
    let least = if model.contains("-pro") { "low" } else { "minimal" };
    let levels = [(least, 0), (least, 1024), ("low", 1024), ("medium", 8192), ("high", 24_576)];
    let thinking = |(level, budget): (&str, u64)| {
        object([
            ("thinkingLevel", new.then_some(level).into()),
            ("thinkingBudget", (!new).then_some(budget).into()),
            ("includeThoughts", (request.effort() != Some("none")).then_some(true).into()),
        ])
    };
    Ok(request.effort_as(levels)?.map(thinking))
}

/// The conversation, each turn a list of parts. What follows in the same role belongs to the same turn, so that the results of calls made at one time
/// are in one, as Gemini wants them. `signs` says whether the model asks for signatures.
fn turns(request: &ChatRequest, signs: bool) -> Result<Vec<Value>> {
    // The model's thoughts are not told again: to it only their signatures mean something.
    let turns = Turns {
        roles: ["user", "model"],
        said: "parts",
        piece: part,
        // Of calls made at one time, the first alone is signed.
        call: |place, made| call(made, (signs && place == 0).then_some(UNSIGNED)),
        result: |index, said| result(request, index, said),
    };
    turns.of(request)
}

fn part(piece: Piece<'_>) -> Result<Value> {
    if let Said::Text(text) = piece.said {
        return Ok(json!({"text": text}));
    }
    Ok(match piece.media()? {
        Media::Inline { media_type, data } => json!({"inlineData": {"mimeType": media_type, "data": data}}),
        // Google looks at the file where nothing is said.
        Media::At(url) => {
            json!({"fileData": object([("fileUri", url.into()), ("mimeType", image_type(url).into())])})
        }
    })
}

fn call(call: &ToolCall, unsigned: Option<&str>) -> Result<Value> {
    let (id, arguments) = (filled(&*call.id), call.function.only_object()?);
    let name = call.function.name.as_str();
    let called = object([("id", id.into()), ("name", name.into()), ("args", arguments.into())]);
    let extra = call.extra.get("extra_content");
    let signature = extra.and_then(|extra| extra["google"]["thought_signature"].as_str()).or(unsigned);
    Ok(object([("functionCall", called), ("thoughtSignature", signature.into())]))
}

/// The result of a call. OpenAI names the call, and Gemini the function, too: it stands in what came before.
fn result(request: &ChatRequest, index: usize, mut said: Vec<Value>) -> Result<Vec<Value>> {
    let message = &request.messages[index];
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let unknown = || format!("no tool call before its result has the id `{id}`");
    let name = request.called(index).ok_or_else(|| ProviderError::invalid_input(unknown()))?;
    // Gemini takes an object, and tools that return one mean that.
    let text = message.text();
    let response = match serde_json::from_str(&text) {
        Ok(object @ Value::Object(_)) => object,
        _ => json!({"result": text}),
    };
    let result = object([("id", filled(id).into()), ("name", name.into()), ("response", response)]);
    // Images of a result go beside it, where every model takes them.
    said.retain(|part| part.get("text").is_none());
    said.insert(0, object([("functionResponse", result)]));
    Ok(said)
}

//! A request in Gemini's terms: first how to answer, then the conversation.

use patchbay_plugin_api::dialect::prelude::*;

use crate::Gemini;

/// Google's own way to say that a call has no signature because no model of its own made it, or because a client
/// has not kept it. Without one or the other Gemini 3 refuses the first call of every step.
const UNSIGNED: &str = "skip_thought_signature_validator";

impl RequestWriter for Gemini {
    fn request(_: &Upstream, request: &ChatRequest, model: &str) -> Result<Value> {
        // A model that is no Gemini is of none of its generations.
        let new = model.starts_with("gemini-") && version(model) >= (3, 0);
        let (system, turns) = turns(request, new)?;
        // Unlike `parameters`, this is JSON Schema as it is, and nothing has to be cut from it.
        let declared = |it: &ToolFunction| it.declared("parametersJsonSchema", it.parameters.clone());
        let (choice, form) = (request.choice(), request.form()?);
        let names = choice.as_ref().and_then(ToolChoice::names);
        let mode = match &choice {
            // `AUTO` takes no names; this is the mode in which the model may call one of them or none.
            Some(ToolChoice::Allowed { required: false, .. }) => Some("VALIDATED"),
            choice => choice.as_ref().map(|choice| choice.word(["AUTO", "NONE", "ANY"])).transpose()?,
        };
        // As Google's own endpoint for OpenAI's clients takes them.
        let google = request.member("extra_body").map_or(&Value::Null, |body| &body["google"]);
        let own_thinking = google.get("thinking_config").filter(|own| !own.is_null()).cloned();
        Ok(object!({
            "systemInstruction": {"parts": list(system)},
            "contents": turns,
            "tools": [{"functionDeclarations": list(request.functions()?.into_iter().map(declared))}],
            // That no two be called at one time cannot be said.
            "toolConfig": {"functionCallingConfig": {"mode": mode, "allowedFunctionNames": names}},
            "generationConfig": {
                "temperature": request.temperature,
                "topP": request.top_p,
                "topK": request.member("top_k").cloned(),
                "maxOutputTokens": request.token_limit(),
                "stopSequences": filled(request.stops().to_vec()),
                // Google's are shorter; a part of a seed is as good as all of it, so long as it is always the same.
                "seed": request.member("seed").and_then(Value::as_i64).map(|seed| seed as i32),
                "presencePenalty": request.penalty("presence_penalty"),
                "frequencyPenalty": request.penalty("frequency_penalty"),
                "responseMimeType": (form != AnswerForm::Text).then_some("application/json"),
                // As it is: unlike `responseSchema`, this is JSON Schema.
                "responseJsonSchema": form.schema().cloned(),
                "thinkingConfig": own_thinking.unwrap_or(thinking(request, model, new)?),
            },
            "cachedContent": google["cached_content"].clone(),
            "safetySettings": google["safety_settings"].clone(),
        }))
    }

    /// Google asks for the model of each text again.
    fn embed_request(_: &Upstream, request: &EmbedRequest, model: &str) -> Result<Value> {
        let asked = |text: &str| {
            object!({
                "model": format!("models/{model}"),
                "content": {"parts": [{"text": text}]},
                "outputDimensionality": request.dimensions,
            })
        };
        Ok(json!({"requests": request.texts()?.into_iter().map(asked).collect::<Vec<_>>()}))
    }
}

/// How much to think: in words since Gemini 3, in tokens before. Who says how much wants to see the thoughts, too.
/// The numbers are those of Google's endpoint for OpenAI's clients.
fn thinking(request: &ChatRequest, model: &str, new: bool) -> Result<Value> {
    // The larger new models cannot think less than a little, and no new one not at all.
    let least = if model.contains("-pro") { "low" } else { "minimal" };
    let level = request.effort_as([least, least, "low", "medium", "high"])?;
    let budget = request.effort_as([0, 1024, 1024, 8192, 24_576])?;
    Ok(object!({
        "thinkingLevel": level.filter(|_| new),
        "thinkingBudget": budget.filter(|_| !new),
        "includeThoughts": level.filter(|_| request.effort() != Some("none")).map(|_| true),
    }))
}

/// The system's parts and the turns. `signs` says whether the model asks for signatures.
fn turns(request: &ChatRequest, signs: bool) -> Result<(Vec<Value>, Vec<Value>)> {
    let system = request.system_text().and_then(filled).map(|text| json!({"text": text}));
    // The model's thoughts are not told again: to it only their signatures mean something.
    let turns = Turns {
        roles: ["user", "model"],
        said: "parts",
        piece: part,
        call: |place, call| {
            let (id, arguments) = (filled(&*call.id), call.function.only_object()?);
            let google = call.extra.get("extra_content").map(|extra| &extra["google"]);
            let signature = google.and_then(|google| google["thought_signature"].as_str());
            // Of calls made at one time, the first alone is signed.
            let signature = signature.or((signs && place == 0).then_some(UNSIGNED));
            let call = object!({"id": id, "name": &*call.function.name, "args": arguments});
            Ok(object!({"functionCall": call, "thoughtSignature": signature}))
        },
        result: |index, said| result(request, index, said),
    };
    turns.after(Vec::from_iter(system), request)
}

fn part(piece: Piece<'_>) -> Result<Value> {
    if let Said::Text(text) = piece.said {
        return Ok(json!({"text": text}));
    }
    Ok(match piece.media()? {
        Media::Inline { media_type, data } => json!({"inlineData": {"mimeType": media_type, "data": data}}),
        // Google looks at the file where nothing is said.
        Media::At(url) => object!({"fileData": {"fileUri": url, "mimeType": image_type(url)}}),
    })
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
    // Images of a result go beside it, where every model takes them.
    said.retain(|part| part.get("text").is_none());
    said.insert(0, object!({"functionResponse": {"id": filled(id), "name": name, "response": response}}));
    Ok(said)
}

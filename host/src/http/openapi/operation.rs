//! One route as it is documented: what is said of it, and what follows from what it is.

#![expect(clippy::needless_pass_by_value, reason = "`json!` makes values, and takes references to them")]

use std::collections::BTreeMap;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::headers;
use super::refusals::Refusals;
use crate::http::error::Code;
use crate::http::routes::Route;

const EVENTS: &str = "text/event-stream";

/// What has to be said of a route, besides what follows from it.
pub(in crate::http) type Describe = fn(Operation<'_>) -> Operation<'_>;

/// Where schemas are kept that several routes name.
#[derive(Debug)]
pub(super) struct Book {
    answers: SchemaGenerator,
    /// Each where it is used: of what is asked for, nothing is used twice.
    questions: SchemaGenerator,
}

impl Book {
    pub(super) fn new() -> Self {
        let place = |settings: &mut SchemaSettings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        };
        let answers = SchemaSettings::draft2020_12().for_serialize().with(place);
        let questions = SchemaSettings::draft2020_12().for_deserialize().with(place);
        let questions = questions.with(|settings| settings.inline_subschemas = true);
        Self { answers: answers.into_generator(), questions: questions.into_generator() }
    }

    /// Where the schema of this answer is.
    pub(super) fn answer<T: JsonSchema>(&mut self) -> Value {
        self.answers.subschema_for::<T>().to_value()
    }

    fn question<T: JsonSchema>(&mut self) -> Schema {
        self.questions.subschema_for::<T>()
    }

    pub(super) fn into_schemas(mut self) -> Map<String, Value> {
        self.answers.take_definitions(true)
    }
}

/// See the module.
#[derive(Debug)]
pub(in crate::http) struct Operation<'b> {
    pub(super) route: &'b Route,
    book: &'b mut Book,
    members: Map<String, Value>,
    pub(super) parameters: Vec<Value>,
    pub(super) answers: BTreeMap<u16, Value>,
    pub(super) refusals: Refusals,
}

impl<'b> Operation<'b> {
    pub(super) fn new(route: &'b Route, book: &'b mut Book) -> Self {
        let refusals = Refusals::of(route);
        let parameters = super::paths::parameters(route.path);
        Self { route, book, members: Map::new(), parameters, answers: BTreeMap::new(), refusals }
    }

    /// What it belongs to, what it is called by programs, and what it does in a few words.
    pub(in crate::http) fn named(
        mut self,
        tag: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        self.members.insert("tags".to_owned(), json!([tag]));
        self.members.insert("operationId".to_owned(), id.into());
        self.members.insert("summary".to_owned(), summary.into());
        self
    }

    /// What else there is to know.
    pub(in crate::http) fn about(mut self, text: &'static str) -> Self {
        self.members.insert("description".to_owned(), text.into());
        self
    }

    /// Its query, of which anything else is refused.
    pub(in crate::http) fn query<T: JsonSchema>(mut self) -> Self {
        let mut schema = self.book.question::<T>().to_value();
        let required: Vec<Value> = schema["required"].as_array().cloned().unwrap_or_default();
        if let Some(Value::Object(properties)) = schema.get_mut("properties").map(Value::take) {
            for (name, mut schema) in properties {
                without_null(&mut schema);
                let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
                let is_required = required.contains(&Value::from(name.as_str()));
                self.parameters.push(json!({
                    "name": name, "in": "query", "required": is_required, "schema": schema,
                    "description": description.unwrap_or_default(),
                }));
            }
        }
        self.refuses(400, &[Code::InvalidQuery])
    }

    /// A header that it heeds.
    pub(in crate::http) fn header(mut self, name: &str, about: &str, schema: Value) -> Self {
        self.parameters.push(
            json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema }),
        );
        self
    }

    /// Its body, read into this type.
    pub(in crate::http) fn takes<T: JsonSchema>(self, example: &'static str) -> Self {
        let schema = self.book.question::<T>().to_value();
        self.takes_this(schema, true, &[("example", example)])
    }

    /// A body that may be left out.
    pub(in crate::http) fn may_take<T: JsonSchema>(self, example: &'static str) -> Self {
        let schema = self.book.question::<T>().to_value();
        self.takes_this(schema, false, &[("example", example)])
    }

    /// A body that is read by other means than a type.
    pub(in crate::http) fn takes_this(
        mut self,
        schema: Value,
        required: bool,
        examples: &[(&'static str, &'static str)],
    ) -> Self {
        let examples: Map<String, Value> = examples
            .iter()
            .map(|(name, text)| ((*name).to_owned(), json!({ "value": parsed(text) })))
            .collect();
        let content = json!({ "application/json": { "schema": schema, "examples": examples } });
        self.members.insert("requestBody".to_owned(), json!({ "required": required, "content": content }));
        self.refuses(400, &[Code::IncompleteBody])
            .refuses(408, &[Code::RequestTimeout])
            .refuses(413, &[Code::BodyTooLarge])
    }

    /// An answer in JSON, of this type.
    pub(in crate::http) fn answers<T: JsonSchema>(
        self,
        status: u16,
        about: &str,
        example: &'static str,
    ) -> Self {
        let schema = self.book.answer::<T>();
        self.answers_this(status, about, "application/json", schema, parsed(example))
    }

    /// An answer that upstream makes.
    pub(in crate::http) fn answers_this(
        mut self,
        status: u16,
        about: &str,
        content_type: &str,
        schema: Value,
        example: Value,
    ) -> Self {
        let headers = headers::of_answers(self.route);
        let answer = self
            .answers
            .entry(status)
            .or_insert_with(|| json!({ "description": about, "headers": headers, "content": {} }));
        answer["content"][content_type] = json!({ "schema": schema, "example": example });
        self
    }

    /// An answer in plain words, or in events.
    pub(in crate::http) fn answers_text(
        self,
        status: u16,
        about: &str,
        content_type: &str,
        example: &'static str,
    ) -> Self {
        self.answers_this(status, about, content_type, json!({ "type": "string" }), example.into())
    }

    /// An answer without a body.
    pub(in crate::http) fn answers_nothing(mut self, status: u16, about: &str) -> Self {
        self.answers
            .insert(status, json!({ "description": about, "headers": headers::of_answers(self.route) }));
        self
    }

    /// Headers that this answer comes with, besides those that all such answers have.
    pub(in crate::http) fn carries(mut self, status: u16, names: &[&'static str]) -> Self {
        if let Some(answer) = self.answers.get_mut(&status) {
            headers::add(&mut answer["headers"], names);
        }
        self
    }

    /// An answer in events; each of them is one of those that are said next.
    pub(in crate::http) fn streams(self, status: u16, about: &str, example: &'static str) -> Self {
        self.answers_this(status, about, EVENTS, json!({ "anyOf": [] }), example.into())
    }

    /// Events with these names, and what is in their data.
    pub(in crate::http) fn event<T: JsonSchema>(self, names: &[&str]) -> Self {
        let schema = self.book.answer::<T>();
        let data = json!({
            "type": "string", "description": "What it tells, in JSON.",
            "contentMediaType": "application/json", "contentSchema": schema,
        });
        self.event_of(names, data)
    }

    /// Events whose data are a text.
    pub(in crate::http) fn event_of(mut self, names: &[&str], data: Value) -> Self {
        let event = json!({
            "type": "object", "required": ["data"],
            "properties": {
                "id": { "type": "string", "description": "What `last-event-id` may be." },
                "event": { "enum": names, "description": "The kind of event." },
                "data": data,
            },
        });
        let mut answers = self.answers.values_mut();
        let kinds =
            answers.find_map(|answer| answer["content"].get_mut(EVENTS)?["schema"]["anyOf"].as_array_mut());
        if let Some(kinds) = kinds {
            kinds.push(event);
        }
        self
    }

    /// What it may be refused with, besides what every route like it may be.
    pub(in crate::http) fn refuses(mut self, status: u16, codes: &[Code]) -> Self {
        self.refusals.add(status, codes);
        self
    }

    /// Its vendor may be asked meanwhile, and fail.
    pub(in crate::http) fn asks_upstream(mut self) -> Self {
        self.refusals.add_failures();
        self
    }

    pub(super) fn into_members(self) -> Map<String, Value> {
        self.members
    }
}

/// An example as it stands in the sources. One that is no JSON fails a test.
fn parsed(text: &'static str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// What is left out of a query is not written as null.
fn without_null(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(Value::Array(kinds)) = schema.get_mut("type") {
        kinds.retain(|kind| kind != "null");
        if let [kind] = kinds.as_slice() {
            let kind = kind.clone();
            schema.insert("type".to_owned(), kind);
        }
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

pub(super) fn reference(kind: &str, name: &str) -> Value {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

//! What browsers show.

use serde_json::json;

use super::PEOPLE;
use crate::http::error::Code;
use crate::http::openapi::Operation;

const HTML: &str = "text/html; charset=utf-8";

pub(in crate::http) fn dashboard(it: Operation<'_>) -> Operation<'_> {
    let it = it.named(PEOPLE, "getDashboard", "The dashboard");
    kept(it.answers_text(200, "The page.", HTML, "<!doctype html>..."))
}

pub(in crate::http) fn docs(it: Operation<'_>) -> Operation<'_> {
    let it = it.named(PEOPLE, "getDocs", "This document, to be read");
    kept(it.answers_text(200, "The page.", HTML, "<!doctype html>..."))
}

pub(in crate::http) fn document(it: Operation<'_>) -> Operation<'_> {
    let it = it.named(PEOPLE, "getOpenApi", "This document, for programs");
    let schema = json!({ "type": "object", "required": ["openapi", "info", "paths", "components"] });
    let example = json!({ "openapi": "3.1.0", "info": {}, "paths": {}, "components": {} });
    kept(it.answers_this(200, "The document.", "application/json", schema, example))
}

pub(in crate::http) fn asset(it: Operation<'_>) -> Operation<'_> {
    let it = it.named(PEOPLE, "getAsset", "A file that the pages are made of");
    let it = it
        .answers_text(200, "The file.", "text/javascript; charset=utf-8", "export {};")
        .answers_text(200, "The file.", "text/css; charset=utf-8", ":root {}")
        .answers_text(200, "The file.", HTML, "<!doctype html>...")
        .answers_text(200, "The file.", "image/svg+xml", "<svg/>");
    kept(it).refuses(404, &[Code::NotFound])
}

/// What browsers keep, and ask about.
fn kept(it: Operation<'_>) -> Operation<'_> {
    it.header("if-none-match", "The `etag` of what is known already.", json!({ "type": "string" }))
        .answers_nothing(304, "It is as it was.")
        .carries(200, &["etag"])
        .carries(304, &["etag"])
}

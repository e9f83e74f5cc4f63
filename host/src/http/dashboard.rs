//! The page at `/`, for people. Its files tell nothing of the host: what they ask for is asked with a token, if need be.

use axum::response::{IntoResponse as _, Response};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, VARY,
};
use http::{HeaderMap, HeaderName, StatusCode};

use super::error::{ApiError, not_found};
use super::named::Named;
use crate::dashboard::{self, Asset};

/// Of this host alone, nothing inline, and no text ever becomes markup or code.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// The page.
pub(super) async fn page(headers: HeaderMap) -> Result<Response, ApiError> {
    answer(dashboard::asset("index.html"), &headers).await
}

/// The one that shows what may be asked.
pub(super) async fn docs(headers: HeaderMap) -> Result<Response, ApiError> {
    answer(dashboard::asset("docs.html"), &headers).await
}

/// A file that it is made of.
pub(super) async fn asset(Named(name): Named, headers: HeaderMap) -> Result<Response, ApiError> {
    answer(dashboard::asset(&name), &headers).await
}

async fn answer(asset: Option<&'static Asset>, headers: &HeaderMap) -> Result<Response, ApiError> {
    let Some(asset) = asset else { return Err(not_found().await) };
    Ok(([(CONTENT_SECURITY_POLICY, POLICY)], kept(asset, headers)).into_response())
}

/// What is kept, and asked about each time: another version of the host brings other files under the same names. Packed
/// for whoever takes it like that, with a tag that is weak, for the bytes are others.
pub(super) fn kept(asset: &'static Asset, headers: &HeaderMap) -> Response {
    let is_packed = takes_gzip(headers);
    let etag = if is_packed { format!("W/{}", asset.etag) } else { asset.etag.clone() };
    let common = [
        (ETAG, etag.as_str()),
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_TYPE, asset.content_type),
        (VARY, ACCEPT_ENCODING.as_str()),
    ];
    if is_known(headers, &asset.etag) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    if is_packed {
        return (common, [(CONTENT_ENCODING, "gzip")], asset.packed()).into_response();
    }
    (common, asset.bytes).into_response()
}

/// Whether the browser has it. Which of its tags it shows, or what a proxy that packs has made of it, is all one.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    parts(headers, IF_NONE_MATCH).any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}

/// Whether it is among the encodings that are taken. What is said of all others is of no account: whoever can unpack
/// says so.
fn takes_gzip(headers: &HeaderMap) -> bool {
    parts(headers, ACCEPT_ENCODING).any(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.trim().parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case("gzip") && weight.is_some_and(|weight| weight > 0.0)
    })
}

/// The parts of a list, over all lines that it stands in.
fn parts(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use http::HeaderValue;

    use super::*;

    async fn ask(name: HeaderName, value: &'static str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let (parts, body) = kept(dashboard::asset("main.js").unwrap(), &headers).into_parts();
        (parts.status, parts.headers, axum::body::to_bytes(body, 1_000_000).await.unwrap().to_vec())
    }

    #[tokio::test]
    async fn who_takes_gzip_gets_it_and_nobody_else_does() {
        let asset = dashboard::asset("main.js").unwrap();
        for (taken, is_packed) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("deflate,gzip ; q=1.0", true),
            ("gzip;q=0", false),
            ("gzip;q=high", false),
            ("br, *;q=0.1", false),
            ("identity", false),
        ] {
            let (status, headers, body) = ask(ACCEPT_ENCODING, taken).await;
            assert!(status == StatusCode::OK && headers[VARY] == "accept-encoding", "{taken}: {headers:?}");
            assert_eq!(headers.get(CONTENT_ENCODING).is_some_and(|it| it == "gzip"), is_packed, "{taken}");
            let tag = headers.get(ETAG).unwrap().to_str().unwrap();
            assert_eq!((tag.starts_with("W/"), tag.ends_with(&asset.etag)), (is_packed, true), "{taken}");
            let mut text = Vec::new();
            match is_packed {
                true => _ = GzDecoder::new(&*body).read_to_end(&mut text).unwrap(),
                false => text = body.clone(),
            }
            assert_eq!(text, asset.bytes, "{taken}");
            assert_eq!(body.len() < text.len() / 2, is_packed, "{taken}: {}", body.len());
            // Whichever it was, it is known from then on.
            let (status, headers, body) = ask(IF_NONE_MATCH, tag.to_owned().leak()).await;
            assert_eq!((status, body.len()), (StatusCode::NOT_MODIFIED, 0), "{taken}");
            assert!(headers.contains_key(VARY) && !headers.contains_key(CONTENT_ENCODING), "{taken}");
        }
    }
}

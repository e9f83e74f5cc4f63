//! A request's body: read whole, within its size and its time.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;

use super::error::{ApiError, Code};
use super::state::AppState;
use crate::objects;

/// Who sends slower than this holds a place that others could use.
const READ_WITHIN: Duration = Duration::from_secs(60);

/// The bytes of a body.
#[derive(Debug)]
pub(super) struct WholeBody(pub(super) Bytes);

impl FromRequest<AppState> for WholeBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        read_within(READ_WITHIN, request, state.max_body_bytes).await.map(Self)
    }
}

/// Reads a body that has to be an object.
pub(super) fn object<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = objects::object(&mut reader)?;
    reader.end()?;
    Ok(read)
}

async fn read_within(time: Duration, request: Request, limit: usize) -> Result<Bytes, ApiError> {
    tokio::time::timeout(time, read(request, limit)).await.unwrap_or_else(|_| {
        let details = format!("The body did not arrive within {}", humantime::format_duration(time));
        Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, Code::RequestTimeout, details))
    })
}

async fn read(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = request.into_body();
    let hint = body.size_hint();
    // What says that it is too large is not read at all.
    if hint.lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if hint.exact() == Some(first.len() as u64) {
        return Ok(first);
    }
    // Grows with what comes, not to what was announced: announcing costs a client nothing.
    let mut whole = BytesMut::with_capacity(first.len() * 2);
    let mut piece = first;
    loop {
        if whole.len() + piece.len() > limit {
            return Err(too_large(limit));
        }
        whole.extend_from_slice(&piece);
        piece = match next(&mut body).await? {
            Some(piece) => piece,
            None => return Ok(whole.freeze()),
        };
    }
}

async fn next(body: &mut axum::body::Body) -> Result<Option<Bytes>, ApiError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            ApiError::new(StatusCode::BAD_REQUEST, Code::IncompleteBody, "The body broke off")
        })?;
        // Trailers say nothing that is wanted here.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

fn too_large(limit: usize) -> ApiError {
    let details = format!("The body is larger than {limit} bytes (server.max_body_bytes)");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, Code::BodyTooLarge, details)
}

#[cfg(test)]
mod tests {
    use std::io;

    use axum::body::Body;
    use futures_util::stream;

    use super::*;

    #[test]
    fn a_list_is_no_object() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Named {
            name: String,
        }
        let named = Named { name: "a".to_owned() };
        assert_eq!(object::<Named>(b" {\"name\": \"a\"}").unwrap(), named);
        for body in ["[\"a\"]", "\n[\"a\"]", "\"a\"", "", "{\"name\": \"a\"} x"] {
            assert!(object::<Named>(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_to_its_end_is_not_waited_for() {
        let silent = Body::from_stream(stream::pending::<io::Result<Bytes>>());
        // Always a byte more: there is never a pause that would be too long.
        let slow = Body::from_stream(stream::unfold((), async |()| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Some((Ok::<_, io::Error>(Bytes::from_static(b" ")), ()))
        }));
        for body in [silent, slow] {
            let read = read_within(Duration::from_millis(50), Request::new(body), 1 << 20).await;
            let said = String::from_utf8(read.unwrap_err().json("id").to_vec()).unwrap();
            assert!(said.contains("request_timeout") && said.contains("within 50ms"), "{said}");
        }
    }
}

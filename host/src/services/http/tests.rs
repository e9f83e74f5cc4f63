use patchbay_plugin_api::ErrorKind;
use secrecy::SecretString;

use super::*;
use crate::testing::Upstream;

/// Sends this with these headers and this key.
async fn send(url: &str, headers: &[(&str, &str)], key: Option<&str>) -> Result<Response, ProviderError> {
    let headers: Vec<(String, String)> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let request = Request {
        method: Method::POST,
        url,
        headers: &headers,
        key: key.map(SecretString::from).as_ref(),
        connect_timeout: Duration::from_secs(2),
        allow_http: false,
    }
    .prepare()?;
    assert!(!format!("{request:?}").contains("s3cret"));
    HttpClient::default().send(&request, [], Bytes::from_static(b"{}")).await
}

const KEY: Option<&str> = Some("s3cret+key");
const BEARER: (&str, &str) = ("authorization", "Bearer {{key}}");

#[tokio::test]
async fn the_key_goes_where_the_placeholder_is() {
    let upstream = Upstream::echo().await;
    let url = format!("{}/v1?api-key={{{{key}}}}", upstream.url);
    let answer = send(&url, &[BEARER], KEY).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    let seen = String::from_utf8(answer.body.collect(10_000).await.unwrap().to_vec()).unwrap();
    assert!(seen.contains("POST /v1?api-key=s3cret%2Bkey"), "{seen}");
    assert!(seen.contains("authorization: Bearer s3cret+key"), "{seen}");
}

#[tokio::test]
async fn without_a_key_the_header_is_left_out() {
    let upstream = Upstream::echo().await;
    let answer = send(&upstream.url, &[BEARER, ("x-title", "me")], None).await.unwrap();
    let seen = String::from_utf8(answer.body.collect(10_000).await.unwrap().to_vec()).unwrap();
    assert!(!seen.contains("authorization") && seen.contains("x-title: me"), "{seen}");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_without_showing_the_key() {
    let cases = [
        ("http://example.com/v1", "plain http to example.com"),
        ("ftp://example.com", "not an absolute"),
        ("nonsense", "not an absolute"),
        ("https://example.com/{{key}}", "nowhere else"),
        ("https://{{key}}.example.com/?a=1", "nowhere else"),
    ];
    for (url, words) in cases {
        let error = send(url, &[], KEY).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Provider, "{url}");
        assert!(error.message.contains(words), "{url}: {error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{url}");
    }
    let error = send("https://example.com", &[("x-key", "{{key}}\n")], KEY).await.unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret") && error.message.contains("x-key"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_a_connection_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/v1?key={{{{key}}}}");
    let error = send(&url, &[], KEY).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection);
    assert_eq!(error.message, format!("cannot connect to {address}"));
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let upstream = Upstream::answering(200, "application/json", "x".repeat(100_000)).await;
    let answer = send(&upstream.url, &[], KEY).await.unwrap();
    let error = answer.body.collect(50_000).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::UnreadableAnswer);
}

#[test]
fn clients_are_shared_and_their_number_is_bounded() {
    let pool = Pool::default();
    for seconds in 1..40 {
        pool.client(Duration::from_secs(seconds), true).unwrap();
    }
    assert!(format!("{pool:?}").matches("Kind").count() <= 16);
}

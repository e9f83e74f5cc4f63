use patchbay_plugin_api::ErrorKind;
use secrecy::SecretString;

use super::*;
use crate::testing::Upstream;

fn request(url: impl Into<String>) -> Request {
    Request {
        method: Method::POST,
        url: url.into(),
        headers: Vec::new(),
        body: Bytes::from_static(b"{}"),
        key: Some(SecretString::from("s3cret+key")),
        connect_timeout: Duration::from_secs(2),
        allow_http: false,
    }
}

#[tokio::test]
async fn the_key_goes_where_the_placeholder_is() {
    let upstream = Upstream::echo().await;
    let mut request = request(format!("{}/v1?api-key={{{{key}}}}", upstream.url));
    request.headers.push(("authorization".into(), "Bearer {{key}}".into()));
    let answer = HttpClient::default().send(request).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    let seen = String::from_utf8(answer.body.collect(10_000).await.unwrap().to_vec()).unwrap();
    assert!(seen.contains("POST /v1?api-key=s3cret%2Bkey"), "{seen}");
    assert!(seen.contains("authorization: Bearer s3cret+key"), "{seen}");
}

#[tokio::test]
async fn without_a_key_the_header_is_left_out() {
    let upstream = Upstream::echo().await;
    let mut request = request(&upstream.url);
    request.key = None;
    request.headers.push(("authorization".into(), "Bearer {{key}}".into()));
    request.headers.push(("x-title".into(), "me".into()));
    let answer = HttpClient::default().send(request).await.unwrap();
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
        let error = HttpClient::default().send(request(url)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{url}");
        assert!(error.message.contains(words), "{url}: {error}");
        assert!(!format!("{error:?}").contains("s3cret"), "{url}");
    }
    let mut bad = request("https://example.com");
    bad.headers.push(("x-key".into(), "{{key}}\n".into()));
    let error = HttpClient::default().send(bad).await.unwrap_err();
    assert!(!format!("{error:?}").contains("s3cret") && error.message.contains("x-key"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_a_connection_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/v1?key={{{{key}}}}");
    let error = HttpClient::default().send(request(url)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Connection);
    assert_eq!(error.message, format!("cannot connect to {address}"));
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_not_read() {
    let upstream = Upstream::answering(200, "application/json", "x".repeat(100_000)).await;
    let answer = HttpClient::default().send(request(&upstream.url)).await.unwrap();
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

//! While a host is upgraded nothing is changed: a command waits for that, and then tries again.

use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{RequestBuilder, StatusCode};

use super::{Refusal, Remote};
use crate::cli::{Failure, output};

/// So long a command waits for an upgrade of the host, in which nothing is changed.
const LONGEST_UPGRADE: Duration = Duration::from_secs(120);

/// Nor does it ask more often than that.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);

impl Remote {
    /// What is answered, once no upgrade is in the way any more.
    pub(super) async fn answer(&self, mut request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
        let began = Instant::now();
        let mut is_told = false;
        loop {
            let again = request.try_clone();
            let (status, headers, body) = self.answer_of_now(request).await?;
            let wait = expected(status, &headers, &body);
            let (Some(again), Some(wait)) = (again, wait) else { return Ok((status, body)) };
            if began.elapsed() + wait > LONGEST_UPGRADE {
                return Ok((status, body));
            }
            if !is_told && !self.is_quiet {
                let most = LONGEST_UPGRADE.as_secs();
                output::note(&format!("the host is being upgraded: waiting for that, for up to {most} s"));
            }
            (is_told, request) = (true, again);
            self.shown("waiting for the upgrade of the host", tokio::time::sleep(wait)).await;
        }
    }
}

/// How long an upgrade of the host will take, if that is what is in the way.
fn expected(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    let said: Refusal = serde_json::from_slice(body).ok()?;
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let wait = Duration::from_secs(seconds.unwrap_or(1)).max(SHORTEST_WAIT);
    (status == StatusCode::SERVICE_UNAVAILABLE && said.code == "upgrading").then_some(wait)
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;
    use crate::cli::testing::FakeHost;

    #[tokio::test]
    async fn an_upgrade_is_waited_for_and_nothing_else_is() {
        let answer = |status: &str, seconds: u64, body: &str| {
            let length = body.len();
            format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\nretry-after: {seconds}\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        };
        let upgrading =
            |seconds| answer("503 Service Unavailable", seconds, r#"{"code":"upgrading","details":"wait"}"#);
        let full = answer("503 Service Unavailable", 0, r#"{"code":"too_many_listeners","details":"full"}"#);
        for (answers, expected, asked) in [
            (vec![upgrading(0), upgrading(0), answer("200 OK", 0, "{}")], Ok(b"{}".to_vec()), 3),
            (vec![full], Err("the host answered 503 Service Unavailable: full"), 1),
            // Longer than anybody waits.
            (vec![upgrading(600)], Err("the host answered 503 Service Unavailable: wait"), 1),
        ] {
            let host = FakeHost::raw(answers).await;
            let body = serde_json::json!({ "name": "team" });
            let answered = host.remote().send_json(Method::POST, "/api/keys", &body, None).await;
            assert_eq!(answered, expected.map_err(Failure::failed));
            let requests = host.requests();
            assert_eq!(requests.len(), asked);
            assert!(requests.iter().all(|request| request.body == body), "{requests:?}");
        }
    }
}

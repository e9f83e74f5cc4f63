//! `patchbay models --sync`: has a running host ask the vendors.

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::AT_ONCE;
use crate::cli::Failure;
use crate::cli::output;
use crate::cli::progress::Progress;
use crate::cli::remote::Remote;
use crate::segment::segment;

/// What became of one provider's list.
#[derive(Debug, Serialize)]
pub(super) struct Synced {
    pub(super) provider: String,
    #[serde(flatten)]
    report: Report,
}

#[derive(Debug, Serialize, Deserialize)]
struct Report {
    status: String,
    reason: Option<String>,
    models_synced: usize,
}

impl Synced {
    pub(super) fn has_failed(&self) -> bool {
        self.report.status == "error"
    }

    fn line(&self) -> String {
        let Self { provider, report: Report { status, reason, models_synced } } = self;
        match (status.as_str(), reason) {
            ("success", _) => format!("{provider}: {models_synced} models"),
            (status, Some(reason)) => format!("{provider}: {status}: {reason}"),
            (status, None) => format!("{provider}: {status}"),
        }
    }
}

/// Syncs these providers, some at a time. One that fails does not keep the others from it.
pub(super) async fn sync(remote: &Remote, providers: Vec<String>) -> Vec<Synced> {
    let (remote, progress) = (remote.quiet(), Progress::of(providers.len(), "asking the vendors"));
    let asked = stream::iter(providers).map(async |provider| sync_one(&remote, provider).await);
    let mut answers = asked.buffer_unordered(AT_ONCE);
    let mut synced = Vec::new();
    while let Some(one) = answers.next().await {
        progress.step();
        // On a terminal the bar says how far it is; there, only what went wrong is worth a line.
        if one.has_failed() || !progress.is_shown() {
            progress.above(|| output::note(&one.line()));
        }
        synced.push(one);
    }
    synced.sort_unstable_by(|a, b| a.provider.cmp(&b.provider));
    synced
}

async fn sync_one(remote: &Remote, provider: String) -> Synced {
    let path = format!("/api/providers/{}/models/sync", segment(&provider));
    let report = async {
        let body = remote.send(Method::POST, &path).await?;
        remote.understand(&path, &body)
    };
    let failed = |failure: Failure| Report {
        status: "error".to_owned(),
        reason: Some(failure.into_message()),
        models_synced: 0,
    };
    Synced { provider, report: report.await.unwrap_or_else(failed) }
}

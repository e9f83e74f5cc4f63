//! A scrape as Prometheus' own client reads it.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;

use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use crate::clients::{python, script};
use crate::harness::Host;

/// What is told now, as text.
pub(super) async fn scrape(host: &Host) -> String {
    let answer = host.get("/metrics").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    answer.body
}

/// What each of these texts says; none without Python, and then that is said. What holds for all of them is asserted
/// on the way.
pub(super) async fn parsed(texts: &[String]) -> Option<Vec<Scrape>> {
    let mut command = python("prometheus_client").await?;
    command.arg(script("metrics", "parse.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut reading = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = reading.stdin.take().unwrap();
    let texts = serde_json::to_vec(texts).unwrap();
    let writing = tokio::spawn(async move {
        // Whoever ends early says why.
        let _ = input.write_all(&texts).await;
    });
    let output = reading.wait_with_output().await.unwrap();
    writing.await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let families: Vec<HashMap<String, Family>> = serde_json::from_slice(&output.stdout).unwrap();
    Some(families.into_iter().map(Scrape).collect())
}

/// See the module.
#[derive(Debug)]
pub(super) struct Scrape(HashMap<String, Family>);

#[derive(Debug, Deserialize)]
struct Family {
    r#type: String,
    /// Name, labels and value of each.
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

impl Scrape {
    /// Checks what a family is.
    #[track_caller]
    pub(super) fn is(&self, name: &str, kind: &str) {
        // The reader calls counters by their names without the end that all of them have.
        let family = self.0.get(name.strip_suffix("_total").unwrap_or(name));
        assert_eq!(family.map(|family| family.r#type.as_str()), Some(kind), "{name}");
    }

    /// The sum of the samples of this name with these labels, whatever others they have.
    pub(super) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |sample: &&(String, BTreeMap<String, String>, f64)| {
            sample.0 == name
                && labels.iter().all(|(label, value)| sample.1.get(*label).is_some_and(|it| it == value))
        };
        self.0.values().flat_map(|family| &family.samples).filter(has).map(|(_, _, value)| value).sum()
    }

    /// Checks such a sum.
    #[track_caller]
    pub(super) fn says(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let sum = self.sum(name, labels);
        assert!((sum - expected).abs() < 1e-9, "{name} {labels:?}: {sum}, not {expected}: {self:#?}");
    }

    /// The samples that may only grow, by name and labels.
    pub(super) fn growing(&self) -> BTreeMap<String, f64> {
        let grows = |family: &&Family| family.r#type != "gauge";
        let samples = self.0.values().filter(grows).flat_map(|family| &family.samples);
        samples.map(|(name, labels, value)| (format!("{name} {labels:?}"), *value)).collect()
    }
}

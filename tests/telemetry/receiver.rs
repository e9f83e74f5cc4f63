//! A receiver of OTLP that reads with OpenTelemetry's own messages: the script beside this file.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::clients::{python, script};
use crate::harness::eventually;

/// See the module. Ends when it is dropped.
pub struct Receiver {
    address: String,
    _process: Child,
}

impl Receiver {
    /// None where there is no Python with OpenTelemetry's messages, which is then said.
    pub async fn start() -> Option<Self> {
        let mut command = python("opentelemetry.proto.collector.trace.v1.trace_service_pb2").await?;
        command.arg(script("telemetry", "receiver.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).await.unwrap();
        Some(Self { address: address.trim().to_owned(), _process: process })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// All that it has received, none of which may have been wrong.
    pub async fn received(&self) -> Value {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let told = client.get(&self.address).send().await.unwrap().text().await.unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["wrong"], Value::Array(Vec::new()), "{told}");
        told
    }

    /// The spans of a trace so far.
    pub async fn trace(&self, id: &str) -> Vec<Value> {
        let told = self.received().await;
        told["spans"].as_array().unwrap().iter().filter(|span| span["trace"] == id).cloned().collect()
    }

    /// Waits until so many spans of a trace are there; in the order in which they began.
    pub async fn whole_trace(&self, id: &str, spans: usize) -> Vec<Value> {
        let what = format!("{spans} spans of the trace {id}");
        let mut trace = eventually(&what, async || {
            let trace = self.trace(id).await;
            (trace.len() >= spans).then_some(trace)
        })
        .await;
        assert_eq!(trace.len(), spans, "{trace:#?}");
        let order = |span: &Value| (span["began"].as_u64(), span["kind"] == "INTERNAL");
        trace.sort_by_key(order);
        trace
    }
}

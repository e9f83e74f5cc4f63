//! Clients that people use, unchanged, in the languages they are written in: scripts beside this file, whose
//! failed assertions fail these tests.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::harness::{Host, PATIENCE, SECRET, Upstream};
use crate::openai::providers;
use crate::skip::skip;

const TOKEN: &str = "a-token-for-this-test-0123456789";

/// How `.ci/run` makes what the scripts in Python need.
const PIP: &str = "python3 -m venv target/python && target/python/bin/pip install openai langchain-openai opentelemetry-proto prometheus-client rotel schemathesis";

/// And those in JavaScript.
const NPM: &str = "with Node, npm install --prefix target/node openai zod";

#[tokio::test]
async fn openais_client_for_python_works_unchanged() {
    run_python("openai", "openai_client.py").await;
}

#[tokio::test]
async fn openais_asynchronous_client_for_python_works_unchanged() {
    run_python("openai", "openai_async_client.py").await;
}

#[tokio::test]
async fn langchain_works_unchanged() {
    run_python("langchain_openai", "langchain_client.py").await;
}

#[tokio::test]
async fn openais_client_for_node_works_unchanged() {
    let Some(modules) = node_modules(&["openai/helpers/zod"]).await else {
        return skip("openai and zod for Node", NPM);
    };
    let mut command = program("node");
    command.arg(script("clients", "openai_client.mjs")).env("NODE_MODULES", modules);
    run(command).await;
}

async fn run_python(package: &str, name: &str) {
    if let Some(mut command) = python(package).await {
        command.arg(script("clients", name));
        run(command).await;
    }
}

/// Python with this package; where there is none, that is said.
pub(crate) async fn python(package: &str) -> Option<Command> {
    let Some(python) = python_with(package).await else {
        skip(&format!("{package} for Python"), PIP);
        return None;
    };
    let mut command = program(python);
    // No compiled scripts among the sources.
    command.arg("-B");
    Some(command)
}

/// With nothing of the tester's own that clients would heed, such as a key or another address.
pub(crate) fn program(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).kill_on_drop(true);
    // Whoever asks for anything but this machine finds nobody.
    command.envs(["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, "http://127.0.0.1:1")));
    command.env("NO_PROXY", "127.0.0.1");
    command
}

/// A script in a folder of the tests.
pub(crate) fn script(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests").join(folder).join(name)
}

/// Runs a script to its end, which must be a good one. What it said.
pub(crate) async fn finish(mut command: Command) -> String {
    // Many cases, each with a patience of its own.
    let output = tokio::time::timeout(PATIENCE * 5, command.output()).await.unwrap().unwrap();
    let [said, errors] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    assert!(output.status.success(), "{said}{errors}");
    said
}

/// Runs a script against a host that is open to it, and one that wants a token.
async fn run(mut command: Command) {
    let upstream = Upstream::start().await;
    let host = Host::start(providers(&upstream)).await;
    let options = providers(&upstream).argument("--host").argument("0.0.0.0");
    let guarded = Host::start(options.env("ADMIN_TOKEN", TOKEN).secret(TOKEN)).await;
    command
        .env("HOST", host.address())
        .env("GUARDED", guarded.address().replace("0.0.0.0", "127.0.0.1"))
        .env("UPSTREAM", upstream.base_url().trim_end_matches("/v1"))
        .env("TOKEN", TOKEN)
        .env("LANGSMITH_TRACING", "false");
    finish(command).await;
    let requests = upstream.requests();
    assert!(!requests.is_empty(), "a script that asks nothing tests nothing");
    for (headers, body) in requests {
        assert_eq!(
            headers["authorization"],
            format!("Bearer {SECRET}"),
            "the client's key stays here: {body}"
        );
    }
    host.stop().await;
    guarded.stop().await;
}

/// The one that is named, the one that `.ci/run` makes, or the system's.
async fn python_with(package: &str) -> Option<PathBuf> {
    let named = std::env::var_os("PATCHBAY_TEST_PYTHON").map(PathBuf::from);
    for python in named.into_iter().chain([made("python/bin/python"), "python3".into()]) {
        if succeeds(program(&python).args(["-c", &format!("import {package}")])).await {
            return Some(python);
        }
    }
    None
}

/// The ones that are named, or those that `.ci/run` makes; where these are among them.
pub(crate) async fn node_modules(wanted: &[&str]) -> Option<PathBuf> {
    let named = std::env::var_os("PATCHBAY_TEST_NODE_MODULES").map(PathBuf::from);
    for modules in named.into_iter().chain([made("node/node_modules")]) {
        let look = "const [modules, ...wanted] = process.argv.slice(1); \
                    wanted.forEach(require('module').createRequire(modules + '/').resolve)";
        if succeeds(program("node").args(["-e", look]).arg(&modules).args(wanted)).await {
            return Some(modules);
        }
    }
    None
}

pub(crate) fn made(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(path)
}

pub(crate) async fn succeeds(command: &mut Command) -> bool {
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

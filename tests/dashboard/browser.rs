//! Chromium, driven from Node; found where `.ci/run` puts it, or skipped where it is not.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use super::TOKEN;
use crate::clients::{made, node_modules, program, script, succeeds};
use crate::harness::PATIENCE;
use crate::skip::skip;

/// How `.ci/run` makes what the scripts need.
const HOW: &str =
    "with Node, apt-get install chromium; npm install --prefix target/node puppeteer-core axe-core";

/// See the module.
pub(super) struct Browser {
    modules: PathBuf,
    chromium: PathBuf,
}

impl Browser {
    /// None where there is none, which is said.
    pub(super) async fn find() -> Option<Self> {
        let modules = node_modules(&["puppeteer-core", "axe-core"]).await;
        let found = modules.zip(chromium().await);
        if found.is_none() {
            skip("a browser", HOW);
        }
        found.map(|(modules, chromium)| Self { modules, chromium })
    }

    /// Plays a case of `cases.mjs` on the host at this address. What the case asks for from outside is done by `act`
    /// while the case waits.
    pub(super) async fn play(&self, case: &str, host: &str, mut act: impl AsyncFnMut(&str)) {
        let profile = tempfile::tempdir().unwrap();
        let screenshots = made("screenshots");
        std::fs::create_dir_all(&screenshots).unwrap();
        let mut command = program("node");
        command.arg(script("dashboard", "cases.mjs")).arg(case);
        command.env("NODE_MODULES", &self.modules).env("CHROMIUM", &self.chromium).env("TOKEN", TOKEN);
        command.env("HOST", host.replace("0.0.0.0", "127.0.0.1")).env("SCREENSHOTS", screenshots);
        // All that a browser leaves behind goes when this goes.
        command.env("PROFILE", profile.path().join("profile"));
        for name in ["HOME", "TMPDIR"] {
            command.env(name, profile.path());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut node = command.spawn().unwrap();
        let (mut stdin, stdout) = (node.stdin.take().unwrap(), node.stdout.take().unwrap());
        let mut stderr = node.stderr.take().unwrap();
        let playing = async {
            let (mut said, mut lines) = (String::new(), BufReader::new(stdout).lines());
            while let Some(line) = lines.next_line().await.unwrap() {
                match line.strip_prefix('@') {
                    Some(what) => {
                        act(what).await;
                        stdin.write_all(b"\n").await.unwrap();
                    }
                    None => said += &(line + "\n"),
                }
            }
            said
        };
        let mut errors = String::new();
        let whole = async { tokio::join!(playing, stderr.read_to_string(&mut errors)).0 };
        // Many conditions, each with a patience of its own.
        let said = tokio::time::timeout(PATIENCE * 3, whole).await.unwrap();
        let status = node.wait().await.unwrap();
        assert!(status.success(), "{case}: {said}{errors}");
    }
}

/// The one that is named, or one of the system's.
async fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("PATCHBAY_TEST_CHROMIUM").map(PathBuf::from);
    let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    for browser in named.into_iter().chain(usual.map(|path| Path::new(path).to_owned())) {
        if succeeds(program(&browser).arg("--version")).await {
            return Some(browser);
        }
    }
    None
}

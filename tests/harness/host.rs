//! A running host in a folder of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use super::answer::{Answer, Seen, Streaming};
use super::libraries::Library;
use super::process::Process;
use super::{PATIENCE, SECRET, eventually};

/// What a host is started with. Nothing by default: no plugins, no configuration.
#[derive(Default)]
pub struct HostOptions {
    builtin: Vec<(String, Library)>,
    custom: Vec<(String, Library)>,
    config: Map<String, Value>,
    arguments: Vec<String>,
    environment: Vec<(String, OsString)>,
    secrets: Vec<String>,
    unprivileged: bool,
    open_files: Option<u64>,
    dev: Option<String>,
}

impl HostOptions {
    /// Runs `dev` on this crate instead of `serve`.
    pub fn dev(mut self, folder: &Path) -> Self {
        self.dev = Some(folder.to_str().unwrap().to_owned());
        self
    }

    /// Runs as a user that has to be given the right to read a file, also where the tests run as root.
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// Starts it with a limit of open files that it may raise.
    pub fn open_files(mut self, limit: u64) -> Self {
        self.open_files = Some(limit);
        self
    }

    /// Puts a library into `plugins/custom`, under its own name.
    pub fn custom(self, library: &Library) -> Self {
        let name = library.file_name();
        self.custom_as(library, &name)
    }

    /// Puts a library into `plugins/custom`, under this name.
    pub fn custom_as(mut self, library: &Library, name: &str) -> Self {
        self.custom.push((name.to_owned(), library.clone()));
        self
    }

    /// Puts a library into `plugins/builtin`, under its own name.
    pub fn builtin(mut self, library: &Library) -> Self {
        self.builtin.push((library.file_name(), library.clone()));
        self
    }

    /// Configures a provider: `config` is the entry's `config`, to which the harness adds the key.
    pub fn provider(self, name: &str, config: Value) -> Self {
        self.entry(name, json!({ "config": config }))
    }

    /// Configures a provider by its whole entry.
    pub fn entry(mut self, name: &str, entry: Value) -> Self {
        let plugins = self.config.entry("plugins").or_insert_with(|| json!({}));
        plugins[name] = entry;
        self
    }

    /// A section of the configuration, such as `loader` or `server`.
    pub fn section(mut self, name: &str, value: Value) -> Self {
        self.config.insert(name.to_owned(), value);
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Something else that must not be seen anywhere.
    pub fn secret(mut self, secret: &str) -> Self {
        self.secrets.push(secret.to_owned());
        self
    }

    /// Reloads by itself.
    pub fn watch(self) -> Self {
        self.argument("--watch")
    }

    /// One more argument of `patchbay serve`.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }
}

/// See the module. Must be stopped, or is killed; one that ended by itself fails its test.
pub struct Host {
    process: Process,
    address: String,
    /// That of its successors, too.
    dir: Arc<TempDir>,
    client: reqwest::Client,
    seen: Seen,
    secrets: Vec<String>,
    stopped: bool,
}

impl Host {
    pub async fn start(options: HostOptions) -> Self {
        let started = Self::try_start(options).await;
        started.unwrap_or_else(|(status, said)| panic!("the host did not start ({status}):\n{said}"))
    }

    /// Starts one that will not: its exit status, and what it said.
    pub async fn refuses(options: HostOptions) -> (Option<i32>, String) {
        match Self::try_start(options).await {
            Ok(_) => panic!("it did start"),
            Err((status, said)) => (status.code(), said),
        }
    }

    async fn try_start(options: HostOptions) -> Result<Self, (ExitStatus, String)> {
        let dir = tempfile::tempdir().unwrap();
        for (folder, libraries) in [("builtin", &options.builtin), ("custom", &options.custom)] {
            let folder = dir.path().join("plugins").join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, library) in libraries {
                library.install(&folder, name);
            }
        }
        write_config(dir.path(), options.config.clone());
        Self::start_in(Arc::new(dir), options).await
    }

    /// Starts another one in the same folder, as it is, that takes over from this one; or its exit status, and what it
    /// said. Of the options, only how it is started counts.
    pub async fn succeed(&self, options: HostOptions) -> Result<Self, (Option<i32>, String)> {
        let started = Self::start_in(Arc::clone(&self.dir), options.argument("--take-over")).await;
        started.map_err(|(status, said)| (status.code(), said))
    }

    async fn start_in(dir: Arc<TempDir>, options: HostOptions) -> Result<Self, (ExitStatus, String)> {
        let mut arguments = match &options.dev {
            Some(folder) => vec!["dev", folder, "--port", "0"],
            None => vec!["serve", "--port", "0"],
        };
        arguments.extend(options.arguments.iter().map(String::as_str));
        let mut environment = options.environment;
        // Everything of the host's own, so that a key would be seen if it were ever logged.
        let level = ("RUST_LOG".to_owned(), "debug,patchbay=trace".into());
        if !environment.iter().any(|(name, _)| name == "RUST_LOG" || name == "LOG_LEVEL") {
            environment.push(level);
        }
        let (process, address) =
            Process::start(dir.path(), &arguments, &environment, options.unprivileged, options.open_files)
                .await?;
        let secrets = options.secrets.into_iter().chain([SECRET.to_owned()]).collect();
        let (client, seen) = (client(), Seen::default());
        Ok(Self { process, address, dir, client, seen, secrets, stopped: false })
    }

    /// Where it listens: `http://127.0.0.1:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Its process, to look at in `/proc`.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// The folder it runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its `plugins/custom`.
    pub fn custom(&self) -> PathBuf {
        self.dir.path().join("plugins/custom")
    }

    /// Puts a library into `plugins/custom`; what was there under that name is replaced in one step.
    pub fn install(&self, library: &Library, name: &str) -> PathBuf {
        library.install(&self.custom(), name)
    }

    /// Replaces the configuration; the next reload reads it.
    pub fn configure(&self, config: Value) {
        let Value::Object(config) = config else { panic!("a configuration is an object") };
        write_config(self.dir.path(), config);
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.answer(path, self.client.get(self.url(path))).await
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post_text(path, &body.to_string()).await
    }

    /// JSON that has to stay as it is written.
    pub async fn post_text(&self, path: &str, body: &str) -> Answer {
        let request = self.client.post(self.url(path)).header("content-type", "application/json");
        self.answer(path, request.body(body.to_owned())).await
    }

    /// Without a body.
    pub async fn post(&self, path: &str) -> Answer {
        self.answer(path, self.client.post(self.url(path))).await
    }

    /// Any other request; `path` is for messages.
    pub async fn answer(&self, path: &str, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap_or_else(|error| self.lost(path, &error));
        Answer::read(path, response, &self.seen).await
    }

    /// A request that a test makes up itself, for [`Self::answer`].
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    fn lost(&self, path: &str, error: &reqwest::Error) -> ! {
        panic!("no answer from {path}: {error:?}\n{}", self.process.everything())
    }

    /// Reloads everything. The report.
    pub async fn reload(&self) -> Value {
        let answer = self.post("/api/providers/reload").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// `GET /api/plugins`.
    pub async fn plugins(&self) -> Value {
        let answer = self.get("/api/plugins").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let list = answer.json();
        assert_eq!(list["total_count"], list["plugins"].as_array().unwrap().len(), "{}", answer.body);
        list
    }

    /// `GET /api/plugins/{id}`, with its history.
    pub async fn plugin(&self, id: &str) -> Value {
        let answer = self.get(&format!("/api/plugins/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Asks whichever provider the host chooses, for a whole answer.
    pub async fn chat(&self, text: &str) -> Answer {
        self.post_json("/api/chat/complete", &messages(text)).await
    }

    /// Asks this provider, for a whole answer.
    pub async fn ask(&self, provider: &str, text: &str) -> Answer {
        self.post_json("/api/chat/complete", &pinned(provider, text)).await
    }

    /// Asks this provider, for plain text piece by piece. The answer has begun when this returns.
    pub async fn stream(&self, provider: &str, text: &str) -> Streaming {
        self.open("/api/chat", &pinned(provider, text).to_string()).await
    }

    /// Posts a body whose answer comes piece by piece. It has begun when this returns.
    pub async fn open(&self, path: &str, body: &str) -> Streaming {
        let request = self.client.post(self.url(path)).header("content-type", "application/json");
        let response = request.body(body.to_owned()).send().await;
        let response = response.unwrap_or_else(|error| self.lost(path, &error));
        Streaming::new(path, response, self.seen.clone())
    }

    /// A request that a test makes up itself, whose answer comes piece by piece, if there is no error in its place.
    pub async fn begin(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Streaming, Answer> {
        let response = request.send().await.unwrap_or_else(|error| self.lost(path, &error));
        if response.status() == reqwest::StatusCode::OK {
            return Ok(Streaming::new(path, response, self.seen.clone()));
        }
        Err(Answer::read(path, response, &self.seen).await)
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.status().is_none()
    }

    /// What it has written to stdout so far.
    pub fn said(&self) -> String {
        self.process.stdout.lock().unwrap().clone()
    }

    /// What it has written to stderr so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Waits until a line of the log holds both: what is logged comes through a pipe, and may come late.
    pub async fn logs(&self, what: &str, with: &str) {
        let is_there = |log: &str| log.lines().any(|line| line.contains(what) && line.contains(with));
        let looking = async || is_there(&self.log()).then_some(());
        eventually(&format!("the log to say {what:?} with {with:?}"), looking).await;
    }

    pub fn signal(&self, signal: libc::c_int) {
        self.process.signal(signal);
    }

    /// Ends it as an operator would: it must end by itself, and well. Answers with how long that took.
    pub async fn stop(self) -> Duration {
        self.signal(libc::SIGTERM);
        let begun = Instant::now();
        self.ends_with(0).await;
        begun.elapsed()
    }

    /// Ends it as hard as a process can end.
    pub async fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.process.wait().await;
        self.stopped = true;
        self.check_secrets();
    }

    /// Waits for its end, which must be with this status.
    pub async fn ends_with(mut self, code: i32) {
        let status = self.process.wait().await;
        self.stopped = true;
        assert_eq!(
            status.code(),
            Some(code),
            "the host ended otherwise ({status}):\n{}",
            self.process.everything()
        );
        self.check_secrets();
    }

    fn check_secrets(&self) {
        let (said, seen) = (self.process.everything(), self.seen.text());
        for secret in &self.secrets {
            for (place, text) in [("output", &said), ("an answer", &seen)] {
                let line = text.lines().find(|line| line.contains(secret));
                assert!(line.is_none(), "a secret is in the host's {place}: {}", line.unwrap_or_default());
            }
        }
    }
}

impl Drop for Host {
    #[allow(clippy::print_stderr, reason = "what the host said is what explains a failed test")]
    fn drop(&mut self) {
        let ended = self.process.kill();
        if std::thread::panicking() {
            // The last of it; at this level there is much.
            let said = self.process.everything();
            let lines: Vec<&str> = said.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(200)..].join("\n"));
        } else if !self.stopped {
            let said = self.process.everything();
            assert!(ended.is_none(), "the host ended by itself ({}):\n{said}", ended.unwrap_or_default());
            self.check_secrets();
        }
    }
}

/// Asks without a proxy, and waits for as long as a test waits.
pub fn client() -> reqwest::Client {
    static CRYPTO: Once = Once::new();
    // An error says that the process has a provider already, which is as good.
    CRYPTO.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

fn messages(text: &str) -> Value {
    json!({ "messages": [{ "role": "user", "content": text }] })
}

fn pinned(provider: &str, text: &str) -> Value {
    let mut body = messages(text);
    body["provider"] = provider.into();
    body
}

/// The key of every provider is added; and whoever wants no checks in the background wants no other questions there,
/// either. Written to another name first: a host that watches must never read half of it.
fn write_config(dir: &Path, mut config: Map<String, Value>) {
    for entry in config.get_mut("plugins").and_then(Value::as_object_mut).into_iter().flatten() {
        let config = entry.1.as_object_mut().unwrap().entry("config").or_insert_with(|| json!({}));
        config.as_object_mut().unwrap().entry("api_key").or_insert_with(|| SECRET.into());
    }
    if config.get("health").is_some_and(|health| health["enabled"] == false) {
        config.entry("models").or_insert_with(|| json!({ "refresh": false }));
    }
    let (temporary, place) = (dir.join("plugin_config.json.tmp"), dir.join("plugin_config.json"));
    std::fs::write(&temporary, Value::Object(config).to_string()).unwrap();
    std::fs::rename(temporary, place).unwrap();
}

//! Libraries that are broken in one place each. None of them may hurt the host, what serves goes on serving, and
//! one sentence says what is wrong and another how to mend it, the same in the report, in `/api/plugins` and in
//! the log.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Host, HostOptions, Library, compile, eventually, libraries};

/// What lies in the place of the good library.
enum Broken {
    Library(Library),
    /// The good one, with this mode.
    Mode(u32),
    /// A pipe that nobody writes to.
    Pipe,
    /// A link to nothing.
    Link,
    /// This library, and others beside it.
    Among(Library, Vec<Library>),
}

/// What is said of it. Numbers of five digits and more, and places in sources, are written `N`.
struct Says {
    at: [&'static str; 3],
    message: &'static str,
    hint: &'static str,
}

struct Case {
    name: &'static str,
    broken: Broken,
    says: Says,
}

/// The file in question: the good chameleon lies there before.
pub(crate) const FILE: &str = "libchameleon.so";

/// A host with the mock and the good chameleon, and what its loader is set to.
pub(crate) async fn host(config: Value) -> Host {
    let options = HostOptions::default().custom(&libraries::mock()).custom(&libraries::chameleon());
    let options = options.provider("mock", json!({})).provider("chameleon", config);
    Host::start(options.section("loader", json!({ "probe_timeout": 2, "load_timeout": 2 }))).await
}

/// Every case on its own: the good library lies there before each.
async fn check(cases: Vec<Case>) {
    check_with(json!({}), cases).await;
}

async fn check_with(config: Value, cases: Vec<Case>) {
    let mut host = host(config).await;
    let mut wrong = Vec::new();
    for case in &cases {
        let logged = host.log().len();
        let others = case.broken.put(&host.custom());
        let report = host.reload().await;
        if let Err(error) = examine(&mut host, &report, logged, case).await {
            wrong.push(format!("{}: {error}", case.name));
        }
        for other in others {
            std::fs::remove_file(host.custom().join(other)).unwrap();
        }
        host.install(&libraries::chameleon(), FILE);
        let report = host.reload().await;
        assert_eq!(report["status"], "ok", "{}: {report}", case.name);
    }
    host.stop().await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn examine(host: &mut Host, report: &Value, logged: usize, case: &Case) -> Result<(), String> {
    assert!(host.is_alive());
    assert_eq!(host.ask("mock", "hello").await.response(), "You said: hello", "{}", case.name);
    let colour = host.ask("chameleon", "hello").await.response();
    assert_eq!(colour, "green green green green green", "{}", case.name);

    let of_file = |list: &Value| {
        let found = list.as_array().unwrap().iter().find(|entry| is_file(&entry["file"])).cloned();
        found.ok_or_else(|| format!("{FILE} is not in {list}"))
    };
    let failed = of_file(&report["plugins"]["failed"])?;
    let listed = of_file(&host.plugins().await["plugins"])?;
    let dir = host.dir().to_str().unwrap();
    let problem = Problem::of(&failed, dir);
    let expected = Problem {
        at: case.says.at.map(str::to_owned),
        message: case.says.message.to_owned(),
        hint: case.says.hint.to_owned(),
    };
    if problem != expected {
        return Err(format!("it says\n{problem:#?}\ninstead of\n{expected:#?}"));
    }
    let same = [
        ("kept", &failed["kept_previous"], &json!(true)),
        ("id", &failed["id"], &json!("chameleon")),
        ("state", &listed["state"], &json!("active")),
        ("generation", &report["plugins"]["reloaded"], &json!([])),
        ("status", &report["status"], &json!("partial")),
    ];
    for (what, is, should) in same {
        if is != should {
            return Err(format!("{what} is {is}: {report} {listed}"));
        }
    }
    let shown = Problem::of(&listed["problem"], dir);
    if shown != expected {
        return Err(format!("/api/plugins says\n{shown:#?}\ninstead of\n{expected:#?}"));
    }
    // What was logged comes through a pipe, and may come later than the answer.
    let what = format!("the log to say of {}: {expected:#?}", case.name);
    eventually(&what, async || expected.is_in(&host.log()[logged..], dir).then_some(())).await;
    Ok(())
}

fn is_file(path: &Value) -> bool {
    path.as_str().is_some_and(|path| path.ends_with(FILE))
}

/// A problem as it was told somewhere.
#[derive(Debug, PartialEq)]
pub(crate) struct Problem {
    /// Phase, step and code.
    pub(crate) at: [String; 3],
    pub(crate) message: String,
    pub(crate) hint: String,
}

impl Problem {
    pub(crate) fn of(value: &Value, dir: &str) -> Self {
        let word = |name: &str| normal(value[name].as_str().unwrap_or_default(), dir);
        Self { at: ["phase", "step", "code"].map(word), message: word("message"), hint: word("hint") }
    }

    /// Whether one line of the log says all of it.
    fn is_in(&self, log: &str, dir: &str) -> bool {
        let [phase, step, code] = &self.at;
        let parts = [
            format!("phase={phase:?}"),
            format!("step={step:?}"),
            format!("code={code:?}"),
            format!("problem={:?}", self.message),
            format!("hint={:?}", self.hint),
        ];
        let mut lines = log.lines().filter(|line| line.contains("plugin refused"));
        lines.any(|line| parts.iter().all(|part| normal(line, dir).contains(part)))
    }
}

/// Without what differs from run to run and from build to build.
fn normal(text: &str, dir: &str) -> String {
    let text = text.replace(dir, "DIR");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find(|letter: char| letter.is_ascii_digit()) {
        let end =
            rest[start..].find(|letter: char| !letter.is_ascii_digit()).map_or(rest.len(), |n| start + n);
        out.push_str(&rest[..start]);
        let in_source = out.ends_with(".rs:") || out.ends_with(".rs:N:");
        out.push_str(if end - start >= 5 || in_source { "N" } else { &rest[start..end] });
        rest = &rest[end..];
    }
    out + rest
}

impl Broken {
    /// Puts it there, and answers with the names of what else it put.
    fn put(&self, folder: &Path) -> Vec<String> {
        let place = folder.join(FILE);
        match self {
            Self::Library(library) => drop(library.install(folder, FILE)),
            Self::Mode(mode) => {
                std::fs::set_permissions(&place, std::fs::Permissions::from_mode(*mode)).unwrap();
            }
            Self::Pipe => {
                std::fs::remove_file(&place).unwrap();
                let path = CString::new(place.as_os_str().as_bytes()).unwrap();
                // SAFETY: a path that ends with a zero.
                assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o644) }, 0);
            }
            Self::Link => {
                std::fs::remove_file(&place).unwrap();
                std::os::unix::fs::symlink("nothing", &place).unwrap();
            }
            Self::Among(library, others) => {
                library.install(folder, FILE);
                let install = |other: &Library| {
                    other.install(folder, &other.file_name());
                    other.file_name()
                };
                return others.iter().map(install).collect();
            }
        }
        Vec::new()
    }
}

fn case(
    name: &'static str,
    broken: impl Into<Broken>,
    at: [&'static str; 3],
    message: &'static str,
    hint: &'static str,
) -> Case {
    Case { name, broken: broken.into(), says: Says { at, message, hint } }
}

impl From<Library> for Broken {
    fn from(library: Library) -> Self {
        Self::Library(library)
    }
}

/// The good one as it would be next: another version, so that it is not taken for the one that serves.
pub(crate) fn next() -> Library {
    libraries::chameleon().colour("red").version("1.0.1")
}

pub(crate) fn bytes(bytes: &[u8]) -> Library {
    Library::new("chameleon", bytes.to_vec())
}

pub(crate) const AGAIN: &str = "copy it again, to a temporary name first; if that does not help, rebuild it";
const CDYLIB: &str = "build the plugin with crate-type = [\"cdylib\"] and put its .so file here";
pub(crate) const EXPORT: &str = "rebuild it with the export macro of patchbay-plugin-api 1.x";

#[tokio::test]
#[allow(clippy::print_stderr, reason = "a test that did less than it could must say so")]
async fn files_that_are_no_libraries() {
    const FILE: [&str; 2] = ["discovery", "file"];
    const READ: [&str; 2] = ["discovery", "read"];
    let at = |[phase, step]: [&'static str; 2], code| [phase, step, code];
    let good = next();
    let half = good.bytes().len() / 2;
    let mut zeroed = good.bytes().to_vec();
    zeroed[half..].fill(0);
    let cases = vec![
        case("empty", bytes(b""), at(READ, "file_empty"), "the file is empty", AGAIN),
        case(
            "text",
            bytes(b"Not found\n"),
            at(READ, "not_a_library"),
            "the file is a text file, not a library",
            CDYLIB,
        ),
        case(
            "script",
            bytes(b"#!/bin/sh\nexit 0\n"),
            at(READ, "not_a_library"),
            "the file is a script, not a library",
            CDYLIB,
        ),
        case(
            "cut short",
            good.clone().truncate(half),
            at(READ, "file_truncated"),
            "the file is cut short: its section headers should reach to byte N, but there are only N",
            AGAIN,
        ),
        case(
            "cut in its header",
            good.clone().truncate(40),
            at(READ, "file_truncated"),
            "the file is cut short: its header should reach to byte 64, but there are only 40",
            AGAIN,
        ),
        case(
            "zeroed tail",
            bytes(&zeroed),
            at(READ, "file_damaged"),
            "the library is damaged: invalid ELF section name offset",
            AGAIN,
        ),
        case(
            "another machine's",
            // EM_AARCH64, in the header's field for the machine.
            good.clone().overwrite(18, &[183, 0]),
            at(READ, "wrong_machine"),
            "the library was built for aarch64, this host is x86_64",
            "rebuild it with --target x86_64-unknown-linux-gnu",
        ),
        case(
            "a pipe",
            Broken::Pipe,
            at(FILE, "not_a_regular_file"),
            "it is a named pipe, not a regular file",
            "put the library itself here",
        ),
        case(
            "writable by everybody",
            Broken::Mode(0o666),
            at(FILE, "writable_by_others"),
            "DIR/plugins/custom/libchameleon.so can be written by every user (mode 0666)",
            "chmod o-w DIR/plugins/custom/libchameleon.so",
        ),
        case(
            "a link to nothing",
            Broken::Link,
            at(FILE, "file_unreadable"),
            "the file cannot be read: No such file or directory (os error 2)",
            "let the host's user read the file, or remove it",
        ),
    ];
    check(cases).await;
}

#[tokio::test]
async fn manifests() {
    let at = |code| ["validation", "metadata", code];
    let set = |key: &'static str, value: Value| {
        next().manifest(move |manifest| {
            manifest.insert(key.to_owned(), value);
        })
    };
    let without = |key: &'static str| {
        next().manifest(move |manifest| {
            manifest.remove(key);
        })
    };
    check(vec![
        case(
            "not JSON",
            next().manifest_as("{\"id\": chameleon}"),
            at("manifest_not_json"),
            "the manifest is not JSON: expected value at line 1 column 8",
            "rebuild the plugin with the macro of patchbay-plugin-api",
        ),
        case(
            "without an author",
            without("author"),
            at("field_missing"),
            "\"/author\" is missing",
            "set authors in the plugin's Cargo.toml, or author in its manifest",
        ),
        case(
            "without a version",
            without("version"),
            at("field_missing"),
            "\"/version\" is missing",
            "set version in the plugin's Cargo.toml",
        ),
        case(
            "bad version",
            next().version("1.0"),
            at("version_malformed"),
            "\"/version\" is \"1.0\", not a semantic version (unexpected end of input while parsing minor \
             version number)",
            "write three numbers, such as \"1.2.0\"",
        ),
        case(
            "newer contract",
            set("api_version", "v2".into()),
            at("api_version_unsupported"),
            "\"chameleon\" was built for plugin API v2, this host speaks v1",
            "rebuild it with patchbay-plugin-api 1.x, or update patchbay",
        ),
        case(
            "panics abort",
            set("panic", "abort".into()),
            at("panic_abort"),
            "\"chameleon\" was built with panic = \"abort\": its panics would end the host",
            "rebuild it with panic = \"unwind\" in its profile",
        ),
        case(
            "another target",
            set("target", "aarch64-apple-darwin".into()),
            at("target_mismatch"),
            "\"chameleon\" was built for aarch64-apple-darwin, this host is x86_64-unknown-linux-gnu",
            "rebuild it with --target x86_64-unknown-linux-gnu",
        ),
    ])
    .await;
}

#[tokio::test]
async fn requirements() {
    let at = |code| ["validation", "requires", code];
    let requires = |requires: &str| next().requires(&[requires]);
    let other = libraries::chameleon().id("other").requires(&["plugin:chameleon"]);
    check(vec![
        case("no form", requires("openai>=1"), at("requires_malformed"), "\"chameleon\" has a requirement that cannot be read: requires \"openai>=1\", which is in no known form", "write \"patchbay>=0.1\", \"service:http>=1\" or \"plugin:some-id>=1.2\" (also with =, ^, ~, several ranges behind commas, or no range for any version)"),
        case(
            "a newer host",
            requires("patchbay>=9"),
            at("host_version"),
            "\"chameleon\" requires patchbay>=9, this host is 0.1.0",
            "install a host that is patchbay>=9, or another version of the plugin",
        ),
        case(
            "an unknown service",
            requires("service:teleport>=1"),
            at("service_unknown"),
            "\"chameleon\" requires service:teleport>=1, a service that this host does not have",
            "this host has clock, config, http, log, metrics, random, sleep",
        ),
        case(
            "a newer service",
            requires("service:http>=2"),
            at("service_version"),
            "\"chameleon\" requires service:http>=2, this host has version 1 of it",
            "update patchbay, or install another version of the plugin",
        ),
        case(
            "a plugin that is not there",
            requires("plugin:nobody>=1.2"),
            at("plugin_missing"),
            "\"chameleon\" requires plugin:nobody>=1.2, which is not installed",
            "install plugin:nobody>=1.2",
        ),
        case(
            "another version of a plugin",
            requires("plugin:mock>=9"),
            at("plugin_version"),
            "\"chameleon\" requires plugin:mock>=9, installed is 1.0.0",
            "install plugin:mock>=9",
        ),
        case(
            "each other",
            Broken::Among(requires("plugin:other"), vec![other]),
            at("requires_cycle"),
            "\"chameleon\" requires itself in a circle: chameleon -> other -> chameleon",
            "take one requirement out of the circle",
        ),
    ])
    .await;
}

#[tokio::test]
async fn interfaces() {
    let at = |code| ["validation", "probe", code];
    check(vec![
        case("another layout", Library::built("wrong_layout"), at("layout_differs"), "its layout is not that of plugin API v1: mismatched package Expected: patchbay-plugin-api Found: wrong-layout", EXPORT),
        case(
            "no layout",
            Library::built("no_layout"),
            at("no_layout"),
            "it carries no description of its layout",
            EXPORT,
        ),
        case(
            "a manifest that lies",
            next().lying(|manifest| drop(manifest.insert("version".to_owned(), "1.9.9".into()))),
            at("manifest_differs"),
            "what the library says of itself is not what its manifest section says",
            EXPORT,
        ),
    ])
    .await;
}

pub(crate) const IN_C: &str = r#"{"id":"chameleon","name":"Chameleon","version":"1.0.1","author":"Somebody","description":"Made in C","api_version":"v1"}"#;

#[tokio::test]
async fn libraries_in_c() {
    let compiled = |name, flags: &[&str]| compile(name, IN_C, flags).map(Broken::from);
    let probe = |code| ["validation", "probe", code];
    let cases = [
        compiled("no-manifest", &[]).map(|broken| {
            case(
                "no manifest",
                broken,
                ["discovery", "read", "manifest_missing"],
                "the library has no .patchbay section, so it is not a plugin",
                "export the plugin with the macro of patchbay-plugin-api, or remove the file",
            )
        }),
        compiled("no-header", &[])
            .map(|broken| case("no header", broken, probe("not_a_plugin"), "it does not export a Patchbay plugin", EXPORT)),
        compiled("no-header", &["-Wl,-z,nodelete"])
            .map(|broken| case("no header, and never unloaded", broken, probe("not_a_plugin"), "it does not export a Patchbay plugin", EXPORT)),
        compiled("no-header", &["-Wl,-z,nodlopen"]).map(|broken| {
            case(
                "not to be loaded",
                broken,
                ["discovery", "read", "not_for_loading"],
                "the library was linked with -z nodlopen, so that it cannot be loaded at run time",
                "link it without -z nodlopen",
            )
        }),
        compiled("constructor-crashes", &[]).map(|broken| {
            case(
                "constructor that crashes",
                broken,
                probe("probe_crashed"),
                "it crashed (SIGSEGV) in the library's constructors, before its header was read",
                "run the library's own tests, under a debugger if need be",
            )
        }),
        compiled("constructor-hangs", &[]).map(|broken| {
            case(
                "constructor that never returns",
                broken,
                probe("probe_hung"),
                "it did not return within 2s in the library's constructors, before its header was read",
                "a plugin must not block or spin: wait through the host's services",
            )
        }),
        compiled("constructor-exits", &[]).map(|broken| {
            case(
                "constructor that ends the process",
                broken,
                probe("probe_exited"),
                "it ended the process (exit status 0) in the library's constructors, before its header was read",
                "a plugin must not end the process it runs in",
            )
        }),
    ];
    check(cases.into_iter().flatten().collect()).await;
}

#[tokio::test]
async fn behaviour_that_the_probe_meets() {
    let at = |code| ["validation", "probe", code];
    let does = |word| next().behaviour(word);
    const PANIC: &str = "mend the panic; the host's log has its place in the source";
    const WAIT: &str = "a plugin must not block or spin: wait through the host's services";
    const EXIT: &str = "a plugin must not end the process it runs in";
    check(vec![
        case("validate panics", does("validate_panic"), at("panicked"), "it panicked while it was created: the chameleon was made to panic (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
        case("create panics", does("create_panic"), at("panicked"), "it panicked while it was created: the chameleon was made to panic (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
        case("create ends the process", does("create_exit"), at("probe_exited"), "it ended the process (exit status 0) while it made a provider from its sample configuration", EXIT),
        case("create spins", does("create_spin"), at("probe_hung"), "it did not return within 2s while it made a provider from its sample configuration", WAIT),
        case("create blocks", does("create_block"), at("probe_hung"), "it did not return within 2s while it made a provider from its sample configuration", WAIT),
        case("a call panics", does("call_panic"), at("panicked"), "it panicked while it answered: the chameleon was made to panic (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
        case(
            "a call panics with something that panics",
            does("call_payload"),
            at("panicked"),
            "it panicked while it answered: a value that is not text (tests/plugins/chameleon/src/misbehaviour.rs:N:N)",
            PANIC,
        ),
        case(
            "a call aborts",
            does("call_abort"),
            at("probe_crashed"),
            "it crashed (SIGABRT) while it answered a first request",
            "run the library's own tests, under a debugger if need be",
        ),
        case("a call ends the process", does("call_exit"), at("probe_exited"), "it ended the process (exit status 0) while it answered a first request", EXIT),
        case("a call spins", does("call_spin"), at("probe_hung"), "it did not return within 2s while it answered a first request", WAIT),
        case("a call blocks", does("call_block"), at("probe_hung"), "it did not return within 2s while it answered a first request", WAIT),
        case("a stream panics", does("chunk_panic"), at("panicked"), "it panicked while it streamed: the chameleon was made to panic (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
        case("a drop panics", does("drop_panic"), at("panicked"), "it panicked while it was dropped: the chameleon was made to panic (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
        case("a drop ends the process", does("drop_exit"), at("probe_exited"), "it ended the process (exit status 0) while its provider was dropped", EXIT),
        case("a cancelled call panics", does("future_drop_panic"), at("panicked"), "it panicked while a value was dropped: the chameleon was made to panic in a drop (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
        case("a waker panics", does("waker_panic"), at("panicked"), "it panicked in a waker: the chameleon was made to panic in a waker (tests/plugins/chameleon/src/misbehaviour.rs:N:N)", PANIC),
    ])
    .await;
}

/// The probe makes a provider from the sample configuration; these misbehave with the real one only.
#[tokio::test]
async fn behaviour_that_only_the_host_meets() {
    const REFUSED: &str = "the provider \"chameleon\" could not be made: the chameleon was made to refuse";
    const ENTRY: &str = "mend the provider's entry in plugin_config.json";
    const HUNG: &str =
        "the provider \"chameleon\" could not be made: the plugin did not make the provider within 2s";
    const BLOCK: &str = "making a provider must not block or spin";
    let at = |code| ["initialisation", "create", code];
    let does = |word| next().behaviour(word);
    check_with(
        json!({ "misbehave": true }),
        vec![
            case("validate refuses", does("asked_validate_fail"), at("configuration_refused"), REFUSED, ENTRY),
            case("create fails", does("asked_create_fail"), at("configuration_refused"), REFUSED, ENTRY),
            case("create panics", does("asked_create_panic"), at("create_panicked"),
 "the provider \"chameleon\" could not be made: the plugin panicked while it was created: the chameleon was made to panic at tests/plugins/chameleon/src/misbehaviour.rs:N:N", "mend the panic; the host's log has its place in the source"),
            case("create blocks", does("asked_create_block"), at("create_hung"), HUNG, BLOCK),
            case("create spins", does("asked_create_spin"), at("create_hung"), HUNG, BLOCK),
        ],
    )
    .await;
}

//! The conformance kit: every plugin that comes with the host passes it, and one that is careless does not, whatever
//! it is careless about.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Library, libraries};

/// What the kit says of a library, as JSON, and whether it found nothing wrong.
#[track_caller]
fn test(library: &Library, arguments: &[&str]) -> (Value, bool) {
    let folder = tempfile::tempdir().unwrap();
    let file = library.install(folder.path(), &library.file_name());
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    command.args(["plugin", "test", "--json"]).arg(file).args(arguments);
    let output = command.env_clear().env("TMPDIR", folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: Value = serde_json::from_str(&said)
        .unwrap_or_else(|error| panic!("{error}: {said}{}", String::from_utf8_lossy(&output.stderr)));
    let passed = output.status.code() == Some(0);
    assert!(passed || output.status.code() == Some(1), "{output:?}");
    assert_eq!(passed, report["summary"]["failed"] == 0, "{report}");
    assert_eq!(
        std::fs::read_dir(folder.path()).unwrap().count(),
        1,
        "it leaves nothing in the temporary folder"
    );
    (report, passed)
}

/// The names of the checks with this outcome.
fn checks<'a>(report: &'a Value, outcome: &str) -> Vec<&'a str> {
    let checks = report["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["outcome"] == outcome).map(|check| check["name"].as_str().unwrap()).collect()
}

const VECTORS: &str = "gives vectors";
const CREDENTIALS: &str = "tells whether the key is good";

/// What of the plugins that come with the host cannot be tested, as they do not do it.
const NOT_DONE: [(&str, &str); 3] = [("anthropic", VECTORS), ("groq", VECTORS), ("ollama", CREDENTIALS)];

/// Every plugin that comes with the host, and where its captures are if it has a dialect of its own.
fn builtin() -> impl Iterator<Item = (String, Option<PathBuf>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/builtin");
    let crates = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    crates.filter(|path| path.join("Cargo.toml").is_file()).map(|path| {
        let captures = path.join("conformance");
        (path.file_name().unwrap().to_str().unwrap().to_owned(), captures.is_dir().then_some(captures))
    })
}

/// It passes, and all is tested but what it does not do.
#[track_caller]
fn passes(id: &str, captures: Option<&Path>) {
    let folder = captures.map(|captures| captures.to_str().unwrap());
    let arguments: Vec<&str> = folder.into_iter().flat_map(|folder| ["--upstream", folder]).collect();
    let (report, passed) = test(&Library::built(&id.replace('-', "_")), &arguments);
    assert!(passed, "{id}: {report:#}");
    let not_done = NOT_DONE.iter().filter(|(known, _)| *known == id).map(|(_, check)| *check);
    assert_eq!(checks(&report, "not_tested"), not_done.collect::<Vec<_>>(), "{id}");
    assert_eq!(report["plugin"]["id"], id);
}

#[test]
fn vendors_of_openais_dialect_pass() {
    let vendors: Vec<_> = builtin().filter(|(_, captures)| captures.is_none()).collect();
    assert!(vendors.len() > 6, "{vendors:?}");
    for (id, _) in vendors {
        passes(&id, None);
    }
}

#[test]
fn vendors_with_a_dialect_of_their_own_pass_with_what_was_captured_of_it() {
    let vendors: Vec<_> = builtin().filter(|(_, captures)| captures.is_some()).collect();
    assert!(vendors.len() > 2, "{vendors:?}");
    for (id, captures) in vendors {
        passes(&id, captures.as_deref());
    }
}

#[test]
fn of_the_mock_all_is_tested_that_takes_no_upstream() {
    let (report, passed) = test(&libraries::mock(), &[]);
    assert!(passed, "{report:#}");
    let why = |check: &&Value| check["why"] == "it asks no upstream";
    assert_eq!(report["checks"].as_array().unwrap().iter().filter(why).count(), 11, "{report:#}");
    assert_eq!(report["summary"]["not_tested"], 11, "{report:#}");
}

#[test]
fn a_plugin_that_a_test_has_changed_is_like_any_other() {
    let (report, passed) = test(&libraries::chameleon().colour("red"), &["--reloads", "10"]);
    assert!(passed, "{report:#}");
    assert!(checks(&report, "passed").contains(&"streams what it answers whole"));
}

/// With this flaw there is this finding of this check.
#[track_caller]
fn fails(careless: &Library, flaw: &str, check: &str, finding: &str) {
    let config = json!({ "flaw": flaw }).to_string();
    let (report, passed) = test(careless, &["--reloads", "2", "--config", &config]);
    assert!(!passed, "{flaw}: {report:#}");
    let found = report["checks"].as_array().unwrap().iter().any(|it| {
        let mut findings = it["findings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        it["name"].as_str().unwrap().starts_with(check) && findings.any(|it| it.contains(finding))
    });
    assert!(found, "{flaw}: {finding:?} of {check:?} is not in {report:#}");
}

#[test]
fn whoever_is_careless_is_found_out() {
    let careless = Library::built("careless");
    for (flaw, check, finding) in [
        ("accepts_anything", "refuses a configuration", r#"{"region":{"nonsense":[]}} is accepted"#),
        (
            "says_something_else",
            "gives upstream's answer whole",
            r#"it says "Good morning!", upstream said "Hello!""#,
        ),
        ("collects", "hands a stream on", "no text came before upstream had ended"),
        ("reads_by_the_piece", "gives the same chunks", r#"cut at byte 1, gives "lo!" instead of "Hello!""#),
        ("takes_half_for_whole", "takes no stream that ends early", "at byte 0 is taken for a whole answer"),
        ("reads_nothing", "takes no answer that ends early", "at byte 0 is taken for a whole one"),
        ("keeps_the_connection", "hands a stream on", "a connection to upstream stayed open"),
        (
            "blames_the_client",
            "says what upstream's failures mean",
            "401 became invalid_input, not authentication",
        ),
        (
            "forgets_to_wait",
            "says what upstream's failures mean",
            "to be left alone for 7s, the error says None",
        ),
        ("panics_without_an_answer", "takes nonsense for no answer", "becomes panicked"),
        ("panics_without_an_answer", "takes no answer that ends early", "careless/src/lib.rs:"),
        ("aborts_on_failure", "says what upstream's failures mean", "it crashed (SIGABRT)"),
        ("panics_in_drop", "makes a provider", "it panicked while it was dropped: careless to the last ("),
        (
            "keeps_a_thread",
            "is loaded and unloaded",
            "after load 1 of 2 it stayed mapped: a thread that it started",
        ),
        ("tells_its_key", "makes a provider", "the key is in a line of the log"),
        ("knows_no_models", "lists models", "it tells none"),
        (
            "is_always_well",
            "tells whether upstream is well",
            "with upstream answering 500 it says that it is available",
        ),
        ("accepts_any_key", CREDENTIALS, r#"it says {"status":"valid"}"#),
        ("cuts_letters", "takes or refuses", "it panics over a text of one letter of four bytes"),
        ("blocks", "gives upstream's answer whole", "its thread did not come back: it blocks or spins"),
    ] {
        fails(&careless, flaw, check, finding);
    }
    // Of one that wants the key itself nobody knows how it is sent.
    let plain = careless.clone().manifest(|manifest| {
        manifest.insert("secrets".to_owned(), false.into());
    });
    let finding = "it asks without the key: write {{key}} where it belongs";
    fails(&plain, "asks_without_the_key", CREDENTIALS, finding);
    let (report, passed) = test(&careless, &["--reloads", "2"]);
    assert!(passed, "without a flaw it has none: {report:#}");
}

#[test]
fn what_no_host_would_load_is_told_and_not_tested() {
    let (report, _) = test(&libraries::chameleon().behaviour("create_abort"), &["--reloads", "2"]);
    assert_eq!(checks(&report, "failed"), ["passes `patchbay plugin check`"]);
    assert!(
        report["checks"][0]["findings"][0].as_str().unwrap().contains("it crashed (SIGABRT)"),
        "{report:#}"
    );
    assert_eq!(report["summary"]["passed"], 0);
}

#[test]
fn a_plugin_that_ends_its_process_again_and_again_ends_no_test() {
    let library = libraries::chameleon().behaviour("asked_call_exit");
    let (report, _) = test(&library, &["--reloads", "2", "--config", r#"{"misbehave": true}"#]);
    let failed = checks(&report, "failed");
    assert!(failed.len() > 2 && failed.len() < 21, "{failed:?}");
    assert!(report.to_string().contains("it ended the process (exit status 0)"), "{report:#}");
}

#[test]
fn what_cannot_be_tested_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("streams.txt"), "").unwrap();
    let folder = folder.path().to_str().unwrap();
    let file = libraries::mock().install(Path::new(folder), "libmock.so");
    let file = file.to_str().unwrap();
    for (arguments, code, said) in [
        (&["no.so"][..], 64, "no.so is not there"),
        (&[folder], 64, "has no Cargo.toml"),
        (&[file, "--upstream", folder], 64, "is nothing the kit reads"),
        (&[file, "--upstream", "nowhere"], 64, "nowhere cannot be read"),
        (&[file, "--config", "[]"], 2, "--config"),
        (&[file, "--reloads", "0"], 2, "--reloads"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
        let output = command.args(["plugin", "test"]).args(arguments).env_clear().output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words}");
        assert!(words.contains(said), "{said:?} is not in {words}");
    }
}

#[test]
fn a_check_gives_advice_and_refuses_nothing_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = libraries::mock().install(folder.path(), "libmock.so");
    let mut command = Command::new(env!("CARGO_BIN_EXE_patchbay"));
    let output = command.args(["plugin", "check", "--json"]).arg(file).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["passed"], true);
    let advice = report["advice"].as_array().unwrap();
    let about = |code: &str| advice.iter().find(|advice| advice["code"] == code);
    assert!(about("debug_build").is_some() && about("brought_along").is_none(), "{report:#}");
    let floor = about("glibc_floor").unwrap()["message"].as_str().unwrap();
    assert!(floor.starts_with("runs on glibc 2.") && floor.ends_with(" and newer"), "{floor}");
}

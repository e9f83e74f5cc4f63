use std::os::unix::fs::MetadataExt as _;

use super::*;
use crate::testing;

fn shelf() -> (tempfile::TempDir, Shelf, Source) {
    let dir = tempfile::tempdir().unwrap();
    let shelf = Shelf::within(dir.path());
    (dir, shelf, Source::of(&testing::settings("p")))
}

fn list(ids: &[&str]) -> ModelList {
    let models = ids.iter().map(|id| Model::new(*id).with_capabilities(["chat_completion"]));
    ModelList::new(models.collect(), SystemTime::now())
}

fn keep(shelf: &Shelf, name: &str, source: &Source, list: &ModelList) {
    assert!(shelf.write(name, source, list, || true).unwrap());
}

fn nobody(_: &str) -> bool {
    false
}

fn names(shelf: &Shelf) -> Vec<String> {
    let there = fs::read_dir(&shelf.dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = there.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_is_kept_is_found_again_and_by_nobody_else() {
    let (_dir, shelf, source) = shelf();
    let kept = list(&["a", "vendor/b"]);
    assert_eq!(shelf.read("p", &source), None);
    keep(&shelf, "p", &source, &kept);
    assert_eq!(shelf.read("p", &source), Some(kept));
    let mut elsewhere = testing::settings("p");
    elsewhere.base_url = Some("https://other.test".to_owned());
    assert_eq!(shelf.read("p", &Source::of(&elsewhere)), None);
    assert_eq!(shelf.read("q", &source), None);
    assert_eq!(fs::metadata(shelf.path("p")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(&shelf.dir).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn a_host_that_was_killed_while_it_wrote_finds_the_list_of_before() {
    let (_dir, shelf, source) = shelf();
    let (before, after) = (list(&["a"]), list(&["b"]));
    keep(&shelf, "p", &source, &before);
    // All that there is between writing and renaming.
    let half = unfinished(&shelf.path("p"));
    fs::write(&half, r#"{"version":1,"provi"#).unwrap();
    assert_eq!(shelf.read("p", &source), Some(before));
    shelf.keep_only(["p"], |_| true);
    assert!(!half.exists(), "and does not keep the half");
    fs::write(&half, r#"{"version":1,"provi"#).unwrap();
    keep(&shelf, "p", &source, &after);
    assert_eq!(shelf.read("p", &source), Some(after));
}

#[test]
fn what_cannot_be_read_is_put_aside() {
    let (_dir, shelf, source) = shelf();
    keep(&shelf, "p", &source, &list(&["a"]));
    let good = fs::read_to_string(shelf.path("p")).unwrap();
    for bad in [
        String::new(),
        good[..good.len() / 2].to_owned(),
        "[]".to_owned(),
        good.replace("\"version\":1", "\"version\":2"),
        good.replace("\"cached_at\":\"2", "\"cached_at\":\"x"),
        good.replace("\"id\":\"a\"", "\"id\":\"\""),
    ] {
        assert_ne!(bad, good);
        fs::write(shelf.path("p"), &bad).unwrap();
        assert_eq!(shelf.read("p", &source), None, "{bad}");
        assert_eq!(names(&shelf), ["p.damaged"], "{bad}");
        assert_eq!(fs::read_to_string(shelf.dir.join("p.damaged")).unwrap(), bad);
    }
    shelf.keep_only(["p"], nobody);
    assert_eq!(names(&shelf), ["p.damaged"]);
    shelf.keep_only([], nobody);
    assert_eq!(names(&shelf), <[&str; 0]>::default());
}

#[test]
fn only_those_who_are_there_have_a_list() {
    let (_dir, shelf, source) = shelf();
    shelf.keep_only(["nobody"], nobody);
    for name in ["here", "gone", "my-vendor"] {
        keep(&shelf, name, &source, &list(&["a"]));
    }
    shelf.keep_only(["here", "another"], |name| name == "my-vendor");
    assert_eq!(names(&shelf), ["here.json", "my-vendor.json"]);
}

#[test]
fn what_somebody_else_keeps_there_stays() {
    let (dir, shelf, source) = shelf();
    keep(&shelf, "gone", &source, &list(&["a"]));
    let (weights, elsewhere) =
        (["llama.gguf", "llama", "README.md", "a.json.bak"], dir.path().join("models"));
    fs::create_dir(&elsewhere).unwrap();
    for name in weights {
        fs::write(shelf.dir.join(name), name).unwrap();
        fs::write(elsewhere.join(name), name).unwrap();
    }
    shelf.keep_only([], nobody);
    assert_eq!(names(&shelf).len(), weights.len(), "and the list has gone");
    assert_eq!(fs::read_dir(elsewhere).unwrap().count(), weights.len());
}

#[test]
fn whether_a_list_is_wanted_is_asked_while_nobody_else_writes() {
    let (_dir, shelf, source) = shelf();
    let is_written = shelf.write("p", &source, &list(&["a"]), || {
        assert!(shelf.writing.try_lock().is_err(), "nobody can come between");
        false
    });
    assert!(!is_written.unwrap() && !shelf.dir.exists());
}

#[test]
fn every_name_is_one_of_a_file() {
    let (_dir, shelf, source) = shelf();
    let long = "x".repeat(5000);
    let longer = "x".repeat(5001);
    let odd = ["../../etc/passwd", "", ".", "a b", "a%20b", "ä\0", "a.b", long.as_str(), longer.as_str()];
    for name in odd {
        let kept = list(&[&name.len().to_string()]);
        keep(&shelf, name, &source, &kept);
        assert_eq!(shelf.read(name, &source), Some(kept), "{name}");
    }
    assert_eq!(names(&shelf).len(), odd.len(), "and each has its own");
}

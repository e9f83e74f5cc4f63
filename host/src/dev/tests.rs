//! Real crates, as small as they get, built by the cargo that builds these tests.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;

use tempfile::TempDir;

use super::*;

const LIBRARY: &str = "[lib]\ncrate-type = [\"cdylib\"]\n";

/// A working directory; crate names differ from test to test, since a target directory may be shared.
struct Rig {
    folder: TempDir,
}

impl Rig {
    fn new() -> Rig {
        Rig { folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// A crate in a workspace of its own, whose library gives a number.
    fn write(&self, folder: &str, name: &str, more: &str, number: &str) {
        let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n[workspace]\n{more}");
        self.write_member(folder, &manifest, number);
    }

    fn write_member(&self, folder: &str, manifest: &str, number: &str) {
        fs::create_dir_all(self.root().join(folder).join("src")).unwrap();
        fs::write(self.root().join(folder).join("Cargo.toml"), manifest).unwrap();
        self.edit(folder, number);
    }

    fn edit(&self, folder: &str, number: &str) {
        let source = format!("#[unsafe(no_mangle)]\npub extern \"C\" fn number() -> u32 {{ {number} }}\n");
        fs::write(self.root().join(folder).join("src/lib.rs"), source).unwrap();
    }

    fn places(&self) -> Places {
        Places::new(&[], &self.root()).unwrap()
    }

    async fn find(&self) -> Vec<PluginCrate> {
        let found = self.places().find().await.unwrap();
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        found.crates
    }

    fn staged(&self, folder: &str, name: &str) -> PathBuf {
        self.root().join(folder).join(format!("{DLL_PREFIX}{name}{DLL_SUFFIX}"))
    }
}

async fn built(crates: &[PluginCrate]) -> Vec<(String, Result<Staged, Trouble>)> {
    told(build(crates, |_| true).await.unwrap())
}

fn told(work: Vec<Work>) -> Vec<(String, Result<Staged, Trouble>)> {
    work.into_iter().map(|work| (work.name, work.result)).collect()
}

/// The next change that leads to work; a crate that is still being written leads to none.
async fn next(workshop: &mut Workshop) -> Vec<(String, Result<Staged, Trouble>)> {
    loop {
        let next = tokio::time::timeout(Duration::from_secs(60), workshop.next());
        let work = told(next.await.expect("no change was noticed").unwrap().0);
        if !work.is_empty() {
            return work;
        }
    }
}

#[tokio::test]
async fn crates_with_a_cdylib_are_found_where_plugins_lie() {
    let rig = Rig::new();
    rig.write("plugins/builtin/one", "found-one", LIBRARY, "1");
    rig.write("plugins/custom/two", "found-two", LIBRARY, "2");
    rig.write("plugins/custom/helper", "found-helper", "", "3");
    fs::create_dir_all(rig.root().join("plugins/custom/empty")).unwrap();
    let found = rig.find().await;
    let found: Vec<_> = found.iter().map(|plugin| (&*plugin.name, plugin.staging.clone())).collect();
    let staging = |folder| rig.root().join("plugins").join(folder);
    assert_eq!(found, [("found-one", staging("builtin")), ("found-two", staging("custom"))]);
}

#[tokio::test]
async fn a_crate_that_is_named_is_staged_in_its_own_target_folder() {
    let rig = Rig::new();
    rig.write("somewhere/mine", "named-mine", LIBRARY, "1");
    rig.write("somewhere/plain", "named-plain", "", "1");
    let named = ["somewhere/mine", "somewhere/plain"].map(|folder| rig.root().join(folder));
    let found = Places::new(&named, &rig.root()).unwrap().find().await.unwrap();
    assert_eq!(found.crates.len(), 1);
    assert!(found.crates[0].staging.ends_with("patchbay"), "{:?}", found.crates[0].staging);
    assert!(found.problems[0].contains("named-plain makes no plugin"), "{:?}", found.problems);

    let (missing, _) = Places::new(&[rig.root().join("nowhere")], &rig.root()).unwrap_err();
    assert!(missing.ends_with("nowhere"));
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_keeps_no_other_from_being_found() {
    let rig = Rig::new();
    rig.write("plugins/custom/broken", "broken manifest", LIBRARY, "1");
    rig.write("plugins/custom/whole", "whole-manifest", LIBRARY, "1");
    let found = rig.places().find().await.unwrap();
    assert_eq!(found.crates.iter().map(|plugin| &*plugin.name).collect::<Vec<_>>(), ["whole-manifest"]);
    assert!(found.problems[0].contains("custom/broken/Cargo.toml"), "{:?}", found.problems);
}

#[tokio::test]
async fn one_crate_that_does_not_build_leaves_its_library_and_the_others_alone() {
    let rig = Rig::new();
    let root = "[workspace]\nresolver = \"3\"\nmembers = [\"plugins/custom/good\", \"plugins/custom/bad\"]\n";
    fs::write(rig.root().join("Cargo.toml"), root).unwrap();
    for name in ["good", "bad"] {
        let manifest = format!("[package]\nname = \"keeps-{name}\"\nedition = \"2024\"\n{LIBRARY}");
        rig.write_member(&format!("plugins/custom/{name}"), &manifest, "1");
    }
    let crates = rig.find().await;
    let (good, bad) = (rig.staged("plugins/custom", "keeps_good"), rig.staged("plugins/custom", "keeps_bad"));
    for (_, result) in built(&crates).await {
        assert!(matches!(result, Ok(Staged::Replaced(_))), "{result:?}");
    }
    for (_, result) in built(&crates).await {
        assert!(matches!(result, Ok(Staged::UpToDate)), "{result:?}");
    }

    let before = fs::read(&bad).unwrap();
    rig.edit("plugins/custom/bad", "this is no number");
    rig.edit("plugins/custom/good", "2");
    for (name, result) in built(&crates).await {
        let expected = match &result {
            Ok(Staged::Replaced(path)) => name == "keeps-good" && *path == good,
            Err(Trouble::DoesNotBuild) => name == "keeps-bad",
            _ => false,
        };
        assert!(expected, "{name}: {result:?}");
    }
    assert_eq!(fs::read(&bad).unwrap(), before);
}

#[tokio::test]
async fn a_crate_is_built_again_when_a_source_changes_and_a_new_one_when_it_appears() {
    let rig = Rig::new();
    rig.write("shared", "again-shared", "", "1");
    let dependency = "[dependencies]\nagain-shared = { path = \"../../../shared\" }\n";
    rig.write("plugins/custom/first", "again-first", &format!("{LIBRARY}{dependency}"), "1");
    let crates = rig.find().await;
    let mut workshop = Workshop::open(rig.places(), crates).await.unwrap();
    built(workshop.crates()).await;
    // What cargo writes beside a manifest is a change like any other, and leads to the same library.
    let (name, result) = next(&mut workshop).await.remove(0);
    assert!(name == "again-first" && matches!(result, Ok(Staged::UpToDate)), "{name}: {result:?}");

    rig.edit("plugins/custom/first", "2");
    let (name, result) = next(&mut workshop).await.remove(0);
    assert!(name == "again-first" && matches!(result, Ok(Staged::Replaced(_))), "{name}: {result:?}");

    rig.edit("shared", "2");
    let (name, _) = next(&mut workshop).await.remove(0);
    assert_eq!(name, "again-first");

    rig.write("plugins/custom/second", "again-second", LIBRARY, "1");
    let work = next(&mut workshop).await;
    assert!(matches!(&work[..], [(name, Ok(Staged::Replaced(_)))] if name == "again-second"), "{work:?}");
    assert!(rig.staged("plugins/custom", "again_second").exists());
}

#[tokio::test]
async fn a_crate_whose_manifest_comes_first_is_built_when_its_source_follows() {
    let rig = Rig::new();
    let folder = rig.root().join("plugins/custom/late");
    fs::create_dir_all(&folder).unwrap();
    let mut workshop = Workshop::open(rig.places(), Vec::new()).await.unwrap();
    let manifest = format!("[package]\nname = \"late-source\"\nedition = \"2024\"\n[workspace]\n{LIBRARY}");
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    let (work, problems) = workshop.next().await.unwrap();
    assert!(work.is_empty() && problems.len() == 1, "{work:?} {problems:?}");

    fs::create_dir(folder.join("src")).unwrap();
    rig.edit("plugins/custom/late", "1");
    let work = next(&mut workshop).await;
    assert!(matches!(&work[..], [(name, Ok(Staged::Replaced(_)))] if name == "late-source"), "{work:?}");
}

#[test]
fn sources_are_told_from_libraries() {
    let dir = tempfile::tempdir().unwrap();
    let hold = || Places::hold_crates(&Places::standard(dir.path()));
    assert!(!hold(), "there are no folders yet");
    fs::create_dir_all(dir.path().join("plugins/custom/hello")).unwrap();
    fs::write(dir.path().join("plugins/custom/libhello.so"), "").unwrap();
    assert!(!hold());
    fs::write(dir.path().join("plugins/custom/hello/Cargo.toml"), "").unwrap();
    assert!(hold());
}

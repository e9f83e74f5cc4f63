//! Lists on disk: one file for each provider, so that a host that starts again need not ask.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use patchbay_plugin_api::Model;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::warn;

use super::list::ModelList;
use super::read::{self, FewModels, MOST_BYTES};
use super::source::Source;
use crate::durable;
use crate::segment::segment;

/// What a file says of itself that is laid out as the ones below are.
const VERSION: u32 = 1;

/// Names of files that are longer are told apart by a digest.
const NAME_BYTES: usize = 100;

/// What is put aside has this behind its name.
const DAMAGED: &str = "damaged";

/// Where lists are kept.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
    /// Two that write at one time would take each other's bytes for their own.
    writing: Mutex<()>,
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    provider: &'a str,
    source: &'a Source,
    cached_at: String,
    models: Vec<&'a Model>,
}

/// Read before all else: what follows may be laid out otherwise.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Kept {
    provider: String,
    source: Source,
    cached_at: String,
    models: FewModels,
}

impl Shelf {
    /// The folder within a data directory.
    pub fn within(data_dir: &Path) -> Self {
        Self { dir: data_dir.join("models"), writing: Mutex::default() }
    }

    /// The list of this provider, if one from there is kept. What cannot be read is put aside: it can be asked for.
    pub(super) fn read(&self, provider: &str, source: &Source) -> Option<ModelList> {
        let path = self.path(provider);
        let bytes = match load(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(provider, path = %path.display(), %error, "the kept list of models cannot be read");
                return None;
            }
        };
        match understand(&bytes) {
            Ok((kept, list)) => (kept.provider == provider && kept.source == *source).then_some(list),
            Err(problem) => {
                let aside = path.with_extension(DAMAGED);
                let moved = fs::rename(&path, &aside);
                let aside = moved.map_or_else(|error| error.to_string(), |()| aside.display().to_string());
                warn!(provider, path = %path.display(), problem, aside, "the kept list of models was put aside");
                None
            }
        }
    }

    /// Keeps a list in place of the one before.
    pub(super) fn write(&self, provider: &str, source: &Source, list: &ModelList) -> io::Result<()> {
        let written = Written {
            version: VERSION,
            provider,
            source,
            cached_at: humantime::format_rfc3339_nanos(list.cached_at()).to_string(),
            models: list.models().iter().map(|model| &**model).collect(),
        };
        let bytes = serde_json::to_vec(&written)?;
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        durable::replace(&self.path(provider), &bytes)
    }

    /// Removes the lists of all but these providers, and what a killed host left half written.
    pub(crate) fn keep_only<'a>(&self, providers: impl IntoIterator<Item = &'a str>) {
        let stays: BTreeSet<PathBuf> = providers
            .into_iter()
            .map(|name| self.path(name))
            .flat_map(|path| [path.with_extension(DAMAGED), path])
            .collect();
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the folder there is nothing to remove.
        let Ok(there) = fs::read_dir(&self.dir) else { return };
        for path in there.flatten().map(|entry| entry.path()).filter(|path| !stays.contains(path)) {
            if let Err(error) = fs::remove_file(&path) {
                warn!(path = %path.display(), %error, "a list of models that nobody needs cannot be removed");
            }
        }
    }

    /// A provider of the configuration may have any name; that of a file has letters, digits, `-` and `_`.
    fn path(&self, provider: &str) -> PathBuf {
        let mut name = segment(provider);
        if name.len() > NAME_BYTES {
            name.truncate(NAME_BYTES);
            name.push('%');
            for byte in &Sha256::digest(provider)[..16] {
                // Writing to a string does not fail.
                let _ = write!(name, "{byte:02x}");
            }
        }
        self.dir.join(format!("{name}.json"))
    }
}

fn load(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than there may be shows that there are more.
    File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn understand(bytes: &[u8]) -> Result<(Kept, ModelList), String> {
    if bytes.len() > MOST_BYTES {
        return Err(format!("it has more than {MOST_BYTES} bytes"));
    }
    let Version { version } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("it has version {version}, and this host reads {VERSION}"));
    }
    let mut kept: Kept = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let cached_at: SystemTime =
        humantime::parse_rfc3339(&kept.cached_at).map_err(|error| format!("cached_at: {error}"))?;
    // A clock was wrong, and nobody knows how old it is.
    let cached_at = if cached_at > SystemTime::now() { SystemTime::UNIX_EPOCH } else { cached_at };
    let models = read::checked(std::mem::take(&mut kept.models.0))?;
    Ok((kept, ModelList::new(models, cached_at)))
}

#[cfg(test)]
mod tests {
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
        shelf.write("p", &source, &kept).unwrap();
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
        shelf.write("p", &source, &before).unwrap();
        // All that there is between writing and renaming.
        let half = durable::temporary(&shelf.path("p"));
        fs::write(&half, r#"{"version":1,"provi"#).unwrap();
        assert_eq!(shelf.read("p", &source), Some(before));
        shelf.keep_only(["p"]);
        assert!(!half.exists(), "and does not keep the half");
        fs::write(&half, r#"{"version":1,"provi"#).unwrap();
        shelf.write("p", &source, &after).unwrap();
        assert_eq!(shelf.read("p", &source), Some(after));
    }

    #[test]
    fn what_cannot_be_read_is_put_aside() {
        let (_dir, shelf, source) = shelf();
        shelf.write("p", &source, &list(&["a"])).unwrap();
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
        shelf.keep_only(["p"]);
        assert_eq!(names(&shelf), ["p.damaged"]);
        shelf.keep_only([]);
        assert_eq!(names(&shelf), <[&str; 0]>::default());
    }

    #[test]
    fn only_those_who_are_there_have_a_list() {
        let (_dir, shelf, source) = shelf();
        shelf.keep_only(["nobody"]);
        for name in ["here", "gone"] {
            shelf.write(name, &source, &list(&["a"])).unwrap();
        }
        shelf.keep_only(["here", "another"]);
        assert_eq!(names(&shelf), ["here.json"]);
    }

    #[test]
    fn every_name_is_one_of_a_file() {
        let (_dir, shelf, source) = shelf();
        let long = "x".repeat(5000);
        let longer = "x".repeat(5001);
        let odd = ["../../etc/passwd", "", ".", "a b", "a%20b", "ä\0", "a.b", long.as_str(), longer.as_str()];
        for name in odd {
            let kept = list(&[&name.len().to_string()]);
            shelf.write(name, &source, &kept).unwrap();
            assert_eq!(shelf.read(name, &source), Some(kept), "{name}");
        }
        assert_eq!(names(&shelf).len(), odd.len(), "and each has its own");
    }
}

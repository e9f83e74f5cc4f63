//! Lists on disk: one file for each provider, so that a host that starts again need not ask.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use patchbay_plugin_api::Model;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::list::ModelList;
use super::read::{self, FewModels, MOST_BYTES};
use super::source::Source;
use crate::durable::{self, UNFINISHED};
use crate::hex::hex;
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
        Self { dir: data_dir.join("model-lists"), writing: Mutex::default() }
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

    /// Keeps a list in place of the one before, where it is still wanted. That is asked in one step with writing: what
    /// is configured anew may remove the file, or give it to another vendor's list.
    pub(super) fn write(
        &self,
        provider: &str,
        source: &Source,
        list: &ModelList,
        is_wanted: impl FnOnce() -> bool,
    ) -> io::Result<bool> {
        let written = Written {
            version: VERSION,
            provider,
            source,
            cached_at: humantime::format_rfc3339_nanos(list.cached_at()).to_string(),
            models: list.models().iter().map(|model| &**model).collect(),
        };
        let bytes = serde_json::to_vec(&written)?;
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_wanted() {
            return Ok(false);
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        let path = self.path(provider);
        durable::replace_by(&unfinished(&path), &path, &bytes).map(|()| true)
    }

    /// Removes the lists of all but these providers and those that may come by themselves, and what a killed host left
    /// half written. What it did not write itself is somebody else's.
    pub(crate) fn keep_only<'a>(
        &self,
        providers: impl IntoIterator<Item = &'a str>,
        may_come: impl Fn(&str) -> bool,
    ) {
        let stays: BTreeSet<PathBuf> = providers
            .into_iter()
            .map(|name| self.path(name))
            .flat_map(|path| [path.with_extension(DAMAGED), path])
            .collect();
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // Without the folder there is nothing to remove.
        let Ok(there) = fs::read_dir(&self.dir) else { return };
        for path in there.flatten().map(|entry| entry.path()).filter(|path| !stays.contains(path)) {
            let Some((name, end)) = own(&path) else { continue };
            if !end.starts_with(UNFINISHED) && may_come(name) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => info!(path = %path.display(), "a list of models that nobody needs was removed"),
                Err(error) => {
                    warn!(path = %path.display(), %error, "a list of models that nobody needs cannot be removed");
                }
            }
        }
    }

    /// A provider of the configuration may have any name; that of a file has letters, digits, `-` and `_`.
    fn path(&self, provider: &str) -> PathBuf {
        let mut name = segment(provider);
        if name.len() > NAME_BYTES {
            name.truncate(NAME_BYTES);
            name.push('%');
            name.push_str(&hex(&Sha256::digest(provider)[..16]));
        }
        self.dir.join(format!("{name}.json"))
    }
}

/// A file's name and what stands behind it, where it is one that the host gives.
fn own(path: &Path) -> Option<(&str, &str)> {
    let (name, end) = path.file_name()?.to_str()?.split_once('.')?;
    (["json", DAMAGED].contains(&end) || end.starts_with(UNFINISHED)).then_some((name, end))
}

/// Where a list is until it is complete. A host that takes over from another writes lists while that one still does.
fn unfinished(path: &Path) -> PathBuf {
    path.with_extension(format!("{UNFINISHED}.{}", std::process::id()))
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
mod tests;

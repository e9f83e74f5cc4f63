//! Where a new crate finds the plugin API.

use std::path::{Path, PathBuf};

use crate::cli::Failure;

const PACKAGE: &str = "name = \"patchbay-plugin-api\"";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    Path(String),
    Published,
}

/// The clone of Patchbay that this folder is in.
pub(super) fn clone_around(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| is_sdk(&folder.join("plugin-api"))).map(Path::to_path_buf)
}

fn is_sdk(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml"));
    manifest.is_ok_and(|text| text.lines().any(|line| line.trim() == PACKAGE))
}

impl Sdk {
    /// What was named, or what is around `place`, where the crate will be.
    pub(super) fn find(named: Option<&Path>, clone: Option<&Path>, place: &Path) -> Result<Sdk, Failure> {
        if let Some(named) = named {
            if !is_sdk(named) {
                let named = named.display();
                return Err(Failure::bad_input(format!("{named} is not the folder of patchbay-plugin-api")));
            }
            // The crate lies somewhere else than the words on the command line were meant for.
            let path = named
                .canonicalize()
                .map_err(|error| Failure::failed(format!("{}: {error}", named.display())))?;
            return text(&path).map(Sdk::Path);
        }
        let Some(inside) = clone.and_then(|clone| place.strip_prefix(clone).ok()) else {
            return Ok(Sdk::Published);
        };
        // Relative, so that the clone may be moved with the crate in it.
        Ok(Sdk::Path(format!("{}plugin-api", "../".repeat(inside.components().count()))))
    }

    /// As the value of a dependency.
    pub(super) fn to_toml(&self) -> String {
        match self {
            // A string of JSON is one of TOML.
            Sdk::Path(path) => format!("{{ path = {} }}", serde_json::Value::from(path.as_str())),
            Sdk::Published => "\"1\"".to_owned(),
        }
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let path = path.to_str().map(str::to_owned);
    path.ok_or_else(|| Failure::bad_input("a path in a Cargo.toml has to be in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_sdk_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let clone = folder.path().join("clone");
        let below = clone.join("plugins/custom");
        std::fs::create_dir_all(&below).unwrap();
        assert_eq!(clone_around(&below), None);
        assert_eq!(Sdk::find(None, None, &below.join("x")), Ok(Sdk::Published));

        let sdk = clone.join("plugin-api");
        std::fs::create_dir(&sdk).unwrap();
        std::fs::write(sdk.join("Cargo.toml"), "[package]\nname = \"patchbay-plugin-api\"\n").unwrap();
        assert_eq!(clone_around(&below), Some(clone.clone()));
        let found = Sdk::find(None, Some(&clone), &below.join("x")).unwrap();
        assert_eq!(found.to_toml(), r#"{ path = "../../../plugin-api" }"#);
        let named = Sdk::find(Some(&sdk), Some(&clone), &below.join("x")).unwrap();
        assert_eq!(named, Sdk::Path(sdk.canonicalize().unwrap().to_str().unwrap().to_owned()));
        assert_eq!(Sdk::find(Some(&clone), None, &below).unwrap_err().code(), 64);
    }
}

//! The environment for a cargo that is started by a program that cargo started.
//!
//! `cargo run -- dev` is how a fresh clone is set up. What that cargo adds to the environment describes the host's
//! package; build scripts look at it, and would run again in every build that alternates with one from a shell.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Everything but what `cargo run` (and rustup in front of it) added.
pub(super) fn without_cargo_run(
    variables: impl Iterator<Item = (OsString, OsString)>,
    own_folder: Option<&Path>,
) -> Vec<(OsString, OsString)> {
    let variables: Vec<_> = variables.collect();
    let Some(added) = Added::find(&variables, own_folder) else { return variables };
    variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.clone(), added.strip(&name, value)?)))
        .collect()
}

/// Where the search path for libraries was made to point to.
struct Added {
    folders: Vec<PathBuf>,
}

impl Added {
    /// None when cargo did not start this program: then everything there was put there by the user.
    fn find(variables: &[(OsString, OsString)], own_folder: Option<&Path>) -> Option<Added> {
        let value = |name: &str| variables.iter().find(|(other, _)| other == name).map(|(_, value)| value);
        value("CARGO_MANIFEST_DIR")?;
        // <toolchain>/bin/cargo brings <toolchain>/lib and what is in lib/rustlib.
        let toolchain = value("CARGO").and_then(|cargo| Path::new(cargo).parent()?.parent());
        let libraries = toolchain.map(|toolchain| toolchain.join("lib"));
        Some(Added { folders: libraries.into_iter().chain(own_folder.map(Path::to_path_buf)).collect() })
    }

    fn strip(&self, name: &OsStr, value: OsString) -> Option<OsString> {
        match name.to_str() {
            Some("LD_LIBRARY_PATH" | "DYLD_FALLBACK_LIBRARY_PATH") => self.strip_search_path(&value),
            Some("CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "CARGO_MANIFEST_LINKS" | "OUT_DIR") => None,
            Some("RUST_RECURSION_COUNT") => None,
            Some(name) if name.starts_with("CARGO_PKG_") => None,
            _ => Some(value),
        }
    }

    fn strip_search_path(&self, value: &OsStr) -> Option<OsString> {
        let was_added = |path: &PathBuf| {
            self.folders.iter().any(|folder| {
                // A distribution's toolchain lies in /usr, where the user's own libraries may lie as well.
                path == folder || path.starts_with(folder.join("rustlib")) || *path == folder.join("deps")
            })
        };
        let kept: Vec<_> = std::env::split_paths(value).filter(|path| !was_added(path)).collect();
        if kept.is_empty() { None } else { std::env::join_paths(kept).ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(variables: &[(&str, &str)]) -> Vec<(String, String)> {
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        without_cargo_run(variables, Some(Path::new("/clone/target/debug")))
            .into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
            .collect()
    }

    #[test]
    fn what_cargo_run_added_is_gone_and_the_rest_is_kept() {
        let kept = cleaned(&[
            ("CARGO", "/rust/bin/cargo"),
            ("CARGO_MANIFEST_DIR", "/clone/host"),
            ("CARGO_PKG_NAME", "patchbay"),
            ("CARGO_TARGET_DIR", "/elsewhere"),
            (
                "LD_LIBRARY_PATH",
                "/clone/target/debug:/clone/target/debug/deps:/rust/lib/rustlib/x/lib:/rust/lib:/cuda",
            ),
            ("RUST_RECURSION_COUNT", "1"),
            ("RUSTFLAGS", "-g"),
        ]);
        let expected = [
            ("CARGO", "/rust/bin/cargo"),
            ("CARGO_TARGET_DIR", "/elsewhere"),
            ("LD_LIBRARY_PATH", "/cuda"),
            ("RUSTFLAGS", "-g"),
        ];
        assert_eq!(kept, expected.map(|(name, value)| (name.into(), value.into())));
    }

    #[test]
    fn a_search_path_that_only_cargo_had_set_is_unset() {
        let kept = cleaned(&[
            ("CARGO_MANIFEST_DIR", "/clone/host"),
            ("LD_LIBRARY_PATH", "/clone/target/debug/deps"),
        ]);
        assert_eq!(kept, []);
    }

    #[test]
    fn without_cargo_run_everything_is_the_users() {
        let kept = cleaned(&[("LD_LIBRARY_PATH", "/clone/target/debug")]);
        assert_eq!(kept, [("LD_LIBRARY_PATH".into(), "/clone/target/debug".into())]);
    }
}

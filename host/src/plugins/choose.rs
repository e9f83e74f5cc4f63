//! Which file wins when several hold a plugin of the same id.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use semver::Version;

use super::discover::DirCategory;
use super::file::ContentHash;
use super::manifest::PluginId;

/// A file with a plugin in it.
#[derive(Clone, Copy, Debug)]
pub struct Contender<'a> {
    pub path: &'a Path,
    pub category: DirCategory,
    /// Index of its folder, in the order they are searched.
    pub dir: usize,
    pub id: &'a PluginId,
    pub version: &'a Version,
    pub hash: ContentHash,
}

/// What becomes of a contender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Wins,
    /// The same plugin, byte for byte, lies in another file, which stands for both.
    Duplicate {
        of: PathBuf,
    },
    /// Another file is used instead; the reason is one sentence.
    Shadowed {
        by: PathBuf,
        reason: String,
    },
}

/// One verdict per contender, in their order. Exactly one of each id wins.
pub fn choose(contenders: &[Contender<'_>]) -> Vec<Verdict> {
    let mut winners: BTreeMap<&PluginId, &Contender<'_>> = BTreeMap::new();
    for contender in contenders {
        let winner = winners.entry(contender.id).or_insert(contender);
        if contender.rank() < winner.rank() {
            *winner = contender;
        }
    }
    let verdict = |contender: &Contender<'_>| match winners.get(contender.id) {
        // By address: a folder that is searched twice gives the same path twice.
        Some(winner) if !std::ptr::eq(*winner, contender) => contender.loses_to(winner),
        _ => Verdict::Wins,
    };
    contenders.iter().map(verdict).collect()
}

impl Contender<'_> {
    /// The lowest wins. The path comes last, so that the outcome never depends on the order of a scan.
    fn rank(&self) -> (bool, usize, Reverse<&Version>, &Path) {
        (self.category == DirCategory::Builtin, self.dir, Reverse(self.version), self.path)
    }

    fn loses_to(&self, winner: &Self) -> Verdict {
        let by = winner.path.to_owned();
        if self.hash == winner.hash {
            return Verdict::Duplicate { of: by };
        }
        let (id, path) = (self.id, by.display());
        let reason = if (self.category == DirCategory::Builtin) != (winner.category == DirCategory::Builtin) {
            format!("{path} holds \"{id}\" too, and wins over what came with the host")
        } else if self.dir != winner.dir {
            format!("{path} holds \"{id}\" too, in a folder that is searched first")
        } else if self.version != winner.version {
            format!("{path} holds \"{id}\" {}, which is newer than {}", winner.version, self.version)
        } else {
            format!(
                "{path} holds another build of \"{id}\" {}, and its name sorts first: remove one of them",
                self.version
            )
        };
        Verdict::Shadowed { by, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::DirCategory::{Builtin, Custom, Extra};
    use super::*;

    /// Files as (path, category, folder, version, content), and for each what becomes of it.
    fn check(files: &[(&str, DirCategory, usize, &str, &str)], expected: &[&str]) {
        let id = PluginId::parse("mock").unwrap();
        let versions: Vec<Version> = files.iter().map(|file| Version::parse(file.3).unwrap()).collect();
        let mut contenders: Vec<Contender<'_>> = files
            .iter()
            .zip(&versions)
            .map(|(&(path, category, dir, _, content), version)| Contender {
                path: Path::new(path),
                category,
                dir,
                id: &id,
                version,
                hash: ContentHash::of(content.as_bytes()),
            })
            .collect();
        let words = |verdict: Verdict| match verdict {
            Verdict::Wins => "wins".to_owned(),
            Verdict::Duplicate { of } => format!("same as {}", of.display()),
            Verdict::Shadowed { reason, .. } => reason,
        };
        let mut outcome: Vec<String> = choose(&contenders).into_iter().map(words).collect();
        assert_eq!(outcome, expected);
        // The order in which files are found changes nothing.
        contenders.reverse();
        outcome.reverse();
        assert_eq!(choose(&contenders).into_iter().map(words).collect::<Vec<_>>(), outcome);
    }

    #[test]
    fn the_winner_is_always_the_same() {
        check(&[("b/mock.so", Builtin, 0, "1.0.0", "a")], &["wins"]);
        check(
            &[("b/mock.so", Builtin, 0, "2.0.0", "a"), ("c/mock.so", Custom, 1, "1.0.0", "b")],
            &["c/mock.so holds \"mock\" too, and wins over what came with the host", "wins"],
        );
        check(
            &[("b/mock.so", Builtin, 0, "2.0.0", "a"), ("e/mock.so", Extra, 1, "1.0.0", "b")],
            &["e/mock.so holds \"mock\" too, and wins over what came with the host", "wins"],
        );
        check(
            &[("c/mock.so", Custom, 1, "1.0.0", "a"), ("e/mock.so", Extra, 2, "3.0.0", "b")],
            &["wins", "c/mock.so holds \"mock\" too, in a folder that is searched first"],
        );
        check(
            &[("c/mock.so", Custom, 1, "1.9.0", "a"), ("c/mock2.so", Custom, 1, "1.10.0", "b")],
            &["c/mock2.so holds \"mock\" 1.10.0, which is newer than 1.9.0", "wins"],
        );
        check(
            &[("c/a.so", Custom, 1, "1.0.0", "a"), ("c/b.so", Custom, 1, "1.0.0", "b")],
            &[
                "wins",
                "c/a.so holds another build of \"mock\" 1.0.0, and its name sorts first: remove one of them",
            ],
        );
        check(
            &[("c/a.so", Custom, 1, "1.0.0", "a"), ("b/a.so", Builtin, 0, "1.0.0", "a")],
            &["wins", "same as c/a.so"],
        );
    }

    #[test]
    fn each_id_has_its_own_winner() {
        let (one, two) = (PluginId::parse("one").unwrap(), PluginId::parse("two").unwrap());
        let version = Version::new(1, 0, 0);
        let contender = |path, id| Contender {
            path: Path::new(path),
            category: Custom,
            dir: 0,
            id,
            version: &version,
            hash: ContentHash::of(b""),
        };
        assert_eq!(
            choose(&[contender("a.so", &one), contender("b.so", &two)]),
            [Verdict::Wins, Verdict::Wins]
        );
        assert_eq!(choose(&[]), []);
    }
}

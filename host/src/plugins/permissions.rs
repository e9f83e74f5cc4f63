//! Who else could change a file that is about to be run: nobody but root and the host's user may.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::problem::{Problem, ProblemCode, Step};

/// Somebody else could change it.
#[derive(Error, Debug)]
pub enum PermissionError {
    #[error("{} belongs to user {owner}, neither to root nor to the host's user {host}", path.display())]
    Owner { path: PathBuf, owner: u32, host: u32 },
    #[error("{} can be written by every user (mode {mode:04o})", path.display())]
    OthersWrite { path: PathBuf, mode: u32 },
    #[error("{} can be written by group {group} (mode {mode:04o}), which is not the private group of its owner", path.display())]
    GroupWrites { path: PathBuf, mode: u32, group: u32 },
    #[error("the accounts that tell who is in group {group} cannot be read")]
    Accounts { group: u32, source: io::Error },
}

impl PermissionError {
    pub fn problem(&self, step: Step) -> Problem {
        let (code, hint) = match self {
            Self::Owner { path, host, .. } => {
                (ProblemCode::OwnerUnsafe, format!("chown {host} {}", path.display()))
            }
            Self::OthersWrite { path, .. } => {
                (ProblemCode::WritableByOthers, format!("chmod o-w {}", path.display()))
            }
            Self::GroupWrites { path, .. } => {
                (ProblemCode::WritableByGroup, format!("chmod g-w {}", path.display()))
            }
            Self::Accounts { .. } => {
                (ProblemCode::AccountsUnreadable, "make /etc/passwd and /etc/group readable".to_owned())
            }
        };
        Problem::new(step, code, self, hint)
    }
}

/// Looks at the owner and the write bits of a file or a folder.
pub fn check(path: &Path, metadata: &Metadata) -> Result<(), PermissionError> {
    check_as(path, Access::of(metadata), host_user(), Accounts::read)
}

/// The user the host acts as.
pub fn host_user() -> u32 {
    // SAFETY: the call takes nothing, cannot fail and touches no memory.
    unsafe { libc::geteuid() }
}

struct Access {
    owner: u32,
    group: u32,
    mode: u32,
}

impl Access {
    fn of(metadata: &Metadata) -> Self {
        Self { owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777 }
    }
}

fn check_as(
    path: &Path,
    Access { owner, group, mode }: Access,
    host: u32,
    accounts: impl FnOnce() -> io::Result<Accounts>,
) -> Result<(), PermissionError> {
    let path = || path.to_owned();
    if owner != 0 && owner != host {
        return Err(PermissionError::Owner { path: path(), owner, host });
    }
    if mode & 0o002 != 0 {
        return Err(PermissionError::OthersWrite { path: path(), mode });
    }
    if mode & 0o020 != 0 {
        let accounts = accounts().map_err(|source| PermissionError::Accounts { group, source })?;
        if !accounts.is_private(group, owner) {
            return Err(PermissionError::GroupWrites { path: path(), mode, group });
        }
    }
    Ok(())
}

/// The local account files, as text. Read afresh each time: membership changes while the host runs.
struct Accounts {
    passwd: String,
    group: String,
}

impl Accounts {
    fn read() -> io::Result<Self> {
        // A container without these files has no accounts that could be members.
        let text = |path| match std::fs::read_to_string(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            other => other,
        };
        Ok(Self { passwd: text("/etc/passwd")?, group: text("/etc/group")? })
    }

    /// Whether a group is the one that many systems make for each user alone (umask 002 relies on it).
    ///
    /// It must look like one, that is have the owner's number or name, and nobody else may be in it as far as the
    /// local files tell. Looks alone would not do: an administrator can add members, and some systems put other
    /// accounts into root's group. Groups from a directory service are known by their number only.
    fn is_private(&self, group: u32, owner: u32) -> bool {
        let users = || self.passwd.lines().filter_map(Account::parse);
        let owner_name = users().find(|user| user.id == owner).map(|user| user.name);
        let mut groups = self.group.lines().filter_map(Account::parse).filter(|entry| entry.id == group);

        let named_alike = groups.clone().any(|entry| Some(entry.name) == owner_name);
        let no_other_member = groups
            .all(|entry| entry.rest.split(',').all(|member| member.is_empty() || Some(member) == owner_name));
        let no_other_primary = users().all(|user| user.id == owner || user.primary_group() != Some(group));
        (group == owner || named_alike) && no_other_member && no_other_primary
    }
}

/// A line of either file: `name:password:id:rest`.
struct Account<'a> {
    name: &'a str,
    id: u32,
    rest: &'a str,
}

impl<'a> Account<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, ':');
        let (name, _password) = (fields.next()?, fields.next()?);
        Some(Self { name, id: fields.next()?.parse().ok()?, rest: fields.next()? })
    }

    fn primary_group(&self) -> Option<u32> {
        self.rest.split(':').next()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/:\nbob:x:1001:1001::/:\n\
                          eve:x:1002:1003::/:\nmia:x:1003:1003::/:\nkim:x:1004:1500::/:\n";
    const GROUP: &str =
        "root:x:0:\nann:x:1000:ann\nbob:x:1001:eve\nmia:x:1003:\nkim:x:1500:\nstaff:x:50:\n+nis\n";

    fn check(owner: u32, group: u32, mode: u32) -> String {
        let accounts = || Ok(Accounts { passwd: PASSWD.to_owned(), group: GROUP.to_owned() });
        match check_as(Path::new("/p/x.so"), Access { owner, group, mode }, owner.max(1000), accounts) {
            Ok(()) => "ok".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    fn group_writes(group: u32) -> String {
        format!(
            "/p/x.so can be written by group {group} (mode 0775), which is not the private group of its owner"
        )
    }

    #[test]
    fn a_private_group_has_nobody_else_in_it() {
        for (owner, group, expected) in [
            (1000, 1000, "ok".to_owned()),    // Named as the only member, too.
            (0, 0, "ok".to_owned()),          // Root's own group, with nobody in it here.
            (1004, 1500, "ok".to_owned()),    // Another number, but named like the owner.
            (4000, 4000, "ok".to_owned()),    // Not in the local files; numbered like its owner.
            (1001, 1001, group_writes(1001)), // A second member.
            (1003, 1003, group_writes(1003)), // Somebody else's primary group.
            (1000, 50, group_writes(50)),     // A shared group, though it is empty.
        ] {
            assert_eq!(check(owner, group, 0o775), expected);
            assert_eq!(check(owner, group, 0o755), "ok");
        }
    }

    #[test]
    fn others_neither_own_nor_write() {
        assert_eq!(check(1000, 1000, 0o1777), "/p/x.so can be written by every user (mode 1777)");
        let accounts = || unreachable!("the group cannot write");
        let access = Access { owner: 1001, group: 0, mode: 0o644 };
        let error = check_as(Path::new("/p/x.so"), access, 1000, accounts).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/p/x.so belongs to user 1001, neither to root nor to the host's user 1000"
        );
        assert_eq!(error.problem(Step::File).hint, "chown 1000 /p/x.so");
    }
}

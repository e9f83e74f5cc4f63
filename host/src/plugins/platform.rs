//! What this host is: libraries for anything else are refused before the loader sees them.

use std::fmt;

/// Machine, system and C library. A value rather than constants, so that tests can be on another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// As in [`std::env::consts::ARCH`].
    pub arch: &'static str,
    /// As in [`std::env::consts::OS`].
    pub os: &'static str,
    /// The C library: `gnu`, `musl` or nothing.
    pub env: &'static str,
    /// The version of the glibc that is running, which may be newer than the one built against.
    pub glibc: Option<Glibc>,
}

/// A glibc version, such as 2.36.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc(pub u32, pub u32);

impl Platform {
    pub fn host() -> Self {
        let env = if cfg!(target_env = "gnu") {
            "gnu"
        } else if cfg!(target_env = "musl") {
            "musl"
        } else {
            ""
        };
        Self { arch: std::env::consts::ARCH, os: std::env::consts::OS, env, glibc: running_glibc() }
    }

    /// The name that `cargo build --target` wants.
    pub fn triple(&self) -> String {
        let Self { arch, os, env, .. } = self;
        let arch = if *arch == "riscv64" { "riscv64gc" } else { arch };
        match *os {
            "macos" => format!("{arch}-apple-darwin"),
            _ if env.is_empty() => format!("{arch}-unknown-{os}"),
            _ => format!("{arch}-unknown-{os}-{env}"),
        }
    }

    /// Whether a library built for `triple` can run here, as far as names tell. A vendor makes no difference.
    pub fn accepts(&self, triple: &str) -> bool {
        let words: Vec<&str> = triple.split('-').collect();
        let arch = match words[0] {
            "riscv64gc" => "riscv64",
            "i386" | "i586" | "i686" => "x86",
            arch => arch,
        };
        let os = if words.contains(&"darwin") { "macos" } else { self.os };
        let env = words.last().copied().unwrap_or_default();
        let other_libc = matches!(env, "gnu" | "musl") && !self.env.is_empty() && env != self.env;
        arch == self.arch && os == self.os && (os == "macos" || words.contains(&os)) && !other_libc
    }
}

impl Glibc {
    /// Reads `2.36`; what follows a second dot does not matter to symbol versions.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split('.');
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn running_glibc() -> Option<Glibc> {
    // SAFETY: the function takes nothing and answers with a static, NUL-terminated string.
    let version = unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) };
    Glibc::parse(version.to_str().ok()?)
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn running_glibc() -> Option<Glibc> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triples_are_compared_by_machine_system_and_c_library() {
        let here = Platform { arch: "x86_64", os: "linux", env: "gnu", glibc: None };
        assert_eq!(here.triple(), "x86_64-unknown-linux-gnu");
        for (triple, accepted) in [
            ("x86_64-unknown-linux-gnu", true),
            ("x86_64-pc-linux-gnu", true),
            ("x86_64-unknown-linux-musl", false),
            ("aarch64-unknown-linux-gnu", false),
            ("x86_64-apple-darwin", false),
            ("x86_64-pc-windows-gnu", false),
            ("i686-unknown-linux-gnu", false),
            ("", false),
        ] {
            assert_eq!(here.accepts(triple), accepted, "{triple}");
        }
        let host = Platform::host();
        assert!(host.accepts(&host.triple()));
    }

    #[test]
    fn glibc_versions_are_compared_as_numbers() {
        assert!(Glibc::parse("2.36").unwrap() > Glibc::parse("2.9").unwrap());
        assert_eq!(Glibc::parse("2.2.5"), Some(Glibc(2, 2)));
        assert_eq!(Glibc::parse("PRIVATE"), None);
    }
}

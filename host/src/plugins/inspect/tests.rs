//! Fixtures are real libraries, made by the C compiler; the mistakes are then made in their bytes.

use std::process::Command;
use std::sync::LazyLock;

use super::*;

const MANIFEST: &str =
    r#"__attribute__((section(".patchbay"), used)) const char manifest[] = "{\"id\":\"c\"}";"#;
/// Something for every table: a constructor, imported and exported symbols, pointers, a thread-local.
const CODE: &str = r#"
    #include <stdio.h>
    __thread int counter = 7;
    static int value;
    int *pointer = &value;
    __attribute__((constructor)) static void start(void) { value = 1; }
    __attribute__((destructor)) static void stop(void) { value = 0; }
    int answer(int number) { counter++; return printf("%d", number) + *pointer; }
"#;

static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| build(&format!("{MANIFEST}{CODE}"), &["-shared", "-fPIC"]));

fn build(source: &str, flags: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("fixture.c"), dir.path().join("fixture.so"));
    std::fs::write(&input, source).unwrap();
    let run = Command::new("cc").args(flags).arg(&input).arg("-o").arg(&output).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    std::fs::read(output).unwrap()
}

fn check(bytes: &[u8], message: &str, code: &str) {
    let problem = inspect(bytes, &Platform::host()).unwrap_err().problem();
    assert_eq!((problem.message.as_str(), problem.code.word()), (message, code));
    assert_eq!(problem.step, Step::Read);
}

fn check_built(flags: &[&str], message: &str, code: &str) {
    check(&build(&format!("{MANIFEST}{CODE} int main(void) {{ return 0; }}"), flags), message, code);
}

fn changed(at: usize, to: &[u8]) -> Vec<u8> {
    let mut bytes = GOOD.clone();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn a_good_library_is_read() {
    let found = inspect(&GOOD, &Platform::host()).unwrap();
    assert_eq!(found.manifest_json, br#"{"id":"c"}"#);
    assert_eq!(found.machine, std::env::consts::ARCH);
    assert!(!found.nodelete && !found.static_tls);
    assert!(found.needed.contains(&"libc.so.6".to_owned()));
    assert!(found.needs_glibc >= Some(Glibc(2, 2)));
}

#[test]
fn other_linkings_are_good_too() {
    let source = format!("{MANIFEST}{CODE}");
    for flags in [
        &["-shared", "-fPIC", "-Wl,-z,now", "-Wl,-z,relro"][..],
        &["-shared", "-fPIC", "-Wl,--hash-style=sysv"],
        &["-shared", "-fPIC", "-Wl,--hash-style=both", "-s"],
        &["-shared", "-fPIC", "-Wl,--default-symver", "-O2"],
        &["-shared", "-fPIC", "-Wl,-z,pack-relative-relocs", "-g"],
        &["-shared", "-fPIC", "-nostdlib", "-Wl,-z,noseparate-code"],
    ] {
        assert_eq!(inspect(&build(&source, flags), &Platform::host()).map(|_| ()), Ok(()), "{flags:?}");
    }
}

#[test]
fn libraries_of_this_workspace_are_found_sound() {
    let beside = std::env::current_exe().unwrap();
    for name in ["libmock.so", "libopenai_compatible.so", "libchameleon.so"] {
        let bytes = std::fs::read(beside.parent().unwrap().join(name)).unwrap();
        let sound = whole(&bytes);
        assert!(sound.is_ok(), "{name}: {sound:?}");
    }
}

/// All checks, but not the search for a manifest, which not every library has.
fn whole(bytes: &[u8]) -> Result<(), InspectError> {
    let machine = header::check(bytes, &Platform::host())?;
    let layout = Layout::read(bytes)?;
    holes::check(&layout)?;
    let dynamic = Dynamic::read(&layout)?;
    let symbols = Symbols::read(&layout, &dynamic)?;
    Relocations::read(&layout, &dynamic, &symbols, machine)?.check_functions(&layout, &dynamic)?;
    versions::check(&layout, &dynamic, &symbols).map(|_| ())
}

#[test]
fn what_is_no_library_is_called_by_its_name() {
    check(b"", "the file is empty", "file_empty");
    for (bytes, found) in [
        (&b"#!/bin/sh\n"[..], "a script"),
        (b"{\"plugins\": {}}\n", "a text file"),
        ("<!DOCTYPE html>\u{e9}".as_bytes(), "a text file"),
        (b"!<arch>\nlib.o/", "a static library (an ar archive)"),
        (b"\xcf\xfa\xed\xfe\x07\0\0\x01", "a library or program for macOS (Mach-O)"),
        (b"MZ\x90\0\x03", "a library or program for Windows (PE)"),
        (b"\0asm\x01\0\0\0", "a WebAssembly module"),
        (b"\x1f\x8b\x08\0", "a compressed archive"),
        (&[0; 5000], "nothing but zeros at its beginning"),
        (b"\x01\x02\x03\xff", "something unknown"),
    ] {
        check(bytes, &format!("the file is {found}, not a library"), "not_a_library");
    }
    let cut = "the file is cut short: its header should reach to byte 64, but there are only 3";
    check(&GOOD[..3], cut, "file_truncated");
}

#[test]
fn programs_and_objects_are_refused() {
    let code = "not_a_shared_library";
    check_built(&["-no-pie"], "the file is a program, not a shared library", code);
    check_built(&["-pie", "-fPIE"], "the file is a program, not a shared library", code);
    check_built(&["-c"], "the file is an object file that was not linked yet, not a shared library", code);
    check_built(
        &["-shared", "-fPIC", "-Wl,-z,nodlopen"],
        "the library was linked with -z nodlopen, so that it cannot be loaded at run time",
        "not_for_loading",
    );
}

#[test]
fn other_machines_are_named() {
    let host = Platform { arch: "x86_64", os: "linux", env: "gnu", glibc: None };
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 3;
    for (class, endian, machine, built_for) in [
        (2, 1, 183, "aarch64"),
        (1, 1, 3, "x86"),
        (1, 1, 62, "x32"),
        (2, 1, 21, "powerpc64le"),
        (2, 1, 999_u16, "machine number 999"),
    ] {
        (header[4], header[5]) = (class, endian);
        header[18..20].copy_from_slice(&machine.to_le_bytes());
        let problem = inspect(&header, &host).unwrap_err().problem();
        assert_eq!(problem.message, format!("the library was built for {built_for}, this host is x86_64"));
        assert_eq!(problem.hint, "rebuild it with --target x86_64-unknown-linux-gnu");
    }
}

#[test]
fn the_c_library_must_fit() {
    let needs = inspect(&GOOD, &Platform::host()).unwrap().needs_glibc.unwrap();
    let old = Platform { glibc: Some(Glibc(2, 1)), ..Platform::host() };
    let problem = inspect(&GOOD, &old).unwrap_err().problem();
    assert_eq!(problem.message, format!("the library needs GLIBC_{needs}, this system has 2.1"));
    let target = old.triple();
    assert_eq!(
        problem.hint,
        format!("build it on an older system (or with cargo zigbuild --target {target}.2.1)")
    );
    let musl = Platform { env: "musl", glibc: None, ..Platform::host() };
    let error = inspect(&GOOD, &musl).unwrap_err();
    assert_eq!(error.to_string(), "the library was built for glibc, this host uses musl");
}

#[test]
fn there_is_exactly_one_manifest() {
    let shared = ["-shared", "-fPIC"];
    let none = "the library has no .patchbay section, so it is not a plugin";
    check(&build(CODE, &shared), none, "manifest_missing");
    let large = format!(r#"{CODE} __attribute__((section(".patchbay"), used)) const char m[300000] = "{{";"#);
    check(
        &build(&large, &shared),
        "the library's manifest has 300000 bytes, more than the 262144 that are allowed",
        "manifest_too_large",
    );
    let zeros = format!(r#"{CODE} __attribute__((section(".patchbay"), used)) const char m[9] = "";"#);
    check(
        &build(&zeros, &shared),
        "the library is damaged: its manifest section holds nothing but zeros",
        "file_damaged",
    );
    // Two sections of one name, as `objcopy` can make them: a second one is renamed in the table of names.
    let twice =
        format!(r#"{MANIFEST}{CODE} __attribute__((section(".patchbax"), used)) const char m[] = "x";"#);
    let mut twice = build(&twice, &shared);
    let name = twice.windows(9).rposition(|window| window == b".patchbax").unwrap();
    twice[name + 8] = b'y';
    check(&twice, "the library has 2 .patchbay sections", "manifest_repeated");
}

#[test]
fn flags_are_reported() {
    let source = format!("{MANIFEST}{CODE}");
    let flags = ["-shared", "-fPIC", "-Wl,-z,nodelete", "-ftls-model=initial-exec"];
    let found = inspect(&build(&source, &flags), &Platform::host()).unwrap();
    assert!(found.nodelete && found.static_tls);
}

#[test]
fn every_truncation_is_refused() {
    let size = GOOD.len();
    let steps = (1..=200).map(|step| size * step / 200).map(|length| length.saturating_sub(1));
    for length in (0..size.min(4096)).chain(steps).chain(size - 4096..size) {
        let error = inspect(&GOOD[..length], &Platform::host()).unwrap_err();
        assert!(matches!(error, InspectError::Truncated { .. } | InspectError::Empty), "{length}: {error}");
    }
}

#[test]
fn every_zeroed_tail_is_refused() {
    let size = GOOD.len();
    // The last few bytes of the last section header are zeros to begin with.
    let steps = (1..=200).map(|step| size * step / 200);
    for length in (32..4096).chain(steps) {
        let zeroed = changed(size - length, &vec![0; length]);
        assert!(inspect(&zeroed, &Platform::host()).is_err(), "{length}");
    }
}

#[test]
fn holes_are_refused_where_libraries_have_none() {
    for name in [&b".text"[..], b".dynsym", b".dynstr", b".rela.dyn", b".rela.plt", b".gnu.hash", b".dynamic"]
    {
        let layout = Layout::read(&GOOD).unwrap();
        let section = layout.sections.iter().find(|section| section.name == name).unwrap();
        let (start, size) = (section.offset as usize, section.size as usize);
        let error = inspect(&changed(start, &vec![0; size]), &Platform::host());
        let name = String::from_utf8_lossy(name);
        assert!(matches!(error, Err(InspectError::Damaged { .. })), "{name}: {error:?}");
    }
}

#[test]
fn entries_that_the_loader_expects_are_there() {
    let layout = Layout::read(&GOOD).unwrap();
    let dynamic = layout.sections.iter().find(|section| section.name == b".dynamic").unwrap();
    let (start, size) = (dynamic.offset as usize, dynamic.size as usize);
    for (tag, what) in [
        (27_u64, "its dynamic section is incomplete"), // The size of the constructors' table.
        (9, "its dynamic section is incomplete"),      // The size of a relocation.
        (0x6fff_fff0, "its dynamic section is incomplete"), // The symbols' versions.
        (6, "its symbols are not where it says"),      // The symbols.
        (5, "its table of strings is not where it says"), // Their names.
        (0x6fff_fef5, "the hash table of its symbols makes no sense"), // What finds them.
    ] {
        let entry = GOOD[start..start + size].chunks(16).position(|entry| entry[..8] == tag.to_ne_bytes());
        // Turned into a tag that means nothing.
        let without = changed(start + entry.unwrap() * 16, &0x7000_0077_u64.to_ne_bytes());
        check(&without, &format!("the library is damaged: {what}"), "file_damaged");
    }
}

#[test]
fn no_byte_makes_it_panic() {
    for at in 0..GOOD.len().min(4096) {
        for mask in [0xff, 0x01, 0x80] {
            let _ = inspect(&changed(at, &[GOOD[at] ^ mask]), &Platform::host());
        }
    }
    // Beyond the header, everything that the loader follows lies in the sections; any word may be anything.
    for at in (0..GOOD.len() - 8).step_by(8) {
        for word in [u64::MAX, u64::MAX / 2, 0, 1 << 32] {
            let _ = inspect(&changed(at, &word.to_ne_bytes()), &Platform::host());
        }
    }
}

//! What kind of file it is, by its first bytes: the loader's own words ("No such file") would mislead.

use object::elf;

use super::InspectError;
use crate::plugins::platform::Platform;

/// The size of the ELF header of 64-bit machines, the only ones there are hosts for.
const HEADER_SIZE: usize = 64;

/// Checks that it is a shared library for this machine, and says which machine that is.
pub(super) fn check(bytes: &[u8], platform: &Platform) -> Result<&'static str, InspectError> {
    if bytes.is_empty() {
        return Err(InspectError::Empty);
    }
    if !bytes.starts_with(&elf::ELFMAG) && !elf::ELFMAG.starts_with(bytes) {
        return Err(InspectError::NotALibrary { found: guess(bytes) });
    }
    if bytes.len() < HEADER_SIZE {
        let (end, size) = (HEADER_SIZE as u64, bytes.len() as u64);
        return Err(InspectError::Truncated { what: "its header".to_owned(), end, size });
    }
    let number = |at: usize| match bytes[5] {
        elf::ELFDATA2MSB => u16::from_be_bytes([bytes[at], bytes[at + 1]]),
        _ => u16::from_le_bytes([bytes[at], bytes[at + 1]]),
    };
    let machine = machine(number(18), bytes[4], bytes[5]);
    let endian = if cfg!(target_endian = "big") { elf::ELFDATA2MSB } else { elf::ELFDATA2LSB };
    if machine.as_deref() != Ok(platform.arch) || bytes[4] != elf::ELFCLASS64 || bytes[5] != endian {
        let built_for = machine.map_or_else(|unknown| unknown, str::to_owned);
        return Err(InspectError::OtherMachine { built_for, host: platform.arch, triple: platform.triple() });
    }
    let found = match number(16) {
        elf::ET_DYN => return Ok(platform.arch),
        elf::ET_EXEC => "a program",
        elf::ET_REL => "an object file that was not linked yet",
        elf::ET_CORE => "a core dump",
        _ => "an ELF file of an unknown type",
    };
    Err(InspectError::NotShared { found })
}

/// The name that Rust gives to a machine, or words for one that it has no name for.
fn machine(number: u16, class: u8, endian: u8) -> Result<&'static str, String> {
    let wide = class == elf::ELFCLASS64;
    let little = endian == elf::ELFDATA2LSB;
    Ok(match number {
        elf::EM_X86_64 if wide => "x86_64",
        elf::EM_X86_64 => return Err("x32".to_owned()),
        elf::EM_AARCH64 if little => "aarch64",
        elf::EM_386 => "x86",
        elf::EM_ARM => "arm",
        elf::EM_RISCV if wide => "riscv64",
        elf::EM_RISCV => "riscv32",
        elf::EM_PPC64 if little => return Err("powerpc64le".to_owned()),
        elf::EM_PPC64 => "powerpc64",
        elf::EM_S390 => "s390x",
        elf::EM_LOONGARCH => "loongarch64",
        elf::EM_MIPS => "mips",
        _ => return Err(format!("machine number {number}")),
    })
}

/// What people put into a plugin folder by mistake.
fn guess(bytes: &[u8]) -> &'static str {
    const MACH_O: [&[u8]; 5] = [
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
    ];
    const ARCHIVES: [&[u8]; 5] = [b"PK\x03\x04", b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh"];
    let begins_like = |magics: &[&[u8]]| magics.iter().any(|magic| bytes.starts_with(magic));
    let start = &bytes[..bytes.len().min(512)];
    match () {
        () if begins_like(&[b"#!"]) => "a script",
        () if begins_like(&[b"!<arch>\n", b"!<thin>\n"]) => "a static library (an ar archive)",
        () if begins_like(&MACH_O) => "a library or program for macOS (Mach-O)",
        () if begins_like(&[b"MZ"]) => "a library or program for Windows (PE)",
        () if begins_like(&[b"\0asm"]) => "a WebAssembly module",
        () if begins_like(&ARCHIVES) => "a compressed archive",
        () if start.iter().all(|byte| *byte == 0) => "nothing but zeros at its beginning",
        () if is_text(start) => "a text file",
        () => "something unknown",
    }
}

fn is_text(start: &[u8]) -> bool {
    // A character may be cut at the end of what is looked at.
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.is_empty() && text.chars().all(|letter| !letter.is_control() || letter.is_ascii_whitespace())
}

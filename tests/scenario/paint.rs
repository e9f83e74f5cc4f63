//! Many libraries out of one: bytes replaced by others of the same length. See `tests/plugins/chameleon`.

use std::path::PathBuf;

const COLOUR: &[u8] = b"CHAMELEON-COLOUR=";
const COLOUR_ROOM: usize = 32;
const VERSION: &[u8] = b"\"version\":\"1.0.0\"";

/// The library that cargo built beside the running test or benchmark.
pub(crate) fn built(name: &str) -> std::io::Result<Vec<u8>> {
    let beside = std::env::current_exe()?;
    let path: PathBuf = beside.with_file_name(format!("lib{name}.so"));
    std::fs::read(&path)
        .map_err(|error| std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// The chameleon in a colour.
pub(crate) fn coloured(library: &[u8], colour: &str) -> Vec<u8> {
    let mut written = COLOUR.to_vec();
    written.extend(colour.bytes());
    assert!(written.len() < COLOUR_ROOM, "{colour} is too long");
    written.resize(COLOUR_ROOM, b'.');
    replaced(library, COLOUR, &written)
}

/// Any library of version 1.0.0 as another version, of one digit each.
pub(crate) fn of_version(library: &[u8], major: u8) -> Vec<u8> {
    let written = format!("\"version\":\"{}.0.0\"", major % 10);
    replaced(library, VERSION, written.as_bytes())
}

/// Writes `by` wherever `what` stands.
fn replaced(library: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let places: Vec<usize> = memchr::memmem::find_iter(library, what).collect();
    assert!(!places.is_empty(), "{} is not in the library", String::from_utf8_lossy(what));
    let mut library = library.to_vec();
    for at in places {
        library[at..at + by.len()].copy_from_slice(by);
    }
    library
}

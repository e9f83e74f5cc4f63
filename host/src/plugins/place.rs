//! Where a library lies in this process, and whether it still does.
//!
//! The loader and the kernel are asked by address. By its path a library cannot be found: the kernel knows the file by
//! another name when there are links or dots in the path, when the file was deleted, or when a name has a line break.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ops::Range;

use libc::dl_phdr_info;

const MAPS: &str = "/proc/self/maps";

/// See the module.
#[derive(Debug)]
pub(super) struct Place {
    /// What the loader knows it by: no two have both at a time.
    base: usize,
    name: CString,
    range: Range<usize>,
    /// As the kernel shows it for this library's own mapping; a `stat` of the file shows other numbers on some file
    /// systems. None where the kernel does not show it.
    file: Option<MappedFile>,
}

/// The file behind a mapping.
#[derive(Debug, PartialEq, Eq)]
struct MappedFile {
    device: Vec<u8>,
    inode: u64,
}

/// What became of a library that was closed.
#[derive(Debug)]
pub(super) enum Fate {
    /// Nothing of it is mapped any more.
    Gone,
    /// It is still mapped.
    Mapped,
    /// The system does not say, and this is why.
    Unknown(String),
}

impl Place {
    /// Where an open library lies.
    ///
    /// # Safety
    ///
    /// The handle is one of `dlopen`'s, and not closed.
    pub(super) unsafe fn of(handle: *mut c_void) -> Option<Self> {
        let mut map: *const LinkMap = std::ptr::null();
        // SAFETY: the handle is good, and this request writes a pointer to the handle's link map.
        let found = unsafe { libc::dlinfo(handle, libc::RTLD_DI_LINKMAP, (&raw mut map).cast()) };
        if found != 0 || map.is_null() {
            return None;
        }
        // SAFETY: the loader's map of a library that is open: it stays, and its name is a C string.
        let (base, name) = unsafe { ((*map).base, CStr::from_ptr((*map).name).to_owned()) };
        let range = find_loaded(|object| is(object, base, &name).then(|| extent(object)))??;
        let file = std::fs::read(MAPS).ok().and_then(|maps| file_at(&maps, range.start));
        Some(Self { base, name, range, file })
    }

    /// From its first byte to behind its last.
    pub(super) fn range(&self) -> &Range<usize> {
        &self.range
    }

    /// Looks whether the library is still there. To be gone it must be so for the loader and for the kernel.
    pub(super) fn fate(&self) -> Fate {
        if find_loaded(|object| is(object, self.base, &self.name).then_some(())).is_some() {
            return Fate::Mapped;
        }
        let Some(file) = &self.file else {
            return Fate::Unknown(format!("it was not found in {MAPS} when it was opened"));
        };
        match std::fs::read(MAPS) {
            Ok(maps) if mappings(&maps).any(|mapping| mapping.file == *file) => Fate::Mapped,
            // With a line of somebody's at least, so that it is known to be what it should be.
            Ok(maps) if mappings(&maps).next().is_some() => Fate::Gone,
            Ok(_) => Fate::Unknown(format!("{MAPS} shows no file at all")),
            Err(error) => Fate::Unknown(format!("{MAPS} cannot be read: {error}")),
        }
    }
}

/// How the loader's `struct link_map` begins, which is all of it that is public here.
#[repr(C)]
struct LinkMap {
    base: usize,
    name: *const c_char,
}

/// Asks about each object that the loader has, until there is an answer. The loader stands still meanwhile, so
/// `look` must not open or close anything.
fn find_loaded<T, F: FnMut(&dl_phdr_info) -> Option<T>>(look: F) -> Option<T> {
    struct Search<T, F> {
        look: F,
        found: Option<T>,
    }
    unsafe extern "C" fn each<T, F: FnMut(&dl_phdr_info) -> Option<T>>(
        object: *mut dl_phdr_info,
        _: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: the search is the one given below, which nobody else has; the object is the loader's, for the call.
        let (search, object) = unsafe { (&mut *search.cast::<Search<T, F>>(), &*object) };
        search.found = (search.look)(object);
        search.found.is_some().into()
    }
    let mut search = Search { look, found: None };
    // SAFETY: the function takes what is given with it, and both are there until the call returns.
    unsafe { libc::dl_iterate_phdr(Some(each::<T, F>), (&raw mut search).cast()) };
    search.found
}

fn is(object: &dl_phdr_info, base: usize, name: &CStr) -> bool {
    // SAFETY: the loader's names are C strings, and it stands still.
    object.dlpi_addr as usize == base && unsafe { CStr::from_ptr(object.dlpi_name) } == name
}

fn extent(object: &dl_phdr_info) -> Option<Range<usize>> {
    // SAFETY: so many program headers lie there, for as long as the loader stands still.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    let segments = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
        let start = (object.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        start..start + header.p_memsz as usize
    });
    segments.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
}

/// A line of the kernel's list that speaks of a file.
struct Mapping {
    range: Range<usize>,
    file: MappedFile,
}

/// Read as bytes: the path at the end of a line is of any kind. The kernel writes its line breaks as `\012`.
fn mappings(maps: &[u8]) -> impl Iterator<Item = Mapping> {
    maps.split(|byte| *byte == b'\n').filter_map(|line| {
        // 7f0c8e1f2000-7f0c8e1f4000 r-xp 00002000 fe:01 1234   /some/where
        let mut fields = line.split(|byte| *byte == b' ');
        let range = std::str::from_utf8(fields.next()?).ok()?;
        let device = fields.nth(2)?.to_owned();
        let inode = std::str::from_utf8(fields.next()?).ok()?.parse().ok().filter(|inode| *inode != 0)?;
        let (start, end) = range.split_once('-')?;
        let range = usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?;
        Some(Mapping { range, file: MappedFile { device, inode } })
    })
}

fn file_at(maps: &[u8], address: usize) -> Option<MappedFile> {
    mappings(maps).find(|mapping| mapping.range.contains(&address)).map(|mapping| mapping.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_found_whatever_its_path_is() {
        let maps: &[u8] = b"1000-2000 r-xp 00000000 fe:01 11                  /a b/plain.so\n\
            2000-3000 r-xp 00000000 fe:01 12                  /gone.so (deleted)\n\
            3000-4000 r-xp 00000000 fe:01 13                  /a\\012line/break.so\n\
            4000-5000 r-xp 00000000 fe:01 14                  /\xff\xfe.so\n\
            5000-6000 rw-p 00000000 00:00 0 \n\
            6000-7000 r-xp 00000000 00:2a 14                  /other-device.so\n\
            ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";
        let file = |address| file_at(maps, address).map(|file| (file.device, file.inode));
        for (address, device, inode) in [
            (0x1000, b"fe:01", 11),
            (0x2fff, b"fe:01", 12),
            (0x3800, b"fe:01", 13),
            (0x4000, b"fe:01", 14),
            (0x6000, b"00:2a", 14),
        ] {
            assert_eq!(file(address), Some((device.to_vec(), inode)), "{address:x}");
        }
        assert_eq!((file(0x5000), file(0x7000), file(0)), (None, None, None));
    }

    fn open(name: Option<&CStr>) -> Place {
        let name = name.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: what is opened is there already, and stays.
        unsafe { Place::of(libc::dlopen(name, libc::RTLD_NOW)) }.unwrap()
    }

    #[test]
    fn what_is_open_is_found_by_its_handle() {
        let (program, libc) = (open(None), open(Some(c"libc.so.6")));
        let own = what_is_open_is_found_by_its_handle as *const () as usize;
        assert!(program.range().contains(&own) && !libc.range().contains(&own));
        // SAFETY: asks for an address by a name.
        let foreign = unsafe { libc::dlsym(libc::RTLD_NEXT, c"strlen".as_ptr()) } as usize;
        assert!(!program.range().contains(&foreign));
        assert!(program.file.is_some() && libc.file.is_some() && program.file != libc.file);
        assert!(matches!(libc.fate(), Fate::Mapped));
    }

    #[test]
    fn only_what_is_seen_to_be_gone_is_gone() {
        let unlisted = |file| Place { base: 1, name: c"/nowhere.so".to_owned(), range: 1..2, file };
        let somewhere = MappedFile { device: b"fe:01".to_vec(), inode: u64::MAX };
        assert!(matches!(unlisted(Some(somewhere)).fate(), Fate::Gone));
        assert!(matches!(unlisted(None).fate(), Fate::Unknown(_)));
        // The loader has let go of it, and something of its file is mapped all the same.
        assert!(matches!(unlisted(open(None).file).fate(), Fate::Mapped));
    }
}

//! The built libraries, and variants of them: bytes replaced by as many others, so that one build becomes any
//! number of different libraries.

use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::read::elf::ElfFile64;
use object::{Endianness, Object as _, ObjectSection as _, elf};
use serde_json::{Map, Value};

/// A library that may be installed.
#[derive(Clone)]
pub struct Library {
    name: String,
    bytes: Arc<Vec<u8>>,
}

/// The mock, as users get it.
pub fn mock() -> Library {
    Library::built("mock")
}

/// The plugin that becomes what a test wants.
pub fn chameleon() -> Library {
    Library::built("chameleon")
}

/// The plugin whose upstream has a dialect of its own.
pub fn translator() -> Library {
    Library::built("translator")
}

/// The plugin for everything that speaks OpenAI's dialect.
pub fn openai_compatible() -> Library {
    Library::built("openai_compatible")
}

/// The vendors that speak OpenAI's dialect, as users get them.
pub fn vendors() -> [(&'static str, Library); 6] {
    ["deepinfra", "groq", "mistral", "openai", "openrouter", "together"].map(|id| (id, Library::built(id)))
}

/// The plugin for a server of models on the user's own machine.
pub fn ollama() -> Library {
    Library::built("ollama")
}

/// The vendors with a dialect of their own.
pub fn translating() -> [(&'static str, Library); 3] {
    ["anthropic", "cohere", "gemini"].map(|id| (id, Library::built(id)))
}

impl Library {
    /// A library that `cargo test` has built and left beside the test binary, as host's dev-dependency.
    pub fn built(name: &str) -> Self {
        let binary = std::env::current_exe().unwrap();
        let file = format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
        Self::from_file(&binary.parent().unwrap().join(file))
    }

    pub fn from_file(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(path.file_stem().unwrap().to_str().unwrap().trim_start_matches("lib"), bytes)
    }

    /// Any bytes at all.
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self { name: name.to_owned(), bytes: Arc::new(bytes) }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As a file is called that holds it.
    pub fn file_name(&self) -> String {
        format!("{}{}{}", std::env::consts::DLL_PREFIX, self.name, std::env::consts::DLL_SUFFIX)
    }

    /// Other bytes in the place of these, which must be there `times` times, so that a test never goes on with a
    /// library that it has not changed.
    #[track_caller]
    pub fn replace(self, from: &[u8], to: &[u8], times: usize) -> Self {
        assert_eq!(from.len(), to.len(), "what replaces bytes must be as long as they are");
        let mut bytes = Arc::unwrap_or_clone(self.bytes);
        let places: Vec<usize> = memchr::memmem::find_iter(&bytes, from).collect();
        let what = String::from_utf8_lossy(from);
        assert_eq!(places.len(), times, "{what:?} is in {} {} times", self.name, places.len());
        for place in places {
            bytes[place..place + to.len()].copy_from_slice(to);
        }
        Self { name: self.name, bytes: Arc::new(bytes) }
    }

    /// Other bytes at an offset.
    #[track_caller]
    pub fn overwrite(self, offset: usize, with: &[u8]) -> Self {
        let mut bytes = Arc::unwrap_or_clone(self.bytes);
        bytes[offset..offset + with.len()].copy_from_slice(with);
        Self { name: self.name, bytes: Arc::new(bytes) }
    }

    /// Only so many of its bytes.
    pub fn truncate(self, length: usize) -> Self {
        let mut bytes = Arc::unwrap_or_clone(self.bytes);
        bytes.truncate(length);
        Self { name: self.name, bytes: Arc::new(bytes) }
    }

    /// Changes what the manifest says. It has to fit where the old one was: members that no test needs make room.
    #[track_caller]
    pub fn manifest(self, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        let old = self.manifest_text();
        let mut manifest: Map<String, Value> = serde_json::from_str(&old).unwrap();
        for spare in ["rustc", "license", "category"] {
            manifest.remove(spare);
        }
        change(&mut manifest);
        self.manifest_as(&Value::Object(manifest).to_string())
    }

    /// Writes any text in the place of the manifest, with blanks behind it.
    #[track_caller]
    pub fn manifest_as(self, text: &str) -> Self {
        let (_, place) = self.manifest_section();
        let room = place.len();
        assert!(text.len() <= room, "no room for {} bytes in {room}", text.len());
        self.overwrite(place.start, format!("{text:<room$}").as_bytes())
    }

    /// The manifest, with the blanks behind it if it was changed before.
    pub fn manifest_text(&self) -> String {
        let (_, place) = self.manifest_section();
        String::from_utf8(self.bytes[place].to_vec()).unwrap()
    }

    /// The number of the manifest's section, and where in the file it is.
    fn manifest_section(&self) -> (usize, Range<usize>) {
        let file = ElfFile64::<Endianness>::parse(self.bytes()).unwrap();
        let section = file.section_by_name(".patchbay").expect("a manifest");
        let (start, size) = section.file_range().unwrap();
        (section.index().0, start as usize..(start + size) as usize)
    }

    /// Has its manifest's section, which is what is read before loading, lead to another text than the one that
    /// its code knows: a file that says two things.
    #[track_caller]
    pub fn lying(self, change: impl FnOnce(&mut Map<String, Value>)) -> Self {
        let (index, _) = self.manifest_section();
        let lie = self.clone().manifest(change).manifest_text();
        let mut bytes = Arc::unwrap_or_clone(self.bytes);
        // In a 64-bit ELF file, where the section headers begin is at byte 40; each has 64 bytes, and at byte 24
        // of them where its section is.
        let headers = u64::from_le_bytes(*bytes[40..].first_chunk().unwrap()) as usize;
        let field = headers + 64 * index + 24;
        let end = bytes.len() as u64;
        bytes[field..field + 8].copy_from_slice(&end.to_le_bytes());
        bytes.extend_from_slice(lie.as_bytes());
        Self { name: self.name, bytes: Arc::new(bytes) }
    }

    /// Asks never to be unmapped, as `-z nodelete` would have it.
    #[track_caller]
    pub fn nodelete(self) -> Self {
        let (tag, now) = (u64::from(elf::DT_FLAGS_1).to_le_bytes(), u64::from(elf::DF_1_NOW));
        let entry = |flags: u64| [tag, flags.to_le_bytes()].concat();
        // The entry that says that it is bound at once, which every build has.
        self.replace(&entry(now), &entry(now | u64::from(elf::DF_1_NODELETE)), 1)
    }

    /// Under another id: another plugin.
    #[track_caller]
    pub fn id(self, id: &str) -> Self {
        let library = self.manifest(|manifest| {
            manifest.insert("id".to_owned(), id.into());
        });
        Self { name: id.replace('-', "_"), ..library }
    }

    #[track_caller]
    pub fn version(self, version: &str) -> Self {
        self.manifest(|manifest| {
            manifest.insert("version".to_owned(), version.into());
        })
    }

    #[track_caller]
    pub fn requires(self, requires: &[&str]) -> Self {
        self.manifest(|manifest| {
            manifest.insert("requires".to_owned(), requires.into());
        })
    }

    /// What the chameleon does.
    #[track_caller]
    pub fn behaviour(self, word: &str) -> Self {
        self.word("CHAMELEON-BEHAVIOUR=", 64, word)
    }

    /// What the chameleon says.
    #[track_caller]
    pub fn colour(self, word: &str) -> Self {
        self.word("CHAMELEON-COLOUR=", 32, word)
    }

    /// A word in a field of dots, in the chameleon.
    #[track_caller]
    fn word(self, name: &str, size: usize, word: &str) -> Self {
        let places: Vec<usize> = memchr::memmem::find_iter(&self.bytes, name).collect();
        let [place] = places[..] else { panic!("{name} is there {} times", places.len()) };
        let field = format!("{name}{word:.<width$}", width = size - name.len());
        assert_eq!(field.len(), size, "{word:?} is too long");
        self.overwrite(place, field.as_bytes())
    }

    /// Puts it into a folder as a careful operator does: under a temporary name first, and then renamed.
    pub fn install(&self, folder: &Path, name: &str) -> PathBuf {
        let (temporary, place) = (folder.join(format!(".{name}.tmp")), folder.join(name));
        std::fs::write(&temporary, self.bytes()).unwrap();
        std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::rename(temporary, &place).unwrap();
        place
    }
}

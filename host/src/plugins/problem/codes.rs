//! The codes of problems: for each the word that programs look at, and a sentence on what it means. What to do is in the
//! problem's `hint`, which knows the file and the machine.

use schemars::JsonSchema;
use serde::Serialize;

/// Makes the codes of the table. The sentence is the comment: a code without one does not compile.
macro_rules! codes {
    ($($(#[doc = $about:literal])+ $code:ident = $word:literal;)+) => {
        /// What a problem with a plugin or a provider is called, for programs. `hint`, beside it, says what to do.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
        pub enum ProblemCode {
            $($(#[doc = $about])+ #[serde(rename = $word)] $code,)+
        }

        impl ProblemCode {
            /// As it stands in JSON.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$code => $word,)+ }
            }
        }
    };
}

// In the order of the steps.
codes! {
    /// The folder cannot be read.
    FolderUnreadable = "folder_unreadable";
    /// The file cannot be read.
    FileUnreadable = "file_unreadable";
    /// It is a folder, a pipe or the like, and no file.
    NotARegularFile = "not_a_regular_file";
    /// The file has more bytes than are taken.
    FileTooLarge = "file_too_large";
    /// The file changed while it was read: it is still being written.
    FileChanging = "file_changing";
    /// There is no memory for the file.
    OutOfMemory = "out_of_memory";
    /// The file is not there any more.
    FileGone = "file_gone";
    /// The file or its folder belongs to somebody else, who could change it.
    OwnerUnsafe = "owner_unsafe";
    /// Every user could change the file.
    WritableByOthers = "writable_by_others";
    /// A group could change the file.
    WritableByGroup = "writable_by_group";
    /// Who is in the group that could change the file cannot be read.
    AccountsUnreadable = "accounts_unreadable";

    /// The folder for private copies cannot be used.
    CacheUnusable = "cache_unusable";
    /// The folder for private copies belongs to somebody else.
    CacheOwner = "cache_owner";
    /// Others could change the private copies.
    CacheWritableByOthers = "cache_writable_by_others";
    /// Where the folder for private copies should be is something else.
    CacheNotAFolder = "cache_not_a_folder";
    /// Nothing may be run from where the private copies lie.
    CacheNoexec = "cache_noexec";
    /// The private copy is there already: another host uses this data directory.
    CopyExists = "copy_exists";
    /// The private copy cannot be written.
    CopyUnwritable = "copy_unwritable";
    /// The private copy cannot be removed.
    CopyUnremovable = "copy_unremovable";

    /// The file is empty.
    FileEmpty = "file_empty";
    /// The file ends too early.
    FileTruncated = "file_truncated";
    /// The file contradicts itself.
    FileDamaged = "file_damaged";
    /// The file is no library.
    NotALibrary = "not_a_library";
    /// It is a program or an object file, and no shared library.
    NotASharedLibrary = "not_a_shared_library";
    /// It was linked in a way that forbids to load it.
    NotForLoading = "not_for_loading";
    /// It was built for another kind of machine.
    WrongMachine = "wrong_machine";
    /// It was built for another C library.
    WrongLibc = "wrong_libc";
    /// It needs a newer C library than this machine has.
    GlibcTooOld = "glibc_too_old";
    /// No plugin is exported in it.
    ManifestMissing = "manifest_missing";
    /// More than one plugin is exported in it.
    ManifestRepeated = "manifest_repeated";
    /// Its manifest has more bytes than are taken.
    ManifestTooLarge = "manifest_too_large";
    /// Its manifest is no JSON.
    ManifestNotJson = "manifest_not_json";
    /// Its manifest is JSON, and no object.
    ManifestNotAnObject = "manifest_not_an_object";
    /// Its manifest lacks a field.
    FieldMissing = "field_missing";
    /// A field of its manifest has the wrong type.
    WrongType = "wrong_type";
    /// The API version in its manifest is none.
    ApiVersionMalformed = "api_version_malformed";
    /// It was built for an API version that this host does not speak.
    ApiVersionUnsupported = "api_version_unsupported";
    /// Its id cannot be one.
    IdMalformed = "id_malformed";
    /// Its version is none.
    VersionMalformed = "version_malformed";
    /// Its category is none.
    CategoryUnknown = "category_unknown";
    /// It was built to end the process when it panics.
    PanicAbort = "panic_abort";
    /// What it does when it panics is not known.
    PanicUnknown = "panic_unknown";
    /// Its manifest names another kind of machine than this one.
    TargetMismatch = "target_mismatch";
    /// Another file has the same plugin, and is used.
    Shadowed = "shadowed";

    /// What it requires cannot be understood.
    RequiresMalformed = "requires_malformed";
    /// It requires another version of the host.
    HostVersion = "host_version";
    /// It requires a service that this host does not have.
    ServiceUnknown = "service_unknown";
    /// It requires another version of a service.
    ServiceVersion = "service_version";
    /// The plugin that it requires, or that a provider names, is not there.
    PluginMissing = "plugin_missing";
    /// It requires another version of a plugin.
    PluginVersion = "plugin_version";
    /// The plugin that it requires, or that a provider names, could not be used itself.
    PluginRefused = "plugin_refused";
    /// It requires itself, in a circle.
    RequiresCycle = "requires_cycle";

    /// The process in which plugins are tried could not be started.
    ProbeNotStarted = "probe_not_started";
    /// The program cannot try plugins.
    ProbeMissing = "probe_missing";
    /// It crashed when it was tried.
    ProbeCrashed = "probe_crashed";
    /// Somebody ended the process in which it was tried, mostly because memory ran out.
    ProbeKilled = "probe_killed";
    /// It ended the process in which it was tried.
    ProbeExited = "probe_exited";
    /// It did not come back when it was tried.
    ProbeHung = "probe_hung";
    /// It panicked when it was tried.
    Panicked = "panicked";
    /// It kept what it had to let go of when it was tried.
    NotDropped = "not_dropped";
    /// Something that it needs is not on this machine.
    NotLoadable = "not_loadable";
    /// It can be loaded, and is no plugin.
    NotAPlugin = "not_a_plugin";
    /// It does not say how its data are laid out.
    NoLayout = "no_layout";
    /// Its data are laid out otherwise than the host's.
    LayoutDiffers = "layout_differs";
    /// It says something else of itself than its manifest.
    ManifestDiffers = "manifest_differs";

    /// The process has no room for another library.
    OutOfKeys = "out_of_keys";
    /// It did not come back while it was loaded.
    LoadHung = "load_hung";
    /// There is no thread for it.
    NoThread = "no_thread";
    /// Its thread ended at once.
    ThreadEnded = "thread_ended";

    /// The configuration, or the provider's entry in it, cannot be used.
    ConfigurationInvalid = "configuration_invalid";
    /// The plugin does not accept the provider's configuration.
    ConfigurationRefused = "configuration_refused";
    /// The plugin failed to make the provider.
    CreateFailed = "create_failed";
    /// The plugin did not come back while it made the provider.
    CreateHung = "create_hung";
    /// The plugin panicked while it made the provider.
    CreatePanicked = "create_panicked";

    /// It was in use, and panicked too often.
    KeepsPanicking = "keeps_panicking";
    /// It was in use, and its thread did not come back.
    ThreadStuck = "thread_stuck";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_the_same_word_everywhere() {
        for code in [ProblemCode::FileGone, ProblemCode::CacheNoexec, ProblemCode::ThreadStuck] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.word());
        }
    }
}

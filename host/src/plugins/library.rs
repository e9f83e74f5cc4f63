//! One opened library: the only place that calls `dlopen` and `dlclose`.

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use abi_stable::abi_stability::abi_checking::check_layout_compatibility;
use abi_stable::library::{AbiHeaderRef, LibHeader, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL};
use abi_stable::{StableAbi, std_types::RStr};
use libloading::os::unix::{Library as Handle, RTLD_LOCAL, RTLD_NOW};
use patchbay_plugin_api::abi::{PROVIDER_INTERFACE, ProviderInterface, RootRef};

use super::place::{Fate, Place};
use super::threads::{self, Family};

/// Opening and closing exclude each other: keys are told apart by address, and an address freed by one close
/// could otherwise be given to the next library before its keys were looked at.
static OPEN_OR_CLOSE: Mutex<()> = Mutex::new(());

/// A library mapped into this process. Dropping it leaves it mapped: closing is a decision, see [`Self::close`].
#[derive(Debug)]
pub(super) struct Library {
    handle: ManuallyDrop<Handle>,
    /// None when the loader does not say where it lies.
    place: Option<Place>,
    family: Family,
}

/// Why a library could not be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LibraryFault {
    /// `dlopen` refused.
    #[error("the system's loader refused it")]
    Open(#[source] libloading::Error),
    /// The loader does not say where it lies.
    #[error("the system's loader does not say where in memory it lies")]
    NoPlace,
    /// There is no header of abi_stable's.
    #[error("it does not export a Patchbay plugin")]
    NoHeader,
    /// The header is another library's.
    #[error("the plugin it exports belongs to another library")]
    ForeignHeader,
    /// The header or its version does not fit.
    #[error("its plugin interface does not fit: {0}")]
    Header(String),
    /// The layout was left out.
    #[error("it carries no description of its layout")]
    NoLayout,
    /// The layout is not that of version 1.
    #[error("its layout is not that of plugin API v1: {0}")]
    Layout(String),
    /// There are no provider operations.
    #[error("it has no provider interface, version 1")]
    NoInterface,
}

/// What was found in a library.
#[derive(Clone, Copy)]
pub(super) struct Exports {
    /// The root module.
    pub root: RootRef,
    /// The provider's operations, copied out.
    pub operations: ProviderInterface,
}

impl Library {
    /// Maps the file. Its constructors run on this thread, now, which is of its family from here on.
    pub(super) fn open(path: &Path, family: Family) -> Result<Self, LibraryFault> {
        family.join();
        let _one_at_a_time = OPEN_OR_CLOSE.lock().unwrap_or_else(PoisonError::into_inner);
        // SAFETY: running the library's constructors is what is wanted; whether they may be run was decided by
        // permissions, trust and probe before.
        let handle = unsafe { Handle::open(Some(path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(LibraryFault::Open)?
            .into_raw();
        // SAFETY: opened a moment ago.
        let place = unsafe { Place::of(handle) };
        // SAFETY: as above, and nobody else has it.
        let handle = ManuallyDrop::new(unsafe { Handle::from_raw(handle) });
        Ok(Self { handle, place, family })
    }

    /// The header, from this very library: the loader's search also looks into its dependencies.
    fn header(&self) -> Result<&'static LibHeader, LibraryFault> {
        // SAFETY: the symbol abi_stable's export writes is a `LibHeader`, which begins with the `AbiHeader` that
        // `AbiHeaderRef` points to; nothing but its magic is read before `upgrade` has checked it.
        let header: AbiHeaderRef = unsafe {
            *self
                .handle
                .get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL.as_bytes())
                .map_err(|_| LibraryFault::NoHeader)?
        };
        let address = std::ptr::from_ref(&*header) as usize;
        if !self.range()?.contains(&address) {
            return Err(LibraryFault::ForeignHeader);
        }
        header.upgrade().map_err(|error| LibraryFault::Header(one_line(&error)))
    }

    /// Compares layouts. For the probe only: abi_stable keeps pointers into every library it has checked, so in a
    /// process that closes libraries a later check would read unmapped memory.
    pub(super) fn check_layout(&self) -> Result<(), LibraryFault> {
        let header = self.header()?;
        let layout = header.layout().ok_or(LibraryFault::NoLayout)?;
        check_layout_compatibility(<RootRef as StableAbi>::LAYOUT, layout)
            .map_err(|error| LibraryFault::Layout(first_difference(&error)))
    }

    /// Compares the layout of the provider's operations; for the probe only, as [`Self::check_layout`].
    pub(super) fn check_operations(&self) -> Result<(), LibraryFault> {
        let interface = provider_interface(self.root()?)?;
        check_layout_compatibility(<ProviderInterface as StableAbi>::LAYOUT, interface.layout)
            .map_err(|error| LibraryFault::Layout(first_difference(&error)))
    }

    fn root(&self) -> Result<RootRef, LibraryFault> {
        let header = self.header()?;
        // SAFETY: the probe has compared the layout of these very bytes with `RootRef`'s.
        unsafe { header.init_root_module_with_unchecked_layout::<RootRef>() }
            .map_err(|error| LibraryFault::Header(one_line(&error)))
    }

    /// What the library holds. Its layout must have been checked by a probe of the same bytes.
    pub(super) fn exports(&self) -> Result<Exports, LibraryFault> {
        let root = self.root()?;
        let interface = provider_interface(root)?;
        // SAFETY: name and version stand for this struct, whose layout was compared in the probe.
        let operations = unsafe { *interface.table.cast::<ProviderInterface>() };
        Ok(Exports { root, operations })
    }

    /// Waits for the threads that it started to end, and says how many have not.
    pub(super) fn threads_left(&self, patience: Duration) -> Result<usize, LibraryFault> {
        Ok(threads::left_after(self.family, self.range()?, patience))
    }

    /// Where its code and data lie.
    fn range(&self) -> Result<&Range<usize>, LibraryFault> {
        self.place.as_ref().map(Place::range).ok_or(LibraryFault::NoPlace)
    }

    /// Unmaps the library. Nothing of it may be in use: its threads have ended, its objects are dropped. Its
    /// destructors run on this thread, which may itself keep the library mapped until it ends, and is of its family
    /// from here on.
    pub(super) fn close(self) -> Closed {
        let Self { handle, place, family } = self;
        family.join();
        let _one_at_a_time = OPEN_OR_CLOSE.lock().unwrap_or_else(PoisonError::into_inner);
        drop(ManuallyDrop::into_inner(handle));
        // While nothing else can be opened: the addresses may be another library's next, with keys of its own.
        if let Some(place) = &place {
            super::keys::delete_within(place.range());
        }
        Closed { place, family }
    }
}

/// A library that was closed, and may or may not be gone.
pub(super) struct Closed {
    place: Option<Place>,
    family: Family,
}

impl Closed {
    /// Waits for the threads that its destructors started to end, and says how many have not.
    pub(super) fn threads_left(&self, patience: Duration) -> usize {
        threads::left_after(self.family, &(0..0), patience)
    }

    /// Looks what became of it.
    pub(super) fn fate(&self) -> Fate {
        match &self.place {
            Some(place) => place.fate(),
            None => Fate::Unknown(LibraryFault::NoPlace.to_string()),
        }
    }
}

fn provider_interface(root: RootRef) -> Result<patchbay_plugin_api::abi::RawInterface, LibraryFault> {
    let (name, version) = PROVIDER_INTERFACE;
    (root.get_interface())(RStr::from_str(name), version).into_option().ok_or(LibraryFault::NoInterface)
}

/// abi_stable's errors are pages long; the first lines that say something are what a report can hold.
fn one_line(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().take(60).collect();
    words.join(" ")
}

/// What differs first. Before it, abi_stable prints both layouts, and the words for it come after those.
fn first_difference(error: &dyn std::fmt::Display) -> String {
    let text = error.to_string();
    one_line(&text.split("\nError:").nth(1).unwrap_or(&text))
}

impl From<LibraryError> for LibraryFault {
    fn from(error: LibraryError) -> Self {
        Self::Header(one_line(&error))
    }
}

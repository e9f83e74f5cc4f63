//! The host stands in front of four functions of the C library, for the libraries it loads. This finds the ones
//! behind.

use std::ffi::CStr;
use std::sync::OnceLock;

/// The C library's function of this name; `cell` keeps it. `F` is its type.
pub(super) fn real<F: Copy>(cell: &OnceLock<usize>, name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    // SAFETY: `name` is a C string, and RTLD_NEXT asks for the definition behind the host's own.
    let address = *cell.get_or_init(|| unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) } as usize);
    // SAFETY: callers name a function of the C library together with its type; whether it is there was checked.
    (address != 0).then(|| unsafe { std::mem::transmute_copy(&address) })
}

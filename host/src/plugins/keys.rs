//! The process's pthread keys: 1,024 of them, and a library leaves one or two behind when it is closed.
//!
//! Such a key keeps a destructor that lies in unmapped memory, so it is doubly bad: the keys run out after some
//! thousand loads, and a thread that ends with a value in one calls into nothing. The host therefore exports its
//! own `pthread_key_create` and `pthread_key_delete`, which libraries loaded later bind to: they note each key
//! with its destructor before they hand on to the C library's. When a library is gone, the keys whose destructor
//! lay in it are deleted.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use libc::pthread_key_t;

use super::interpose::real;

type Destructor = Option<unsafe extern "C" fn(*mut c_void)>;
type Create = unsafe extern "C" fn(*mut pthread_key_t, Destructor) -> c_int;
type Delete = unsafe extern "C" fn(pthread_key_t) -> c_int;

/// How many keys must be free before another library is loaded: the host's own libraries need some, too.
const RESERVE: usize = 64;

/// The keys made so far whose destructor is known, with its address.
static KEYS: Mutex<Vec<(pthread_key_t, usize)>> = Mutex::new(Vec::new());

/// Notes the key, and is otherwise the C library's.
///
/// # Safety
///
/// As for `pthread_key_create`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) unsafe extern "C" fn pthread_key_create(key: *mut pthread_key_t, destructor: Destructor) -> c_int {
    static REAL: OnceLock<usize> = OnceLock::new();
    let Some(create) = real::<Create>(&REAL, c"pthread_key_create") else { return libc::EAGAIN };
    // SAFETY: handed on as it came.
    let result = unsafe { create(key, destructor) };
    if let (0, Some(destructor)) = (result, destructor) {
        // SAFETY: on success the C library has written the key.
        let key = unsafe { *key };
        KEYS.lock().unwrap_or_else(PoisonError::into_inner).push((key, destructor as usize));
    }
    result
}

/// Forgets the key, and is otherwise the C library's.
///
/// # Safety
///
/// As for `pthread_key_delete`.
#[unsafe(no_mangle)]
#[inline(never)]
pub(super) unsafe extern "C" fn pthread_key_delete(key: pthread_key_t) -> c_int {
    static REAL: OnceLock<usize> = OnceLock::new();
    let Some(delete) = real::<Delete>(&REAL, c"pthread_key_delete") else { return libc::EINVAL };
    KEYS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != key);
    // SAFETY: handed on as it came.
    unsafe { delete(key) }
}

/// Deletes the keys whose destructor lies in this address range, which nothing may run in any more.
pub(super) fn delete_within(range: &Range<usize>) -> usize {
    let gone: Vec<pthread_key_t> = {
        let keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().filter(|(_, destructor)| range.contains(destructor)).map(|(key, _)| *key).collect()
    };
    for key in &gone {
        // SAFETY: the key was made by code of a library that is closed now: nobody else knows it.
        unsafe { pthread_key_delete(*key) };
    }
    gone.len()
}

/// Whether enough keys are free to load another library. Counted by taking them, as only the C library knows.
pub(super) fn reserve_is_free() -> bool {
    let mut taken = Vec::with_capacity(RESERVE);
    for _ in 0..RESERVE {
        let mut key: pthread_key_t = 0;
        // SAFETY: `key` is a place to write to; without a destructor the key means nothing to anyone.
        if unsafe { pthread_key_create(&raw mut key, None) } != 0 {
            break;
        }
        taken.push(key);
    }
    let enough = taken.len() == RESERVE;
    for key in taken {
        // SAFETY: made a moment ago, here.
        unsafe { pthread_key_delete(key) };
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn nothing(_: *mut c_void) {}

    #[test]
    fn keys_are_found_again_by_where_their_destructor_lies() {
        let mut key: pthread_key_t = 0;
        // SAFETY: a valid place, and a destructor that stays.
        assert_eq!(unsafe { pthread_key_create(&raw mut key, Some(nothing)) }, 0);
        let address = nothing as *const () as usize;
        assert_eq!(delete_within(&(address + 1..address + 2)), 0);
        assert_eq!(delete_within(&(address..address + 1)), 1);
        assert_eq!(delete_within(&(address..address + 1)), 0);
    }

    #[test]
    fn a_fresh_process_has_the_reserve() {
        assert!(reserve_is_free());
    }
}

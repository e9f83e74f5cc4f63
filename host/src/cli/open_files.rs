//! How many files the process may have open, and connections are files.

use tracing::{info, warn};

/// Raises the limit as far as the system lets anybody. What programs are started with, 1,024 mostly, is there for
/// those that still use `select`; here every stream takes two, and who connects beyond the limit is not answered.
pub(super) fn allow_as_many_as_possible() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => info!(limit, "open files"),
        Err(error) => warn!(%error, "the limit of open files cannot be raised"),
    }
}

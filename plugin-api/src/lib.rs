//! sdk
pub mod abi;
mod error;
pub use error::{ErrorKind, Fault, ProviderError, Result};

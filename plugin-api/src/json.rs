//! Reading and writing JSON the way the whole SDK does it.

use serde::{Deserialize, Deserializer, Serialize};

use crate::{ProviderError, Result};

/// Writes a value whose maps all have strings as keys, as those of this crate do.
pub(crate) fn to_vec<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    write(value, &mut out);
    out
}

/// Appends a value, see [`to_vec`].
pub(crate) fn write<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    serde_json::to_writer(out, value)
        .expect("string keys and a vector to write to leave nothing that can fail");
}

/// Reads what a client sent; the error says which field is wrong and how.
pub(crate) fn read_input<'a, T: Deserialize<'a>>(what: &str, bytes: &'a [u8]) -> Result<T> {
    // The path to the field costs time, so it is only looked for once it is known that one is wrong.
    serde_json::from_slice(bytes).or_else(|_| {
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            let reason = error.into_inner();
            ProviderError::invalid_input(match path.as_str() {
                _ if !reason.is_data() => format!("{what} is not valid JSON: {reason}"),
                "." => format!("{what} is not usable: {reason}"),
                field => format!("{what} has an unusable `{field}`: {reason}"),
            })
        })
    })
}

/// Reads an explicit `null` as if the field were not there.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// For `skip_serializing_if`: a switch that is off need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(crate) fn is_false(value: &bool) -> bool {
    !*value
}

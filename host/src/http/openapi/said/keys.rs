//! Keys of the host's own.

use super::{KEYS, example};
use crate::access::{KeyPatch, NewKey};
use crate::http::error::Code;
use crate::http::keys::{List, Made};
use crate::http::openapi::Operation;

pub(in crate::http) fn list(it: Operation<'_>) -> Operation<'_> {
    it.named(KEYS, "listKeys", "All keys").about("Without what would let anybody in.").answers::<List<'_>>(
        200,
        "The keys.",
        example!("listKeys"),
    )
}

pub(in crate::http) fn create(it: Operation<'_>) -> Operation<'_> {
    it.named(KEYS, "createKey", "Make a key")
        .about("Its text is in this answer and nowhere else. From the first one on, applications need a key.")
        .takes::<NewKey>(example!("createKey.body"))
        .answers::<Made<'_>>(201, "The key.", example!("createKey"))
        .refuses(400, &[Code::InvalidKey])
        .refuses(422, &[Code::InvalidKey])
        .refuses(503, &[Code::StoreUnavailable])
}

pub(in crate::http) fn change(it: Operation<'_>) -> Operation<'_> {
    it.named(KEYS, "changeKey", "Change a key")
        .about("For the next request that comes with it. What is left out stays; null takes a limit away.")
        .takes::<KeyPatch>(example!("changeKey.body"))
        .answers::<Made<'_>>(200, "The key, without its text.", example!("changeKey"))
        .refuses(400, &[Code::InvalidKey])
        .refuses(404, &[Code::KeyNotFound, Code::NotFound])
        .refuses(422, &[Code::InvalidKey])
        .refuses(503, &[Code::StoreUnavailable])
}

pub(in crate::http) fn rotate(it: Operation<'_>) -> Operation<'_> {
    it.named(KEYS, "rotateKey", "Give a key another text")
        .about("Which is in this answer and nowhere else: the next request with the old one is refused.")
        .answers::<Made<'_>>(200, "The key.", example!("createKey"))
        .refuses(404, &[Code::KeyNotFound, Code::NotFound])
        .refuses(503, &[Code::StoreUnavailable])
}

pub(in crate::http) fn revoke(it: Operation<'_>) -> Operation<'_> {
    it.named(KEYS, "revokeKey", "Revoke a key")
        .about("The next request that comes with it is refused.")
        .answers_nothing(204, "It is revoked.")
        .refuses(404, &[Code::KeyNotFound, Code::NotFound])
        .refuses(503, &[Code::StoreUnavailable])
}

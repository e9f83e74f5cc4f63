//! What was used.

use super::{USAGE, example};
use crate::http::error::Code;
use crate::http::openapi::Operation;
use crate::http::usage::{Page, RecentWish, RequestPage, UsageWish};

pub(in crate::http) fn sums(it: Operation<'_>) -> Operation<'_> {
    it.named(USAGE, "getUsage", "Who used how much, by provider, model, key, route and time")
        .query::<UsageWish>()
        .answers::<Page<'_>>(200, "The sums.", example!("getUsage"))
        .refuses(503, &[Code::StoreUnavailable])
}

pub(in crate::http) fn requests(it: Operation<'_>) -> Operation<'_> {
    it.named(USAGE, "listRequests", "Single requests, the last that arrived first")
        .query::<RecentWish>()
        .answers::<RequestPage<'_>>(200, "The requests.", example!("listRequests"))
        .refuses(503, &[Code::StoreUnavailable])
}

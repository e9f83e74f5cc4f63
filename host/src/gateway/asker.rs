//! Whoever asks.

use std::sync::Arc;

use crate::access::{Permits, VirtualKey};
use crate::accounts::{Arrival, Books, Tab};
use crate::limits::Payer;
use crate::services::http::Hops;

/// See the module.
#[derive(Clone, Debug)]
pub struct Asker {
    /// For the log, the client's and the plugin's.
    pub request_id: Arc<str>,
    /// The virtual key that it asks with; none for whoever needs none.
    pub key: Option<Arc<VirtualKey>>,
    /// Who answers for what it takes; none where that is not limited.
    pub payer: Option<Payer>,
    /// Through how many hosts it has come.
    pub hops: Hops,
    /// Where what comes of it is written down.
    pub tab: Tab,
}

impl Asker {
    /// Whom and what it may ask; none for everybody and everything.
    pub fn permits(&self) -> Option<&Permits> {
        self.key.as_ref().map(|key| &key.permits).filter(|permits| !permits.is_everything())
    }
}

/// Somebody who needs no key, and of whom no books are kept.
impl From<&str> for Asker {
    fn from(request_id: &str) -> Self {
        let request_id: Arc<str> = request_id.into();
        let tab = Tab::open(Arc::new(Books::default()), Arc::clone(&request_id), Arrival::default());
        Self { request_id, key: None, payer: None, hops: Hops::default(), tab }
    }
}

//! What happens to the host while it runs, for whoever listens: reloads, how providers do, what becomes of plugins.
//!
//! Telling never waits: the last few hundred events are kept, and every listener reads them at its own pace.

// What is told.
mod news;
// How it gets to whoever listens.
mod bus;

pub(crate) use bus::Body;
pub use bus::{Bus, Event, Listener, Told, TooMany};
pub use news::{Change, ConfigNews, Failure, News, PluginNews, ProviderNews, ReloadNews, Topic, shortened};

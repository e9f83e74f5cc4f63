//! The libraries.

use super::{PLUGINS, PROVIDERS, example};
use crate::http::error::Code;
use crate::http::openapi::Operation;
use crate::http::plugins::{NoQuery, ReloadQuery};
use crate::plugins::{PluginList, PluginView, ReloadReport};

const UNKNOWN: &[Code] = &[Code::PluginNotFound, Code::NotFound];

pub(in crate::http) fn reload_all(it: Operation<'_>) -> Operation<'_> {
    it.named(PROVIDERS, "reload", "Look at everything anew")
        .about(
            "Scans the plugin directories, reads configuration and `.env` again, and applies what has \
             changed. That it ran is a success; the report says what came of it. Calls at one time \
             share one run.",
        )
        .query::<ReloadQuery>()
        .answers::<ReloadReport>(200, "What came of it.", example!("reload"))
}

pub(in crate::http) fn list(it: Operation<'_>) -> Operation<'_> {
    it.named(PLUGINS, "listPlugins", "All plugins, refused ones too").answers::<PluginList>(
        200,
        "The plugins, and the files that were passed over.",
        example!("listPlugins"),
    )
}

pub(in crate::http) fn one(it: Operation<'_>) -> Operation<'_> {
    it.named(PLUGINS, "getPlugin", "One plugin, with its latest loads")
        .answers::<PluginView>(200, "The plugin.", example!("getPlugin"))
        .refuses(404, UNKNOWN)
}

pub(in crate::http) fn reload(it: Operation<'_>) -> Operation<'_> {
    it.named(PLUGINS, "reloadPlugin", "Load one plugin anew")
        .query::<NoQuery>()
        .answers::<ReloadReport>(200, "What came of it.", example!("reload"))
        .refuses(404, UNKNOWN)
}

pub(in crate::http) fn enable(it: Operation<'_>) -> Operation<'_> {
    it.named(PLUGINS, "enablePlugin", "Turn one plugin on")
        .answers::<ReloadReport>(200, "What came of it.", example!("reload"))
        .refuses(404, UNKNOWN)
}

pub(in crate::http) fn disable(it: Operation<'_>) -> Operation<'_> {
    it.named(PLUGINS, "disablePlugin", "Turn one plugin off")
        .about("Requests that are under way finish on it.")
        .answers::<ReloadReport>(200, "What came of it.", example!("reload"))
        .refuses(404, UNKNOWN)
}

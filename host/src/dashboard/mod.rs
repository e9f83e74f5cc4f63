//! The pages at `/` and `/docs`: written by hand, and part of the program. They ask what anybody may ask over HTTP, and
//! nothing else.

use std::io::Write as _;
use std::sync::{LazyLock, OnceLock};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

use crate::hex::hex;

/// One file of it.
#[derive(Debug)]
pub struct Asset {
    /// As it is asked for, below `/assets/`.
    pub name: &'static str,
    /// What it is, for browsers.
    pub content_type: &'static str,
    /// What is in it.
    pub bytes: &'static [u8],
    /// Another one for other contents.
    pub etag: String,
    packed: OnceLock<Vec<u8>>,
}

/// The files by their names.
macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("page/", $name)).as_slice())),*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = files![
        "api.js",
        "base.css",
        "bay.js",
        "chart.js",
        "docs-codes.js",
        "docs-curl.js",
        "docs-route.js",
        "docs-schema.js",
        "docs-words.js",
        "docs.css",
        "docs.html",
        "docs.js",
        "dom.js",
        "events.js",
        "format.js",
        "forms.css",
        "icon.svg",
        "index.html",
        "layout.css",
        "live.js",
        "main.js",
        "notices.js",
        "overview.js",
        "parts.css",
        "playground.js",
        "plugins.js",
        "providers.js",
        "reload.js",
        "scale.js",
        "sparkline.js",
        "sse.js",
        "state.js",
        "status.js",
        "tables.css",
        "theme.js",
        "token.js",
        "traffic.js",
        "usage.js",
    ];
    files.into_iter().map(|(name, bytes)| Asset::new(name, bytes)).collect()
});

impl Asset {
    /// A file of this name, with what is in it.
    pub fn new(name: &'static str, bytes: &'static [u8]) -> Self {
        let content_type = match name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "json")) => "application/json",
            _ => "image/svg+xml",
        };
        let etag = format!("\"{}\"", &hex(&Sha256::digest(bytes))[..32]);
        Self { name, content_type, bytes, etag, packed: OnceLock::new() }
    }

    /// What is in it, as gzip packs it: a fifth or so. Packed when somebody takes it like that first, and kept.
    pub fn packed(&self) -> &[u8] {
        self.packed.get_or_init(|| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            // Memory takes all of it.
            drop(packer.write_all(self.bytes));
            packer.finish().unwrap_or_default()
        })
    }
}

/// What the pages are made of.
pub fn asset(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text after `begin` and before `end`.
    fn between<'t>(text: &'t str, begin: &str, end: char) -> Vec<&'t str> {
        text.split(begin).skip(1).filter_map(|rest| rest.split(end).next()).collect()
    }

    #[test]
    fn whatever_the_page_names_is_there_and_nothing_else_is() {
        let mut named = vec!["index.html".to_owned(), "docs.html".to_owned()];
        for asset in &*ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap();
            named.extend(between(text, "\"/assets/", '"').into_iter().map(str::to_owned));
            named.extend(between(text, "from \"./", '"').into_iter().map(str::to_owned));
        }
        named.sort_unstable();
        named.dedup();
        let there: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        assert_eq!(there, named);
        let files = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/dashboard/page")).unwrap();
        assert_eq!(files.count(), there.len());
    }

    #[test]
    fn it_is_small_and_of_small_files() {
        let size: usize = ASSETS.iter().map(|asset| asset.bytes.len()).sum();
        assert!(size < 120_000, "{size} bytes");
        for asset in &*ASSETS {
            let lines = asset.bytes.iter().filter(|byte| **byte == b'\n').count();
            assert!(lines <= 300, "{} has {lines} lines", asset.name);
        }
    }

    #[test]
    fn it_asks_nobody_else_and_makes_no_markup_of_texts() {
        for asset in &*ASSETS {
            let text = std::str::from_utf8(asset.bytes).unwrap().replace("http://www.w3.org/2000/svg", "");
            for forbidden in
                ["http:", "https:", "innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", " style=\""]
            {
                assert!(!text.contains(forbidden), "{} has {forbidden}", asset.name);
            }
        }
    }
}

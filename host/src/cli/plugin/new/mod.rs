//! `patchbay plugin new`: a crate that builds, passes its test, and answers.

mod sdk;

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use self::sdk::Sdk;
use crate::cli::{Failure, output};
use crate::plugins::conformance;
use crate::plugins::manifest::PluginId;

/// Begin a plugin: a crate with a provider that answers, and a test that passes
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  patchbay plugin new hello
  patchbay plugin new my-vendor --kind openai
  patchbay plugin new my-service --kind http

The crate is made in plugins/custom at the top of a clone of Patchbay, else in the working directory. The plugin API \
is the clone's when there is one around, else that of --sdk, else the published one.")]
pub(super) struct New {
    /// The plugin's id: small letters, digits, - and _
    #[arg(value_name = "NAME")]
    name: String,

    /// What to begin with
    #[arg(long, value_enum, default_value_t = Kind::Full)]
    kind: Kind,

    /// The folder of patchbay-plugin-api
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    /// A vendor that speaks OpenAI's dialect: nearly nothing but data
    #[value(name = "openai")]
    OpenAi,
    /// An HTTP API with a dialect of its own: what to send, and what came back
    Http,
    /// A provider that does everything itself
    Full,
}

const MANIFEST: &str = include_str!("Cargo.toml.tmpl");
const OPENAI: &str = include_str!("openai.rs.tmpl");
const HTTP: &str = include_str!("http.rs.tmpl");
const FULL: &str = include_str!("full.rs.tmpl");

const SERDE: &str = "serde = { version = \"1\", features = [\"derive\"] }\n";
const SERDE_JSON: &str = "serde_json = \"1\"\n";

/// What the service of `http.rs.tmpl` says.
const CAPTURES: [(&str, &str); 3] = [
    ("kit.json", include_str!("conformance/kit.json")),
    ("answer.json", include_str!("conformance/answer.json")),
    ("stream.txt", include_str!("conformance/stream.txt")),
];

impl Kind {
    fn source(self) -> &'static str {
        match self {
            Kind::OpenAi => OPENAI,
            Kind::Http => HTTP,
            Kind::Full => FULL,
        }
    }

    /// The lines of a manifest, beside the SDK's.
    fn dependencies(self) -> String {
        match self {
            Kind::OpenAi => String::new(),
            Kind::Http => [SERDE, SERDE_JSON].concat(),
            Kind::Full => SERDE.to_owned(),
        }
    }

    /// Files for `plugin test`, where the dialect is not OpenAI's.
    fn captures(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Kind::Http => &CAPTURES,
            Kind::OpenAi | Kind::Full => &[],
        }
    }
}

pub(super) fn run(command: &New) -> Result<u8, Failure> {
    check_name(&command.name)?;
    let here = std::env::current_dir()
        .map_err(|error| Failure::failed(format!("the working directory is not there: {error}")))?;
    let clone = sdk::clone_around(&here);
    let place = match &clone {
        Some(clone) if *clone == here => Path::new("plugins/custom").join(&command.name),
        _ => PathBuf::from(&command.name),
    };
    let sdk = Sdk::find(command.sdk.as_deref(), clone.as_deref(), &here.join(&place))?;
    write(command, &sdk, &place).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::bad_input(format!("{} is there already", place.display())),
        _ => Failure::failed(format!("{} cannot be written: {error}", place.display())),
    })?;
    if let Sdk::Published = sdk {
        output::note(
            "patchbay-plugin-api is taken from the registry: where it is not to be had, make the crate with --sdk \
             CLONE/plugin-api",
        );
    }
    output::line(&next_steps(&command.name, &place, clone.is_some_and(|clone| clone == here)));
    Ok(0)
}

fn check_name(name: &str) -> Result<(), Failure> {
    let refuse =
        |reason: &str| Err(Failure::bad_input(format!("{name:?} cannot be a plugin's name: {reason}")));
    if PluginId::parse(name).is_none() {
        return refuse("use up to 64 small letters, digits, - and _, beginning with a letter");
    }
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return refuse("a crate's name begins with a letter");
    }
    Ok(())
}

fn write(command: &New, sdk: &Sdk, place: &Path) -> io::Result<()> {
    let title = title(&command.name);
    let fill = |template: &str| {
        template
            .replace("{name}", &command.name)
            .replace("{title}", &title)
            .replace("{description}", &format!("The provider {title}"))
            .replace("{sdk}", &sdk.to_toml())
            .replace("{dependencies}\n", &command.kind.dependencies())
    };
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    // Not its parents as well: only this call says whether it was there before.
    fs::create_dir(place)?;
    fs::create_dir(place.join("src"))?;
    fs::write(place.join(".gitignore"), "/target/\n")?;
    fs::write(place.join("src/lib.rs"), fill(command.kind.source()))?;
    for (name, text) in command.kind.captures() {
        let folder = place.join(conformance::FOLDER);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), text)?;
    }
    // Last: it is what makes a crate of the folder, and `patchbay dev` may be looking.
    fs::write(place.join("Cargo.toml"), fill(MANIFEST))
}

/// As a person would write it.
fn title(name: &str) -> String {
    let words = name.replace(['-', '_'], " ");
    let (first, rest) = words.split_at(1);
    first.to_uppercase() + rest
}

fn next_steps(name: &str, place: &Path, is_in_clone: bool) -> String {
    let (folder, library) = (place.display(), format!("{DLL_PREFIX}{}{DLL_SUFFIX}", name.replace('-', "_")));
    let dev = if is_in_clone { "patchbay dev".to_owned() } else { format!("patchbay dev {folder}") };
    format!(
        "made {folder}; its code is all in src/lib.rs
next:
  (cd {folder} && cargo test)    the first build takes about a minute
  patchbay plugin test {folder}
  write \"{name}\": {{}} under \"plugins\" in plugin_config.json
  {dev}
      serves, and swaps it in whenever you save it
  patchbay chat --provider {name} hello
for a host that runs elsewhere:
  (cd {folder} && cargo build --release)
  patchbay plugin install {folder}/target/release/{library} --dir FOLDER_OF_THE_HOST"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_plugins_that_can_be_crates() {
        for name in ["hello", "a", "my-service_2"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let long = "a".repeat(65);
        for name in ["", "Hello", "7z", "-a", "a b", "../a", "a.b", "é", &long] {
            assert_eq!(check_name(name).unwrap_err().code(), 64, "{name}");
        }
    }

    #[test]
    fn templates_are_short_and_filled_in() {
        for kind in Kind::value_variants() {
            let source = kind.source();
            assert!(source.lines().count() < 60);
            assert!(source.lines().all(|line| line.len() <= 100));
        }
        assert_eq!(title("my-model_2"), "My model 2");
    }
}

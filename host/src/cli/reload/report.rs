//! The report of a reload, as far as it is shown. What a newer host adds to it is skipped.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::cli::Failure;
use crate::cli::failure::chain;
use crate::cli::output::Paint;
use crate::config::ConfigProblem;

#[derive(Debug, Deserialize)]
pub(in crate::cli) struct Report {
    status: String,
    #[serde(default)]
    generation: Option<u64>,
    #[serde(default)]
    duration_ms: Option<f64>,
    #[serde(default)]
    plugins: Changes,
    #[serde(default)]
    providers: Changes,
    config: Option<Refused>,
    #[serde(default)]
    settings: Vec<Setting>,
    #[serde(default)]
    warnings: Vec<ConfigProblem>,
}

/// A value of the configuration that is another now.
#[derive(Debug, Deserialize)]
struct Setting {
    pointer: String,
    before: Value,
    after: Value,
    needs_restart: bool,
}

/// Why the configuration could not be used; then nothing else was looked at.
#[derive(Debug, Deserialize)]
struct Refused {
    message: String,
    #[serde(default)]
    hint: String,
}

/// Of plugins or of providers: where the two have a word of their own for the same, both are read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Changes {
    #[serde(alias = "created")]
    loaded: Vec<Item>,
    #[serde(alias = "updated")]
    reloaded: Vec<Item>,
    unchanged: Vec<Item>,
    removed: Vec<Item>,
    failed: Vec<Failed>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Item {
    Named(String),
    Detailed(Detailed),
}

#[derive(Debug, Deserialize)]
struct Detailed {
    #[serde(alias = "name")]
    id: String,
    from: Option<Version>,
    to: Option<Version>,
}

/// A version or a generation, whichever the host counts by.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Version {
    Number(u64),
    Text(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Failed {
    file: Option<String>,
    #[serde(alias = "name")]
    id: Option<String>,
    phase: Option<String>,
    step: Option<String>,
    code: Option<String>,
    message: String,
    hint: Option<String>,
    kept_previous: bool,
}

impl Report {
    pub(in crate::cli) fn read(answer: &[u8]) -> Result<Report, Failure> {
        serde_json::from_slice(answer)
            .map_err(|error| Failure::failed(format!("the answer is no reload report: {}", chain(&error))))
    }

    pub(in crate::cli) fn is_ok(&self) -> bool {
        self.status == "ok"
    }

    /// Whether the host has found a library of this plugin.
    pub(in crate::cli) fn has_seen(&self, plugin: &str) -> bool {
        let Changes { loaded, reloaded, unchanged, failed, .. } = &self.plugins;
        let found = [loaded, reloaded, unchanged].into_iter().flatten().any(|item| item.name() == plugin);
        found || failed.iter().any(|failed| failed.id.as_deref() == Some(plugin))
    }

    /// Whether this plugin is as it was asked for, whatever became of others and of providers.
    pub(in crate::cli) fn is_ok_for(&self, plugin: &str) -> bool {
        let is_it = |failed: &Failed| failed.id.as_deref() == Some(plugin);
        self.config.is_none() && !self.plugins.failed.iter().any(is_it)
    }

    pub(in crate::cli) fn render(&self, dry_run: bool, paint: Paint) -> String {
        let what = if dry_run { "dry run" } else { "reload" };
        let status = if self.is_ok() { paint.good(&self.status) } else { paint.bad(&self.status) };
        let mut summary = format!("{what}: {status}");
        if let Some(generation) = self.generation {
            summary = format!("{summary}, generation {generation}");
        }
        if let Some(duration) = self.duration_ms {
            summary = format!("{summary}, {duration:.0} ms");
        }
        let mut lines = vec![summary];
        if let Some(Refused { message, hint }) = &self.config {
            lines.push(format!("  {}     {message}", paint.bad("failed")));
            lines.extend((!hint.is_empty()).then(|| format!("             hint: {hint}")));
        }
        self.plugins.render("plugins", ["loaded", "reloaded"], paint, &mut lines);
        self.providers.render("providers", ["created", "updated"], paint, &mut lines);
        self.render_settings(&mut lines);
        lines.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        lines.join("\n")
    }
}

impl Report {
    fn render_settings(&self, lines: &mut Vec<String>) {
        let (waiting, applied): (Vec<_>, Vec<_>) = self.settings.iter().partition(|it| it.needs_restart);
        let titles = ["settings", "settings that wait for the next start of the host"];
        for (title, settings) in titles.into_iter().zip([applied, waiting]) {
            lines.extend((!settings.is_empty()).then(|| title.to_owned()));
            lines.extend(settings.iter().map(|Setting { pointer, before, after, .. }| {
                format!("  changed    {pointer}: {before} → {after}")
            }));
        }
    }
}

impl Changes {
    fn render(&self, title: &str, [loaded, reloaded]: [&str; 2], paint: Paint, lines: &mut Vec<String>) {
        let kinds = [
            (loaded, &self.loaded),
            (reloaded, &self.reloaded),
            ("removed", &self.removed),
            ("unchanged", &self.unchanged),
        ];
        let before = lines.len();
        for (kind, items) in kinds.iter().filter(|(_, items)| !items.is_empty()) {
            let items: Vec<_> = items.iter().map(ToString::to_string).collect();
            lines.push(format!("  {kind:<9}  {}", items.join(", ")));
        }
        for failed in &self.failed {
            lines.push(format!("  {}     {failed}", paint.bad("failed")));
            lines.extend(failed.hint.as_ref().map(|hint| format!("             hint: {hint}")));
            if failed.kept_previous {
                lines.push("             the previous one goes on serving".into());
            }
        }
        if lines.len() > before {
            lines.insert(before, title.into());
        }
    }
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Item::Named(name) => name,
            Item::Detailed(Detailed { id, .. }) => id,
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::Named(name) => f.write_str(name),
            Item::Detailed(Detailed { id, from: Some(from), to: Some(to) }) => {
                write!(f, "{id} {from} → {to}")
            }
            Item::Detailed(Detailed { id, .. }) => f.write_str(id),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Number(number) => number.fmt(f),
            Version::Text(text) => text.fmt(f),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id.as_ref().or(self.file.as_ref()).map_or("?", String::as_str))?;
        let stage: Vec<_> = [&self.phase, &self.step].into_iter().flatten().map(String::as_str).collect();
        if !stage.is_empty() {
            write!(f, " in {}", stage.join("/"))?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(code) = &self.code {
            write!(f, " [{code}]")?;
        }
        // The id alone does not say which of two files it was.
        match (&self.id, &self.file) {
            (Some(_), Some(file)) => write!(f, " ({file})"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(json: &str) -> (bool, String) {
        let report: Report = serde_json::from_str(json).unwrap();
        (report.is_ok(), report.render(false, Paint::none()))
    }

    #[test]
    fn every_kind_of_change_is_shown() {
        let (ok, text) = render(
            r#"{"status":"partial","generation":12,"duration_ms":34,
            "plugins":{"loaded":["groq"],"reloaded":[{"id":"openai","from":"1.0.0","to":"1.0.1"}],"unchanged":["mock","gemini"],"removed":[],
              "failed":[{"file":"plugins/custom/libbad.so","id":null,"phase":"validation","step":"probe","code":"crashed","message":"crashed (SIGSEGV)","hint":"run it under a debugger","kept_previous":true}]},
            "providers":{"created":["groq"],"updated":[],"unchanged":["mock"],"removed":["old"],"failed":[{"name":"openai","message":"no key"}]},
            "settings":[{"pointer":"/limits/max_concurrent","before":null,"after":3,"needs_restart":false},
              {"pointer":"/server/port","before":1,"after":2,"needs_restart":true}],
            "warnings":[{"file":"c.json","pointer":"/plugins/x/config/pricng","reason":"strange","hint":"did you mean \"pricing\"?"}]}"#,
        );
        let expected = "\
reload: partial, generation 12, 34 ms
plugins
  loaded     groq
  reloaded   openai 1.0.0 → 1.0.1
  unchanged  mock, gemini
  failed     plugins/custom/libbad.so in validation/probe: crashed (SIGSEGV) [crashed]
             hint: run it under a debugger
             the previous one goes on serving
providers
  created    groq
  removed    old
  unchanged  mock
  failed     openai: no key
settings
  changed    /limits/max_concurrent: null → 3
settings that wait for the next start of the host
  changed    /server/port: 1 → 2
warning: c.json: /plugins/x/config/pricng: strange: did you mean \"pricing\"?";
        assert_eq!(text, expected);
        assert!(!ok);
    }

    #[test]
    fn a_report_of_nothing_is_one_line() {
        assert_eq!(render(r#"{"status":"ok","something_new":1}"#), (true, "reload: ok".into()));
    }
}

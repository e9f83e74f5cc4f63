//! Whether what a set of plugins requires is there: all of them at once, because they may require each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use semver::Version;
use thiserror::Error;

use super::manifest::PluginId;
use super::problem::{Problem, ProblemCode, Step};
use super::requires::{Dependency, FORMS, FormError, Requirement};

/// A plugin of the set.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    pub id: &'a PluginId,
    pub version: &'a Version,
    /// As written in its manifest.
    pub requires: &'a [String],
    /// Another check has refused it already; it is here so that others are told so.
    pub refused: bool,
}

/// What this host offers.
#[derive(Clone, Debug)]
pub struct Offer {
    pub host: Version,
    /// Services have whole numbers for versions: 1 is 1.0.0.
    pub services: BTreeMap<&'static str, u64>,
}

impl Offer {
    /// The host and the services of the ABI's first version.
    pub fn of_this_host() -> Self {
        let services = ["http", "sleep", "clock", "log", "random", "config", "metrics"];
        Self {
            host: Version::parse(env!("CARGO_PKG_VERSION")).unwrap_or(Version::new(0, 0, 0)),
            services: services.into_iter().map(|name| (name, 1)).collect(),
        }
    }
}

/// Why a plugin's requirements are not met.
#[derive(Error, Debug)]
pub enum RequireError {
    #[error("\"{id}\" has a requirement that cannot be read")]
    Form { id: PluginId, source: FormError },
    #[error("\"{id}\" requires {required}, this host is {host}")]
    Host { id: PluginId, required: String, host: Version },
    #[error("\"{id}\" requires {required}, a service that this host does not have")]
    NoService { id: PluginId, required: String, known: String },
    #[error("\"{id}\" requires {required}, this host has version {version} of it")]
    ServiceVersion { id: PluginId, required: String, version: u64 },
    #[error("\"{id}\" requires {required}, which is not installed")]
    NoPlugin { id: PluginId, required: String },
    #[error("\"{id}\" requires {required}, installed is {version}")]
    PluginVersion { id: PluginId, required: String, version: Version },
    #[error("\"{id}\" requires {required}, which was itself refused")]
    PluginRefused { id: PluginId, required: String },
    #[error("\"{id}\" requires itself in a circle: {}", path.join(" -> "))]
    Cycle { id: PluginId, path: Vec<String> },
}

impl RequireError {
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::Form { .. } => (ProblemCode::RequiresMalformed, FORMS.to_owned()),
            Self::Host { required, .. } => (
                ProblemCode::HostVersion,
                format!("install a host that is {required}, or another version of the plugin"),
            ),
            Self::NoService { known, .. } => (ProblemCode::ServiceUnknown, format!("this host has {known}")),
            Self::ServiceVersion { .. } => (
                ProblemCode::ServiceVersion,
                "update patchbay, or install another version of the plugin".to_owned(),
            ),
            Self::NoPlugin { required, .. } => (ProblemCode::PluginMissing, format!("install {required}")),
            Self::PluginVersion { required, .. } => {
                (ProblemCode::PluginVersion, format!("install {required}"))
            }
            Self::PluginRefused { .. } => {
                (ProblemCode::PluginRefused, "mend that plugin first; its own problem says how".to_owned())
            }
            Self::Cycle { .. } => {
                (ProblemCode::RequiresCycle, "take one requirement out of the circle".to_owned())
            }
        };
        Problem::new(Step::Requires, code, self, hint)
    }
}

/// One result per member, in their order; the first thing that is wrong with each. Ids are unique in the set.
pub fn resolve(members: &[Member<'_>], offer: &Offer) -> Vec<Result<(), RequireError>> {
    let set = Set::new(members, offer);
    let mut results: Vec<_> = members.iter().map(|member| set.check(member)).collect();
    for (index, result) in results.iter_mut().enumerate() {
        if result.is_ok() {
            *result = set.check_cycle(index);
        }
    }
    set.propagate(&mut results);
    results
}

struct Set<'a> {
    members: &'a [Member<'a>],
    offer: &'a Offer,
    by_id: BTreeMap<&'a PluginId, usize>,
    /// For each member the plugins of the set that it requires.
    edges: Vec<Vec<(usize, Requirement)>>,
}

impl<'a> Set<'a> {
    fn new(members: &'a [Member<'a>], offer: &'a Offer) -> Self {
        let by_id: BTreeMap<_, _> =
            members.iter().enumerate().map(|(index, member)| (member.id, index)).collect();
        let edge = |text: &String| {
            let requirement = Requirement::parse(text).ok()?;
            let Dependency::Plugin(id) = &requirement.on else { return None };
            by_id.get(id).map(|index| (*index, requirement))
        };
        let edges = members.iter().map(|member| member.requires.iter().filter_map(edge).collect()).collect();
        Self { members, offer, by_id, edges }
    }

    /// Everything that can be said about one member without asking whether others are in use.
    fn check(&self, member: &Member<'_>) -> Result<(), RequireError> {
        for text in member.requires {
            let id = || member.id.clone();
            let requirement =
                Requirement::parse(text).map_err(|source| RequireError::Form { id: id(), source })?;
            let required = requirement.to_string();
            match &requirement.on {
                Dependency::Host if !requirement.accepts(&self.offer.host) => {
                    return Err(RequireError::Host { id: id(), required, host: self.offer.host.clone() });
                }
                Dependency::Host => {}
                Dependency::Service(name) => match self.offer.services.get(name.as_str()) {
                    Some(version) if requirement.accepts(&Version::new(*version, 0, 0)) => {}
                    Some(version) => {
                        return Err(RequireError::ServiceVersion { id: id(), required, version: *version });
                    }
                    None => {
                        let known: Vec<&str> = self.offer.services.keys().copied().collect();
                        return Err(RequireError::NoService { id: id(), required, known: known.join(", ") });
                    }
                },
                Dependency::Plugin(other) => match self.by_id.get(other) {
                    None => return Err(RequireError::NoPlugin { id: id(), required }),
                    Some(index) if !requirement.accepts(self.members[*index].version) => {
                        let version = self.members[*index].version.clone();
                        return Err(RequireError::PluginVersion { id: id(), required, version });
                    }
                    Some(_) => {}
                },
            }
        }
        Ok(())
    }

    /// Looks for the shortest way from a member back to itself.
    fn check_cycle(&self, start: usize) -> Result<(), RequireError> {
        let mut came_from = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for (next, _) in &self.edges[at] {
                if *next == start {
                    return Err(self.cycle(start, at, &came_from));
                }
                if !came_from.contains_key(next) {
                    came_from.insert(*next, at);
                    queue.push_back(*next);
                }
            }
        }
        Ok(())
    }

    fn cycle(&self, start: usize, last: usize, came_from: &BTreeMap<usize, usize>) -> RequireError {
        let name = |index: usize| self.members[index].id.to_string();
        let mut path = vec![name(start)];
        let mut at = last;
        while at != start {
            path.push(name(at));
            // Every member but the start was come to from somewhere.
            at = came_from.get(&at).copied().unwrap_or(start);
        }
        path.push(name(start));
        path.reverse();
        RequireError::Cycle { id: self.members[start].id.clone(), path }
    }

    /// Whoever requires a refused plugin is refused, and whoever requires those.
    fn propagate(&self, results: &mut [Result<(), RequireError>]) {
        let mut changed: BTreeSet<usize> = (0..results.len())
            .filter(|index| self.members[*index].refused || results[*index].is_err())
            .collect();
        while !changed.is_empty() {
            let mut next = BTreeSet::new();
            for (index, result) in results.iter_mut().enumerate().filter(|(_, result)| result.is_ok()) {
                if let Some((_, requirement)) = self.edges[index].iter().find(|(on, _)| changed.contains(on))
                {
                    let (id, required) = (self.members[index].id.clone(), requirement.to_string());
                    *result = Err(RequireError::PluginRefused { id, required });
                    next.insert(index);
                }
            }
            changed = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plugins as (id, version, requires); a `!` before the id means that it was refused before.
    fn check(plugins: &[(&str, &str, &[&str])], expected: &[&str]) {
        let ids: Vec<_> =
            plugins.iter().map(|plugin| PluginId::parse(plugin.0.trim_start_matches('!')).unwrap()).collect();
        let versions: Vec<_> = plugins.iter().map(|plugin| Version::parse(plugin.1).unwrap()).collect();
        let requires: Vec<Vec<String>> =
            plugins.iter().map(|plugin| plugin.2.iter().map(|&text| text.to_owned()).collect()).collect();
        let members: Vec<_> = (0..plugins.len())
            .map(|index| Member {
                id: &ids[index],
                version: &versions[index],
                requires: &requires[index],
                refused: plugins[index].0.starts_with('!'),
            })
            .collect();
        let offer = Offer { host: Version::new(0, 3, 0), ..Offer::of_this_host() };
        let outcome: Vec<String> = resolve(&members, &offer)
            .into_iter()
            .map(|result| result.map_or_else(|error| error.problem().message, |()| "ok".to_owned()))
            .collect();
        assert_eq!(outcome, expected);
    }

    #[test]
    fn host_and_services_are_looked_up() {
        check(&[("a", "1.0.0", &["patchbay>=0.1", "service:http>=1", "service:metrics"])], &["ok"]);
        check(&[("a", "1.0.0", &["patchbay>=0.4"])], &["\"a\" requires patchbay>=0.4, this host is 0.3.0"]);
        check(
            &[("a", "1.0.0", &["service:http>=2"])],
            &["\"a\" requires service:http>=2, this host has version 1 of it"],
        );
        check(
            &[("a", "1.0.0", &["service:gpu>=1"])],
            &["\"a\" requires service:gpu>=1, a service that this host does not have"],
        );
        check(
            &[("a", "1.0.0", &["patchbay>=0.1", "openai"])],
            &["\"a\" has a requirement that cannot be read: requires \"openai\", which is in no known form"],
        );
    }

    #[test]
    fn other_plugins_are_looked_up() {
        check(&[("a", "1.0.0", &["plugin:b>=1.2"]), ("b", "1.2.0", &[])], &["ok", "ok"]);
        check(
            &[("a", "1.0.0", &["plugin:b>=1.2"])],
            &["\"a\" requires plugin:b>=1.2, which is not installed"],
        );
        check(
            &[("a", "1.0.0", &["plugin:b>=1.2"]), ("b", "1.1.0", &[])],
            &["\"a\" requires plugin:b>=1.2, installed is 1.1.0", "ok"],
        );
    }

    #[test]
    fn refusals_propagate() {
        check(
            &[
                ("a", "1.0.0", &["plugin:b"]),
                ("b", "1.0.0", &["plugin:c"]),
                ("!c", "1.0.0", &[]),
                ("d", "1.0.0", &[]),
            ],
            &[
                "\"a\" requires plugin:b, which was itself refused",
                "\"b\" requires plugin:c, which was itself refused",
                "ok",
                "ok",
            ],
        );
        check(
            &[("a", "1.0.0", &["plugin:b"]), ("b", "1.0.0", &["patchbay>=9"])],
            &[
                "\"a\" requires plugin:b, which was itself refused",
                "\"b\" requires patchbay>=9, this host is 0.3.0",
            ],
        );
    }

    #[test]
    fn cycles_are_named_and_all_their_members_refused() {
        check(&[("a", "1.0.0", &["plugin:a"])], &["\"a\" requires itself in a circle: a -> a"]);
        check(
            &[
                ("a", "1.0.0", &["plugin:b"]),
                ("b", "1.0.0", &["plugin:c"]),
                ("c", "1.0.0", &["plugin:a"]),
                ("outside", "1.0.0", &["plugin:b"]),
                ("free", "1.0.0", &[]),
            ],
            &[
                "\"a\" requires itself in a circle: a -> b -> c -> a",
                "\"b\" requires itself in a circle: b -> c -> a -> b",
                "\"c\" requires itself in a circle: c -> a -> b -> c",
                "\"outside\" requires plugin:b, which was itself refused",
                "ok",
            ],
        );
    }

    #[test]
    fn every_error_says_how_to_mend_it() {
        let id = || PluginId::parse("a").unwrap();
        let required = || "plugin:b>=1".to_owned();
        assert_eq!(
            RequireError::NoPlugin { id: id(), required: required() }.problem().hint,
            "install plugin:b>=1"
        );
        let source = FormError { text: "x".to_owned(), source: None };
        let problem = RequireError::Form { id: id(), source }.problem();
        assert_eq!((problem.code, problem.hint.as_str()), (ProblemCode::RequiresMalformed, FORMS));
    }
}

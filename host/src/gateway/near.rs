//! Names that someone may have meant.

/// So many are offered.
const MOST: usize = 5;

/// So many are compared: a mistake is not worth more, and anybody can make one.
const COMPARED: usize = 1_000;

/// So many are asked how long they are, to find those.
const LOOKED_AT: usize = 10_000;

/// A part that was forgotten makes a name so many times as long.
const TIMES_AS_LONG: usize = 4;

/// The names nearest to `wanted`, best first; only such as a typing error or a forgotten part explains.
pub(crate) fn near<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let bytes = wanted.len();
    let may_be_meant = |name: &&str| {
        bytes <= name.len().saturating_mul(TIMES_AS_LONG) && name.len() <= bytes.saturating_mul(TIMES_AS_LONG)
    };
    // Longer ones are no typing errors, and comparing them costs the square.
    let wanted = lowercase(wanted);
    let mut found: Vec<(usize, &str)> = names
        .take(LOOKED_AT)
        .filter(may_be_meant)
        .take(COMPARED)
        .filter_map(|name| distance(&wanted, name).map(|distance| (distance, name)))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().take(MOST).map(|(_, name)| name.to_owned()).collect()
}

/// The name that `wanted` is a slip of the pen for, if it is one. Other than for [`near`], a name with more to it is
/// another name.
pub(crate) fn slip<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = lowercase(wanted);
    let found = names.filter_map(|name| slips(&wanted, &lowercase(name)).map(|edits| (edits, name)));
    found.min().map(|(_, name)| name)
}

fn lowercase(name: &str) -> Vec<char> {
    name.chars().flat_map(char::to_lowercase).take(100).collect()
}

fn distance(wanted: &[char], name: &str) -> Option<usize> {
    let name = lowercase(name);
    let (short, long) = if wanted.len() < name.len() { (wanted, &name[..]) } else { (&name[..], wanted) };
    if short.len() >= 3 && long.windows(short.len()).any(|part| part == short) {
        return Some(1);
    }
    slips(wanted, &name)
}

/// How many edits are between the two, where they are few enough for a slip.
fn slips(wanted: &[char], name: &[char]) -> Option<usize> {
    let allowed = wanted.len().max(3) / 3;
    // There are at least as many edits as one is longer: most names need no closer look.
    let edits = (wanted.len().abs_diff(name.len()) <= allowed).then(|| edits(wanted, name))?;
    (edits <= allowed).then_some(edits)
}

/// Levenshtein's distance.
fn edits(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn likely_names_are_offered() {
        let names = ["gpt-4o", "gpt-4o-mini", "claude-3-opus", "meta-llama/Llama-3-70b"];
        let near = |wanted| near(wanted, names.into_iter());
        assert_eq!(near("gpt4o"), ["gpt-4o"]);
        assert_eq!(near("GPT-4o"), ["gpt-4o", "gpt-4o-mini"]);
        assert_eq!(near("llama-3"), ["meta-llama/Llama-3-70b"]);
        assert!(near("gemini-pro").is_empty());
        assert!(near("").is_empty());
    }

    #[test]
    fn a_name_with_more_to_it_is_no_slip() {
        let names = ["model", "timeout", "budget_usd_per_day"];
        for (wanted, meant) in [
            ("buget_usd_per_day", Some("budget_usd_per_day")),
            ("budget_usd_per_week", Some("budget_usd_per_day")),
            ("TimeOut", Some("timeout")),
            ("model_directory", None),
            ("region", None),
        ] {
            assert_eq!(slip(wanted, names.into_iter()), meant, "{wanted}");
        }
    }

    #[test]
    fn no_more_names_are_compared_than_a_mistake_is_worth() {
        for (name, looked_at) in [("gpt-4", COMPARED), ("a-name-of-quite-another-length", LOOKED_AT)] {
            let mut seen = 0;
            near("gpt-5", std::iter::repeat(name).inspect(|_| seen += 1));
            assert_eq!(seen, looked_at, "{name}");
        }
        // What is of another length takes nobody's place.
        let long = "a-name-of-quite-another-length";
        let names = std::iter::repeat_n(long, 2 * COMPARED).chain(["gpt-4"]);
        assert_eq!(near("gpt-5", names), ["gpt-4"]);
    }
}

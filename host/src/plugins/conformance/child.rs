//! The child process in which a plugin is tested.

use std::io::{self, Read as _, Write};
use std::sync::Arc;

use serde_json::Value;

use super::checks::ALL;
use super::notices::{Noticed, listen_to_the_log};
use super::reloads::{self, Opening};
use super::report::Outcome;
use super::stand::Stand;
use super::upstream::Upstream;
use super::{ASK, KEY, Line, Question};
use crate::plugins::manifest::Manifest;
use crate::plugins::platform::Platform;
use crate::plugins::probe;
use crate::services::http::HttpClient;

/// The second thing `main` does: when this process was started to test a plugin, tests it, and answers with the code
/// to exit with.
pub fn run_if_asked() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ASK {
        return None;
    }
    let parent = arguments.next()?.to_str()?.parse().ok()?;
    Some(run(parent))
}

fn run(parent: u32) -> i32 {
    let mut question = Vec::new();
    if !probe::die_with(parent) || io::stdin().read_to_end(&mut question).is_err() {
        return 1;
    }
    let Ok(question) = serde_json::from_slice::<Question>(&question) else { return 1 };
    // A plugin that prints does so elsewhere.
    let Some(mut lines) = probe::own_standard_output() else { return 1 };
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
    else {
        return 1;
    };
    runtime.block_on(test(question, &mut lines));
    // Not by `exit`: what a library registered to run at the end is not part of the question.
    probe::end(0)
}

fn say(lines: &mut impl Write, line: &Line) {
    let mut text = serde_json::to_vec(line).unwrap_or_default();
    text.push(b'\n');
    // Without a parent that reads there is nobody to fail for.
    let _ = lines.write_all(&text).and_then(|()| lines.flush());
}

async fn test(question: Question, lines: &mut impl Write) {
    let (skip, reloads) = (question.skip, question.reloads);
    let stand = match stand(question).await {
        Ok(stand) => stand,
        Err(why) => return say(lines, &Line::Unusable(why)),
    };
    let mut over = None;
    for check in ALL.into_iter().skip(skip) {
        let outcome = match over {
            Some(why) => Outcome::not_tested(why),
            None => {
                let (outcome, why) = check.run(&stand, reloads).await;
                over = why;
                outcome
            }
        };
        say(lines, &Line::Done(outcome));
    }
}

async fn stand(question: Question) -> Result<Stand, String> {
    let manifest = Manifest::parse(question.manifest.as_bytes(), &Platform::host());
    let manifest = manifest.map_err(|error| error.to_string())?;
    let noticed = Noticed::default();
    listen_to_the_log(&noticed);
    let [copy, second] = question.copies;
    let opening = |copy| Opening { copy, keep: question.keep.clone(), noticed: Arc::clone(&noticed) };
    let generation = reloads::open(&manifest, &opening(copy)).await?;
    let mut config = manifest.config_defaults.clone();
    config.extend(manifest.sample_config.clone().unwrap_or_default());
    config.extend(question.captures.config.clone());
    config.extend(question.config);
    config.insert("api_key".to_owned(), Value::from(KEY));
    let upstream = Upstream::start().await.map_err(|error| format!("no upstream can be started: {error}"))?;
    Ok(Stand {
        opening: opening(second),
        generation,
        manifest,
        captures: question.captures,
        upstream,
        config,
        client: HttpClient::default(),
        noticed,
    })
}

//! Reloads that nobody asks for over HTTP: noted as those that somebody does.

use http::StatusCode;

use super::audit::Reloaded;
use super::pictures::Subject;
use super::state::AppState;
use crate::audit::{Change, Entry, Outcome, Who, changed};
use crate::plugins::ReloadOptions;

/// The route that does the same.
const ROUTE: &str = "POST /api/providers/reload";

/// Reads configuration and directories again. What has come of it is in the trail, also where the future is dropped
/// before.
pub async fn reload(state: &AppState, cause: Who) {
    let (trail, state) = (state.trail.clone(), state.clone());
    let reload = async move {
        let before = Subject::Set.picture(&state, None);
        let options = ReloadOptions { reason: cause.word(), ..ReloadOptions::default() };
        let reloaded = Reloaded(state.manager.reload(options).await);
        let (mut before, mut after) = (before, Subject::Set.picture(&state, None));
        reloaded.complete(&mut before, &mut after);
        let (change, failed) = (changed(before, after), reloaded.failed());
        // A file that was written as it is already is nobody's change.
        if cause == Who::Watch && failed.is_none() && change == Change::default() {
            return;
        }
        state.trail.note(Entry {
            who: cause,
            address: None,
            request_id: None,
            route: ROUTE.to_owned(),
            target: None,
            outcome: if failed.is_none() { Outcome::Done } else { Outcome::Failed },
            status: StatusCode::OK.as_u16(),
            code: failed.map(str::to_owned),
            change,
            not_noted: 0,
        });
    };
    // Fails where it has panicked, which was logged.
    let _ = trail.see_through(reload).await;
}

//! Who may call what.
//!
//! A host that only its own machine can reach serves whoever is local. Local means: the peer is, and the `Host` is
//! (a foreign page whose name was rebound to 127.0.0.1 sends its own), and nobody forwarded the request. Everybody
//! else needs the admin token, unless the operator has opened the application routes. No page of another origin
//! may change anything, whoever's browser it runs in.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, FORWARDED, HOST, ORIGIN, VIA};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, StatusCode, Version};
use http_body::Body as _;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use super::connection::Connection;
use super::error::{ApiError, Code};
use super::guesses;
use super::limits;
use super::recipient::LetInBy;
use super::safety::{is_loopback_name, token_of};
use super::state::AppState;
use crate::access::{KeyBook, Scope, Unrecognised, VirtualKey};
use crate::accounts::Tab;
use crate::audit::Who;
use crate::config::ServerSettings;

/// The rules, as configured.
#[derive(Debug)]
pub(super) struct Access {
    /// Only this machine can connect.
    loopback: bool,
    open: bool,
    /// Of the admin token. Comparing digests takes the same time however much of a guess is right.
    token: Option<[u8; 32]>,
    origins: Vec<String>,
    keys: Arc<KeyBook>,
}

/// What a request shows to be let in.
enum Shown {
    Nothing,
    Wrong(Unrecognised),
    AdminToken,
    Key(Arc<VirtualKey>),
}

impl Access {
    pub(super) fn new(settings: &ServerSettings, keys: Arc<KeyBook>) -> Self {
        Self {
            loopback: is_loopback_name(&settings.host),
            open: settings.open,
            token: token_of(settings).map(|token| Sha256::digest(token.expose_secret()).into()),
            origins: settings.cors_origins.clone(),
            keys,
        }
    }

    /// Whether applications need nothing to show until there is a key, and something from then on.
    pub(super) fn lets_locals_in(&self) -> bool {
        self.loopback && !self.open
    }

    /// Lets an operator in, and says who it is.
    pub(super) fn admin(&self, parts: &Parts, has_body: bool) -> Result<Who, ApiError> {
        self.state_change(parts, has_body, false)?;
        match self.shown(&parts.headers) {
            Shown::AdminToken => Ok(Who::AdminToken),
            Shown::Key(key) if key.is_for(Scope::Admin) => Ok(who(&key)),
            Shown::Key(key) if key.is_for(Scope::Read) && parts.method.is_safe() => Ok(who(&key)),
            Shown::Key(_) if parts.method.is_safe() => Err(ApiError::forbidden(
                "The key is not for this: to look at it takes the scope read, or admin",
            )),
            Shown::Key(_) => Err(ApiError::forbidden(
                "The key may not change anything here: that takes one with the scope admin, or the admin token",
            )),
            Shown::Wrong(why) => Err(unrecognised(why)),
            Shown::Nothing if self.token.is_some() => Err(ApiError::unauthorized(
                "This route needs the admin token, or a key with the scope admin (read will do to look): send the header \
                 `authorization: Bearer <token>`",
            )),
            Shown::Nothing if self.loopback && is_local(parts) => Ok(Who::Local),
            Shown::Nothing => Err(ApiError::forbidden(
                "Without an ADMIN_TOKEN this route answers only to requests of this machine, made to localhost and \
                 not forwarded",
            )),
        }
    }

    /// Whoever it is that was not let in.
    pub(super) fn who(&self, headers: &HeaderMap) -> Who {
        match self.shown(headers) {
            Shown::AdminToken => Who::AdminToken,
            Shown::Key(key) => who(&key),
            Shown::Nothing | Shown::Wrong(_) => Who::Nobody,
        }
    }

    /// Lets a request in; with the key that it shows, if it is one.
    fn application(&self, parts: &Parts, has_body: bool) -> Result<Option<Arc<VirtualKey>>, ApiError> {
        self.state_change(parts, has_body, true)?;
        let keys_in_use = self.keys.is_in_use();
        match self.shown(&parts.headers) {
            Shown::AdminToken => Ok(None),
            Shown::Key(key) if key.is_for(Scope::Chat) => Ok(Some(key)),
            // Looking at who is there is looking, too.
            Shown::Key(key) if key.is_for(Scope::Read) && parts.method.is_safe() => Ok(Some(key)),
            // What was a key once is no way to get more than it gave.
            Shown::Wrong(why) if shows_key(&parts.headers) => Err(unrecognised(why)),
            _ if self.open => Ok(None),
            Shown::Key(_) => Err(ApiError::forbidden("The key is not for this: it needs the scope chat")),
            // Clients send some token by habit. Where nobody needs one it is no reason to refuse them.
            _ if !keys_in_use && self.loopback && is_local(parts) => Ok(None),
            Shown::Wrong(Unrecognised::Unknown) if keys_in_use => {
                Err(ApiError::unauthorized("The token is no key of this host, or not any more"))
            }
            _ if self.token.is_none() && !keys_in_use => Err(ApiError::forbidden(
                "This host answers only to requests of this machine, made to localhost and not forwarded; \
                 to let others in, set ADMIN_TOKEN or server.open",
            )),
            _ => Err(ApiError::unauthorized(
                "This route needs a token: send the header `authorization: Bearer <token>`",
            )),
        }
    }

    /// What a browser can be made to send from anywhere is not taken for the user's will.
    fn state_change(&self, parts: &Parts, has_body: bool, cors: bool) -> Result<(), ApiError> {
        if parts.method.is_safe() {
            return Ok(());
        }
        if let Some(origin) = parts.headers.get(ORIGIN) {
            let origin = origin.to_str().unwrap_or("null");
            let allowed = cors && self.origins.iter().any(|known| known.eq_ignore_ascii_case(origin));
            if !allowed && !is_same_origin(origin, parts) {
                return Err(ApiError::forbidden("Pages of other origins may not change anything here"));
            }
        }
        if has_body && !is_json(&parts.headers) {
            let details = "Send the body as JSON, with the header `content-type: application/json`";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(ApiError::new(status, Code::UnsupportedMediaType, details));
        }
        Ok(())
    }

    fn shown(&self, headers: &HeaderMap) -> Shown {
        if !headers.contains_key(AUTHORIZATION) {
            return Shown::Nothing;
        }
        // Without anything to compare with, what a client sends by habit is neither right nor wrong.
        if self.token.is_none() && !self.keys.is_in_use() && !shows_key(headers) {
            return Shown::Nothing;
        }
        let Some(token) = bearer(headers) else { return Shown::Wrong(Unrecognised::Unknown) };
        if self.token.is_some_and(|expected| <[u8; 32]>::from(Sha256::digest(token)) == expected) {
            return Shown::AdminToken;
        }
        match self.keys.recognise(token, SystemTime::now()) {
            Ok(key) => Shown::Key(key),
            Err(why) => Shown::Wrong(why),
        }
    }
}

fn who(key: &VirtualKey) -> Who {
    Who::Key { key_id: key.id.clone(), key_name: key.name.clone() }
}

fn unrecognised(why: Unrecognised) -> ApiError {
    ApiError::unauthorized(match why {
        Unrecognised::Unknown => "The token is no key of this host, or not any more, nor its admin token",
        Unrecognised::Expired => "The key has expired: ask for a new one",
    })
}

/// The token that a request brings.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(7);
    let (_, token) = value.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "))?;
    Some(token.trim_ascii())
}

fn shows_key(headers: &HeaderMap) -> bool {
    bearer(headers).is_some_and(KeyBook::looks_like_one)
}

async fn let_in(
    state: &AppState,
    parts: &Parts,
    has_body: bool,
) -> Result<Option<Arc<VirtualKey>>, ApiError> {
    let shown = state.access.application(parts, has_body);
    if let Err(refusal) = &shown {
        guesses::hold_back(state, parts, refusal).await;
    }
    shown
}

/// The layer in front of the application routes that ask providers: they are counted.
pub(super) async fn asking(
    State((state, route)): State<(AppState, &'static str)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let key = let_in(&state, &parts, !body.is_end_stream()).await?;
    if let Some(tab) = parts.extensions.get::<Tab>() {
        tab.asks(route, key.clone());
    }
    let admitted = limits::admit(&state, &parts, key.as_deref())?;
    if let Some(key) = key {
        parts.extensions.insert(LetInBy(key));
    }
    if let Some(payer) = admitted.as_ref().and_then(|admitted| admitted.payer.clone()) {
        parts.extensions.insert(payer);
    }
    let response = next.run(Request::from_parts(parts, body)).await;
    Ok(match admitted {
        Some(admitted) => limits::accompany(response, admitted),
        None => response,
    })
}

/// The layer in front of the other application routes.
pub(super) async fn application(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    if let Some(key) = let_in(&state, &parts, !body.is_end_stream()).await? {
        parts.extensions.insert(LetInBy(key));
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// Whether a request comes from this machine and was meant for it.
fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<Connection>().map(|connection| connection.peer.ip());
    peer.is_some_and(|peer| peer.to_canonical().is_loopback())
        && is_local_host(parts)
        && !is_forwarded(&parts.headers)
}

fn is_local_host(parts: &Parts) -> bool {
    match host(parts) {
        Some(authority) => authority.is_some_and(|authority| is_loopback_name(authority.host())),
        // Before HTTP/1.1 there need not be one; no browser is that old.
        None => parts.version == Version::HTTP_10,
    }
}

/// The host a request was meant for: none when it does not say, and none inside when that is not a host.
fn host(parts: &Parts) -> Option<Option<Authority>> {
    if let Some(authority) = parts.uri.authority() {
        return Some(Some(authority.clone()));
    }
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next()?;
    // Of two, somebody else may have looked at the other one.
    Some(if hosts.next().is_some() { None } else { Authority::try_from(host.as_bytes()).ok() })
}

/// Whether a proxy says that it stands in between. It may have done so for anyone.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key(FORWARDED)
        || headers.contains_key(VIA)
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded") || name.as_str() == "x-real-ip")
}

pub(super) fn is_same_origin(origin: &str, parts: &Parts) -> bool {
    let origin = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    let host = host(parts).flatten();
    origin.zip(host).is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host.as_str()))
}

#[cfg(test)]
pub(super) mod tests;

//! Routes as data: what is asked for, by which method, and who may ask. The router is made of such a list and of
//! nothing else, so that no route can be without rules, and tests can walk over all of them.

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Method;

use super::audit::{self, Gate};
use super::openapi::Describe;
use super::pictures::Subject;
use super::state::AppState;
use super::{access, cors, error};

/// Whom a route is for, which decides who is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Applications: it asks providers, so it is counted.
    Asking,
    /// Applications: it only tells.
    Telling,
    /// Operators.
    Operators,
    /// Orchestrators and browsers: it tells nothing, so anyone may ask.
    Anyone,
}

/// One path and method.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) audience: Audience,
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// What it changes, where it is said.
    pub(super) subject: Option<Subject>,
    /// What it is, for the document: without that there is no route.
    pub(super) describe: Describe,
    handler: MethodRouter<AppState>,
}

impl Audience {
    pub(super) fn get<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        describe: Describe,
    ) -> Route {
        self.route(Method::GET, path, on(MethodFilter::GET, handler), describe)
    }

    pub(super) fn post<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        describe: Describe,
    ) -> Route {
        self.route(Method::POST, path, on(MethodFilter::POST, handler), describe)
    }

    pub(super) fn put<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        describe: Describe,
    ) -> Route {
        self.route(Method::PUT, path, on(MethodFilter::PUT, handler), describe)
    }

    pub(super) fn patch<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        describe: Describe,
    ) -> Route {
        self.route(Method::PATCH, path, on(MethodFilter::PATCH, handler), describe)
    }

    pub(super) fn delete<H: Handler<T, AppState>, T: 'static>(
        self,
        path: &'static str,
        handler: H,
        describe: Describe,
    ) -> Route {
        self.route(Method::DELETE, path, on(MethodFilter::DELETE, handler), describe)
    }

    fn route(
        self,
        method: Method,
        path: &'static str,
        handler: MethodRouter<AppState>,
        describe: Describe,
    ) -> Route {
        Route { audience: self, method, path, subject: None, describe, handler }
    }
}

impl Route {
    /// Says what it changes.
    pub(super) fn changes(self, subject: Subject) -> Self {
        Self { subject: Some(subject), ..self }
    }

    /// Its handler behind the rules for operators, which leave a trail.
    fn gated(&self, state: &AppState) -> MethodRouter<AppState> {
        let route = format!("{} {}", self.method, self.path).into();
        let gate = Gate { state: state.clone(), route, subject: self.subject };
        self.handler.clone().route_layer(from_fn_with_state(gate, audit::gate))
    }
}

/// The router of these routes, each audience behind its own rules.
pub(super) fn router(routes: &[Route], state: AppState) -> Router {
    let of = |audience| {
        let routes = routes.iter().filter(|route| route.audience == audience);
        routes.fold(Router::new(), |router, route| {
            let handler = route.handler.clone();
            router.route(
                route.path,
                match audience {
                    // These are written down by their names.
                    Audience::Asking => {
                        handler.route_layer(from_fn_with_state((state.clone(), route.path), access::asking))
                    }
                    _ => handler,
                },
            )
        })
    };
    let asking = of(Audience::Asking);
    let telling = of(Audience::Telling).route_layer(from_fn_with_state(state.clone(), access::application));
    let admin = routes.iter().filter(|route| route.audience == Audience::Operators);
    let admin = admin.fold(Router::new(), |router, route| router.route(route.path, route.gated(&state)));

    // Pages of other origins may use what applications may, where the operator says so.
    let application = asking.merge(telling);
    let application = match cors::layer(&state.cors_origins) {
        // Within the layer, which answers what browsers ask beforehand by a method that no route takes.
        Some(cors) => application.method_not_allowed_fallback(error::method_not_allowed).layer(cors),
        None => application,
    };

    application
        .merge(admin)
        .merge(of(Audience::Anyone))
        .fallback(error::not_found)
        .method_not_allowed_fallback(error::method_not_allowed)
        .with_state(state)
}

#[cfg(test)]
mod tests;

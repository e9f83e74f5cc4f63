//! What the host lends to plugins: the way to upstreams, and the cleaning of what comes back.

// Requests to upstreams: shared connections, limits, errors without secrets.
pub mod http;
// What upstream says in errors, made fit for a client.
pub mod redact;

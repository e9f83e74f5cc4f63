//! Tests of the whole host: the real binary, real libraries, real requests.
//!
//! One binary for all of them, so that it is linked once. `harness` starts hosts and checks what tests forget.

// A test that cannot go on says where.
#![allow(clippy::unwrap_used)]
// And what a test takes, it may take by value: `json!` makes values.
#![allow(clippy::needless_pass_by_value)]
// Whoever reads `pub` in the harness knows what it is for; nobody else can reach it.
#![allow(unreachable_pub)]

// 0. What every test uses.
mod harness;
// How a test says that it could not run here.
mod skip;

// 1. It starts, answers, reloads and ends; and the harness sees what it should.
mod basics;
// 2. Libraries that are broken: refused in one useful sentence, and nothing else is any different.
mod broken;
// How they are refused, in whole scenarios.
mod refused;
// 3. Plugins that misbehave while they serve: one request is lost, or one plugin.
mod containment;
// What becomes of their libraries.
mod unloading;
// 4. Files that change under the host's hands.
mod files;
// 5. Configuration that changes, and plugins that are switched off, moved or lost.
mod settings;
mod switches;
// Providers made, changed and removed at run time.
mod runtime;
// Which provider answers, and why.
mod routing;
// What answers cost.
mod costs;
// 6. Providers that are served by a plan.
mod plan;
// The vendors that come with the host.
mod vendors;
// What vendors list.
mod catalogue;
// What is not in them, and how little is.
mod small;
// Upstreams that misbehave in every way that one can.
mod misbehaviour;
// One of them dies under load, and comes back.
mod load;
// What is known of providers that nobody asks.
mod health;
// Which of its keys one is asked with.
mod keys;
// Whether they are accepted.
mod credentials;
// The keys that the host gives out itself.
mod virtual_keys;
// How much anybody may ask.
mod limits;
// What they used.
mod usage;
// And lists in the place of what is asked.
mod lists;
// Pages of other origins.
mod cors;
// What is said in OpenAI's dialect on both sides passes unchanged, whatever it is.
mod transparent;
// The way to upstreams: connections, encryption, proxies.
mod outbound;
// What clients made for OpenAI see.
mod openai;
// What they ask that was there before chat.
mod completions;
// What they are told when it goes wrong.
mod openai_errors;
// The clients themselves: OpenAI's own and LangChain's.
mod clients;
// What is said of all that, and whether it is so.
mod openapi;
// And people in front of a browser.
mod dashboard;
// Every vendor's dialect, there and back: one table for all.
mod dialects;
// What listeners are told of all this.
mod events;
// What Prometheus is told.
mod metrics;
// What a host says about itself.
mod telemetry;
// And who changed what.
mod audit;
// 7. The process: signals, its data directory, the command line.
mod process;
// Who is not served yet when it ends.
mod cut;
// Another one takes over from it.
mod upgrade;
// Where it is installed.
mod install;
// 8. The rest of the command line.
mod cli;
// 9. What every plugin must do, on the built library: what a plugin's author is told before it is shipped.
mod kit;
// 10. A plugin that another compiler built.
mod other_rustc;
// 11. Reload under load: the scenario of the benchmark, with fewer rounds.
#[allow(dead_code)]
mod scenario;
mod swap;
// 12. And many slow streams at one time: likewise.
mod streams;

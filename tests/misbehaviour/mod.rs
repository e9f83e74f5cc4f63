//! Upstreams that misbehave in every way that one can. For each, in every form that an answer has: what the client
//! saw, whether the next provider took over where that was still possible, and what the log says.

// The forms that an answer has, and what is in each.
pub mod form;
// What is played, and what has to come of it.
mod case;
// Two providers in one host.
mod pair;
// Everything that has to be true of a case.
mod check;
// Nothing came that a client could be shown, so that another provider may be asked.
mod before;
// Heads and bodies that say no.
mod refusals;
// It broke after the client had seen it begin.
mod after;
// It is odd, and an answer all the same.
mod odd;
// What is not held back, and whom one who hangs does not hold up.
mod passing;
// Clients that leave, and clients that do not read.
mod leaving;

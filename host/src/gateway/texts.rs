//! Texts that are gone on with: by those who have an endpoint for it as asked, by all others as chat.

use bytes::Bytes;
use patchbay_plugin_api::ProviderError;

use super::answer::{self, RawAnswer};
use super::asker::Asker;
use super::request::{BeyondChat, TextRequest};
use super::select::{Candidate, Needs};
use super::serve::{Answered, Ask, Gateway, GatewayError};
use super::stream::{Begun, CommittedAnswer};
use crate::accounts::Usage;
use crate::providers::{Admission, CallContext, Members, Provider, Surface, WholeAnswer};

/// A whole answer, and whose shape it has.
struct WholeText<'r>(&'r TextRequest);

impl Ask for WholeText<'_> {
    type Answer = (Bytes, Option<Usage>, Surface);

    fn surface(&self, provider: &Provider) -> Surface {
        surface_of(provider)
    }

    async fn ask(
        &self,
        candidate: &Candidate,
        admission: Admission,
        call: &CallContext,
    ) -> Answered<Self::Answer> {
        let (surface, body) = asked(self.0, candidate)?;
        let read = |WholeAnswer { raw, account }| {
            if surface == Surface::Chat {
                // It is read to be translated, so there must be something to read.
                answer::words_of(&raw)?;
            }
            Ok(((raw, account.usage, surface), account.model))
        };
        admission.complete(surface, body, call, read).await
    }
}

/// An answer in chunks up to its first content, and whose shape they have.
struct BeginningOfText<'r>(&'r TextRequest);

impl Ask for BeginningOfText<'_> {
    type Answer = (Begun, Surface);

    fn surface(&self, provider: &Provider) -> Surface {
        surface_of(provider)
    }

    async fn ask(
        &self,
        candidate: &Candidate,
        admission: Admission,
        call: &CallContext,
    ) -> Answered<Self::Answer> {
        let (surface, body) = asked(self.0, candidate)?;
        let begun = Begun::wait(admission.stream(surface, body, call).await?).await?;
        let model = begun.facts.model.clone();
        Ok(((begun, surface), model))
    }
}

/// How a candidate is asked.
fn asked(request: &TextRequest, candidate: &Candidate) -> Result<(Surface, Members), ProviderError> {
    let surface = surface_of(&candidate.provider);
    let body = request.body_for(surface, candidate.model.as_deref());
    // Those for whom this matters were passed over.
    let body = body.map_err(|BeyondChat { name, .. }| ProviderError::unsupported(name))?;
    Ok((surface, candidate.bind(body)))
}

fn surface_of(provider: &Provider) -> Surface {
    if provider.has_planned(Surface::Texts) { Surface::Texts } else { Surface::Chat }
}

impl Gateway {
    /// A whole answer as it came, and the shape that it came in. Dropping the future cancels.
    pub async fn complete_text(
        &self,
        request: &TextRequest,
        asker: &Asker,
    ) -> Result<(RawAnswer, Surface), GatewayError> {
        let asked = self.first_of(request.target(), request.needs(), asker, WholeText(request));
        let ((raw, usage, surface), served) = asked.await?;
        Ok((RawAnswer::of(served, raw, usage, &asker.tab), surface))
    }

    /// An answer that has begun, and the shape of its chunks. Dropping the future, or the answer, cancels.
    pub async fn stream_text(
        &self,
        request: &TextRequest,
        asker: &Asker,
    ) -> Result<(CommittedAnswer, Surface), GatewayError> {
        let asked = self.first_of(request.target(), request.needs(), asker, BeginningOfText(request));
        let ((begun, surface), served) = asked.await?;
        Ok((begun.of(served, &asker.tab), surface))
    }
}

impl TextRequest {
    fn needs(&self) -> Needs<'static> {
        Needs { beyond_chat: self.beyond_chat(), ..Needs::of(&Self::NEEDS) }
    }
}

//! The host that serves: listens for a successor, and hands over to it.

use std::convert::Infallible;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::{error, info, warn};

use super::wire::{VERSION, Wire, Word};
use super::{Handed, LOADING, PROMPT, SOCKET, within};
use crate::http::{Frozen, LINGER, Readiness};
use crate::providers::Registry;

/// What a host hands on, and what it holds still meanwhile.
#[derive(Debug)]
pub struct Estate {
    /// The open files.
    pub handed: Handed,
    /// How many hosts came before, one after the other.
    pub term: u64,
    /// Lets nothing be changed while a successor reads it.
    pub readiness: Readiness,
    /// Who serves.
    pub registry: Arc<Registry>,
    /// How long it took to start: so long others will take, too.
    pub started_within: Duration,
}

/// Waits for a successor for as long as it is not dropped.
#[derive(Debug)]
pub struct Control {
    _listening: AbortOnDropHandle<()>,
    successor: watch::Receiver<Option<Arc<Successor>>>,
}

/// Who has taken over.
#[derive(Debug)]
pub struct Successor {
    /// Its process, where the system says.
    pub process: Option<i32>,
    wire: Wire,
    /// What would be changed here is known to nobody any more.
    _frozen: Frozen,
}

impl Successor {
    /// From now on no request is begun here. Should it not hear that, it has gone.
    pub async fn rest(&self) {
        let _ = self.wire.say(&Word::Rests).await;
    }
}

impl Control {
    /// Listens in a data directory; in the place of a predecessor, from now on.
    pub fn listen(data_dir: &Path, estate: Estate) -> io::Result<Self> {
        let folder = File::open(data_dir)?;
        // Under another name first: nobody connects before it is the host's user's alone.
        let new = within(&folder, &format!("{SOCKET}.{}", estate.term));
        let _ = fs::remove_file(&new);
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, Permissions::from_mode(0o600))?;
        fs::rename(&new, within(&folder, SOCKET))?;
        let (tell, successor) = watch::channel(None);
        let listening = async move {
            let successor = wait(&listener, &estate).await;
            // Who does not listen any more is ending anyway.
            let _ = tell.send(Some(Arc::new(successor)));
        };
        Ok(Self { _listening: AbortOnDropHandle::new(tokio::spawn(listening)), successor })
    }

    /// Whether another host has taken over.
    pub fn is_taken(&self) -> bool {
        self.successor.borrow().is_some()
    }

    /// Returns when another host has taken over.
    pub async fn taken(&self) -> Arc<Successor> {
        let mut successor = self.successor.clone();
        match successor.wait_for(Option::is_some).await.ok().and_then(|it| it.clone()) {
            Some(successor) => successor,
            // It has panicked, and nobody will come.
            None => std::future::pending().await,
        }
    }
}

/// Takes the socket away, for nobody answers there any more.
pub fn forget(data_dir: &Path) {
    // What is not there is in nobody's way, and what stays is replaced by the next host.
    let _ = fs::remove_file(data_dir.join(SOCKET));
}

async fn wait(listener: &UnixListener, estate: &Estate) -> Successor {
    let mut next = None;
    loop {
        let Asker { wire, process } = match next.take() {
            Some(asker) => asker,
            None => asked(listener).await,
        };
        // In this order: one that has gone is in nobody's way.
        let successor = tokio::select! {
            biased;
            successor = hand_over(wire, estate, process) => successor,
            never = Box::pin(refuse_others(listener, process, &mut next)) => match never {},
        };
        if let Some(successor) = successor {
            if let Some(late) = next {
                refuse(&late, process).await;
            }
            return successor;
        }
    }
}

/// Whoever wants to take over.
struct Asker {
    wire: Wire,
    process: Option<i32>,
}

/// The next one who asks.
async fn asked(listener: &UnixListener) -> Asker {
    loop {
        match listener.accept().await.map(|(stream, _)| (process_of(&stream), stream)) {
            Ok((Ok(process), stream)) => return Asker { wire: Wire::new(stream), process },
            Ok((Err(user), _)) => {
                warn!(user, "somebody else's process has asked to take over, and was refused");
            }
            Err(error) => {
                warn!(%error, "a successor cannot be heard");
                tokio::time::sleep(PROMPT).await;
            }
        }
    }
}

/// Goes on for as long as the first of them is about to take over. Whoever has not been refused by then is left in
/// `next`.
async fn refuse_others(listener: &UnixListener, first: Option<i32>, next: &mut Option<Asker>) -> Infallible {
    loop {
        let asker = next.insert(asked(listener).await);
        if asker.wire.hear(PROMPT).await.is_ok() {
            refuse(asker, first).await;
        }
        *next = None;
    }
}

/// There is one host to follow, and no more.
async fn refuse(asker: &Asker, first: Option<i32>) {
    let process = asker.process;
    warn!(process, first, "a host has asked to take over while another one is about to, and was refused");
    let first = first.map(|process| format!(" (process {process})")).unwrap_or_default();
    let reason = format!(
        "another host{first} is about to take over from it: wait until that one serves or has ended, and try again if \
         this one is still wanted"
    );
    let _ = asker.wire.say(&Word::Refused { reason }).await;
}

/// Who is at the other end: the host's own user, or root. Otherwise the user it is.
fn process_of(stream: &UnixStream) -> Result<Option<i32>, u32> {
    let peer = stream.peer_cred().map_err(|_| u32::MAX)?;
    if peer.uid() == 0 || peer.uid() == geteuid().as_raw() { Ok(peer.pid()) } else { Err(peer.uid()) }
}

/// None when the other side did not take over; then everything is as before.
async fn hand_over(mut wire: Wire, estate: &Estate, process: Option<i32>) -> Option<Successor> {
    match wire.hear(PROMPT).await {
        Ok(Word::TakeOver { version: VERSION }) => {}
        Ok(other) => {
            let reason = "it speaks another version: stop it, and start the new one".to_owned();
            warn!(?other, "who has asked to take over is not understood");
            let _ = wire.say(&Word::Refused { reason }).await;
            return None;
        }
        // It has only looked whether somebody is there.
        Err(_) => return None,
    }
    info!(process, "another host is about to take over: nothing is changed meanwhile");
    let Ok(frozen) =
        tokio::time::timeout(PROMPT, estate.readiness.freeze(estate.started_within + LINGER)).await
    else {
        let reason =
            "a change of its configuration, or an earlier upgrade, is under way and does not end: try again \
                      later"
                .to_owned();
        warn!(process, "another host has asked to take over, and was refused: {reason}");
        let _ = wire.say(&Word::Refused { reason }).await;
        return None;
    };
    let outcome = go_through(&mut wire, estate).await;
    if let Err(error) = outcome {
        error!(process, %error, "the other host has not taken over: this one goes on as before");
        return None;
    }
    info!(process, "another host has taken over");
    Some(Successor { process, wire, _frozen: frozen })
}

async fn go_through(wire: &mut Wire, estate: &Estate) -> io::Result<()> {
    let providers = estate.registry.snapshot().by_priority().iter().map(|it| it.name().to_owned()).collect();
    let (term, opened) = (estate.term + 1, estate.handed.opened);
    wire.hand(&Word::Handed { term, providers, opened }, &estate.handed).await?;
    expect(&wire.hear(LOADING).await?, &Word::Ready)?;
    wire.say(&Word::Yours).await?;
    match wire.hear(PROMPT).await {
        Ok(word) => expect(&word, &Word::Taken),
        // It is alive, and has been told to serve: two that both go on would be worse than a pause.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        Err(error) => Err(error),
    }
}

fn expect(heard: &Word, expected: &Word) -> io::Result<()> {
    if heard == expected { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

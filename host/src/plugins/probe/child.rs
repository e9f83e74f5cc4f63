//! The probe's child process.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::FromRawFd as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use patchbay_plugin_api::ErrorKind;
use semver::Version;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::script::Script;
use super::{ASK, Findings, HELLO, Line, ROOM, Refusal, Stage, Verdict};
use crate::plugins::generation::{Blueprint, Generation, StartFault};
use crate::plugins::job::{InstanceId, Job, Operation, Question};
use crate::plugins::library::{Library, LibraryFault};
use crate::plugins::problem::chain;
use crate::plugins::pulse::Pulse;
use crate::plugins::record::Life;
use crate::plugins::threads::Family;

/// How long the tried request may take before it is cancelled: asserted is only that calls return.
const HALF_WAY: Duration = Duration::from_millis(50);

const REQUEST: &str = r#"{"model":"probe","messages":[{"role":"user","content":"ping"}],"max_tokens":8}"#;
const STREAM_REQUEST: &str =
    r#"{"model":"probe","messages":[{"role":"user","content":"ping"}],"max_tokens":8,"stream":true}"#;

/// The first thing `main` does: when this process was started as a probe, probes, and answers with the code to
/// exit with.
pub fn run_if_asked() -> Option<i32> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ASK {
        return None;
    }
    let number = |argument: std::ffi::OsString| argument.to_str()?.parse::<u32>().ok();
    let parent = arguments.next().and_then(number)?;
    let seconds = arguments.next().and_then(number)?;
    Some(run(parent, seconds))
}

fn run(parent: u32, seconds: u32) -> i32 {
    if !confine(parent, seconds) {
        return 1;
    }
    let Some(mut lines) = own_standard_output().map(Lines) else { return 1 };
    lines.write(&Line::Hello(HELLO.to_owned()));
    let mut question = Vec::new();
    if std::io::stdin().read_to_end(&mut question).is_err() {
        return 1;
    }
    let Ok(question) = serde_json::from_slice::<super::Question>(&question) else { return 1 };
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_time().build() else { return 1 };
    let verdict = runtime.block_on(examine(&question, &mut lines));
    lines.write(&Line::Verdict(verdict.cut_to_size()));
    // Not by `exit`: what a library registered to run at the end is not part of the question.
    end(0)
}

/// Ends the process there and then.
pub(in crate::plugins) fn end(code: i32) -> ! {
    // SAFETY: ends the process; everything worth keeping was written.
    unsafe { libc::_exit(code) }
}

fn limit(what: libc::__rlimit_resource_t, value: libc::rlim_t, most: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: most };
    // SAFETY: a valid struct. Failing to lower a limit only means that it is not lowered.
    unsafe { libc::setrlimit(what, &raw const limit) };
}

/// Dies with its parent, and leaves no core. False when the parent is gone already.
pub(in crate::plugins) fn die_with(parent: u32) -> bool {
    limit(libc::RLIMIT_CORE, 0, 0);
    // SAFETY: plain system calls without pointers.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::getppid() == parent.cast_signed()
    }
}

/// Has bounds, too.
fn confine(parent: u32, seconds: u32) -> bool {
    limit(libc::RLIMIT_FSIZE, 0, 0);
    limit(libc::RLIMIT_NOFILE, 64, 64);
    limit(libc::RLIMIT_AS, 8 << 30, 8 << 30);
    // First comes SIGXCPU, which says whose fault it is, and not SIGKILL, which could be anybody's.
    limit(libc::RLIMIT_CPU, u64::from(seconds) + 1, u64::from(seconds) + 2);
    // A write beyond the limit is then an error that a plugin can deal with, not its end.
    // SAFETY: a plain system call without pointers.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    die_with(parent)
}

/// The pipe to the parent, out of the reach of a plugin that prints; inherited descriptors are closed.
pub(in crate::plugins) fn own_standard_output() -> Option<File> {
    // SAFETY: standard output was made by the parent; the copy is ours alone, and from here on descriptor 1 is
    // the null device, as is 2 already. Nothing else is open that anyone here relies on.
    unsafe {
        libc::close_range(3, libc::c_uint::MAX, 0);
        let pipe = libc::fcntl(1, libc::F_DUPFD_CLOEXEC, 32);
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        if pipe < 0 || null < 0 || libc::dup2(null, 1) < 0 || libc::close(null) != 0 {
            return None;
        }
        Some(File::from_raw_fd(pipe))
    }
}

impl Verdict {
    /// The words of a plugin, a panic's mostly, may be any number.
    fn cut_to_size(mut self) -> Self {
        // Quotes and control characters take up to six bytes in JSON, and the stages come before.
        const MOST: usize = (ROOM - 512) / 6;
        let message = match &mut self {
            Self::Refused { message, .. } => Some(message),
            Self::Good(Findings { keep }) => keep.as_mut(),
        };
        if let Some(message) = message
            && message.len() > MOST
        {
            let end = (0..=MOST).rfind(|end| message.is_char_boundary(*end));
            message.truncate(end.unwrap_or_default());
            message.push('…');
        }
        self
    }
}

struct Lines(File);

impl Lines {
    fn write(&mut self, line: &Line) {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        // Without a parent that reads there is nobody to fail for.
        let _ = self.0.write_all(&text);
    }

    fn stage(&mut self, stage: Stage) {
        self.write(&Line::Stage(stage));
    }
}

async fn examine(question: &super::Question, lines: &mut Lines) -> Verdict {
    match try_out(question, lines).await {
        Ok(findings) => Verdict::Good(findings),
        Err((code, message)) => Verdict::Refused { code, message },
    }
}

type Refused = (Refusal, String);

async fn try_out(question: &super::Question, lines: &mut Lines) -> Result<Findings, Refused> {
    lines.stage(Stage::Constructors);
    // On a thread of its own that stays, as the generation's would.
    let (path, family) = (PathBuf::from(&question.path), Family::new());
    let opened = std::thread::spawn(move || Library::open(&path, family)).join();
    let library = opened
        .map_err(|_| (Refusal::Unloadable, "opening it panicked".to_owned()))?
        .map_err(|fault| refusal(&fault))?;
    lines.stage(Stage::Header);
    let header = library.check_layout();
    lines.stage(Stage::Layout);
    header.map_err(|fault| refusal(&fault))?;
    library.check_operations().map_err(|fault| refusal(&fault))?;

    lines.stage(Stage::Describe);
    let panics: Arc<Mutex<Option<String>>> = Arc::default();
    let generation = start(question, family, &panics).await?;
    // The generation has it open, too. On a thread of its own again: this one is to stay out of the family.
    let closed = std::thread::spawn(move || drop(library.close())).join();
    closed.map_err(|_| (Refusal::Unloadable, "closing it panicked".to_owned()))?;

    lines.stage(Stage::Create);
    let config = question.sample_config.to_string().into_bytes();
    let created =
        generation.create(&question.plugin, config, Arc::new(Script), Arc::default(), Duration::MAX).await;
    let instance = match created {
        Ok((instance, _)) => Some(instance),
        // It may need more than its sample configuration says; whether the real one will do is seen later.
        Err(error) if error.kind != ErrorKind::Panicked => None,
        Err(error) => return Err(panicked(&panics, &error.message)),
    };
    if let Some(instance) = instance {
        lines.stage(Stage::Call);
        let asked = instance.ask(Operation::Complete, Bytes::from_static(REQUEST.as_bytes()), "probe".into());
        let _ = tokio::time::timeout(HALF_WAY, asked).await;
        come_by(&generation).await;
        lines.stage(Stage::Cancel);
        let cancelled = async {
            // Dropped with the stream's first batch still unread behind it.
            let _ = instance
                .stream(Bytes::from_static(STREAM_REQUEST.as_bytes()), "probe".into())
                .await?
                .next()
                .await;
            Ok::<(), patchbay_plugin_api::ProviderError>(())
        };
        let _ = tokio::time::timeout(HALF_WAY, cancelled).await;
        come_by(&generation).await;
        lines.stage(Stage::Drop);
        drop(instance);
        dropped(&generation).await;
    }
    let record = Arc::clone(&generation.record);
    lines.stage(if question.close { Stage::Destructors } else { Stage::Drop });
    drop(generation);
    let life = record.ended().await;
    if panics.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
        return Err(panicked(&panics, "it panicked"));
    }
    match life {
        Life::Resident { reason } if question.close => Ok(Findings { keep: Some(reason) }),
        _ => Ok(Findings::default()),
    }
}

/// Waits until the plugin's thread has come by all that it was told: it is asked for something behind it, of an
/// instance that is not there. Who never comes back is stuck in this stage, and not in a later one.
async fn come_by(generation: &Generation) {
    let (reply, answer) = oneshot::channel();
    let question = Question { id: 0, body: Bytes::new(), meta: String::new() };
    let job = Job::Ask { instance: InstanceId::MAX, operation: Operation::Health, question, reply };
    if generation.submit(job).await.is_ok() {
        // That there is no such instance is known.
        let _ = generation.answered(answer).await;
    }
}

/// Waits until the provider was dropped, which happens in no order with other jobs.
async fn dropped(generation: &Generation) {
    while generation.shared.pulse.alive().0 > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn start(
    question: &super::Question,
    family: Family,
    panics: &Arc<Mutex<Option<String>>>,
) -> Result<Arc<Generation>, Refused> {
    let noted = Arc::clone(panics);
    let blueprint = Blueprint {
        plugin: question.plugin.as_str().into(),
        number: 0,
        version: Version::new(0, 0, 0),
        sha256: String::new(),
        copy: PathBuf::from(&question.path),
        family,
        keep: (!question.close).then(|| "it asked to stay".to_owned()),
        owns_copy: false,
        main: Handle::current(),
        on_panic: Arc::new(move |_: &Pulse, fields: &str| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| fields.to_owned());
        }),
    };
    let started = Generation::start(blueprint, Duration::MAX).await;
    let (generation, manifest) = started.map_err(|fault| match fault {
        StartFault::Library(fault) => refusal(&fault),
        other => (Refusal::Unloadable, chain(&other)),
    })?;
    if manifest != question.manifest {
        let message = "what the library says of itself is not what its manifest section says";
        return Err((Refusal::ManifestDiffers, message.to_owned()));
    }
    Ok(generation)
}

fn refusal(fault: &LibraryFault) -> Refused {
    let code = match fault {
        LibraryFault::Open(_) | LibraryFault::NoPlace => Refusal::Unloadable,
        LibraryFault::NoLayout => Refusal::NoLayout,
        LibraryFault::Layout(_) => Refusal::Layout,
        LibraryFault::NoHeader
        | LibraryFault::ForeignHeader
        | LibraryFault::Header(_)
        | LibraryFault::NoInterface => Refusal::NotAPlugin,
    };
    (code, chain(fault))
}

/// The panic in the author's own words, with its place.
fn panicked(panics: &Mutex<Option<String>>, otherwise: &str) -> Refused {
    let noted = panics.lock().unwrap_or_else(PoisonError::into_inner).take();
    let fields: serde_json::Value =
        noted.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let field = |name: &str| fields.get(name).and_then(serde_json::Value::as_str);
    let message = match (field("during"), field("panic"), field("location")) {
        (Some(during), Some(panic), Some(location)) => format!("it panicked {during}: {panic} ({location})"),
        _ => otherwise.to_owned(),
    };
    (Refusal::Panicked, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_a_plugin_says_fits_into_the_pipe() {
        for message in ["\u{1}".repeat(100_000), "é".repeat(100_000), "\"".repeat(585)] {
            let verdict = Verdict::Refused { code: Refusal::ManifestDiffers, message };
            let line = serde_json::to_vec(&Line::Verdict(verdict.cut_to_size())).unwrap();
            assert!(line.len() < ROOM - 400, "{}", line.len());
        }
    }
}

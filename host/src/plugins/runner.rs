//! The thread on which all of a generation's plugin code runs: from the library's constructors to the last drop.
//!
//! One rule, four gains (see plugin-abi in the design): unloading is sound, a plugin that blocks hurts nobody
//! else, its CPU time can be told, and the same boundary fits a worker process.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::task::{Context, Poll};

use abi_stable::std_types::{RSlice, RVec};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use patchbay_plugin_api::abi::{Batch, Call, Instance, InstanceRef, PullStream};
use patchbay_plugin_api::{ProviderError, Result};
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use super::job::{ChunkBatch, InstanceId, Job, Operation, Order, Question};
use super::lend::{Lender, Loan, Tenancy, removed};
use super::library::{Exports, Library, LibraryFault};
use super::pulse::{OnPanic, Pulse};
use super::threads::Family;

/// What the thread is started with.
pub(super) struct Start {
    pub(super) path: PathBuf,
    pub(super) family: Family,
    pub(super) plugin: Arc<str>,
    pub(super) generation: u64,
    pub(super) jobs: mpsc::Receiver<Job>,
    pub(super) shared: Arc<Shared>,
    pub(super) main: Handle,
    pub(super) on_panic: OnPanic,
    /// Told once the library is open: the manifest as its own code describes it.
    pub(super) opened: oneshot::Sender<Result<String, LibraryFault>>,
}

/// What the generation and its thread share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) pulse: Arc<Pulse>,
    /// Instances the host has let go. A list and not a job, so that letting go never waits for the queue.
    dropped: Mutex<Vec<InstanceId>>,
    dropped_some: Notify,
}

impl Shared {
    /// Has the thread drop this instance.
    pub(super) fn drop_instance(&self, id: InstanceId) {
        self.dropped.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        self.dropped_some.notify_one();
    }
}

/// What the thread leaves behind when it ends in good order, for whoever closes the library.
pub(super) struct Remains {
    /// The services' contexts: plugin code may have used them until the thread ended.
    pub(super) _lenders: Vec<Arc<Lender>>,
    /// Last: everything above may point into it.
    pub(super) library: Library,
}

/// The thread's whole life. An error was told through `opened` before.
pub(super) fn run(start: Start) -> Option<Remains> {
    let Start { path, family, plugin, generation, jobs, shared, main, on_panic, opened } = start;
    let pulse = Arc::clone(&shared.pulse);
    let _counting = pulse.cpu.of_this_thread();
    let opening = pulse.enter();
    let library = match Library::open(&path, family) {
        Ok(library) => library,
        Err(fault) => {
            drop(opened.send(Err(fault)));
            return None;
        }
    };
    let exports = match library.exports() {
        Ok(exports) => exports,
        Err(fault) => {
            drop(opened.send(Err(fault)));
            return Some(Remains { _lenders: Vec::new(), library });
        }
    };
    let manifest = (exports.root.describe())().as_str().to_owned();
    drop(opening);
    let runner = Rc::new(Runner {
        exports,
        plugin,
        generation,
        shared,
        main,
        on_panic,
        instances: RefCell::default(),
        lenders: RefCell::default(),
        tasks: TaskTracker::new(),
    });
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime for a plugin's thread");
            return Some(Remains { _lenders: Vec::new(), library });
        }
    };
    if opened.send(Ok(manifest)).is_ok() {
        LocalSet::new().block_on(&runtime, Rc::clone(&runner).serve(jobs));
    }
    drop(runtime);
    Some(Remains { _lenders: runner.lenders.take(), library })
}

struct Runner {
    exports: Exports,
    plugin: Arc<str>,
    generation: u64,
    shared: Arc<Shared>,
    main: Handle,
    on_panic: OnPanic,
    instances: RefCell<HashMap<InstanceId, (Instance, Rc<Tenancy>)>>,
    /// Of every instance there ever was.
    lenders: RefCell<Vec<Arc<Lender>>>,
    tasks: TaskTracker,
}

impl Runner {
    /// Takes jobs until the generation is let go, then finishes what was begun.
    async fn serve(self: Rc<Self>, mut jobs: mpsc::Receiver<Job>) {
        loop {
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => Rc::clone(&self).begin(job),
                    None => break,
                },
                () = self.shared.dropped_some.notified() => self.drop_instances(),
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
        self.drop_instances();
        // Instances that nobody let go belong to calls that were never made; they go too.
        let left: Vec<InstanceId> = self.instances.borrow().keys().copied().collect();
        left.into_iter().for_each(|id| self.drop_instance(id));
    }

    fn begin(self: Rc<Self>, job: Job) {
        let tasks = self.tasks.clone();
        match job {
            Job::Create { order, reply } => drop(reply.send(self.create(order))),
            Job::Ask { instance, operation, question, reply } => {
                tasks.spawn_local(self.ask(instance, operation, question, reply));
            }
            Job::Stream { instance, question, batches } => {
                tasks.spawn_local(self.stream(instance, question, batches));
            }
        }
    }

    /// Makes an instance; answers with its plan.
    fn create(&self, order: Order) -> Result<Option<Vec<u8>>> {
        let loan = Arc::new(Loan { config: order.config, fetch: order.fetch });
        let lender = Arc::new(Lender {
            plugin: Arc::clone(&self.plugin),
            generation: self.generation,
            provider: order.provider,
            loan: RwLock::new(Some(Arc::clone(&loan))),
            main: self.main.clone(),
            pulse: Arc::clone(&self.shared.pulse),
            thread: std::thread::current().id(),
            on_panic: Arc::clone(&self.on_panic),
        });
        self.lenders.borrow_mut().push(Arc::clone(&lender));
        let services = lender.services();
        // Taken back on the way out if there is no instance to hold it.
        let tenancy = Rc::new(Tenancy(lender));
        let _inside = self.shared.pulse.enter();
        let config = RSlice::from_slice(&loan.config);
        let created = (self.exports.root.create())(services, config).into_result();
        let instance = created.map_err(ProviderError::from)?;
        let plan = (self.exports.operations.plan)(instance.as_ref()).into_result();
        self.shared.pulse.live_instances.fetch_add(1, Ordering::Relaxed);
        self.instances.borrow_mut().insert(order.id, (instance, tenancy));
        match plan {
            Ok(plan) => Ok(plan.into_option().map(|plan| plan.to_vec())),
            Err(error) => {
                self.drop_instance(order.id);
                Err(error.into())
            }
        }
    }

    fn drop_instances(&self) {
        let dropped =
            std::mem::take(&mut *self.shared.dropped.lock().unwrap_or_else(PoisonError::into_inner));
        dropped.into_iter().for_each(|id| self.drop_instance(id));
    }

    fn drop_instance(&self, id: InstanceId) {
        let Some((instance, _tenancy)) = self.instances.borrow_mut().remove(&id) else { return };
        let _inside = self.shared.pulse.enter();
        // SAFETY: the instance was made by this table's `create` on this thread, and is out of the map: this is
        // the only drop.
        let dropped = unsafe { (instance.drop)(instance.state) };
        self.shared.pulse.live_instances.fetch_sub(1, Ordering::Relaxed);
        // A panic of the author's `Drop` was logged by the guard; the memory is gone all the same.
        drop(dropped.into_result().map_err(ProviderError::from));
    }

    /// The instance, with what it has been lent: to be held until nothing of the operation is left.
    fn instance(&self, id: InstanceId) -> Result<(Rc<Tenancy>, InstanceRef)> {
        let instances = self.instances.borrow();
        let (instance, tenancy) = instances.get(&id).ok_or_else(removed)?;
        Ok((Rc::clone(tenancy), instance.as_ref()))
    }

    async fn ask(
        self: Rc<Self>,
        instance: InstanceId,
        operation: Operation,
        question: Question,
        mut reply: oneshot::Sender<Result<Bytes>>,
    ) {
        let work = async {
            let (_tenancy, instance) = self.instance(instance)?;
            let operations = &self.exports.operations;
            let ask = match operation {
                Operation::Complete => operations.complete,
                Operation::Embed => operations.embed,
                Operation::Models => operations.models,
                Operation::Health => operations.health,
                Operation::Credentials => operations.credentials,
            };
            let future = self.inside(|| ask(instance, call(question)));
            let answer = Watched::new(&self.shared.pulse, future).await.into_result();
            let _inside = self.shared.pulse.enter();
            // Copied, and what the plugin allocated is dropped here, on its own thread.
            answer.map(|bytes| Bytes::copy_from_slice(&bytes)).map_err(ProviderError::from)
        };
        let answer = tokio::select! {
            answer = work => answer,
            () = reply.closed() => return,
        };
        drop(reply.send(answer));
    }

    async fn stream(
        self: Rc<Self>,
        instance: InstanceId,
        question: Question,
        batches: mpsc::Sender<Result<ChunkBatch>>,
    ) {
        let work = async {
            let (_tenancy, instance) = self.instance(instance)?;
            let future = self.inside(|| (self.exports.operations.stream)(instance, call(question)));
            let stream = Watched::new(&self.shared.pulse, future).await.into_result()?;
            let mut stream = pin!(Watched::new(&self.shared.pulse, stream));
            // One batch ahead of the reader, no more: the place comes before the work.
            while let Ok(place) = batches.reserve().await {
                match stream.next().await {
                    Some(Ok(batch)) => place.send(Ok(self.copy(batch))),
                    Some(Err(error)) => return Err(ProviderError::from(error)),
                    None => break,
                }
            }
            Ok(())
        };
        let outcome = tokio::select! {
            outcome = work => outcome,
            () = batches.closed() => return,
        };
        if let Err(error) = outcome {
            drop(batches.send(Err(error)).await);
        }
    }

    fn copy(&self, batch: Batch) -> ChunkBatch {
        let _inside = self.shared.pulse.enter();
        let Batch { data, chunks } = batch;
        ChunkBatch { data: Bytes::copy_from_slice(&data), chunks: chunks.to_vec() }
    }

    fn inside<T>(&self, run: impl FnOnce() -> T) -> T {
        let _inside = self.shared.pulse.enter();
        run()
    }
}

fn call(question: Question) -> Call {
    Call { id: question.id, body: RVec::from(Vec::from(question.body)), meta: question.meta.into() }
}

/// A future or stream of the plugin's, marked as plugin code while it is polled and while it is dropped.
struct Watched<'a, F> {
    pulse: &'a Pulse,
    inner: Option<F>,
}

impl<'a, F> Watched<'a, F> {
    fn new(pulse: &'a Pulse, inner: F) -> Self {
        Self { pulse, inner: Some(inner) }
    }
}

impl<F: Future + Unpin> Future for Watched<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = self.pulse.enter();
        let Some(inner) = &mut self.inner else { return Poll::Pending };
        let polled = Pin::new(inner).poll(context);
        if polled.is_ready() {
            self.inner = None;
        }
        polled
    }
}

impl<T> Stream for Watched<'_, PullStream<T>> {
    type Item = Result<T, patchbay_plugin_api::abi::AbiError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let _inside = self.pulse.enter();
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = Pin::new(inner).poll_next(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.inner = None;
        }
        polled
    }
}

impl<F> Drop for Watched<'_, F> {
    fn drop(&mut self) {
        let _inside = self.pulse.enter();
        self.inner = None;
    }
}

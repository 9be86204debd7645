//! One thread that runs every task of a simulated world.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use crate::schedule::{Event, Task};
use crate::world::World;

/// A handle to the world. Tasks hold it; nobody keeps the lock across an await.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<World>>);

impl Sim {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    /// Looks at the world, or changes it.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.lock())
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.lock().schedule.now_ms()
    }

    pub(crate) async fn sleep(&self, ms: u64) {
        let until_ms = self.now_ms() + ms;
        let sleep = WaitUntil { watches: false, ..self.wait_until(until_ms, |_| None::<()>) };
        sleep.await;
    }

    /// Waits until `look` finds something, and at the longest until `deadline_ms`. It looks whenever the world says
    /// that it has changed.
    pub(crate) fn wait_until<T, L>(&self, deadline_ms: u64, look: L) -> WaitUntil<L>
    where
        L: FnMut(&mut World) -> Option<T>,
    {
        WaitUntil { sim: self.clone(), deadline_ms, look, watches: true, is_timed: false }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.lock().schedule.spawn(Box::pin(task));
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // An injected panic is thrown outside the lock; a real one must not hide behind a poisoned world.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Sim::wait_until`].
pub(crate) struct WaitUntil<L> {
    sim: Sim,
    deadline_ms: u64,
    look: L,
    watches: bool,
    is_timed: bool,
}

impl<T, L: FnMut(&mut World) -> Option<T> + Unpin> Future for WaitUntil<L> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        let mut world = this.sim.lock();
        if let Some(found) = (this.look)(&mut world) {
            return Poll::Ready(Some(found));
        }
        if world.schedule.now_ms() >= this.deadline_ms {
            return Poll::Ready(None);
        }
        if !this.is_timed {
            this.is_timed = true;
            world.schedule.at(this.deadline_ms, Event::Wake(context.waker().clone()));
        }
        if this.watches {
            world.schedule.watch(context.waker());
        }
        Poll::Pending
    }
}

struct TaskWaker {
    task: u64,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.task);
    }
}

/// Runs tasks in the order in which they are woken.
pub(crate) struct Executor {
    sim: Sim,
    tasks: BTreeMap<u64, (Task, Waker)>,
    ready: Arc<Mutex<VecDeque<u64>>>,
    begun: u64,
}

impl Executor {
    pub(crate) fn new(sim: Sim) -> Self {
        Self { sim, tasks: BTreeMap::new(), ready: Arc::default(), begun: 0 }
    }

    /// Runs everything that happens up to `until_ms`.
    pub(crate) fn run_until(&mut self, until_ms: u64) {
        loop {
            self.begin_spawned();
            if let Some(task) = self.next_ready() {
                self.poll(task);
                continue;
            }
            let event = self.sim.with(|world| world.schedule.advance(until_ms));
            match event {
                Some(Event::Wake(waker)) => waker.wake(),
                Some(Event::Happen(deed)) => self.sim.with(deed),
                None => return,
            }
        }
    }

    fn begin_spawned(&mut self) {
        for task in self.sim.with(|world| world.schedule.take_spawned()) {
            self.begun += 1;
            let waker = Waker::from(Arc::new(TaskWaker { task: self.begun, ready: Arc::clone(&self.ready) }));
            waker.wake_by_ref();
            self.tasks.insert(self.begun, (task, waker));
        }
    }

    fn next_ready(&self) -> Option<u64> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn poll(&mut self, number: u64) {
        // A task that has ended may have been woken once more.
        let Some((task, waker)) = self.tasks.get_mut(&number) else { return };
        if task.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
            self.tasks.remove(&number);
        }
    }
}

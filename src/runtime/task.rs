//! Owned tasks: every spawned task belongs to a [`Tasks`], which can ask all of them to stop and waits for their end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// A set of tasks with one stop signal. Cloning shares it; a [`child`](Tasks::child) stops with its parent.
#[derive(Clone)]
pub struct Tasks(Arc<Node>);

/// The wish that a task ends soon.
#[derive(Clone)]
pub struct Stop(watch::Receiver<bool>);

struct Node {
    stop: watch::Sender<bool>,
    /// The handle is missing while the task is being started.
    running: Mutex<HashMap<u64, (&'static str, Option<AbortHandle>)>>,
    next: AtomicU64,
    emptied: Notify,
    children: Mutex<Vec<Weak<Node>>>,
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks::new()
    }
}

impl Tasks {
    /// An empty set.
    pub fn new() -> Tasks {
        Tasks(Arc::new(Node {
            stop: watch::Sender::new(false),
            running: Mutex::default(),
            next: AtomicU64::new(0),
            emptied: Notify::new(),
            children: Mutex::default(),
        }))
    }

    /// A set that stops when this one does, or earlier by itself.
    pub fn child(&self) -> Tasks {
        let child = Tasks::new();
        let mut children = lock(&self.0.children);
        children.retain(|c| c.strong_count() > 0);
        children.push(Arc::downgrade(&child.0));
        drop(children);
        if *self.0.stop.borrow() {
            child.stop();
        }
        child
    }

    /// Runs a task; `name` is told when it does not end in time. After [`stop`](Tasks::stop) nothing new is started.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        if *self.0.stop.borrow() {
            return;
        }
        let id = self.0.next.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.running).insert(id, (name, None));
        let guard = Running { node: Arc::downgrade(&self.0), id };
        // No lock is held here: a runtime that shuts down drops the task, and with it the guard, at once.
        let handle = tokio::spawn(async move {
            let _guard = guard;
            task.await;
        });
        if let Some((_, slot)) = lock(&self.0.running).get_mut(&id) {
            *slot = Some(handle.abort_handle());
        }
    }

    /// The stop signal, for the tasks to watch.
    pub fn stopping(&self) -> Stop {
        Stop(self.0.stop.subscribe())
    }

    /// How many tasks run now, children's not counted.
    pub fn running(&self) -> usize {
        lock(&self.0.running).len()
    }

    /// Asks all tasks, and the children's, to end.
    pub fn stop(&self) {
        self.0.stop.send_replace(true);
        for child in lock(&self.0.children).iter().filter_map(Weak::upgrade) {
            Tasks(child).stop();
        }
    }

    /// Stops, waits for all tasks at most `patience`, then aborts what is left and returns the names of those.
    pub async fn finish(&self, patience: Duration) -> Vec<&'static str> {
        self.stop();
        let nodes = self.tree();
        let wait = async {
            for node in &nodes {
                loop {
                    let emptied = node.0.emptied.notified();
                    if node.running() == 0 {
                        break;
                    }
                    emptied.await;
                }
            }
        };
        if tokio::time::timeout(patience, wait).await.is_ok() {
            return Vec::new();
        }
        let mut late = Vec::new();
        for node in &nodes {
            let left: Vec<_> = lock(&node.0.running).values().cloned().collect();
            for (name, handle) in left {
                late.push(name);
                if let Some(handle) = handle {
                    handle.abort();
                }
            }
        }
        late
    }

    fn tree(&self) -> Vec<Tasks> {
        let children: Vec<_> = lock(&self.0.children).iter().filter_map(Weak::upgrade).collect();
        children.into_iter().flat_map(|c| Tasks(c).tree()).chain([self.clone()]).collect()
    }
}

impl Stop {
    /// A signal that never comes, for tests and tools.
    pub fn never() -> Stop {
        let (keep, stop) = watch::channel(false);
        std::mem::forget(keep);
        Stop(stop)
    }

    /// Returns when the stop is asked for.
    pub async fn requested(&self) {
        let mut stop = self.0.clone();
        // An error means that the whole set is gone, which is a stop as well.
        let _ = stop.wait_for(|stop| *stop).await;
    }

    /// Whether the stop was asked for.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

struct Running {
    node: Weak<Node>,
    id: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(node) = self.node.upgrade() else { return };
        let mut running = lock(&node.running);
        running.remove(&self.id);
        if running.is_empty() {
            node.emptied.notify_waiters();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_spawned_while_the_runtime_shuts_down_is_dropped() {
        struct SpawnOnDrop(Tasks);
        impl Drop for SpawnOnDrop {
            fn drop(&mut self) {
                self.0.spawn("last", std::future::pending());
            }
        }
        let tasks = Tasks::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let last = SpawnOnDrop(tasks.clone());
            tasks.spawn("first", async move {
                let _last = last;
                std::future::pending().await
            });
        });
        drop(runtime);
        assert_eq!(tasks.running(), 0);
    }

    #[tokio::test]
    async fn finish_waits_for_children_and_names_what_is_late() {
        let tasks = Tasks::new();
        let child = tasks.child();
        let stop = child.stopping();
        child.spawn("good", async move { stop.requested().await });
        tasks.spawn("stubborn", std::future::pending());
        assert_eq!((tasks.running(), child.running()), (1, 1));
        assert_eq!(tasks.finish(Duration::from_millis(50)).await, ["stubborn"]);
        assert_eq!(child.running(), 0);
        tasks.spawn("too late", std::future::pending());
        tokio::time::timeout(Duration::from_secs(5), async {
            while tasks.running() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("an aborted task leaves the set");
    }
}

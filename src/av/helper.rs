//! One `weir-av` process: asks go in by a bounded queue, answers are handed to the job that they belong to.

use super::Settings;
use crate::proto::av::{Ask, Job, Reader, Reply};
use crate::runtime::task::Tasks;
use bytes::BytesMut;
use std::collections::HashMap;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

/// Asks that wait for a helper at most; past that frames are dropped.
const ASKS: usize = 512;
/// Answers that wait for a job at most.
const REPLIES: usize = 512;

/// A helper process that is started when it is needed and again when it has died. Cloning shares it.
#[derive(Clone)]
pub struct Helper(Arc<Inner>);

struct Inner {
    settings: Settings,
    tasks: Tasks,
    next: AtomicU32,
    process: AsyncMutex<Option<Process>>,
}

#[derive(Clone)]
struct Process {
    asks: mpsc::Sender<(Job, Ask)>,
    jobs: Arc<Mutex<Option<Jobs>>>,
}

type Jobs = HashMap<Job, mpsc::Sender<Reply>>;

/// A job under way. Dropping it ends it.
pub struct Task {
    job: Job,
    process: Process,
    replies: mpsc::Receiver<Reply>,
}

impl Helper {
    /// Nothing is started yet; the process's tasks run in `tasks`.
    pub fn new(settings: Settings, tasks: &Tasks) -> Helper {
        Helper(Arc::new(Inner { settings, tasks: tasks.clone(), next: AtomicU32::new(1), process: AsyncMutex::new(None) }))
    }

    /// Starts a job with its first ask.
    pub async fn start(&self, first: Ask) -> Result<Task, String> {
        let process = self.process().await?;
        let job = self.0.next.fetch_add(1, Ordering::Relaxed);
        let (tx, replies) = mpsc::channel(REPLIES);
        match &mut *lock(&process.jobs) {
            Some(jobs) => jobs.insert(job, tx),
            None => return Err("weir-av has just ended".to_owned()),
        };
        let task = Task { job, process, replies };
        task.process.asks.send((job, first)).await.map_err(|_| "weir-av has just ended".to_owned())?;
        Ok(task)
    }

    /// One ask, one answer, within `patience`.
    pub async fn ask(&self, ask: Ask, patience: Duration) -> Result<Reply, String> {
        let mut task = self.start(ask).await?;
        match tokio::time::timeout(patience, task.next()).await {
            Ok(Some(Reply::Failed(why))) => Err(why),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) => Err("weir-av ended over it".to_owned()),
            Err(_) => {
                // It hangs in this one: whoever else waits is better off with a new process.
                self.replace().await;
                Err(format!("weir-av gave no answer within {patience:?}"))
            }
        }
    }

    /// Ends the process, and with it all its jobs; the next job starts a new one.
    pub async fn replace(&self) {
        if let Some(process) = self.0.process.lock().await.take() {
            *lock(&process.jobs) = None;
        }
    }

    async fn process(&self) -> Result<Process, String> {
        let mut process = self.0.process.lock().await;
        if let Some(running) = process.as_ref().filter(|p| lock(&p.jobs).is_some() && !p.asks.is_closed()) {
            return Ok(running.clone());
        }
        let started = self.spawn()?;
        *process = Some(started.clone());
        Ok(started)
    }

    fn spawn(&self) -> Result<Process, String> {
        let program = self.0.settings.executable();
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| format!("cannot start {}: {e}", program.display()))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take()) else {
            return Err("weir-av has no pipes".to_owned());
        };
        let (asks, queue) = mpsc::channel(ASKS);
        let jobs = Arc::new(Mutex::new(Some(Jobs::new())));
        let stop = self.0.tasks.stopping();
        self.0.tasks.spawn("weir-av asks", async move {
            tokio::select! {
                () = write(stdin, queue) => {}
                () = stop.requested() => {}
            }
        });
        self.0.tasks.spawn("weir-av log", async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                tracing::warn!(line, "weir-av");
            }
        });
        let (stop, of) = (self.0.tasks.stopping(), jobs.clone());
        self.0.tasks.spawn("weir-av answers", async move {
            tokio::select! {
                () = read(stdout, &of) => {}
                () = stop.requested() => {}
            }
            end(child, &of).await;
        });
        Ok(Process { asks, jobs })
    }
}

async fn write(mut stdin: ChildStdin, mut queue: mpsc::Receiver<(Job, Ask)>) {
    let mut out = BytesMut::new();
    while let Some((job, ask)) = queue.recv().await {
        ask.write(job, &mut out);
        while let Ok((job, ask)) = queue.try_recv() {
            ask.write(job, &mut out);
            if out.len() > 1 << 20 {
                break;
            }
        }
        if stdin.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
    }
}

async fn read(mut stdout: ChildStdout, jobs: &Mutex<Option<Jobs>>) {
    let mut reader = Reader::default();
    loop {
        loop {
            match reader.reply() {
                Ok(Some((job, reply))) => {
                    // A job that does not take its answers is dropped: it is dead or far too slow.
                    let mut jobs = lock(jobs);
                    let Some(jobs) = jobs.as_mut() else { return };
                    if jobs.get(&job).is_some_and(|tx| tx.try_send(reply).is_err()) {
                        jobs.remove(&job);
                    }
                }
                Ok(None) => break,
                Err(e) => {
                    tracing::error!(error = %e, "weir-av answers nonsense");
                    return;
                }
            }
        }
        if lock(jobs).is_none() {
            return;
        }
        reader.buffer().reserve(64 << 10);
        match stdout.read_buf(reader.buffer()).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Tells all jobs that nothing will come any more, and the log how the process ended.
async fn end(mut child: Child, jobs: &Mutex<Option<Jobs>>) {
    let left = lock(jobs).take().map_or(0, |jobs| jobs.len());
    let _ = child.start_kill();
    if let Ok(status) = child.wait().await
        && left > 0
    {
        tracing::warn!(%status, jobs = left, "weir-av ended with jobs under way");
    }
}

impl Task {
    /// Sends a frame; `false` if the helper is too slow or gone and the frame was dropped.
    pub fn send(&self, ask: Ask) -> bool {
        self.process.asks.try_send((self.job, ask)).is_ok()
    }

    /// The next answer; `None` when the helper has died.
    pub async fn next(&mut self) -> Option<Reply> {
        self.replies.recv().await
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(jobs) = lock(&self.process.jobs).as_mut() {
            jobs.remove(&self.job);
        }
        let _ = self.process.asks.try_send((self.job, Ask::Close));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

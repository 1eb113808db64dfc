//! SQLite's one writer: operations that wait at the same time share a transaction, so that they share its sync to disk.
//!
//! Each runs in a savepoint of its own: one that fails leaves the others alone. None is answered before the commit.

use super::Change;
use super::db::{Conn, Doing, Tx};
use super::error::{Error, Result};
use super::sql::sql;
use crate::runtime::task::{Stop, Tasks};
use sqlx::sqlite::SqlitePool;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Operations that wait at most; more callers wait before the door.
const QUEUE: usize = 1024;
/// Operations that share a transaction at most.
const TOGETHER: usize = 256;
/// How long a transaction takes others in; its first operations wait for it.
const OPEN: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    jobs: mpsc::Sender<Box<dyn Job>>,
    tasks: Tasks,
}

/// An operation that waits.
trait Job: Send {
    /// Does it; the answer is given when the commit went well, or not.
    fn run<'a>(self: Box<Self>, tx: &'a mut Tx) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>;
    /// Answers without having done it.
    fn refuse(self: Box<Self>, error: Error);
}

struct Done {
    ok: bool,
    answer: Box<dyn FnOnce(Result<Vec<Change>>) + Send>,
}

struct Work<T, J> {
    job: J,
    answer: oneshot::Sender<Result<(T, Vec<Change>)>>,
}

impl<T, J> Job for Work<T, J>
where
    T: Send + 'static,
    J: for<'a> FnOnce(&'a mut Tx) -> Doing<'a, T> + Send + 'static,
{
    fn run<'a>(self: Box<Self>, tx: &'a mut Tx) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>> {
        let Work { job, answer } = *self;
        Box::pin(async move {
            let result = caught(async move { job(tx).await }).await;
            let ok = result.is_ok();
            // A caller that went away does not read its answer.
            let answer = move |committed: Result<Vec<Change>>| drop(answer.send(result.and_then(|value| Ok((value, committed?)))));
            Done { ok, answer: Box::new(answer) }
        })
    }

    fn refuse(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

impl Writer {
    /// Takes the pool of the one connection that writes.
    pub(super) fn start(pool: SqlitePool) -> Writer {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let tasks = Tasks::new();
        tasks.spawn("store writer", write(pool, waiting, tasks.stopping()));
        Writer { jobs, tasks }
    }

    /// Runs a job; returns when its transaction is on disk.
    pub(super) async fn run<T, J>(&self, job: J) -> Result<(T, Vec<Change>)>
    where
        T: Send + 'static,
        J: for<'a> FnOnce(&'a mut Tx) -> Doing<'a, T> + Send + 'static,
    {
        let gone = || Error::Unavailable("the store is closed".to_owned());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Box::new(Work { job, answer })).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Finishes what waits, then closes the connection.
    pub(super) async fn close(&self) {
        self.tasks.finish(Duration::from_secs(30)).await;
    }
}

async fn write(pool: SqlitePool, mut jobs: mpsc::Receiver<Box<dyn Job>>, stop: Stop) {
    loop {
        let first = tokio::select! {
            job = jobs.recv() => job,
            () = stop.requested() => {
                jobs.close();
                jobs.recv().await
            }
        };
        let Some(first) = first else { break };
        together(&pool, first, &mut jobs).await;
    }
    pool.close().await;
}

/// One transaction: the first job and those that come while it runs.
async fn together(pool: &SqlitePool, first: Box<dyn Job>, jobs: &mut mpsc::Receiver<Box<dyn Job>>) {
    let mut tx = match begin(pool).await {
        Ok(tx) => tx,
        Err(error) => return first.refuse(error),
    };
    let closes = Instant::now() + OPEN;
    let mut done = Vec::new();
    let mut next = Some(first);
    let mut broken = None;
    while let Some(job) = next.take() {
        match one(&mut tx, job).await {
            Ok(answer) => done.push(answer),
            Err((answer, error)) => {
                done.push((answer, Vec::new()));
                broken = Some(error);
                break;
            }
        }
        if done.len() < TOGETHER && Instant::now() < closes {
            next = jobs.try_recv().ok();
        }
    }
    let committed = match broken {
        None => tx.execute(sql("COMMIT")).await.map(drop),
        Some(error) => Err(error),
    };
    if committed.is_err() {
        // Either the database has rolled back by itself already, or this does it.
        let _ = tx.execute(sql("ROLLBACK")).await;
    }
    for (answer, changes) in done {
        answer(committed.clone().map(|()| changes));
    }
}

async fn begin(pool: &SqlitePool) -> Result<Tx> {
    let mut tx = Tx { conn: Conn::Sqlite(pool.acquire().await?), changes: Vec::new() };
    tx.execute(sql("BEGIN IMMEDIATE")).await?;
    Ok(tx)
}

type Answer = Box<dyn FnOnce(Result<Vec<Change>>) + Send>;

/// One job in its savepoint. An error means that the whole transaction is lost.
async fn one(tx: &mut Tx, job: Box<dyn Job>) -> std::result::Result<(Answer, Vec<Change>), (Answer, Error)> {
    if let Err(error) = tx.execute(sql("SAVEPOINT job")).await {
        let refuse: Answer = Box::new(move |committed| job.refuse(committed.err().unwrap_or(Error::Unavailable("lost".to_owned()))));
        return Err((refuse, error));
    }
    let Done { ok, answer } = job.run(tx).await;
    let changes = std::mem::take(&mut tx.changes);
    let ended = match ok {
        true => tx.execute(sql("RELEASE job")).await,
        false => match tx.execute(sql("ROLLBACK TO job")).await {
            Ok(_) => tx.execute(sql("RELEASE job")).await,
            Err(error) => Err(error),
        },
    };
    match ended {
        Ok(_) => Ok((answer, changes)),
        Err(error) => Err((answer, error)),
    }
}

/// Turns a panic into an error: the writer lives on.
async fn caught<T>(job: impl Future<Output = Result<T>>) -> Result<T> {
    let mut job = std::pin::pin!(job);
    poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| job.as_mut().poll(cx))) {
        Ok(poll) => poll,
        Err(_) => Poll::Ready(Err(Error::Damaged("an operation panicked".to_owned()))),
    })
    .await
}

//! A future that is seldom ready beside one that is often ready: it is polled only when it asked for it itself.
//!
//! A task that reads a socket for every message and waits for a time-out, a kick and the server's end besides would poll
//! these three for every message. Here their wake-ups are told apart from the task's others by a waker of their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls a future only at first and after it woke the task. It has to stay in one task.
pub struct Rarely<'a, F> {
    future: Pin<&'a mut F>,
    /// The waker that the future gets, and what stands behind it; made at the first poll.
    waker: Option<(Waker, Arc<Bell>)>,
}

struct Bell {
    rung: AtomicBool,
    task: Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake_by_ref();
    }
}

impl<'a, F: Future> Rarely<'a, F> {
    /// Wraps a future that was not polled yet.
    pub fn new(future: Pin<&'a mut F>) -> Rarely<'a, F> {
        Rarely { future, waker: None }
    }

    /// Polls the future if it may have something to say.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let known = self.waker.as_ref().is_some_and(|(_, bell)| bell.task.will_wake(cx.waker()));
        if !known {
            // At first, or in another task than before: the future has to learn of it.
            let bell = Arc::new(Bell { rung: AtomicBool::new(true), task: cx.waker().clone() });
            self.waker = Some((bell.clone().into(), bell));
        }
        match &self.waker {
            Some((waker, bell)) if bell.rung.swap(false, Ordering::AcqRel) => self.future.as_mut().poll(&mut Context::from_waker(waker)),
            _ => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::pin::pin;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn is_polled_only_when_it_asks() {
        let (tell, told) = oneshot::channel::<u8>();
        let mut told = pin!(told);
        let mut polls = 0;
        let inner = pin!(poll_fn(|cx| {
            polls += 1;
            told.as_mut().poll(cx)
        }));
        let mut rarely = Rarely::new(inner);
        for _ in 0..10 {
            poll_fn(|cx| {
                assert!(rarely.poll(cx).is_pending());
                Poll::Ready(())
            })
            .await;
        }
        tell.send(7).unwrap();
        assert_eq!(poll_fn(|cx| rarely.poll(cx)).await, Ok(7));
        drop(rarely);
        assert_eq!(polls, 2);
    }

    #[tokio::test]
    async fn its_wake_up_wakes_the_task() {
        let (tell, told) = oneshot::channel::<u8>();
        let waits = tokio::spawn(async move {
            let told = pin!(told);
            let mut rarely = Rarely::new(told);
            poll_fn(|cx| rarely.poll(cx)).await
        });
        tokio::task::yield_now().await;
        tell.send(9).unwrap();
        assert_eq!(waits.await.unwrap(), Ok(9));
    }
}

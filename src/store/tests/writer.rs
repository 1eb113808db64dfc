//! The writer and its group commit: what the store promises.

use super::*;
use crate::store::sql::sql;
use std::time::Duration;

async fn put(store: &Store, name: String, then: fn() -> Result<(), Error>) -> Result<(), Error> {
    let insert = sql("INSERT INTO counters (name, value) VALUES ($1, 1)").bind(name);
    let job = store.write(move |tx| {
        Box::pin(async move {
            tx.execute(insert).await?;
            then()
        })
    });
    job.await
}

async fn count(store: &Store) -> i64 {
    store.reader().await.unwrap().number(sql("SELECT COUNT(*) AS n FROM counters")).await.unwrap()
}

fn fails() -> Result<(), Error> {
    Err(Error::status(Noun::Group, 1, "no"))
}

fn panics() -> Result<(), Error> {
    panic!("on purpose")
}

/// Operations that share a transaction: one that fails or panics takes nothing of the others with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_operation_leaves_the_others_alone() {
    let b = Bench::sqlite().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..300 {
        let store = b.store.clone();
        let then: fn() -> Result<(), Error> = if n % 10 == 3 {
            fails
        } else if n % 50 == 7 {
            panics
        } else {
            || Ok(())
        };
        tasks.spawn(async move { (n, put(&store, n.to_string(), then).await) });
    }
    let mut good = 0;
    while let Some(done) = tasks.join_next().await {
        let (n, result) = done.unwrap();
        let should = n % 10 != 3 && n % 50 != 7;
        assert_eq!(result.is_ok(), should, "{n}: {result:?}");
        good += i64::from(should);
    }
    assert_eq!(count(&b.store).await, good);
    // A name that is there fails alone, too.
    let (a, c) = tokio::join!(put(&b.store, "0".to_owned(), || Ok(())), put(&b.store, "new".to_owned(), || Ok(())));
    assert!(a.is_err() && c.is_ok());
    assert_eq!(count(&b.store).await, good + 1);
}

suite! {
    async fn a_caller_that_goes_away_harms_nobody(b) {
        for n in 0..40 {
            let gone = put(&b.store, format!("gone{n}"), || Ok(()));
            let _ = tokio::time::timeout(Duration::from_micros(n * 50), gone).await;
            put(&b.store, format!("stays{n}"), || Ok(())).await.unwrap();
        }
        let stays = sql("SELECT COUNT(*) AS n FROM counters WHERE name LIKE 'stays%'");
        assert_eq!(b.store.reader().await.unwrap().number(stays).await.unwrap(), 40);
    }

    async fn closing_finishes_what_waits(b) {
        let waiting: Vec<_> = (0..20).map(|n| { let store = b.store.clone(); tokio::spawn(async move { put(&store, n.to_string(), || Ok(())).await }) }).collect();
        tokio::time::sleep(Duration::from_millis(30)).await;
        b.store.close().await;
        let mut good = 0;
        for task in waiting {
            good += i64::from(task.await.unwrap().is_ok());
        }
        b.reopen().await;
        assert_eq!(count(&b.store).await, good);
    }

    async fn many_writers_at_once_are_all_heard(b) {
        let group = b.gb_group(Scope::Operator).await.id;
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..60 {
            let store = b.store.clone();
            // Every code twice: one of the two must lose.
            tasks.spawn(async move { store.create_device(Scope::Operator, device::Draft::new(group, Kind::Ipc, code(n % 30))).await });
        }
        let (mut good, mut twice) = (0, 0);
        while let Some(done) = tasks.join_next().await {
            match done.unwrap() {
                Ok(_) => good += 1,
                Err(Error::Exists { .. }) => twice += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        assert_eq!((good, twice), (30, 30));
        assert_eq!(b.streams(Scope::Operator, stream::Filter::default()).await.total, 30);
    }
}

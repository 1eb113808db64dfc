//! Nonces that several servers share.

use super::*;
use crate::store::nonce::Taken;
use crate::store::sql::sql;

/// Two servers on one database.
async fn two() -> Option<(Bench, Store)> {
    let one = Bench::postgres().await?;
    let two = Store::open(&one.settings, one.dir.path(), one.clock.clone()).await.unwrap();
    Some((one, two))
}

#[tokio::test]
async fn what_one_server_took_the_other_does_not_take() {
    let Some((one, two)) = two().await else { return };
    assert!(one.store.is_shared());
    let now = one.now().as_secs();
    assert_eq!(one.store.take_nonce(1, u64::MAX, now, now + 900).await, Ok(Taken::New));
    assert_eq!(two.take_nonce(1, u64::MAX, now, now + 900).await, Ok(Taken::Used));
    assert_eq!(two.take_nonce(2, u64::MAX, now, now + 900).await, Ok(Taken::New));
    assert_eq!(one.store.take_nonce(2, u64::MAX, now, now + 900).await, Ok(Taken::Used));
    // At the same time: one of them gets it.
    for n in 0..50 {
        let (a, b) = tokio::join!(one.store.take_nonce(3, n, now, now + 900), two.take_nonce(3, n, now, now + 900));
        let mut both = [a.unwrap(), b.unwrap()];
        both.sort_by_key(|taken| *taken == Taken::Used);
        assert_eq!(both, [Taken::New, Taken::Used], "{n}");
    }
    one.clock.advance(std::time::Duration::from_secs(901));
    assert_eq!(one.store.sweep_nonces().await, Ok(52));
    assert_eq!(one.store.sweep_nonces().await, Ok(0));
    assert_eq!(two.take_nonce(1, u64::MAX, now + 901, now + 1800).await, Ok(Taken::New));
}

#[tokio::test]
async fn a_database_that_lost_them_takes_no_call_of_before() {
    let Some((one, two)) = two().await else { return };
    let now = one.now().as_secs();
    assert_eq!(one.store.take_nonce(1, 1, now - 5, now + 900).await, Ok(Taken::New));
    // What a crash of the database does to a table that is not logged.
    one.store.write(|tx| Box::pin(async move { tx.execute(sql("DELETE FROM nonces")).await })).await.unwrap();
    assert_eq!(two.take_nonce(1, 1, now - 5, now + 900).await, Ok(Taken::Before(now)));
    assert_eq!(two.take_nonce(1, 2, now, now + 900).await, Ok(Taken::New));
    assert_eq!(one.store.take_nonce(1, 1, now - 5, now + 900).await, Ok(Taken::Before(now)));
    assert_eq!(one.store.take_nonce(1, 2, now, now + 900).await, Ok(Taken::Used));
    // Nor does a sweep forget it.
    one.clock.advance(std::time::Duration::from_secs(2000));
    one.store.sweep_nonces().await.unwrap();
    assert_eq!(two.take_nonce(1, 1, now - 5, now + 900).await, Ok(Taken::Before(now)));
}

#[tokio::test]
async fn a_file_of_one_server_needs_none() {
    let b = Bench::sqlite().await;
    assert!(!b.store.is_shared());
}

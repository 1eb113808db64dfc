//! Callbacks and their delivery log: what the store promises.

use super::*;
use crate::model::callback::{Delivery, Draft, Event, Waiting};
use crate::model::tenant::OPERATOR;
use crate::store::{Change, DeliveryFilter, Outcome, Seen};
use std::time::Duration;

const MANY: u64 = 100_000;
const LEASE: Duration = Duration::from_secs(30);

fn draft(object: &str, body: &str) -> Draft {
    Draft { owner: OPERATOR, object: object.to_owned(), url: "http://a.test:81/x?y".to_owned(), body: body.to_owned() }
}

async fn take(b: &Bench) -> Vec<Waiting> {
    b.store.take_callbacks(100, LEASE, &[]).await.unwrap()
}

fn bodies(taken: &[Waiting]) -> Vec<&str> {
    taken.iter().map(|w| w.draft.body.as_str()).collect()
}

fn tried(b: &Bench, w: &Waiting, error: &str) -> Delivery {
    Delivery {
        id: w.id,
        owner: w.draft.owner,
        object: w.draft.object.clone(),
        url: w.draft.url.clone(),
        body: w.draft.body.clone(),
        tried: w.tries + 1,
        at: b.now(),
        took_ms: 3,
        status: if error.is_empty() { 200 } else { 0 },
        error: error.to_owned(),
        last: error.is_empty(),
    }
}

suite! {
    async fn callbacks_of_one_object_come_one_after_the_other(b) {
        let queue = ["a/1", "b/1", "a/2", "a/3", "b/2"].map(|body| draft(&body[..1], body));
        let mut changes = b.store.watch();
        assert_eq!(b.store.queue_callbacks(queue.to_vec(), MANY).await.unwrap(), 0);
        assert_eq!(changes.next().await, Some(Seen::Change(Change::Callbacks)));
        let first = take(&b).await;
        assert_eq!(bodies(&first), ["a/1", "b/1"]);
        assert!(take(&b).await.is_empty(), "they are taken");
        b.store.finish_callback(tried(&b, &first[0], ""), Outcome::Finished).await.unwrap();
        assert_eq!(bodies(&take(&b).await), ["a/2"]);
        b.store.queue_callbacks(vec![draft("c", "c/1"), draft("b", "b/3")], MANY).await.unwrap();
        assert_eq!(bodies(&take(&b).await), ["c/1"]);
        b.store.finish_callback(tried(&b, &first[1], ""), Outcome::Finished).await.unwrap();
        assert_eq!(bodies(&take(&b).await), ["b/2"]);
        assert_eq!(b.store.callbacks_waiting().await.unwrap(), 5);
    }

    async fn a_failed_one_comes_again_before_the_next_of_its_object(b) {
        b.store.queue_callbacks(vec![draft("a", "1"), draft("a", "2")], MANY).await.unwrap();
        let first = take(&b).await;
        let again = Time(b.now().0 + 5_000);
        b.store.finish_callback(tried(&b, &first[0], "refused"), Outcome::Again(again)).await.unwrap();
        assert!(take(&b).await.is_empty());
        assert_eq!(b.store.callbacks_due().await.unwrap(), Some(again));
        b.clock.advance(Duration::from_secs(5));
        let second = take(&b).await;
        assert_eq!((bodies(&second), second[0].tries), (vec!["1"], 1));
        b.store.finish_callback(tried(&b, &second[0], "refused"), Outcome::Finished).await.unwrap();
        assert_eq!(bodies(&take(&b).await), ["2"]);
    }

    async fn what_a_dead_worker_had_taken_comes_again(b) {
        b.store.queue_callbacks(vec![draft("a", "1"), draft("a", "2"), draft("b", "3")], MANY).await.unwrap();
        assert_eq!(take(&b).await.len(), 2);
        b.reopen().await;
        assert!(take(&b).await.is_empty());
        b.clock.advance(LEASE);
        let mut again = take(&b).await;
        again.sort_by_key(|w| w.id);
        assert_eq!(bodies(&again), ["1", "3"]);
        assert_eq!(b.store.callbacks_due().await.unwrap(), Some(Time(b.now().0 + 30_000)));
    }

    async fn a_host_can_be_left_out(b) {
        let mut other = draft("b", "2");
        other.url = "b.test/cb".to_owned();
        b.store.queue_callbacks(vec![draft("a", "1"), other], MANY).await.unwrap();
        let without = |host: &str| [host.to_owned()];
        assert_eq!(bodies(&b.store.take_callbacks(9, LEASE, &without("a.test:81")).await.unwrap()), ["2"]);
        assert!(b.store.take_callbacks(9, LEASE, &without("a.test:81")).await.unwrap().is_empty());
        assert_eq!(bodies(&b.store.take_callbacks(9, LEASE, &without("b.test")).await.unwrap()), ["1"]);
    }

    async fn the_log_is_listed_newest_first(b) {
        let tenant = b.tenant("t").await;
        let mut theirs = draft("b", "2");
        theirs.owner = tenant.tenant;
        b.store.queue_callbacks(vec![draft("a", "1"), theirs], MANY).await.unwrap();
        let taken = take(&b).await;
        let (failed, good) = (tried(&b, &taken[0], "time-out"), tried(&b, &taken[1], ""));
        b.store.finish_callback(failed.clone(), Outcome::Again(Time(1))).await.unwrap();
        b.store.finish_callback(good.clone(), Outcome::Finished).await.unwrap();
        let list = async |scope, filter| b.store.deliveries(scope, filter, Page::default()).await.unwrap().items;
        assert_eq!(list(Scope::Operator, DeliveryFilter::default()).await, [good.clone(), failed.clone()]);
        assert_eq!(list(tenant.scope(), DeliveryFilter::default()).await, [good]);
        assert_eq!(list(Scope::Operator, DeliveryFilter { failed: true, ..Default::default() }).await, [failed]);
        assert!(list(Scope::Operator, DeliveryFilter { object: Some("c".to_owned()), ..Default::default() }).await.is_empty());
    }

    async fn a_groups_events_go_to_its_callback(b) {
        let group = b.gb_group(Scope::Operator).await;
        let device = b.device(group.id, Kind::Ipc, 1).await;
        let event = |device_status| Event::DeviceStatus { time: 1, group_id: group.id, device_id: device.id, gb_id: code(1), device_status };
        let events = [event(device::Status::On), event(device::Status::Off)];
        b.store.queue_events(&group, &events, MANY).await.unwrap();
        assert_eq!(b.store.callbacks_waiting().await.unwrap(), 0, "it has none");
        let url = "http://a.test/cb".to_owned();
        b.store.queue_events(&Group { callback: Some(url.clone()), ..group }, &events, MANY).await.unwrap();
        let taken = take(&b).await;
        assert_eq!((taken.len(), &taken[0].draft.url, &taken[0].draft.body), (1, &url, &events[0].body()));
    }
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let b = Bench::sqlite().await;
    let queue = |n: i32| (0..n).map(|n| draft("a", &n.to_string())).collect::<Vec<_>>();
    assert_eq!(b.store.queue_callbacks(queue(2), 3).await.unwrap(), 0);
    assert_eq!(b.store.queue_callbacks(queue(2), 3).await.unwrap(), 1);
    assert_eq!(b.store.queue_callbacks(queue(2), 3).await.unwrap(), 2);
    assert_eq!(b.store.callbacks_waiting().await.unwrap(), 3);
}

/// Two servers on one database: nothing is taken twice, no object loses its head.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_servers_share_a_queue() {
    let Some(b) = Bench::postgres().await else { return };
    let other = Store::open(&Settings { node: 1, ..b.settings.clone() }, b.dir.path(), b.clock.clone()).await.unwrap();
    let work = async |store: Store, mark: usize| {
        let mut done = Vec::new();
        for round in 0..30 {
            let new = (0..4).map(|n| draft(&format!("o{}", n % 3), &format!("{mark}/{round}/{n}"))).collect();
            store.queue_callbacks(new, MANY).await.unwrap();
            for w in store.take_callbacks(2, LEASE, &[]).await.unwrap() {
                store.finish_callback(tried(&b, &w, ""), Outcome::Finished).await.unwrap();
                done.push(w.id);
            }
        }
        done
    };
    let (mut all, more) = tokio::join!(work(b.store.clone(), 0), work(other.clone(), 1));
    all.extend(more);
    loop {
        let rest = take(&b).await;
        if rest.is_empty() {
            break;
        }
        for w in rest {
            b.store.finish_callback(tried(&b, &w, ""), Outcome::Finished).await.unwrap();
            all.push(w.id);
        }
    }
    assert_eq!(b.store.callbacks_waiting().await.unwrap(), 0, "each object kept a head to the end");
    let n = all.len();
    all.sort();
    all.dedup();
    assert_eq!((all.len(), n), (240, 240));
}

//! What the server does by itself: the logs are swept while it runs.

use crate::api::live::Callbacks;
use crate::api::start::Base;
use crate::edge::session::Sessions;
use crate::media::time::Timestamp;
use crate::model::alarm::Alarm;
use crate::model::id::{AlarmId, DeviceId, GroupId};
use crate::model::page::Page;
use crate::model::tenant::Scope;
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use crate::runtime::task::Tasks;
use crate::store::{AlarmFilter, Settings, Store};
use crate::stream::Registry;
use crate::stream::access::Open;
use std::time::Duration;

#[tokio::test]
async fn a_running_server_sweeps_its_logs_until_it_stops() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Timestamp::from_millis(super::NOW * 1000));
    let settings = Settings { most_logs: 1500, ..Settings::default() };
    let store = Store::open(&settings, dir.path(), clock.clone()).await.unwrap();
    let (_, key) = store.create_tenant("t".parse().unwrap()).await.unwrap();
    let (tasks, now) = (Tasks::new(), Time::from_nanos(clock.unix().0));
    let alarm = |n: i64| Alarm {
        id: AlarmId(0),
        owner: key.tenant,
        group: GroupId(1),
        device: DeviceId(1),
        gb_id: "34020000001320000001".parse().unwrap(),
        method: 5,
        kind: None,
        priority: "1".to_owned(),
        description: String::new(),
        at: Time(now.0 + n),
    };
    store.add_alarms((0..4000).map(alarm).collect()).await.unwrap();
    let running = (Registry::new(Default::default(), clock.clone(), &tasks), Sessions::new(clock.clone()));
    let sections = (Default::default(), Callbacks::default(), Open::new(&Default::default()));
    Base::open(store.clone(), running, clock.clone(), sections, &tasks).await.unwrap();
    let left = async || store.alarms(Scope::Operator, AlarmFilter::default(), Page::new(1, 1)).await.unwrap().total;
    let becomes = async |rows: u64, by: Duration| {
        for _ in 0..500 {
            clock.advance(by / 10);
            tokio::time::sleep(Duration::from_millis(10)).await;
            if left().await == rows {
                return true;
            }
        }
        false
    };
    assert_eq!(left().await, 4000);
    // First what is beyond the number, in several portions of one round; later all of it, by age.
    assert!(becomes(1500, Duration::from_secs(300)).await);
    assert!(becomes(0, settings.keep_logs.0).await);
    assert_eq!(tasks.finish(Duration::from_secs(5)).await, Vec::<&str>::new());
}

//! Positions: what the store promises.

use super::*;
use crate::model::position::{Filter, Fix};

suite! {
    async fn positions_are_listed_newest_first_and_swept(b) {
        let group = b.gb_group(Scope::Operator).await;
        let device = b.device(group.id, Kind::Ipc, 1).await;
        let now = b.now();
        let fix = |n: i64, serial: u64| Fix {
            owner: device.owner,
            group: group.id,
            device: device.id,
            gb_id: code(serial),
            longitude: 121.5 + n as f64,
            latitude: -31.25,
            speed: (n == 2).then_some(42.5),
            direction: None,
            altitude: None,
            at: Time(now.0 + n * 1000),
        };
        b.store.add_positions(Vec::new()).await.unwrap();
        b.store.add_positions((0..4).map(|n| fix(n, 1)).chain([fix(9, 2)]).collect()).await.unwrap();
        b.reopen().await;
        let list = async |filter: Filter| b.store.positions(Scope::Operator, device.id, filter, Page::default()).await.unwrap();
        let own = list(Filter { gb_id: Some(code(1)), ..Filter::default() }).await;
        assert_eq!((own.total, &own.items[0], &own.items[1]), (4, &fix(3, 1), &fix(2, 1)));
        let range = Filter { from: Some(Time(now.0 + 1000)), to: Some(Time(now.0 + 3000)), gb_id: None };
        assert_eq!(list(range).await.items, [fix(2, 1), fix(1, 1)]);
        let stranger = b.tenant("t").await.scope();
        assert_eq!(b.store.positions(stranger, device.id, Filter::default(), Page::default()).await.unwrap().total, 0);
        b.clock.advance(b.settings.keep_logs.0 + std::time::Duration::from_secs(5));
        while b.store.sweep_logs().await.unwrap() {}
        assert_eq!(list(Filter::default()).await.total, 1, "the newest is not old enough");
    }
}

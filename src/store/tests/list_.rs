//! Lists: every order and filter gives every row once, on pages that follow one another, in both directions.

use super::*;
use crate::model::id::{DeviceId, StreamId};
use crate::store::{device as devices, stream as streams};

/// All rows, page by page.
async fn whole<T: PartialEq + std::fmt::Debug>(what: &str, total: u64, mut page: impl AsyncFnMut(Page) -> Paged<T>) -> Vec<T> {
    let mut all = Vec::new();
    for num in 1.. {
        let one = page(Page::new(num, 4)).await;
        assert_eq!(one.total, total, "{what}");
        if one.items.is_empty() {
            break;
        }
        all.extend(one.items);
    }
    assert_eq!(all.len() as u64, total, "{what}");
    all
}

async fn fill(b: &Bench) -> (GroupId, Scope) {
    let tenant = b.tenant("t").await;
    let (large, small) = (b.gb_group(tenant.scope()).await, b.gb_group(Scope::Operator).await);
    let push = b.rtmp_group(tenant.scope()).await;
    let platform = b.device(large.id, Kind::Platform, 900).await;
    for n in 0..14 {
        let group = if n % 4 == 3 { small.id } else { large.id };
        let draft = device::Draft {
            name: ["b", "a", "监控"][n % 3].to_owned(),
            vendor: ["x", ""][n % 2].to_owned(),
            port: (n % 3 == 0).then_some(5060 + n as u16),
            parent: (n % 4 == 0).then_some(platform.id),
            ip: format!("10.0.0.{n}"),
            ..device::Draft::new(group, [Kind::Ipc, Kind::Ied][n % 2], code(n as u64))
        };
        b.store.create_device(Scope::Operator, draft).await.unwrap();
    }
    b.store.create_streams(tenant.scope(), push.id, (0..7).map(|n| format!("s{}", n % 3)).collect()).await.unwrap();
    let all = b.streams(Scope::Operator, stream::Filter::default()).await.items;
    let turn = |n: usize, s: &Stream| stream::Change {
        id: s.id,
        status: [stream::Status::On, stream::Status::Off, stream::Status::Failed][n % 3],
        at: Time::from_secs(100 + (n as i64 * 7) % 5),
    };
    let on = all.iter().map(|s| stream::Change { status: stream::Status::On, ..turn(0, s) });
    b.store.set_stream_states(on.step_by(2).collect()).await.unwrap();
    b.store.set_stream_states(all.iter().enumerate().map(|(n, s)| turn(n, s)).collect()).await.unwrap();
    let states = b.store.devices_after(None, 100).await.unwrap();
    let state = |n: usize, d: &Device| device::Change {
        id: d.id,
        status: [device::Status::On, device::Status::Off, device::Status::Failed][n % 3],
        at: Time(1),
        registration: None,
    };
    b.store.set_device_states(states.iter().enumerate().map(|(n, d)| state(n, d)).collect()).await.unwrap();
    (large.id, tenant.scope())
}

suite! {
    async fn streams_in_every_order(b) {
        let (group, tenant) = fill(&b).await;
        let all = stream::Filter::default;
        let device = b.store.devices_after(None, 100).await.unwrap()[1].id;
        for (scope, filter) in [
            (Scope::Operator, all()),
            (tenant, all()),
            (tenant, stream::Filter { group: Some(group), ..all() }),
            (tenant, stream::Filter { group: Some(group), status: Some(stream::Status::Off), ..all() }),
            (tenant, stream::Filter { status: Some(stream::Status::Off), ..all() }),
            (Scope::Operator, stream::Filter { status: Some(stream::Status::On), ..all() }),
            (Scope::Operator, stream::Filter { app: Some("live".to_owned()), ..all() }),
            (tenant, stream::Filter { app: Some("live".to_owned()), group: Some(group), ..all() }),
            (tenant, stream::Filter { device: Some(device), ..all() }),
            (Scope::Operator, stream::Filter { name: Some("s1".to_owned()), ..all() }),
            (Scope::Operator, stream::Filter { from: Some(Time::from_secs(101)), to: Some(Time::from_secs(104)), ..all() }),
            (tenant, stream::Filter { from: Some(Time::from_secs(101)), group: Some(group), ..all() }),
        ] {
            // By id, out of one page: what the others must bring in their order.
            let want: Vec<Stream> = b.streams(scope, filter.clone()).await.items;
            let mut ids: Vec<StreamId> = want.iter().map(|s| s.id).collect();
            assert!(!ids.is_empty() && ids.is_sorted(), "{filter:?}");
            for (name, ..) in streams::SORT {
                let list = async |descending| {
                    let page = async |page| b.store.streams(scope, filter.clone(), &by(name, descending), page).await.unwrap();
                    whole(&format!("{filter:?} by {name}"), ids.len() as u64, page).await.into_iter().map(|v| v.stream).collect::<Vec<_>>()
                };
                let (up, mut down) = (list(false).await, list(true).await);
                down.reverse();
                assert_eq!(up, down, "{filter:?} by {name}");
                match *name {
                    "name" => assert!(up.is_sorted_by_key(|s| (s.name.clone(), s.id)), "{filter:?}"),
                    "starttime" => assert!(up.is_sorted_by_key(|s| (s.start_time, s.id)), "{filter:?}"),
                    "stoptime" => assert!(up.is_sorted_by_key(|s| (s.stop_time, s.id)), "{filter:?}"),
                    "deviceid" => assert!(up.is_sorted_by_key(|s| (s.device, s.id)), "{filter:?}"),
                    "status" => assert!(up.is_sorted_by_key(|s| (s.status.as_str(), s.id)), "{filter:?}"),
                    _ => {}
                }
                let mut found: Vec<StreamId> = up.iter().map(|s| s.id).collect();
                found.sort();
                ids.sort();
                assert_eq!(found, ids, "{filter:?} by {name}");
            }
        }
        let other = b.tenant("u").await.scope();
        assert_eq!(b.streams(other, stream::Filter { group: Some(group), ..all() }).await.total, 0);
        assert_eq!(b.streams(other, stream::Filter { app: Some("live".to_owned()), ..all() }).await.total, 0);
    }

    async fn devices_in_every_order(b) {
        let (group, tenant) = fill(&b).await;
        let all = device::Filter::default;
        let platform = b.store.devices_after(None, 100).await.unwrap()[0].id;
        for (scope, filter) in [
            (Scope::Operator, all()),
            (tenant, all()),
            (tenant, device::Filter { group: Some(group), ..all() }),
            (tenant, device::Filter { group: Some(group), status: Some(device::Status::Off), ..all() }),
            (Scope::Operator, device::Filter { kind: Some(Kind::Ied), ..all() }),
            (tenant, device::Filter { parent: Some(platform), ..all() }),
            (Scope::Operator, device::Filter { name: Some("a".to_owned()), ..all() }),
            (tenant, device::Filter { gb_id: Some(code(5)), ..all() }),
        ] {
            let first = b.store.devices(scope, filter.clone(), &Sort::default(), Page::new(1, 100)).await.unwrap();
            let mut ids: Vec<DeviceId> = first.items.iter().map(|d| d.id).collect();
            assert!(!ids.is_empty() && ids.is_sorted(), "{filter:?}");
            for (name, ..) in devices::SORT {
                let list = async |descending| {
                    let page = async |page| b.store.devices(scope, filter.clone(), &by(name, descending), page).await.unwrap();
                    whole(&format!("{filter:?} by {name}"), ids.len() as u64, page).await
                };
                let (up, mut down) = (list(false).await, list(true).await);
                down.reverse();
                assert_eq!(up, down, "{filter:?} by {name}");
                match *name {
                    "name" => assert!(up.is_sorted_by_key(|d| (d.name.clone(), d.id)), "{filter:?}"),
                    "port" => assert!(up.is_sorted_by_key(|d| (d.port, d.id)), "{filter:?}"),
                    "parentid" => assert!(up.is_sorted_by_key(|d| (d.parent, d.id)), "{filter:?}"),
                    "ip" => assert!(up.is_sorted_by_key(|d| (d.ip.clone(), d.id)), "{filter:?}"),
                    _ => {}
                }
                let mut found: Vec<DeviceId> = up.iter().map(|d| d.id).collect();
                found.sort();
                ids.sort();
                assert_eq!(found, ids, "{filter:?} by {name}");
            }
        }
        let other = b.tenant("u").await.scope();
        let none = b.store.devices(other, device::Filter { group: Some(group), ..all() }, &Sort::default(), Page::default()).await.unwrap();
        assert_eq!((none.total, none.items.len()), (0, 0));
    }
}

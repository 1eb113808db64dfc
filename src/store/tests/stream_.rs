//! Streams: what the store promises.

use super::*;
use crate::model::id::StreamId;
use crate::model::stream::{Change, Filter, Status};
use crate::model::tenant;

async fn push(b: &Bench, group: GroupId, names: &[&str]) -> Vec<Stream> {
    b.store.create_streams(Scope::Operator, group, names.iter().map(|n| (*n).to_owned()).collect()).await.unwrap()
}

async fn turn(b: &Bench, id: StreamId, status: Status, secs: i64) -> Stream {
    b.store.set_stream_states(vec![Change { id, status, at: Time::from_secs(secs) }]).await.unwrap();
    b.store.stream(Scope::Operator, id).await.unwrap()
}

suite! {
    async fn pushed_streams_are_made_in_order(b) {
        let tenant = b.tenant("t").await;
        let group = b.rtmp_group(tenant.scope()).await;
        let made = push(&b, group.id, &["b", "a", "b"]).await;
        assert_eq!(made.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["b", "a", "b"]);
        assert!(made.is_sorted_by(|a, b| a.id < b.id));
        assert_eq!((made[0].owner, made[0].status, made[0].protocol), (tenant.tenant, Status::Off, InProtocol::Rtmp));
        b.reopen().await;
        assert_eq!(b.streams(tenant.scope(), Filter::default()).await.items, made);
        assert_eq!(b.store.stream_view(tenant.scope(), made[0].id).await.unwrap().stream, made[0]);
        let other = b.tenant("u").await.scope();
        is_not_found(b.store.stream(other, made[0].id).await, Noun::Stream);
        is_not_found(b.store.stream_view(other, made[0].id).await, Noun::Stream);
        is_not_found(b.store.update_stream::<Error, _>(other, made[0].id, |_| Ok(())).await, Noun::Stream);
        is_not_found(b.store.delete_stream(other, made[0].id).await, Noun::Stream);
        is_not_found(b.store.create_streams(other, group.id, vec!["x".to_owned()]).await, Noun::Group);
        let gb = b.gb_group(Scope::Operator).await;
        is_status(b.store.create_streams(Scope::Operator, gb.id, vec!["x".to_owned()]).await, Noun::Group);
        b.store.delete_stream(tenant.scope(), made[0].id).await.unwrap();
        assert_eq!(b.streams(tenant.scope(), Filter::default()).await.total, 2);
    }

    async fn only_what_an_operator_may_change_changes(b) {
        let group = b.rtmp_group(Scope::Operator).await;
        let made = push(&b, group.id, &["a"]).await.remove(0);
        let changed = b.store.update_stream::<Error, _>(Scope::Operator, made.id, |s| {
            (s.name, s.forbidden, s.started) = ("n".to_owned(), true, true);
            (s.status, s.app, s.created) = (Status::On, "x".to_owned(), Time(1));
            Ok(())
        });
        let want = Stream { name: "n".to_owned(), forbidden: true, started: true, ..made };
        assert_eq!(changed.await.unwrap(), want);
        b.reopen().await;
        assert_eq!(b.store.stream(Scope::Operator, want.id).await.unwrap(), want);
        assert_eq!(b.store.started_streams().await.unwrap(), [want]);
    }

    async fn times_follow_the_states(b) {
        let id = push(&b, b.rtmp_group(Scope::Operator).await.id, &["a"]).await[0].id;
        let times = |s: &Stream| (s.status, s.start_time.map(Time::as_secs), s.stop_time.map(Time::as_secs));
        assert_eq!(times(&turn(&b, id, Status::Failed, 5).await), (Status::Failed, None, None), "it was never on");
        assert_eq!(times(&turn(&b, id, Status::On, 10).await), (Status::On, Some(10), None));
        assert_eq!(times(&turn(&b, id, Status::Off, 20).await), (Status::Off, Some(10), Some(20)));
        assert_eq!(times(&turn(&b, id, Status::Off, 25).await), (Status::Off, Some(10), Some(20)), "it was off already");
        assert_eq!(times(&turn(&b, id, Status::On, 30).await), (Status::On, Some(30), None));
        assert_eq!(b.store.all_streams_off(Time::from_secs(40)).await.unwrap(), 1);
        assert_eq!(times(&b.store.stream(Scope::Operator, id).await.unwrap()), (Status::Off, Some(30), Some(40)));
        assert_eq!(b.store.all_streams_off(Time::from_secs(50)).await.unwrap(), 0);
    }

    async fn streams_are_filtered(b) {
        let (rtmp, gb) = (b.rtmp_group(Scope::Operator).await, b.gb_group(Scope::Operator).await);
        let device = b.device(gb.id, Kind::Ipc, 1).await;
        let made = push(&b, rtmp.id, &["a", "b", "c"]).await;
        turn(&b, made[0].id, Status::On, 100).await;
        turn(&b, made[1].id, Status::On, 100).await;
        turn(&b, made[1].id, Status::Off, 200).await;
        let ids = async |filter: Filter| b.streams(Scope::Operator, filter).await.items.iter().map(|s| s.id).collect::<Vec<_>>();
        let all = Filter::default;
        assert_eq!(ids(all()).await.len(), 4);
        assert_eq!(ids(Filter { group: Some(rtmp.id), ..all() }).await, made.iter().map(|s| s.id).collect::<Vec<_>>());
        assert_eq!(ids(Filter { device: Some(device.id), ..all() }).await.len(), 1);
        assert_eq!(ids(Filter { name: Some("c".to_owned()), ..all() }).await, [made[2].id]);
        assert_eq!(ids(Filter { app: Some("live".to_owned()), status: Some(Status::On), ..all() }).await, [made[0].id]);
        assert_eq!(ids(Filter { app: Some("dead".to_owned()), ..all() }).await, []);
        let range = async |from: i64, to: i64| ids(Filter { from: Some(Time::from_secs(from)), to: Some(Time::from_secs(to)), ..all() }).await;
        assert_eq!(range(0, 100).await, []);
        assert_eq!(range(0, 101).await, [made[0].id, made[1].id]);
        assert_eq!(range(200, 300).await, [made[0].id], "one had stopped, one is still on, two never ran");
        let list = async |sort: Sort| {
            let page = b.store.streams(Scope::Operator, all(), &sort, Page::default()).await.unwrap();
            page.items.into_iter().map(|v| v.stream.id).collect::<Vec<_>>()
        };
        assert_eq!(list(by("StartTime", true)).await[..2], [made[1].id, made[0].id]);
        assert_eq!(list(by("StopTime", true)).await[0], made[1].id);
        let view = b.store.streams(Scope::Operator, Filter { device: Some(device.id), ..all() }, &Sort::default(), Page::default()).await.unwrap();
        assert_eq!(view.items[0].device_name.as_deref(), Some(device.name.as_str()));
        assert_eq!(view.items[0].channel_name.as_deref(), Some(device.name.as_str()));
        assert_eq!(b.store.streams_of(device.id).await.unwrap().len(), 1);
        let own = view.items[0].stream.id;
        let runnable = async |all: bool| {
            let found = b.store.runnable_streams(device.id, all).await.unwrap();
            found.into_iter().map(|(stream, code)| (stream.id, code)).collect::<Vec<_>>()
        };
        let expected = [(own, device.gb_id.to_string())];
        assert_eq!((runnable(true).await, runnable(false).await), (expected.to_vec(), vec![]));
        let change = |stream: &mut Stream| {
            stream.started = true;
            Ok::<_, Error>(())
        };
        b.store.update_stream(Scope::Operator, own, change).await.unwrap();
        assert_eq!(runnable(false).await, expected);
        let change = |stream: &mut Stream| {
            stream.forbidden = true;
            Ok::<_, Error>(())
        };
        b.store.update_stream(Scope::Operator, own, change).await.unwrap();
        assert_eq!((runnable(true).await, runnable(false).await), (vec![], vec![]));
        is_status(b.store.delete_stream(Scope::Operator, view.items[0].stream.id).await, Noun::Stream);
    }

    async fn a_path_leads_to_its_stream(b) {
        let tenant = b.tenant("t").await;
        let group = b.gb_group(tenant.scope()).await;
        let device = b.device(group.id, Kind::Ipc, 1).await;
        let stream = b.store.streams_of(device.id).await.unwrap().remove(0);
        let door = b.store.door("live", &stream.id.to_string()).await.unwrap().unwrap();
        assert_eq!((&door.stream, &door.group, door.tenant.status), (&stream, &group, tenant::Status::Active));
        assert_eq!(b.store.door("live", code(1).as_str()).await.unwrap().unwrap(), door);
        for (app, name) in [("other", stream.id.to_string()), ("live", "1".to_owned()), ("live", "x' OR '1'='1".to_owned()), ("live", String::new())] {
            assert_eq!(b.store.door(app, &name).await.unwrap(), None, "{app}/{name}");
        }
        // The same code in two groups: the name alone says too little.
        b.device(b.gb_group(Scope::Operator).await.id, Kind::Ipc, 1).await;
        assert_eq!(b.store.door("live", code(1).as_str()).await.unwrap(), None);
        assert_eq!(b.store.door("live", &stream.id.to_string()).await.unwrap().unwrap().stream, stream);
    }
}

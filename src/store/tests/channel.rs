//! Channels: what the store promises.

use super::*;
use crate::model::channel::{Branch, Catalog, Filter, Info, Item, State, Synced, View};
use crate::model::id::DeviceId;
use crate::store::{Change, Seen};

fn item(serial: u64, name: &str) -> Item {
    let info = Info { manufacturer: "m".to_owned(), ptz_type: Some(1), ..Info::default() };
    Item { gb_id: code(serial), name: name.to_owned(), directory: String::new(), parent_code: String::new(), online: true, info }
}

fn complete(items: Vec<Item>) -> Catalog {
    Catalog { items, complete: true, ..Catalog::default() }
}

async fn list(b: &Bench, device: DeviceId, filter: Filter) -> Vec<View> {
    b.store.channels(Scope::Operator, device, filter, Page::new(1, 100)).await.unwrap().items
}

async fn names(b: &Bench, device: DeviceId) -> Vec<String> {
    list(b, device, Filter::default()).await.into_iter().map(|v| v.channel.name).collect()
}

suite! {
    async fn a_catalog_creates_renames_and_retires(b) {
        let group = b.gb_group(Scope::Operator).await;
        let device = b.device(group.id, Kind::Ipc, 1).await;
        let sync = async |catalog| b.store.sync_catalog(device.id, catalog).await.unwrap();
        let first = sync(complete(vec![item(11, "a"), item(12, "b"), item(12, "b again")])).await;
        assert_eq!(first, Synced { created: 2, updated: 0, retired: 1, skipped: 0 }, "the own channel gives way to those behind it");
        assert_eq!(names(&b, device.id).await, ["a", "b again"]);
        let streams = b.streams(Scope::Operator, stream::Filter { device: Some(device.id), ..Default::default() }).await;
        assert_eq!(streams.items.iter().map(|s| s.name.clone()).collect::<Vec<_>>(), [code(11).to_string(), code(12).to_string()]);
        let second = sync(complete(vec![item(11, "a2"), item(13, "c")])).await;
        assert_eq!(second, Synced { created: 1, updated: 1, retired: 1, skipped: 0 });
        assert_eq!(names(&b, device.id).await, ["a2", "c"]);
        assert_eq!(b.store.channel_by_code(device.id, &code(12)).await.unwrap().unwrap().state, State::Retired);
        // What comes back has its ids again.
        let third = sync(Catalog { items: vec![item(12, "b3")], ..Catalog::default() }).await;
        assert_eq!(third, Synced { created: 0, updated: 1, retired: 0, skipped: 0 });
        assert_eq!(names(&b, device.id).await, ["a2", "b3", "c"]);
        let back = b.store.channel_by_code(device.id, &code(12)).await.unwrap().unwrap();
        assert_eq!(back.stream, streams.items[1].id);
        assert_eq!(b.store.stream(Scope::Operator, back.stream).await.unwrap().id, back.stream);
        // A camera without a catalog is its own channel.
        assert_eq!(sync(complete(vec![])).await, Synced { created: 0, updated: 1, retired: 3, skipped: 0 });
        assert_eq!(list(&b, device.id, Filter::default()).await[0].channel.gb_id, device.gb_id);
    }

    async fn the_same_catalog_again_changes_nothing(b) {
        let device = b.device(b.gb_group(Scope::Operator).await.id, Kind::Platform, 1).await;
        b.store.sync_catalog(device.id, complete(vec![item(11, "a")])).await.unwrap();
        let mut changes = b.store.watch();
        let same = b.store.sync_catalog(device.id, complete(vec![item(11, "a")])).await.unwrap();
        assert_eq!(same, Synced { created: 0, updated: 1, retired: 0, skipped: 0 });
        b.store.sync_catalog(device.id, complete(vec![item(11, "b")])).await.unwrap();
        let group = b.rtmp_group(Scope::Operator).await;
        assert_eq!(changes.next().await, Some(Seen::Change(Change::Channels(device.id))));
        assert_eq!(changes.next().await, Some(Seen::Change(Change::Group(group.id))));
    }

    async fn what_an_operator_deleted_stays_deleted_until_a_refresh(b) {
        let tenant = b.tenant("t").await.scope();
        let device = b.device(b.gb_group(tenant).await.id, Kind::Platform, 1).await;
        b.store.sync_catalog(device.id, complete(vec![item(11, "a"), item(12, "b")])).await.unwrap();
        let gone = b.store.channel_by_code(device.id, &code(11)).await.unwrap().unwrap();
        is_not_found(b.store.delete_channel(b.tenant("u").await.scope(), gone.id).await, Noun::Channel);
        b.store.delete_channel(tenant, gone.id).await.unwrap();
        is_not_found(b.store.channel(tenant, gone.id).await, Noun::Channel);
        is_not_found(b.store.delete_channel(tenant, gone.id).await, Noun::Channel);
        is_not_found(b.store.stream(tenant, gone.stream).await, Noun::Stream);
        let synced = b.store.sync_catalog(device.id, complete(vec![item(11, "a"), item(12, "b")])).await.unwrap();
        assert_eq!(synced, Synced { created: 0, updated: 1, retired: 0, skipped: 1 });
        assert_eq!(names(&b, device.id).await, ["b"]);
        let revived = Catalog { revive: true, ..complete(vec![item(11, "a"), item(12, "b")]) };
        b.store.sync_catalog(device.id, revived).await.unwrap();
        assert_eq!(b.store.channel(tenant, gone.id).await.unwrap().state, State::Active);
        assert_eq!(b.store.stream(tenant, gone.stream).await.unwrap().id, gone.stream);
    }

    async fn channels_are_filtered(b) {
        let device = b.device(b.gb_group(Scope::Operator).await.id, Kind::Platform, 1).await;
        let items = vec![item(11, "Gate 100%"), item(12, "gate_2"), item(13, "大门"), Item { online: false, ..item(14, "off") }];
        b.store.sync_catalog(device.id, complete(items)).await.unwrap();
        let found = async |name: &str| list(&b, device.id, Filter { name: Some(name.to_owned()), ..Filter::default() }).await.len();
        for (name, n) in [("gate", 2), ("GATE", 2), ("100%", 1), ("%", 1), ("_", 1), ("门", 1), ("\\", 0), ("", 4), ("'", 0)] {
            assert_eq!(found(name).await, n, "{name:?}");
        }
        assert_eq!(list(&b, device.id, Filter { online: Some(false), ..Filter::default() }).await.len(), 1);
        let on = b.store.channel_by_code(device.id, &code(12)).await.unwrap().unwrap();
        let change = stream::Change { id: on.stream, status: stream::Status::On, at: b.now() };
        b.store.set_stream_states(vec![change]).await.unwrap();
        let live = list(&b, device.id, Filter { status: Some(stream::Status::On), ..Filter::default() }).await;
        assert_eq!((live.len(), live[0].channel.id, live[0].stream_status, live[0].device_status), (1, on.id, stream::Status::On, device::Status::New));
        assert_eq!(live[0].channel.info.ptz_type, Some(1));
        b.store.set_channels_online(device.id, &[code(14), code(99)], true).await.unwrap();
        assert_eq!(list(&b, device.id, Filter { online: Some(false), ..Filter::default() }).await.len(), 0);
        assert_eq!(b.store.retire_channels(device.id, &[code(14), code(99)]).await.unwrap(), 1);
        assert_eq!(names(&b, device.id).await.len(), 3);
        is_not_found(b.store.channels(b.tenant("t").await.scope(), device.id, Filter::default(), Page::default()).await, Noun::Device);
    }

    async fn a_platforms_tree_is_kept_even_when_it_is_broken(b) {
        let device = b.device(b.gb_group(Scope::Operator).await.id, Kind::Platform, 1).await;
        let branch = |code: &str, parent: &str| Branch { code: code.to_owned(), parent: parent.to_owned(), name: format!("n{code}") };
        let directories = vec![
            branch("3", "2"),
            branch("2", "1"),
            branch("1", ""),
            branch("9", "unknown"),
            branch("a", "b"),
            branch("b", "a"),
            branch("c", "c"),
            branch("d", "c"),
        ];
        let in_3 = Item { directory: "3".to_owned(), ..item(11, "a") };
        let catalog = Catalog { directories, ..complete(vec![in_3.clone(), Item { directory: "?".to_owned(), ..item(12, "b") }]) };
        b.store.sync_catalog(device.id, catalog.clone()).await.unwrap();
        b.store.sync_catalog(device.id, catalog).await.unwrap();
        let tree = b.store.platform_directories(Scope::Operator, device.id).await.unwrap();
        assert_eq!(tree.len(), 8);
        let of = |code: &str| tree.iter().find(|d| d.code.as_deref() == Some(code)).unwrap();
        assert_eq!((of("3").parent, of("2").parent, of("1").parent, of("9").parent), (Some(of("2").id), Some(of("1").id), None, None));
        for code in ["a", "b", "c", "d"] {
            assert_eq!(of(code).parent, None, "{code} is in a circle or below one");
        }
        let inside = list(&b, device.id, Filter { directory: Some(of("3").id), ..Filter::default() }).await;
        assert_eq!((inside.len(), inside[0].channel.gb_id.clone()), (1, code(11)));
        is_status(b.store.delete_directory(Scope::Operator, of("1").id).await, Noun::Directory);
        assert!(b.store.directories(Scope::Operator, device.group).await.unwrap().is_empty());
    }

    async fn a_large_catalog_is_stored_whole(b) {
        let device = b.device(b.gb_group(Scope::Operator).await.id, Kind::Platform, 1).await;
        let items: Vec<_> = (0..5_001).map(|n| item(n, &format!("c{n}"))).collect();
        let synced = b.store.sync_catalog(device.id, complete(items.clone())).await.unwrap();
        assert_eq!(synced.created, 5_001);
        let renamed = items.into_iter().map(|i| Item { name: format!("{}!", i.name), ..i }).collect();
        assert_eq!(b.store.sync_catalog(device.id, complete(renamed)).await.unwrap().updated, 5_001);
        let page = b.store.channels(Scope::Operator, device.id, Filter::default(), Page::new(51, 100)).await.unwrap();
        assert_eq!((page.total, page.items.len(), page.items[0].channel.name.as_str()), (5_001, 1, "c5000!"));
        assert_eq!(b.store.sync_catalog(device.id, complete(vec![])).await.unwrap().retired, 5_001);
        assert_eq!(b.streams(Scope::Operator, stream::Filter::default()).await.total, 0);
    }

    async fn a_catalog_of_a_device_that_is_gone_is_refused(b) {
        is_not_found(b.store.sync_catalog(DeviceId(5), complete(vec![item(1, "a")])).await, Noun::Device);
    }
}

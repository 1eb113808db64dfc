//! Devices: what the store promises.

use super::*;
use crate::model::device::{Change, Draft, Filter, Registration, Stats, Status, Transport};
use crate::model::directory;
use crate::model::id::DeviceId;

fn full(group: GroupId) -> Draft {
    Draft {
        name: "路口'".to_owned(),
        description: "d".to_owned(),
        auto_start: true,
        ip: "2.2.2.2".to_owned(),
        port: Some(65535),
        username: "admin".to_owned(),
        password: Some(Secret("p@ss".to_owned())),
        vendor: "dahua".to_owned(),
        longitude: "45.00".to_owned(),
        latitude: "119.20".to_owned(),
        auto_pos: true,
        pos_interval: 60,
        alarm_method: "5,7".to_owned(),
        params: "{\"a\":1}".to_owned(),
        ..Draft::new(group, Kind::Ipc, code(1))
    }
}

suite! {
    async fn a_device_comes_back_as_it_was_made(b) {
        let group = b.gb_group(Scope::Operator).await;
        let made = b.store.create_device(Scope::Operator, full(group.id)).await.unwrap();
        assert_eq!((made.status, made.enabled, made.owner), (Status::New, true, group.owner));
        b.reopen().await;
        assert_eq!(b.store.device(Scope::Operator, made.id).await.unwrap(), made);
        assert_eq!(b.store.device_by_code(group.id, &code(1)).await.unwrap(), Some(made.clone()));
        assert_eq!(b.store.device_by_code(group.id, &code(2)).await.unwrap(), None);
        let plain = b.device(group.id, Kind::Platform, 2).await;
        assert_eq!((plain.password, plain.port, plain.pos_interval), (None, None, 300));
    }

    async fn a_camera_is_its_own_channel_and_a_platform_has_none(b) {
        let group = b.gb_group(Scope::Operator).await;
        let camera = b.device(group.id, Kind::Ipc, 1).await;
        let platform = b.device(group.id, Kind::Platform, 2).await;
        let streams = b.streams(Scope::Operator, stream::Filter { device: Some(camera.id), ..Default::default() }).await;
        assert_eq!((streams.total, streams.items[0].name.as_str(), streams.items[0].app.as_str()), (1, camera.gb_id.as_str(), "live"));
        assert_eq!(b.streams(Scope::Operator, stream::Filter { device: Some(platform.id), ..Default::default() }).await.total, 0);
        let stats = b.store.device_stats(&[camera.id, platform.id]).await.unwrap();
        assert_eq!(stats[&camera.id], Stats { channels: 1, streams: 1, online: 0, offline: 1, failed: 0 });
        assert_eq!(stats[&platform.id], Stats::default());
    }

    async fn a_code_is_unique_in_its_group(b) {
        let (group, other) = (b.gb_group(Scope::Operator).await, b.gb_group(Scope::Operator).await);
        b.device(group.id, Kind::Ipc, 1).await;
        exists(b.store.create_device(Scope::Operator, Draft::new(group.id, Kind::Ipc, code(1))).await, Noun::Device);
        b.device(other.id, Kind::Ipc, 1).await;
        let second = b.device(group.id, Kind::Ipc, 2).await;
        exists(b.store.update_device::<Error, _>(Scope::Operator, second.id, |d| { d.gb_id = code(1); Ok(()) }).await, Noun::Device);
    }

    async fn parents_and_directories_are_of_the_same_group(b) {
        let (group, other) = (b.gb_group(Scope::Operator).await, b.gb_group(Scope::Operator).await);
        let platform = b.device(group.id, Kind::Platform, 1).await;
        let folder = directory::Draft { group: group.id, parent: None, name: "f".to_owned(), description: String::new() };
        let folder = b.store.create_directory(Scope::Operator, folder).await.unwrap();
        let draft = |group, parent, directory| Draft { parent, directory, ..Draft::new(group, Kind::Ipc, code(9)) };
        let create = async |draft| b.store.create_device(Scope::Operator, draft).await;
        invalid(create(draft(other.id, Some(platform.id), None)).await, "ParentId");
        invalid(create(draft(other.id, None, Some(folder.id))).await, "DirectoryId");
        invalid(create(draft(group.id, Some(DeviceId(5)), None)).await, "ParentId");
        let camera = create(draft(group.id, Some(platform.id), Some(folder.id))).await.unwrap();
        invalid(create(Draft { parent: Some(camera.id), ..Draft::new(group.id, Kind::Ipc, code(10)) }).await, "ParentId");
        let list = async |filter| b.store.devices(Scope::Operator, filter, &Sort::default(), Page::default()).await.unwrap().items;
        assert_eq!(list(Filter { parent: Some(platform.id), ..Filter::default() }).await, std::slice::from_ref(&camera));
        assert_eq!(list(Filter { directory: Some(folder.id), ..Filter::default() }).await, std::slice::from_ref(&camera));
        b.store.delete_directory(Scope::Operator, folder.id).await.unwrap();
        b.store.delete_device(Scope::Operator, platform.id).await.unwrap();
        let left = b.store.device(Scope::Operator, camera.id).await.unwrap();
        assert_eq!((left.parent, left.directory), (None, None));
    }

    async fn a_device_moves_with_its_streams(b) {
        let tenant = b.tenant("t").await.scope();
        let from = b.gb_group(tenant).await;
        let mut draft = group::Draft::new("to", InProtocol::Gb28181, "flv".parse().unwrap());
        draft.app = "other".to_owned();
        let to = b.store.create_group(tenant, draft).await.unwrap();
        let (device, child) = (b.device(from.id, Kind::Platform, 1).await, b.device(from.id, Kind::Ipc, 2).await);
        let parent = device.id;
        b.store.update_device::<Error, _>(tenant, child.id, move |d| { d.parent = Some(parent); Ok(()) }).await.unwrap();
        let moved = async |id, group| b.store.update_device::<Error, _>(tenant, id, move |d| { d.group = group; Ok(()) }).await;
        assert_eq!(moved(device.id, to.id).await.unwrap().group, to.id);
        assert_eq!(b.store.device(tenant, child.id).await.unwrap().parent, None);
        moved(child.id, to.id).await.unwrap();
        let streams = b.streams(tenant, stream::Filter { group: Some(to.id), ..Default::default() }).await;
        assert_eq!((streams.total, streams.items[0].app.as_str()), (1, "other"));
        is_status(moved(child.id, b.rtmp_group(tenant).await.id).await, Noun::Group);
        is_not_found(moved(child.id, b.gb_group(Scope::Operator).await.id).await, Noun::Group);
        let foreign = b.gb_group(Scope::Operator).await.id;
        let pushed = b.store.update_device::<Error, _>(Scope::Operator, child.id, move |d| { d.group = foreign; Ok(()) });
        is_not_found(pushed.await, Noun::Group);
    }

    async fn a_new_code_renames_the_own_channel(b) {
        let group = b.gb_group(Scope::Operator).await;
        let device = b.device(group.id, Kind::Ipc, 1).await;
        b.store.update_device::<Error, _>(Scope::Operator, device.id, |d| { d.gb_id = code(7); Ok(()) }).await.unwrap();
        let channel = b.store.channel_by_code(device.id, &code(7)).await.unwrap().unwrap();
        assert_eq!(b.store.stream(Scope::Operator, channel.stream).await.unwrap().name, code(7).as_str());
        assert_eq!(b.store.channel_by_code(device.id, &code(1)).await.unwrap(), None);
    }

    async fn states_are_written_in_batches(b) {
        let group = b.gb_group(Scope::Operator).await;
        let mut devices = Vec::new();
        for n in 0..5 {
            devices.push(b.device(group.id, Kind::Ipc, n).await);
        }
        let registration = Registration {
            source: "[2001:db8::1]:5060".parse().unwrap(),
            transport: Transport::Tcp,
            contact: "<sip:x@y>".to_owned(),
            at: 1,
            expires: 2,
            agent: "IPC".to_owned(),
            version: Some("3.0".to_owned()),
        };
        let change = |n: usize, status, registration| Change { id: devices[n].id, status, at: Time(77), registration };
        let gone = Change { id: DeviceId(1), status: Status::On, at: Time(1), registration: None };
        let batch = vec![change(0, Status::On, Some(registration.clone())), change(1, Status::Failed, None), gone];
        b.store.set_device_states(batch).await.unwrap();
        b.store.set_device_states(vec![change(0, Status::Off, None)]).await.unwrap();
        b.store.set_device_states(Vec::new()).await.unwrap();
        // An operator's change does not touch the state.
        b.store.update_device::<Error, _>(Scope::Operator, devices[0].id, |d| { d.name = "n".to_owned(); Ok(()) }).await.unwrap();
        b.reopen().await;
        let first = b.store.device(Scope::Operator, devices[0].id).await.unwrap();
        assert_eq!((first.status, first.status_at, first.registration), (Status::Off, Time(77), Some(registration)));
        assert_eq!(b.store.device(Scope::Operator, devices[1].id).await.unwrap().status, Status::Failed);
        assert_eq!(b.store.device(Scope::Operator, devices[2].id).await.unwrap(), devices[2]);
        let page = Filter { group: Some(group.id), status: Some(Status::New), ..Filter::default() };
        assert_eq!(b.store.devices(Scope::Operator, page, &by("status", true), Page::default()).await.unwrap().total, 3);
    }

    async fn places_are_written_without_a_change(b) {
        let group = b.gb_group(Scope::Operator).await;
        let (one, two) = (b.device(group.id, Kind::Ipc, 1).await, b.device(group.id, Kind::Ipc, 2).await);
        let mut changes = b.store.watch();
        let place = |id, degrees: &str| (id, degrees.to_owned(), "31.5".to_owned());
        b.store.set_positions(vec![place(one.id, "118.25"), place(DeviceId(77), "1")]).await.unwrap();
        b.store.set_positions(Vec::new()).await.unwrap();
        let found = b.store.device(Scope::Operator, one.id).await.unwrap();
        assert_eq!((found.longitude.as_str(), found.latitude.as_str()), ("118.25", "31.5"));
        assert_eq!(b.store.device(Scope::Operator, two.id).await.unwrap(), two);
        assert!(tokio::time::timeout(std::time::Duration::from_millis(50), changes.next()).await.is_err());
    }

    async fn devices_are_read_in_portions(b) {
        let group = b.gb_group(Scope::Operator).await;
        let mut made = Vec::new();
        for n in 0..7 {
            made.push(b.device(group.id, Kind::Ipc, n).await.id);
        }
        let (mut read, mut after) = (Vec::new(), None);
        loop {
            let portion = b.store.devices_after(after, 3).await.unwrap();
            let Some(last) = portion.last() else { break };
            after = Some(last.id);
            read.extend(portion.iter().map(|d| d.id));
        }
        assert_eq!(read, made);
        assert_eq!(b.store.devices_after(after, 3).await.unwrap(), []);
    }

    async fn a_portion_holds_what_single_devices_do(b) {
        let group = b.gb_group(Scope::Operator).await;
        let plain = b.device(group.id, Kind::Platform, 1).await;
        let draft = device::Draft {
            parent: Some(plain.id),
            name: "门口 \"1\" \\ \u{1f4f7}\u{1}".to_owned(),
            description: "a\nb\tc".to_owned(),
            auto_start: true,
            ip: "192.0.2.7".to_owned(),
            port: Some(65_535),
            username: "'; --".to_owned(),
            password: Some(Secret("p\"ass".to_owned())),
            vendor: "v".to_owned(),
            longitude: "118.25".to_owned(),
            latitude: "-31.5".to_owned(),
            auto_pos: true,
            pos_interval: 5,
            alarm_method: "5,7".to_owned(),
            params: r#"{"media":"tcp"}"#.to_owned(),
            ..device::Draft::new(group.id, Kind::Ied, code(2))
        };
        let full = b.store.create_device(Scope::Operator, draft).await.unwrap();
        let registration = device::Registration {
            source: "192.0.2.7:5060".parse().unwrap(),
            transport: device::Transport::Tcp,
            contact: "<sip:34020000001320000002@192.0.2.7:5060>".to_owned(),
            at: 1_760_000_000_000,
            agent: "camera \"x\"".to_owned(),
            expires: 1_760_000_003_600_000,
            version: Some("3.0".to_owned()),
        };
        let on = device::Change { id: full.id, status: Status::On, at: Time(1_760_000_000_001), registration: Some(registration) };
        b.store.set_device_states(vec![on]).await.unwrap();
        let single = [b.store.device(Scope::Operator, plain.id).await.unwrap(), b.store.device(Scope::Operator, full.id).await.unwrap()];
        assert!(single[1].registration.is_some() && single[1].password.is_some());
        assert_eq!(b.store.devices_after(None, 10).await.unwrap(), single);
    }

    async fn directories_form_a_tree(b) {
        let tenant = b.tenant("t").await.scope();
        let group = b.gb_group(tenant).await;
        let make = async |parent, name: &str| {
            let draft = directory::Draft { group: group.id, parent, name: name.to_owned(), description: String::new() };
            b.store.create_directory(tenant, draft).await
        };
        let top = make(None, "top").await.unwrap();
        let below = make(Some(top.id), "below").await.unwrap();
        invalid(make(Some(crate::model::id::DirectoryId(1)), "x").await, "ParentId");
        let id = below.id;
        invalid(b.store.update_directory::<Error, _>(tenant, top.id, move |d| { d.parent = Some(id); Ok(()) }).await, "ParentId");
        is_status(b.store.delete_directory(tenant, top.id).await, Noun::Directory);
        is_not_found(b.store.directory(b.tenant("u").await.scope(), top.id).await, Noun::Directory);
        let renamed = b.store.update_directory::<Error, _>(tenant, below.id, |d| { d.parent = None; d.name = "n".to_owned(); Ok(()) }).await.unwrap();
        assert_eq!(b.store.directories(tenant, group.id).await.unwrap(), [top.clone(), renamed]);
        b.store.delete_directory(tenant, top.id).await.unwrap();
        assert_eq!(b.store.directories(tenant, group.id).await.unwrap().len(), 1);
    }
}

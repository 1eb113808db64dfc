//! Groups: what the store promises.

use super::*;
use crate::model::group::{Filter, Stats};
use std::collections::HashSet;

suite! {
    async fn a_group_comes_back_as_it_was_made(b) {
        let draft = group::Draft {
            name: "门口 'x'; DROP TABLE groups; --".to_owned(),
            description: "d\n\"\\".to_owned(),
            region: "cn-north".to_owned(),
            app: "live2".to_owned(),
            lazy_pull: true,
            callback: Some("http://a.test/cb".to_owned()),
            gb_password: Some(Secret("p".to_owned())),
            auto_register: true,
            license_required: true,
            ..group::Draft::new("", InProtocol::Gb28181, "rtmp,flv".parse().unwrap())
        };
        let made = b.store.create_group(Scope::Operator, draft).await.unwrap();
        assert_eq!((made.id.to_string().len(), made.enabled, made.created), (19, true, b.now()));
        b.reopen().await;
        assert_eq!(b.store.group(Scope::Operator, made.id).await.unwrap(), made);
        assert_eq!(b.store.group_by_code(made.gb_id.as_ref().unwrap()).await.unwrap(), Some(made.clone()));
        assert_eq!(b.store.gb_groups().await.unwrap(), [made]);
    }

    async fn platform_ids_are_free_ones(b) {
        let taken = GbId::platform(31_000_000, 2);
        let mut draft = group::Draft::new("g", InProtocol::Gb28181, "flv".parse().unwrap());
        draft.gb_id = Some(taken.clone());
        b.store.create_group(Scope::Operator, draft.clone()).await.unwrap();
        exists(b.store.create_group(Scope::Operator, draft).await, Noun::Group);
        let mut codes = HashSet::from([taken]);
        for _ in 0..5 {
            assert!(codes.insert(b.gb_group(Scope::Operator).await.gb_id.unwrap()));
        }
        assert_eq!(b.rtmp_group(Scope::Operator).await.gb_id, None);
    }

    async fn another_tenants_group_is_not_found(b) {
        let (a, other) = (b.tenant("a").await.scope(), b.tenant("b").await.scope());
        let group = b.gb_group(a).await;
        is_not_found(b.store.group(other, group.id).await, Noun::Group);
        is_not_found(b.store.update_group::<Error, _>(other, group.id, |_| Ok(())).await, Noun::Group);
        is_not_found(b.store.delete_group(other, group.id).await, Noun::Group);
        let draft = device::Draft::new(group.id, Kind::Ipc, code(1));
        is_not_found(b.store.create_device(other, draft).await, Noun::Group);
        is_not_found(b.store.directories(other, group.id).await, Noun::Group);
        let list = async |scope| b.store.groups(scope, Filter::default(), &Sort::default(), Page::default()).await.unwrap().total;
        assert_eq!((list(a).await, list(other).await, list(Scope::Operator).await), (1, 0, 1));
        assert_eq!(b.store.group(Scope::Operator, group.id).await.unwrap().owner, group.owner);
    }

    async fn a_change_is_all_or_nothing(b) {
        let group = b.gb_group(Scope::Operator).await;
        let changed = b.store.update_group::<Error, _>(Scope::Operator, group.id, |g| {
            g.name = "new".to_owned();
            g.enabled = false;
            g.callback = Some("http://b.test".to_owned());
            g.app = "not to be changed".to_owned();
            g.in_protocol = InProtocol::Rtmp;
            Ok(())
        });
        let changed = changed.await.unwrap();
        let want = Group { name: "new".to_owned(), enabled: false, callback: Some("http://b.test".to_owned()), ..group };
        assert_eq!(changed, want);
        let refused = b.store.update_group(Scope::Operator, want.id, |g| {
            g.name = "never".to_owned();
            Err(Error::status(Noun::Group, g.id, "no"))
        });
        is_status(refused.await, Noun::Group);
        assert_eq!(b.store.group(Scope::Operator, want.id).await.unwrap(), want);
        let twin = b.gb_group(Scope::Operator).await;
        let theirs = want.gb_id.clone();
        exists(b.store.update_group::<Error, _>(Scope::Operator, twin.id, move |g| { g.gb_id = theirs; Ok(()) }).await, Noun::Group);
    }

    async fn a_group_goes_with_everything_inside_once_it_is_halted(b) {
        let group = b.gb_group(Scope::Operator).await;
        let device = b.device(group.id, Kind::Ipc, 1).await;
        let other = b.gb_group(Scope::Operator).await;
        let stays = b.device(other.id, Kind::Ipc, 1).await;
        is_status(b.store.delete_group(Scope::Operator, group.id).await, Noun::Group);
        b.store.update_group::<Error, _>(Scope::Operator, group.id, |g| { g.enabled = false; Ok(()) }).await.unwrap();
        b.store.delete_group(Scope::Operator, group.id).await.unwrap();
        is_not_found(b.store.group(Scope::Operator, group.id).await, Noun::Group);
        is_not_found(b.store.device(Scope::Operator, device.id).await, Noun::Device);
        assert_eq!(b.streams(Scope::Operator, Default::default()).await.items.iter().map(|s| s.device).collect::<Vec<_>>(), [Some(stays.id)]);
        is_not_found(b.store.delete_group(Scope::Operator, group.id).await, Noun::Group);
    }

    async fn groups_are_filtered_sorted_and_paged(b) {
        let mut made = Vec::new();
        for n in 0..23 {
            let protocol = if n % 2 == 0 { InProtocol::Rtmp } else { InProtocol::Gb28181 };
            let mut draft = group::Draft::new(&format!("g{:02}", n * 7 % 23), protocol, "flv".parse().unwrap());
            draft.region = if n < 5 { "cn-a" } else { "cn-b" }.to_owned();
            made.push(b.store.create_group(Scope::Operator, draft).await.unwrap());
        }
        let list = async |filter: Filter, sort: Sort, page| b.store.groups(Scope::Operator, filter, &sort, page).await.unwrap();
        let total = async |filter| list(filter, Sort::default(), Page::default()).await.total;
        assert_eq!(total(Filter { region: Some("cn-a".to_owned()), ..Filter::default() }).await, 5);
        assert_eq!(total(Filter { in_protocol: Some(InProtocol::Rtmp), ..Filter::default() }).await, 12);
        assert_eq!(total(Filter { id: Some(made[3].id), enabled: Some(true), ..Filter::default() }).await, 1);
        assert_eq!(total(Filter { enabled: Some(false), ..Filter::default() }).await, 0);
        assert_eq!(total(Filter { name: Some("g07".to_owned()), ..Filter::default() }).await, 1);
        for (field, descending) in [("", false), ("ID", true), ("name", false), ("Name", true), ("GbId", false), ("gbid", true), ("createdTime", false)] {
            let mut want = made.clone();
            want.sort_by_key(|g| g.id);
            match field.to_ascii_lowercase().as_str() {
                "name" => want.sort_by_key(|g| g.name.clone()),
                "gbid" => want.sort_by_key(|g| g.gb_id.clone()),
                _ => {}
            }
            if descending {
                want.reverse();
            }
            let want: Vec<_> = want.iter().map(|g| g.id).collect();
            // Every page, those of the second half among them, which are read from the end.
            for size in [1, 4, 7, 23, 100] {
                let mut got = Vec::new();
                for num in 1..=(23_u32.div_ceil(size) + 1) {
                    let page = list(Filter::default(), by(field, descending), Page::new(num, size)).await;
                    assert_eq!(page.total, 23);
                    got.extend(page.items.into_iter().map(|g| g.id));
                }
                // Groups of one code (none) are in the order of their ids, also downwards.
                assert_eq!(got, want, "{field} {descending} {size}");
            }
        }
        invalid(b.store.groups(Scope::Operator, Filter::default(), &by("owner", false), Page::default()).await, "SortBy");
        let far = list(Filter::default(), Sort::default(), Page::new(u32::MAX, 100)).await;
        assert_eq!((far.items.len(), far.total), (0, 23));
    }

    async fn stats_count_devices_by_kind(b) {
        let (group, empty) = (b.gb_group(Scope::Operator).await, b.gb_group(Scope::Operator).await);
        for (n, kind) in [Kind::Ipc, Kind::Ipc, Kind::Platform, Kind::Ied].into_iter().enumerate() {
            b.device(group.id, kind, n as u64).await;
        }
        let stats = b.store.group_stats(&[group.id, empty.id]).await.unwrap();
        assert_eq!(stats[&group.id], Stats { devices: 4, ipcs: 2, ieds: 1, platforms: 1 });
        assert_eq!(stats[&empty.id], Stats::default());
        assert!(b.store.group_stats(&[]).await.unwrap().is_empty());
    }
}

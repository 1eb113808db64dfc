//! Quotas: what the store promises.

use super::*;
use crate::model::deposit::Draft as Deposit;
use crate::model::id::{StreamId, TenantId};
use crate::model::quota::{Exceeded, Quota, What};
use crate::model::record::{Draft, Format, Kind as RecordKind, Place};
use crate::store::Possessions;

fn full<T: std::fmt::Debug>(result: Result<T, Error>, what: What, limit: i64) {
    assert!(matches!(&result, Err(Error::Exceeded(e)) if *e == Exceeded { what, limit }), "{result:?}");
}

fn picture(owner: TenantId, n: i64, size: u64) -> Draft {
    Draft {
        stream: StreamId(n),
        group: GroupId(9),
        owner,
        template: None,
        recording: None,
        kind: RecordKind::Snapshot,
        format: Some(Format::Jpg),
        place: Place { endpoint: String::new(), bucket: String::new(), object: format!("{n}.jpg") },
        start: Time(n),
        end: Time(n),
        duration_ms: 0,
        width: 1,
        height: 1,
        size,
        expires: None,
    }
}

suite! {
    async fn a_quota_is_kept_with_its_tenant(b) {
        let every: Vec<_> = What::ALL.iter().zip(1..).map(|(what, n)| (*what, Some(n))).collect();
        let (tenant, key) = b.store.create_tenant_with(user("t"), every[..3].to_vec()).await.unwrap();
        assert_eq!(b.store.tenant(&user("t")).await.unwrap(), tenant);
        b.store.set_tenant_quota(user("t"), every[3..].to_vec()).await.unwrap();
        b.store.set_tenant_quota(user("t"), vec![(What::Viewers, None), (What::Devices, Some(0))]).await.unwrap();
        b.reopen().await;
        let want = every.iter().fold(Quota::default(), |quota, (what, limit)| quota.with(*what, *limit));
        let want = want.with(What::Viewers, None).with(What::Devices, Some(0));
        let tenant = b.store.tenant_by_id(key.tenant).await.unwrap();
        assert_eq!((tenant.quota, b.store.tenants().await.unwrap()[0].quota), (want, Quota::default()));
        // Whoever asks at the door gets it with the stream.
        let group = b.rtmp_group(key.scope()).await;
        let stream = b.store.create_streams(key.scope(), group.id, vec!["s".to_owned()]).await.unwrap().remove(0);
        let door = b.store.door(&stream.app, &stream.id.to_string()).await.unwrap().unwrap();
        assert_eq!(door.tenant.quota, want);
        is_not_found(b.store.set_tenant_quota(user("nobody"), Vec::new()).await, Noun::User);
    }

    async fn groups_and_devices_stop_at_the_quota(b) {
        let key = b.tenant("t").await;
        b.store.set_tenant_quota(user("t"), vec![(What::Groups, Some(2)), (What::Devices, Some(1))]).await.unwrap();
        let (one, two) = (b.gb_group(key.scope()).await, b.gb_group(key.scope()).await);
        let again = group::Draft::new("g", InProtocol::Rtmp, "rtmp".parse().unwrap());
        full(b.store.create_group(key.scope(), again.clone()).await, What::Groups, 2);
        b.device(one.id, Kind::Ipc, 1).await;
        // The operator makes it for the tenant; the other group does not help.
        full(b.store.create_device(Scope::Operator, device::Draft::new(two.id, Kind::Ipc, code(2))).await, What::Devices, 1);
        assert_eq!(b.store.possessions(key.tenant).await.unwrap(), Possessions { groups: 2, devices: 1, stored: 0 });
        b.store.update_group(key.scope(), one.id, |group| -> Result<(), Error> { group.enabled = false; Ok(()) }).await.unwrap();
        b.store.delete_group(key.scope(), one.id).await.unwrap();
        b.store.create_group(key.scope(), again).await.unwrap();
        b.device(two.id, Kind::Ipc, 3).await;
        is_not_found(b.store.possessions(TenantId(77)).await, Noun::User);
    }

    async fn no_more_are_made_than_there_may_be_however_many_come_at_once(b) {
        let key = b.tenant("t").await;
        b.store.set_tenant_quota(user("t"), vec![(What::Groups, Some(3))]).await.unwrap();
        let draft = || group::Draft::new("g", InProtocol::Rtmp, "rtmp".parse().unwrap());
        let mut made = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let (store, scope, draft) = (b.store.clone(), key.scope(), draft());
            made.spawn(async move { store.create_group(scope, draft).await.is_ok() });
        }
        assert_eq!(made.join_all().await.into_iter().filter(|made| *made).count(), 3);
    }

    async fn bytes_of_records_are_counted_and_given_back(b) {
        let (key, other) = (b.tenant("t").await, b.tenant("u").await);
        b.store.set_tenant_quota(user("t"), vec![(What::Storage, Some(1000))]).await.unwrap();
        let stored = async |owner| b.store.possessions(owner).await.unwrap().stored;
        let made = b.store.add_records(vec![picture(key.tenant, 1, 400), picture(key.tenant, 2, 599), picture(other.tenant, 3, 7)]).await.unwrap();
        assert_eq!((stored(key.tenant).await, stored(other.tenant).await), (999, 7));
        b.store.may_store(key.tenant).await.unwrap();
        // The last file may be larger than what is left; then it is full.
        let more = b.store.add_records(vec![picture(key.tenant, 4, 500)]).await.unwrap();
        full(b.store.may_store(key.tenant).await, What::Storage, 1000);
        b.store.may_store(other.tenant).await.unwrap();
        b.store.delete_records(&[more[0].id, made[2].id, more[0].id]).await.unwrap();
        assert_eq!((stored(key.tenant).await, stored(other.tenant).await), (999, 0));
        b.store.may_store(key.tenant).await.unwrap();
        // A picture that takes another's place gives its bytes back.
        let place = made[0].place.clone();
        let draft = picture(key.tenant, 1, 100);
        let deposit = Deposit {
            owner: key.tenant,
            file: "f".to_owned(),
            region: String::new(),
            place,
            content_type: "image/jpeg".to_owned(),
            size: 100,
            replaces: true,
            key: None,
            record: Some(draft),
            callback: None,
        };
        let waiting = b.store.put_deposit(deposit, Time(0)).await.unwrap();
        assert!(b.store.finish_deposit(waiting, 10).await.unwrap().is_some());
        assert_eq!(stored(key.tenant).await, 699);
        b.reopen().await;
        assert_eq!(b.store.possessions(key.tenant).await.unwrap().stored, 699);
    }
}

//! Tenants and what they may see: what the store promises.

use super::*;
use crate::model::domain::Purpose;
use crate::model::tenant::{BucketKey, OPERATOR, Status};
use crate::store::{Change, Seen};
use std::time::Duration;

suite! {
    async fn the_root_key_is_made_once(b) {
        let (key, made) = b.store.root_key(None).await.unwrap();
        assert!(made && key.root && key.secret.0.len() >= 32);
        assert_eq!((key.tenant, key.status, key.scope()), (OPERATOR, Status::Active, Scope::Operator));
        b.reopen().await;
        assert_eq!(b.store.root_key(None).await.unwrap(), (key.clone(), false));
        assert_eq!(*b.store.access_key(&key.id).await.unwrap().unwrap(), key);
    }

    async fn a_given_root_key_takes_the_place_of_another(b) {
        let (old, _) = b.store.root_key(None).await.unwrap();
        let given = Some(("mine".to_owned(), Secret("s".to_owned())));
        let (new, made) = b.store.root_key(given.clone()).await.unwrap();
        assert!(!made && new.root && new.id == "mine" && new.secret.0 == "s");
        assert_eq!(b.store.access_key(&old.id).await.unwrap(), None);
        assert_eq!(b.store.root_key(given).await.unwrap().0.id, "mine");
        assert_eq!(b.store.root_key(None).await.unwrap().0.id, "mine");
        let tenant = b.tenant("t").await;
        exists(b.store.root_key(Some((tenant.id, Secret("s".to_owned())))).await, Noun::AccessKey);
    }

    async fn a_tenant_is_opened_suspended_renewed_deleted_and_opened_again(b) {
        let (tenant, key) = b.store.create_tenant(user("12345678901234567890123456789012")).await.unwrap();
        assert_eq!((key.tenant, key.root, key.scope()), (tenant.id, false, Scope::Tenant(tenant.id)));
        exists(b.store.create_tenant(tenant.user.clone()).await, Noun::User);
        let status = async |status| b.store.set_tenant_status(tenant.user.clone(), status).await.map(|t| t.status);
        for next in [Status::Suspended, Status::Suspended, Status::Active, Status::Suspended, Status::Deleted, Status::Deleted] {
            assert_eq!(status(next).await, Ok(next));
            // The cached key sees it at once.
            assert_eq!(b.store.access_key(&key.id).await.unwrap().unwrap().status, next);
            assert_eq!(b.store.tenant(&tenant.user).await.unwrap().status, next);
        }
        is_status(status(Status::Active).await, Noun::User);
        let (again, new) = b.store.create_tenant(tenant.user.clone()).await.unwrap();
        assert_eq!((again.id, again.status), (tenant.id, Status::Active));
        assert_eq!(b.store.access_key(&key.id).await.unwrap(), None);
        assert_eq!(b.store.access_keys(tenant.id).await.unwrap(), [new]);
        is_not_found(b.store.set_tenant_status(user("nobody"), Status::Active).await, Noun::User);
        is_status(b.store.set_tenant_status(user("operator"), Status::Suspended).await, Noun::User);
    }

    async fn watchers_hear_of_tenants_after_the_fact(b) {
        let mut changes = b.store.watch();
        let key = b.tenant("t").await;
        assert_eq!(changes.next().await, Some(Seen::Change(Change::Tenant(key.tenant))));
        assert!(b.store.create_tenant(user("t")).await.is_err());
        b.rtmp_group(key.scope()).await;
        assert!(matches!(changes.next().await, Some(Seen::Change(Change::Group(_)))), "what failed is not told");
    }

    async fn a_bucket_has_its_own_key_or_the_tenants(b) {
        let (a, other) = (b.tenant("a").await.tenant, b.tenant("b").await.tenant);
        let key = |id: &str| BucketKey { id: id.to_owned(), secret: Secret(format!("secret of {id}")) };
        assert_eq!(b.store.bucket_key(a, "s3.test", "x").await.unwrap(), None);
        b.store.put_bucket_key(a, "", "", &key("all")).await.unwrap();
        b.store.put_bucket_key(a, "s3.test", "x", &key("x")).await.unwrap();
        assert_eq!(b.store.bucket_key(a, "s3.test", "x").await.unwrap(), Some(key("x")));
        assert_eq!(b.store.bucket_key(a, "s3.test", "y").await.unwrap(), Some(key("all")));
        assert_eq!(b.store.bucket_key(a, "other.test", "x").await.unwrap(), Some(key("all")));
        b.store.put_bucket_key(a, "s3.test", "x", &key("new")).await.unwrap();
        assert_eq!(b.store.bucket_key(a, "s3.test", "x").await.unwrap(), Some(key("new")));
        assert_eq!(b.store.bucket_key(other, "s3.test", "x").await.unwrap(), None);
    }

    async fn domain_keys_are_made_once_and_can_be_set(b) {
        let play = b.store.domain_keys(Purpose::Play).await.unwrap();
        let push = b.store.domain_keys(Purpose::Push).await.unwrap();
        assert_ne!(play, push);
        assert_ne!(play.main, play.backup);
        b.reopen().await;
        assert_eq!(b.store.domain_keys(Purpose::Play).await.unwrap(), play);
        let given = crate::model::domain::Keys { main: Secret("aliyunliveexp1234".to_owned()), backup: Secret::default() };
        b.store.set_domain_keys(Purpose::Play, &given).await.unwrap();
        assert_eq!(b.store.domain_keys(Purpose::Play).await.unwrap(), given);
        assert_eq!(given.iter().collect::<Vec<_>>(), ["aliyunliveexp1234"]);
    }
}

#[tokio::test]
async fn another_servers_change_to_a_key_is_seen_soon() {
    let Some(b) = Bench::postgres().await else { return };
    let key = b.tenant("t").await;
    let other = Store::open(&Settings { node: 1, ..b.settings.clone() }, b.dir.path(), b.clock.clone()).await.unwrap();
    assert_eq!(b.store.access_key(&key.id).await.unwrap().unwrap().status, Status::Active);
    other.set_tenant_status(user("t"), Status::Suspended).await.unwrap();
    b.clock.advance(Duration::from_secs(6));
    assert_eq!(b.store.access_key(&key.id).await.unwrap().unwrap().status, Status::Suspended);
}

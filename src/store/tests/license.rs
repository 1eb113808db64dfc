//! Licenses: what the store promises, above all under concurrency.

use super::*;
use crate::model::license::Sku;
use crate::store::ProductDraft;
use std::collections::HashSet;

const DAY: i64 = 86_400;

fn draft(owner: crate::model::id::TenantId, quantity: i64) -> ProductDraft {
    let sku = Sku { product: 1, name: "RTC 演示".into(), media_type: 3, minutes: 100, period: "00:00~23:59".into() };
    ProductDraft { owner, sku, kind: 1, validity: 365 * DAY, quantity }
}

suite! {
    async fn no_more_is_activated_than_was_allocated(b) {
        let owner = b.tenant("t").await.tenant;
        let scope = Scope::Tenant(owner);
        let app = b.gb_group(scope).await.id;
        let product = b.store.create_license_product(draft(owner, 600)).await.unwrap();
        b.store.allocate_licenses(scope, app, &product.pid, 500, "root").await.unwrap();
        // A thousand at once, of which each key comes twice: the same license for the same key.
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..2000 {
            let (store, pid) = (b.store.clone(), product.pid.clone());
            tasks.spawn(async move { (n % 1000, store.activate_license(scope, app, &pid, &format!("key-{}", n % 1000)).await) });
        }
        let mut given = std::collections::HashMap::<i32, HashSet<String>>::new();
        let mut refused = HashSet::new();
        while let Some(done) = tasks.join_next().await {
            match done.unwrap() {
                (n, Ok(license)) => drop(given.entry(n).or_default().insert(license.license)),
                (n, Err(Error::Quota { limit, .. })) => {
                    assert_eq!(limit, 500);
                    refused.insert(n);
                }
                (_, Err(error)) => panic!("{error}"),
            }
        }
        assert_eq!(given.len(), 500);
        assert!(given.values().all(|licenses| licenses.len() == 1), "the same call gives the same license");
        assert_eq!(given.values().flatten().collect::<HashSet<_>>().len(), 500, "no license is given twice");
        assert!(given.values().flatten().all(|l| l.len() == 32 && l.bytes().all(|b| b.is_ascii_hexdigit())));
        assert_eq!(refused.len(), 500);
        assert_eq!(b.store.licenses(scope, Some(&product.pid), Page::new(1, 1)).await.unwrap().total, 500);

        // More are allocated at once than were sold: exactly those that there are.
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (store, pid) = (b.store.clone(), product.pid.clone());
            tasks.spawn(async move { store.allocate_licenses(scope, app, &pid, 3, "x").await.is_ok() });
        }
        let done = tasks.join_all().await;
        assert_eq!(done.iter().filter(|ok| **ok).count(), 33);
        assert_eq!(b.store.license_product(scope, &product.pid).await.unwrap().allocated, 599);
        invalid(b.store.resize_license_product(&product.pid, 598).await, "Quantity");
        assert_eq!(b.store.resize_license_product(&product.pid, 700).await.unwrap().quantity, 700);
        let page = b.store.license_allocations(scope, app, &product.pid, Page::new(1, 2)).await.unwrap();
        assert_eq!((page.total, page.items.len(), page.items[0].quantity), (34, 2, 3));
        assert_eq!(b.store.license_allocations(scope, app, &product.pid, Page::new(17, 2)).await.unwrap().items[1].creator, "root");
    }

    async fn a_license_is_found_renewed_and_its_own_tenants(b) {
        let owner = b.tenant("t").await.tenant;
        let other = b.tenant("u").await.tenant;
        let scope = Scope::Tenant(owner);
        let app = b.gb_group(scope).await.id;
        let product = b.store.create_license_product(draft(owner, 5)).await.unwrap();
        let second = b.store.create_license_product(draft(owner, 5)).await.unwrap();
        for pid in [&product.pid, &second.pid] {
            b.store.allocate_licenses(scope, app, pid, 2, "root").await.unwrap();
        }
        let license = b.store.activate_license(scope, app, &product.pid, "111").await.unwrap();
        assert_eq!(license.expires.0 - license.activated.0, 365 * DAY * 1000);
        for key in ["111", license.license.as_str()] {
            let (found, of) = b.store.find_license(scope, app, key).await.unwrap();
            assert_eq!((found, of.sku), (license.clone(), product.sku.clone()));
        }
        // The license of another tenant is not found, nor its product.
        is_not_found(b.store.find_license(Scope::Tenant(other), app, "111").await, Noun::License);
        is_not_found(b.store.activate_license(Scope::Tenant(other), app, &product.pid, "1").await, Noun::Product);
        is_not_found(b.store.allocate_licenses(Scope::Tenant(other), app, &product.pid, 1, "x").await, Noun::Product);

        let renewal = b.store.create_license_renewal(&product.pid, 30 * DAY, 1).await.unwrap();
        let renewed = b.store.renew_license(scope, app, &renewal.renew_id, &license.license).await.unwrap();
        assert_eq!(renewed.expires.0, license.expires.0 + 30 * DAY * 1000);
        is_status(b.store.renew_license(scope, app, &renewal.renew_id, &license.license).await, Noun::License);
        let more = b.store.activate_license(scope, app, &product.pid, "222").await.unwrap();
        let full = b.store.renew_license(scope, app, &renewal.renew_id, &more.license).await;
        assert!(matches!(full, Err(Error::Quota { limit: 1, .. })), "{full:?}");
        let foreign = b.store.activate_license(scope, app, &second.pid, "111").await.unwrap();
        invalid(b.store.renew_license(scope, app, &renewal.renew_id, &foreign.license).await, "renewId");
        invalid(b.store.renew_license(scope, app, "0", &license.license).await, "renewId");
        is_not_found(b.store.renew_license(scope, app, &renewal.renew_id, "0").await, Noun::License);
        assert_eq!(b.store.license_renewals(scope, &product.pid).await.unwrap()[0].used, 1);
        // Of several licenses of one device the one that is good the longest counts.
        assert_eq!(b.store.find_license(scope, app, "111").await.unwrap().0, renewed);
        let mut licensed = b.store.licensed(app).await.unwrap();
        licensed.sort();
        assert_eq!(licensed, [("111".to_owned(), renewed.expires), ("222".to_owned(), more.expires)]);
        // One that was over for long is good again from now on.
        let renewal = b.store.create_license_renewal(&product.pid, 30 * DAY, 5).await.unwrap();
        b.clock.advance(std::time::Duration::from_secs(1000 * DAY as u64));
        let again = b.store.renew_license(scope, app, &renewal.renew_id, &more.license).await.unwrap();
        assert_eq!(again.expires.0, b.now().0 + 30 * DAY * 1000);
        assert_eq!(b.store.license_products(scope, Page::new(1, 10)).await.unwrap().total, 2);
        assert_eq!(b.store.license_products(Scope::Tenant(other), Page::new(1, 10)).await.unwrap().total, 0);
    }
}

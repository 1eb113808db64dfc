//! Upper platforms: what the store promises.

use super::*;
use crate::model::channel::{Catalog, Item};
use crate::model::upper::{Setup, Shown, Upper};
use crate::store::{Change, Seen};

fn setup(serial: u64) -> Setup {
    let local = GbId::platform(34_010_000, serial);
    Setup { password: Some(Secret("up".into())), ..Setup::new("up", "192.0.2.1", 5060, GbId::platform(34_000_000, 1), local) }
}

async fn make(b: &Bench, scope: Scope, serial: u64) -> Upper {
    b.store.create_upper(scope, setup(serial)).await.unwrap()
}

async fn shown(b: &Bench, upper: &Upper) -> Vec<Shown> {
    b.store.shown_streams(upper).await.unwrap()
}

fn codes(shown: &[Shown]) -> Vec<&str> {
    shown.iter().map(|shown| shown.code.as_str()).collect()
}

suite! {
    async fn an_upper_platform_comes_back_as_it_was_made(b) {
        let (tenant, other) = (b.tenant("t").await.scope(), b.tenant("u").await.scope());
        let made = make(&b, tenant, 1).await;
        b.reopen().await;
        assert_eq!(b.store.upper(tenant, made.id).await.unwrap(), made);
        assert_eq!(b.store.all_uppers().await.unwrap(), std::slice::from_ref(&made));
        exists(b.store.create_upper(other, setup(1)).await, Noun::UpperPlatform);
        is_not_found(b.store.upper(other, made.id).await, Noun::UpperPlatform);
        is_not_found(b.store.delete_upper(other, made.id).await, Noun::UpperPlatform);
        assert_eq!(b.store.uppers(other, Page::default()).await.unwrap().total, 0);
        let mut changes = b.store.watch();
        let change = |setup: &mut Setup| { (setup.enabled, setup.password) = (false, None); Ok::<_, Error>(()) };
        let changed = b.store.update_upper(tenant, made.id, change).await.unwrap();
        assert_eq!(changes.next().await, Some(Seen::Change(Change::Upper(made.id))));
        assert_eq!(changed.setup, Setup { enabled: false, password: None, ..made.setup.clone() });
        assert_eq!(b.store.upper(tenant, made.id).await.unwrap(), changed);
        b.store.delete_upper(tenant, made.id).await.unwrap();
        assert_eq!(b.store.all_uppers().await.unwrap(), []);
    }

    async fn what_is_shown_has_ids_that_stay(b) {
        let upper = make(&b, Scope::Operator, 1).await;
        let (gb, rtmp) = (b.gb_group(Scope::Operator).await, b.rtmp_group(Scope::Operator).await);
        // Two recorders whose channels have the same factory id.
        for serial in [1, 2] {
            let device = b.device(gb.id, Kind::Platform, 100 + serial).await;
            let (directory, parent_code, info) = (String::new(), String::new(), Default::default());
            let item = Item { gb_id: code(7), name: format!("door {serial}"), directory, parent_code, online: serial == 1, info };
            b.store.sync_catalog(device.id, Catalog { items: vec![item], complete: true, ..Catalog::default() }).await.unwrap();
        }
        let pushed = b.store.create_streams(Scope::Operator, rtmp.id, vec!["gate".into(), "yard".into()]).await.unwrap();
        b.store.show_group(Scope::Operator, upper.id, gb.id, true).await.unwrap();
        assert_eq!(b.store.shown_groups(upper.id).await.unwrap(), [gb.id]);
        let made = b.store.show_stream(Scope::Operator, upper.id, pushed[0].id, None).await.unwrap();
        assert_eq!(made.as_str(), "34010000001317000003");
        let all = shown(&b, &upper).await;
        assert_eq!(codes(&all), [code(7).as_str(), "34010000001317000005", "34010000001317000003"], "the second of the same id gets another");
        let seen: Vec<_> = all.iter().map(|s| (s.name.as_str(), s.online, s.channel.is_some())).collect();
        assert_eq!(seen, [("door 1", true, true), ("door 2", false, true), ("gate", true, false)]);
        b.reopen().await;
        assert_eq!(shown(&b, &upper).await, all);

        // An id of one's own choice, which nobody else may have.
        let chosen = code(99);
        assert_eq!(b.store.show_stream(Scope::Operator, upper.id, pushed[0].id, Some(chosen.clone())).await, Ok(chosen.clone()));
        exists(b.store.show_stream(Scope::Operator, upper.id, pushed[1].id, Some(chosen.clone())).await, Noun::Stream);
        exists(b.store.show_stream(Scope::Operator, upper.id, pushed[1].id, Some(upper.setup.local.clone())).await, Noun::Stream);
        // Hidden and shown again it has the same.
        b.store.hide_stream(Scope::Operator, upper.id, pushed[0].id).await.unwrap();
        is_not_found(b.store.hide_stream(Scope::Operator, upper.id, pushed[0].id).await, Noun::Binding);
        assert_eq!(shown(&b, &upper).await.len(), 2);
        assert_eq!(b.store.show_stream(Scope::Operator, upper.id, pushed[0].id, None).await, Ok(chosen));
        // What is deleted is shown no longer; a group takes its streams along.
        b.store.delete_stream(Scope::Operator, pushed[0].id).await.unwrap();
        b.store.show_group(Scope::Operator, upper.id, gb.id, false).await.unwrap();
        is_not_found(b.store.show_group(Scope::Operator, upper.id, gb.id, false).await, Noun::Binding);
        assert_eq!(shown(&b, &upper).await, []);
        b.store.show_group(Scope::Operator, upper.id, rtmp.id, true).await.unwrap();
        assert_eq!(shown(&b, &upper).await.len(), 1);
    }

    async fn only_what_is_ones_own_can_be_shown(b) {
        let (tenant, other) = (b.tenant("t").await.scope(), b.tenant("u").await.scope());
        let (upper, group) = (make(&b, tenant, 1).await, b.rtmp_group(other).await);
        let stream = b.store.create_streams(other, group.id, vec!["gate".into()]).await.unwrap().remove(0);
        is_not_found(b.store.show_group(tenant, upper.id, group.id, true).await, Noun::Group);
        is_not_found(b.store.show_stream(tenant, upper.id, stream.id, None).await, Noun::Stream);
        is_not_found(b.store.show_stream(other, upper.id, stream.id, None).await, Noun::UpperPlatform);
        is_not_found(b.store.hide_stream(other, upper.id, stream.id).await, Noun::UpperPlatform);
    }
}

//! The store's own checks: what does not fit the common suite of `tests/server/store.rs`.

use super::*;
use crate::model::device::{self, Kind};
use crate::model::group::{self, InProtocol};
use crate::model::id::*;
use crate::model::page::{Page, Sort};
use crate::model::tenant::Scope;

async fn fresh() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::default(), dir.path(), Clock::real()).await.unwrap();
    (dir, store)
}

#[tokio::test]
async fn smoke() {
    let (_dir, store) = fresh().await;
    let (key, made) = store.root_key(None).await.unwrap();
    assert!(made && key.root);
    assert_eq!(store.root_key(None).await.unwrap(), (key, false));
    let scope = Scope::Operator;
    let draft = group::Draft::new("a", InProtocol::Gb28181, "flv,hls".parse().unwrap());
    let group = store.create_group(scope, draft).await.unwrap();
    assert_eq!(store.group(scope, group.id).await.unwrap(), group);
    let code: GbId = "34020000001320000006".parse().unwrap();
    let device = store.create_device(scope, device::Draft::new(group.id, Kind::Ipc, code)).await.unwrap();
    assert_eq!(store.device(scope, device.id).await.unwrap(), device);
    let page = store.streams(scope, Default::default(), &Sort::default(), Page::default()).await.unwrap();
    assert_eq!((page.total, page.items[0].stream.device), (1, Some(device.id)));
    let page = store.channels(scope, device.id, Default::default(), Page::default()).await.unwrap();
    assert_eq!((page.total, page.items[0].channel.device), (1, device.id));
    store.close().await;
}

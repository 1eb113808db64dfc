//! One suite for both databases, and what only one of them can get wrong.

use super::{Error, Noun, Settings, Store};
use crate::base::pii::Secret;
use crate::model::device::{self, Device, Kind};
use crate::model::group::{self, Group, InProtocol};
use crate::model::id::{GbId, GroupId, UserId};
use crate::model::page::{Page, Paged, Sort};
use crate::model::stream::{self, Stream};
use crate::model::tenant::{AccessKey, Scope};
use crate::model::time::Time;
use crate::runtime::clock::Clock;
use sqlx::{AssertSqlSafe, Connection};
use std::sync::atomic::{AtomicU32, Ordering};

#[path = "../../../tests/support/postgres.rs"]
mod postgres;

mod backup;
mod binding;
mod callback;
mod channel;
mod cloud;
mod device_;
mod group_;
mod kill;
mod license;
mod list_;
mod nonce;
mod open;
mod position;
mod quota;
mod record;
mod recording;
mod stream_;
mod tenant;
mod upper;
mod usage;
mod writer;

/// A store in a folder of its own, and a database of its own.
struct Bench {
    store: Store,
    settings: Settings,
    clock: Clock,
    dir: tempfile::TempDir,
}

impl Bench {
    async fn sqlite() -> Bench {
        Bench::open(Settings::default()).await
    }

    async fn postgres() -> Option<Bench> {
        let url = postgres_database().await?;
        Some(Bench::open(Settings { url: Secret(url), connections: 4, ..Settings::default() }).await)
    }

    async fn open(settings: Settings) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(crate::media::time::Timestamp(1_760_000_000_000_000_000));
        let store = Store::open(&settings, dir.path(), clock.clone()).await.unwrap();
        Bench { store, settings, clock, dir }
    }

    /// What a restart does.
    async fn reopen(&mut self) {
        self.store.close().await;
        // The lock goes with the last handle.
        let old = std::mem::replace(&mut self.store, closed().await);
        drop(old);
        self.store = Store::open(&self.settings, self.dir.path(), self.clock.clone()).await.unwrap();
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.clock.unix().0)
    }

    async fn tenant(&self, name: &str) -> AccessKey {
        self.store.create_tenant(user(name)).await.unwrap().1
    }

    async fn gb_group(&self, scope: Scope) -> Group {
        let draft = group::Draft::new("监控", InProtocol::Gb28181, "flv,hls".parse().unwrap());
        self.store.create_group(scope, draft).await.unwrap()
    }

    async fn rtmp_group(&self, scope: Scope) -> Group {
        self.store.create_group(scope, group::Draft::new("push", InProtocol::Rtmp, "rtmp".parse().unwrap())).await.unwrap()
    }

    async fn device(&self, group: GroupId, kind: Kind, serial: u64) -> Device {
        self.store.create_device(Scope::Operator, device::Draft::new(group, kind, code(serial))).await.unwrap()
    }

    async fn streams(&self, scope: Scope, filter: stream::Filter) -> Paged<Stream> {
        let page = self.store.streams(scope, filter, &Sort::default(), Page::new(1, 100)).await.unwrap();
        page.map(|view| view.stream)
    }
}

/// A store that is good for nothing, to stand where another was.
async fn closed() -> Store {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&Settings::default(), dir.path(), Clock::real()).await.unwrap();
    store.close().await;
    store
}

/// The URL of an empty database.
async fn postgres_database() -> Option<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let url = postgres::url()?;
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut conn = sqlx::postgres::PgConnection::connect(url).await.unwrap();
    let create = format!("CREATE DATABASE {name} TEMPLATE template0");
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let (server, _) = url.rsplit_once('/').unwrap();
    Some(format!("{server}/{name}"))
}

fn user(name: &str) -> UserId {
    name.parse().unwrap()
}

/// The code of a camera.
fn code(serial: u64) -> GbId {
    format!("3402000000132{serial:07}").parse().unwrap()
}

fn by(field: &str, descending: bool) -> Sort {
    Sort { by: Some(field.to_owned()), descending }
}

#[track_caller]
fn is_not_found<T: std::fmt::Debug>(result: Result<T, Error>, noun: Noun) {
    assert!(matches!(&result, Err(Error::NotFound { noun: n, .. }) if *n == noun), "{result:?}");
}

#[track_caller]
fn exists<T: std::fmt::Debug>(result: Result<T, Error>, noun: Noun) {
    assert!(matches!(&result, Err(Error::Exists { noun: n, .. }) if *n == noun), "{result:?}");
}

#[track_caller]
fn is_status<T: std::fmt::Debug>(result: Result<T, Error>, noun: Noun) {
    assert!(matches!(&result, Err(Error::Status { noun: n, .. }) if *n == noun), "{result:?}");
}

#[track_caller]
fn invalid<T: std::fmt::Debug>(result: Result<T, Error>, parameter: &str) {
    assert!(matches!(&result, Err(Error::Invalid { parameter: p, .. }) if *p == parameter), "{result:?}");
}

/// Each function is two tests: on SQLite and on PostgreSQL.
macro_rules! suite {
    ($(async fn $name:ident($bench:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[allow(unused_mut)]
            async fn run(mut $bench: $crate::store::tests::Bench) $body

            #[tokio::test]
            async fn sqlite() {
                run($crate::store::tests::Bench::sqlite().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(bench) = $crate::store::tests::Bench::postgres().await {
                    run(bench).await;
                }
            }
        }
    )*};
}
pub(super) use suite;

//! Opening and migrating a store: what the store promises.

use super::*;
use crate::model::domain::Purpose;
use crate::model::tenant::{BucketKey, OPERATOR};
use crate::store::sql::sql;

async fn refusal(b: &Bench) -> String {
    match Store::open(&b.settings, b.dir.path(), b.clock.clone()).await {
        Err(Error::Unusable(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

async fn alter(b: &Bench, text: &'static str) {
    b.store.write(move |tx| Box::pin(async move { tx.execute(sql(text)).await.map(drop) })).await.unwrap();
}

async fn shut(b: &mut Bench) {
    b.store.close().await;
    b.store = closed().await;
}

suite! {
    async fn a_schema_that_is_not_ours_is_refused(b) {
        alter(&b, "INSERT INTO migrations (version, name, checksum, applied) VALUES (1000, 'future', 'x', 0)").await;
        shut(&mut b).await;
        let why = refusal(&b).await;
        assert!(why.contains("a newer version wrote it"), "{why}");
    }

    async fn a_step_that_was_changed_is_noticed(b) {
        alter(&b, "UPDATE migrations SET checksum = 'other' WHERE version = 1").await;
        shut(&mut b).await;
        let why = refusal(&b).await;
        assert!(why.contains("step 1"), "{why}");
    }

    async fn a_missing_or_wrong_key_is_told(b) {
        let (key, _) = b.store.root_key(None).await.unwrap();
        shut(&mut b).await;
        let file = b.dir.path().join("secret.key");
        let right = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        let why = refusal(&b).await;
        assert!(why.contains("secret.key") && why.contains("not found"), "{why}");
        assert!(!file.exists(), "no new key is made for old secrets");
        std::fs::write(&file, "00".repeat(32)).unwrap();
        let why = refusal(&b).await;
        assert!(why.contains("another key"), "{why}");
        std::fs::write(&file, right).unwrap();
        b.reopen().await;
        assert_eq!(b.store.root_key(None).await.unwrap().0, key);
    }

    async fn secrets_do_not_stand_in_the_database(b) {
        let secret = "HIDDEN-in-the-store-42";
        let hidden = || Secret(secret.to_owned());
        b.store.root_key(Some(("root".to_owned(), hidden()))).await.unwrap();
        let mut draft = group::Draft::new("g", InProtocol::Gb28181, "flv".parse().unwrap());
        draft.gb_password = Some(hidden());
        let group = b.store.create_group(Scope::Operator, draft).await.unwrap();
        let draft = device::Draft { password: Some(hidden()), ..device::Draft::new(group.id, Kind::Ipc, code(1)) };
        let device = b.store.create_device(Scope::Operator, draft).await.unwrap();
        b.store.put_bucket_key(OPERATOR, "e", "b", &BucketKey { id: "k".to_owned(), secret: hidden() }).await.unwrap();
        let platform = |serial| GbId::platform(34_000_000, serial);
        let setup = crate::model::upper::Setup::new("up", "192.0.2.1", 5060, platform(1), platform(2));
        let setup = crate::model::upper::Setup { password: Some(hidden()), ..setup };
        let upper = b.store.create_upper(Scope::Operator, setup).await.unwrap();
        assert!(!format!("{upper:?}").contains(secret));
        let keys = crate::model::domain::Keys { main: hidden(), backup: hidden() };
        b.store.set_domain_keys(Purpose::Push, &keys).await.unwrap();
        let mut rows = Vec::new();
        crate::store::dump::write(&mut b.store.reader().await.unwrap(), &mut rows).await.unwrap();
        let text = String::from_utf8(rows).unwrap();
        assert!(text.contains(code(1).as_str()) && text.contains("v1:"));
        assert!(!text.contains(secret));
        for entry in std::fs::read_dir(b.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", path.display());
        }
        assert_eq!(b.store.device(Scope::Operator, device.id).await.unwrap().password, Some(hidden()));
        assert!(!format!("{:?}", b.store.device(Scope::Operator, device.id).await.unwrap()).contains(secret));
    }

    async fn ids_go_on_after_a_restart_even_when_the_clock_went_back(b) {
        let first = b.rtmp_group(Scope::Operator).await.id;
        shut(&mut b).await;
        b.clock = Clock::manual(crate::media::time::Timestamp(1_000_000_000));
        b.store = Store::open(&b.settings, b.dir.path(), b.clock.clone()).await.unwrap();
        assert!(b.rtmp_group(Scope::Operator).await.id > first);
    }

    async fn a_tool_looks_in_beside_the_server(b) {
        let (key, _) = b.store.root_key(None).await.unwrap();
        let tool = Store::attach(&b.settings, b.dir.path(), b.clock.clone()).await.unwrap();
        assert_eq!(tool.root_key(None).await.unwrap(), (key, false));
        b.rtmp_group(Scope::Operator).await;
        tool.close().await;
    }

    async fn a_closed_store_says_so(b) {
        b.store.close().await;
        let group = b.store.create_group(Scope::Operator, group::Draft::new("g", InProtocol::Rtmp, "flv".parse().unwrap())).await;
        assert!(matches!(group, Err(Error::Unavailable(_))), "{group:?}");
        assert!(matches!(b.store.group(Scope::Operator, GroupId(1)).await, Err(Error::Unavailable(_))));
    }
}

#[tokio::test]
async fn one_server_owns_a_directory() {
    let b = Bench::sqlite().await;
    let why = refusal(&b).await;
    assert!(why.contains("another server"), "{why}");
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_plainly() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |settings: Settings, path: &std::path::Path| match Store::open(&settings, path, Clock::real()).await {
        Err(Error::Unusable(why)) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opened"),
    };
    let sqlite = Settings::default();
    std::fs::write(dir.path().join("file"), "x").unwrap();
    assert!(open(sqlite.clone(), &dir.path().join("file")).await.contains("file"));
    std::fs::write(dir.path().join("weir.db"), "this is not a database, it is a text that is long enough to be one".repeat(40)).unwrap();
    assert!(open(sqlite.clone(), dir.path()).await.contains("weir.db"));
    assert!(matches!(Store::attach(&sqlite, &dir.path().join("nothing"), Clock::real()).await, Err(Error::Unusable(_))));
    let url =
        |text: &str| Settings { url: Secret(text.to_owned()), patience: crate::base::units::Span::millis(300), ..Settings::default() };
    let why = open(url("mysql://u:topsecret@h/d"), dir.path()).await;
    assert!(why.contains("store.url") && !why.contains("topsecret"), "{why}");
    let why = open(url("postgres://u:topsecret@127.0.0.1:1/d"), dir.path()).await;
    assert!(why.contains("store.url") && !why.contains("topsecret"), "{why}");
}

/// The tables of a dump are all the tables that there are.
#[tokio::test]
async fn a_dump_knows_every_table() {
    let b = Bench::sqlite().await;
    let query =
        sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'migrations' ORDER BY name");
    let rows = b.store.reader().await.unwrap().all(query).await.unwrap();
    let names: Vec<String> = rows.iter().map(|row| row.get("name").unwrap()).collect();
    let mut known = [crate::store::dump::TABLES, crate::store::dump::PASSING].concat();
    known.sort_unstable();
    assert_eq!(names, known);
}

//! Backup and restore: what the store promises.

use super::*;
use crate::model::directory;
use crate::model::tenant::OPERATOR;

/// Something of everything that refers to something else.
async fn fill(b: &Bench) -> Vec<u8> {
    b.store.root_key(Some(("root".to_owned(), Secret("s".to_owned())))).await.unwrap();
    let tenant = b.tenant("t").await.scope();
    let group = b.gb_group(tenant).await;
    let draft = directory::Draft { group: group.id, parent: None, name: "夹\n\"x\"".to_owned(), description: String::new() };
    let folder = b.store.create_directory(tenant, draft).await.unwrap();
    let camera = b.device(group.id, Kind::Ipc, 1).await;
    // The parent is younger than its child: the rows refer forward.
    let platform = b.device(group.id, Kind::Platform, 2).await;
    let (parent, directory) = (platform.id, folder.id);
    let update = b.store.update_device::<Error, _>(tenant, camera.id, move |d| {
        (d.parent, d.directory, d.password) = (Some(parent), Some(directory), Some(Secret("p".to_owned())));
        Ok(())
    });
    update.await.unwrap();
    let items = (0..4100).map(|n| crate::model::channel::Item {
        gb_id: code(100 + n),
        name: n.to_string(),
        directory: String::new(),
        parent_code: String::new(),
        online: true,
        info: Default::default(),
    });
    let catalog = crate::model::channel::Catalog { items: items.collect(), ..Default::default() };
    b.store.sync_catalog(platform.id, catalog).await.unwrap();
    rows(b).await
}

async fn rows(b: &Bench) -> Vec<u8> {
    let mut rows = Vec::new();
    crate::store::dump::write(&mut b.store.reader().await.unwrap(), &mut rows).await.unwrap();
    let mut lines: Vec<&[u8]> = rows.split(|c| *c == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

async fn restored(settings: Settings, file: &std::path::Path) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    Store::restore(&settings, dir.path(), file, false).await.unwrap();
    let clock = Clock::real();
    let store = Store::open(&settings, dir.path(), clock.clone()).await.unwrap();
    Bench { store, settings, clock, dir }
}

async fn why(settings: &Settings, dir: &std::path::Path, file: &std::path::Path, force: bool) -> String {
    match Store::restore(settings, dir, file, force).await {
        Err(Error::Unusable(why)) => why,
        other => panic!("{other:?}"),
    }
}

async fn elsewhere() -> Vec<Settings> {
    let postgres = postgres_database().await.map(|url| Settings { url: Secret(url), ..Settings::default() });
    [Some(Settings::default()), postgres].into_iter().flatten().collect()
}

suite! {
    async fn a_backup_restores_on_either_database(b) {
        let want = fill(&b).await;
        let folder = tempfile::tempdir().unwrap();
        for portable in [false, true] {
            let file = folder.path().join(format!("backup-{portable}"));
            b.store.backup(&file, portable).await.unwrap();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            }
            assert!(b.store.backup(&file, portable).await.is_err(), "a backup is not overwritten");
            for settings in elsewhere().await {
                let copy = restored(settings, &file).await;
                assert!(rows(&copy).await == want, "all rows are the same");
                let key = copy.store.access_key("root").await.unwrap().unwrap();
                assert_eq!((key.secret.0.as_str(), key.tenant), ("s", OPERATOR));
                copy.rtmp_group(Scope::Operator).await;
            }
        }
        let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
    }

    async fn a_store_that_is_used_or_not_empty_is_not_overwritten(b) {
        fill(&b).await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("backup");
        b.store.backup(&file, false).await.unwrap();
        b.rtmp_group(Scope::Operator).await;
        let told = why(&b.settings, b.dir.path(), &file, true).await;
        assert!(told.contains("uses this"), "{told}");
        b.store.close().await;
        b.store = closed().await;
        let told = why(&b.settings, b.dir.path(), &file, false).await;
        assert!(told.contains("already"), "{told}");
        Store::restore(&b.settings, b.dir.path(), &file, true).await.unwrap();
        b.reopen().await;
        let push = group::Filter { in_protocol: Some(InProtocol::Rtmp), ..Default::default() };
        assert_eq!(b.store.groups(Scope::Operator, push, &Sort::default(), Page::default()).await.unwrap().total, 0);
        assert_eq!(b.store.access_key("root").await.unwrap().unwrap().secret.0, "s");
        if b.settings.url.0.is_empty() {
            let names = std::fs::read_dir(b.dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
            assert_eq!(names.filter(|n| n.contains("before-restore")).count(), 2, "the old database and key are kept");
        }
    }
}

#[tokio::test]
async fn a_damaged_backup_changes_nothing() {
    let b = Bench::sqlite().await;
    fill(&b).await;
    let folder = tempfile::tempdir().unwrap();
    for portable in [false, true] {
        let file = folder.path().join(format!("good-{portable}"));
        b.store.backup(&file, portable).await.unwrap();
        let good = std::fs::read(&file).unwrap();
        let mut flipped = good.clone();
        flipped[good.len() / 2] ^= 1;
        let damaged = [flipped, good[..good.len() - 1].to_vec(), good[..100].to_vec(), Vec::new(), [good.as_slice(), b"x"].concat()];
        for bytes in damaged {
            let (bad, dir) = (folder.path().join("bad"), tempfile::tempdir().unwrap());
            std::fs::write(&bad, bytes).unwrap();
            why(&Settings::default(), dir.path(), &bad, true).await;
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    why(&Settings::default(), dir.path(), &folder.path().join("none"), true).await;
}

/// Whoever can write a backup file could write its checksum, too: its content is not trusted.
#[tokio::test]
async fn a_forged_backup_is_refused() {
    use sha2::Digest;
    let folder = tempfile::tempdir().unwrap();
    let head = |schema: i64| {
        format!(r#"{{"weir_backup":1,"schema":{schema},"form":"rows","created":"2025-01-01T00:00:00Z","key":"{}"}}"#, "00".repeat(32))
    };
    let cases = [
        (head(1), r#"{"table":"groups (id) VALUES (1); DROP TABLE tenants; --","columns":["id"]}"#),
        (head(1), r#"{"table":"groups","columns":["id) VALUES (1); --"]}"#),
        (head(1), r#"{"table":"groups","columns":[]}"#),
        (head(1), "{\"table\":\"counters\",\"columns\":[\"name\",\"value\"]}\n[\"a\"]"),
        (head(1), "{\"table\":\"counters\",\"columns\":[\"name\",\"value\"]}\n[\"a\",\"b\"]"),
        (head(1), "{\"table\":\"counters\",\"columns\":[\"name\",\"value\"]}\n[1,1]"),
        (head(1), "[1]"),
        (head(1), "7"),
        (head(1), ""),
        (head(1), "{"),
        (head(1000), ""),
        (head(0), ""),
        (head(1).replace("\"weir_backup\":1", "\"weir_backup\":2"), ""),
        (head(1).replace("00", "0g"), ""),
        ("{}".to_owned(), ""),
    ];
    for (head, content) in cases {
        let body = format!("{head}\n{content}");
        let file = folder.path().join("forged");
        std::fs::write(&file, format!("{body}\nsha256 {}", hex::encode(sha2::Sha256::digest(&body)))).unwrap();
        let dir = tempfile::tempdir().unwrap();
        why(&Settings::default(), dir.path(), &file, true).await;
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "weir.lock"), "{content}: {left:?}");
    }
}

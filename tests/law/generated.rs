//! Files that are made from the code are what the code makes. `UPDATE=1 cargo test --test law` rewrites them.

use crate::root;

fn check(path: &str, made: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, made).expect("the file can be written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    if let Some((n, (kept, made))) = kept.lines().zip(made.lines()).enumerate().find(|(_, (kept, made))| kept != made) {
        panic!("{path}:{}: is stale\n  file: {kept}\n  code: {made}\nrun UPDATE=1 cargo test --test law", n + 1);
    }
    assert_eq!(kept.len(), made.len(), "{path} is stale: run UPDATE=1 cargo test --test law");
}

#[test]
fn the_reference_configuration() {
    check("config/weir.toml", &weir::config::reference());
}

//! Every edge of the order of layers, and what mistakes are told.

use super::*;

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weir.toml");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

#[test]
fn each_layer_wins_over_the_one_before() {
    let (_dir, path) = file("data_dir = \"/from-file\"\n[play]\nmerge = \"10ms\"\nstall = \"11s\"\n[stream]\ngrace = \"12s\"\n");
    let mut sources = Sources { file: Some(path), ..Sources::default() };
    let config = load(&sources).unwrap();
    assert_eq!((config.play.merge.to_string(), config.play.stall.to_string()), ("10ms".into(), "11s".into()));
    assert_eq!(config.top.data_dir, PathBuf::from("/from-file"));
    sources.environment = vec![pair("WEIR_PLAY__STALL", "20s"), pair("WEIR_STREAM__GRACE", "21s"), pair("HOME", "/x")];
    sources.flags = vec![pair("stream.grace", "30s")];
    let config = load(&sources).unwrap();
    let told = [config.play.merge, config.play.stall, config.stream.grace].map(|s| s.to_string());
    assert_eq!(told, ["10ms", "20s", "30s"], "file, environment, flag");
    assert_eq!(config.log, Config::default().log, "the rest is default");
}

#[test]
fn text_becomes_the_type_of_the_default() {
    let environment = vec![
        pair("WEIR_LOG__REDACT", "true"),
        pair("WEIR_STREAM__RING_FRAMES", "128"),
        pair("WEIR_ACCESS__OPEN", "live/*, demo/*"),
        pair("WEIR_ACCESS_KEY_ID", "12345"),
        pair("WEIR_ACCESS_KEY_SECRET", "s3cret"),
    ];
    let config = load(&Sources { environment, ..Sources::default() }).unwrap();
    assert!(config.log.redact);
    assert_eq!(config.stream.ring_frames, 128);
    assert_eq!(config.access.open, ["live/*", "demo/*"]);
    assert_eq!((config.top.access_key_id.as_str(), config.top.access_key_secret.0.as_str()), ("12345", "s3cret"));
    assert!(!format!("{config:?}").contains("s3cret"));
}

#[test]
fn every_mistake_is_told_with_its_place_and_the_nearest_key() {
    let (_dir, path) = file("[play]\nmerge = 5\nstal = \"1s\"\n\n[strem]\ngrace = \"1s\"\n");
    let environment = vec![pair("WEIR_STREAM__GRACE", "fast"), pair("WEIR_STREAM__RING_FRAMES", "many"), pair("WEIR_RING_BYTES", "1")];
    let errors = load(&Sources { file: Some(path.clone()), environment, flags: vec![] }).unwrap_err().0;
    let told = errors.join("\n").replace(&path.display().to_string(), "weir.toml");
    for part in [
        "weir.toml:2: play.merge: \"5\" is not a length of time",
        "weir.toml:3: there is no key play.stal; did you mean play.stall?",
        "weir.toml:5: there is no key strem",
        "environment variable WEIR_STREAM__GRACE: stream.grace: \"fast\" is not a length of time",
        "environment variable WEIR_STREAM__RING_FRAMES: stream.ring_frames: \"many\" is not of the right kind (default: 2048)",
        "environment variable WEIR_RING_BYTES: there is no key ring_bytes; did you mean stream.ring_bytes?",
    ] {
        assert!(told.contains(part), "{part} in:\n{told}");
    }
    assert_eq!(errors.len(), 6, "{told}");
}

#[test]
fn a_broken_or_missing_file_is_told() {
    let (_dir, path) = file("[play\n");
    let told = load(&Sources { file: Some(path), ..Sources::default() }).unwrap_err().to_string();
    assert!(told.contains("line 1"), "{told}");
    let missing = load(&Sources { file: Some("/nowhere/weir.toml".into()), ..Sources::default() }).unwrap_err().to_string();
    assert!(missing.contains("/nowhere/weir.toml"), "{missing}");
}

#[test]
fn the_reference_is_the_defaults() {
    let active: String = reference()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with(' ') && !key.trim_end().ends_with('=') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let (_dir, path) = file(&active);
    assert_eq!(load(&Sources { file: Some(path), ..Sources::default() }).unwrap(), Config::default());
    assert!(known_keys().iter().all(|key| reference().contains(&format!("\n#{} =", key.rsplit('.').next().unwrap()))));
}

//! Applications and the server's own paths: neither hides the other.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weir::api::auth::v1;
use weir::api::query::{self, Given};
use weir::config::{self, Sources};
use weir::model::time::Time;
use weir::server::Server;

const KEY: (&str, &str) = ("paths-key", "paths-secret-0123456789");

async fn start(folder: &std::path::Path, more: &[(&str, &str)]) -> Result<Server, String> {
    let any = "127.0.0.1:0".to_owned();
    let listen = ["http.listen", "rtmp.listen", "sip.udp_listen", "sip.tcp_listen", "rtp.listen", "webrtc.listen"];
    let flags = [("data_dir", folder.display().to_string()), ("access_key_id", KEY.0.into()), ("access_key_secret", KEY.1.into())];
    let flags = flags.into_iter().chain(listen.map(|key| (key, any.clone()))).chain(more.iter().map(|(k, v)| (*k, (*v).to_owned())));
    let flags = flags.map(|(key, value)| (key.to_owned(), value)).collect();
    let config = config::load(&Sources { file: None, environment: Vec::new(), flags }).map_err(|e| e.to_string())?;
    Server::start(config).await
}

/// The answer to a signed call: its head and its body.
async fn call(server: &Server, pairs: &[(&str, &str)]) -> (String, String) {
    let mut given = Given::from_pairs(pairs.iter().copied());
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let stamp = Time::from_secs(seconds as i64).to_string();
    v1::sign_call("GET", &mut given, KEY.0, KEY.1, &stamp, &uuid::Uuid::new_v4().to_string());
    get(server, &format!("/?{}", query::canonical(&given, &[]))).await
}

async fn get(server: &Server, path: &str) -> (String, String) {
    let mut socket = tokio::net::TcpStream::connect(server.http()).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_group_can_have_an_application_that_is_a_path_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), &[]).await.unwrap();
    let taken = server.taken();
    for known in
        ["console", "dabiz", "healthz", "metrics", "openapi.json", "past", "readyz", "records", "reference", "rtc", "v1", "v2", "v3"]
    {
        assert!(taken.contains(known), "{known}: {taken:?}");
    }
    let create =
        |app: &'static str| [("Action", "CreateGroup"), ("Name", "g"), ("InProtocol", "rtmp"), ("OutProtocol", "hls"), ("App", app)];
    for app in taken {
        let (head, body) = call(&server, &create(app)).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{app}: {head} {body}");
        assert_eq!(body["Code"], "InvalidParameter", "{app}");
        assert!(body["Message"].as_str().unwrap().contains("App"), "{app}: {body}");
    }
    let (head, _) = call(&server, &create("recordings")).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    // What answers at a fixed path is its own part of the server.
    for (path, status, says) in [
        ("/healthz", "200", "ok"),
        ("/", "200", "<html"),
        ("/reference", "200", "Weir API"),
        ("/openapi.json", "200", "3.1.0"),
        ("/records/none.mp4", "4", ""),
        ("/dabiz/license/v2/detail", "401", "message"),
        ("/v2/project/stats/record", "401", "LIVE."),
        ("/rtc/v1/session/none", "4", ""),
        ("/nothing/at/all", "404", "nothing at this address"),
    ] {
        let (head, body) = get(&server, path).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")) && body.contains(says), "{path}: {head} {body}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_source_can_have_one_either() {
    let folder = tempfile::tempdir().unwrap();
    let sources = r#"[{stream = "records/cam", url = "rtmp://127.0.0.1:1/a/b"}]"#;
    let why = start(folder.path(), &[("pull.sources", sources)]).await.err().unwrap();
    assert!(why.contains("pull.sources") && why.contains("records/cam"), "{why}");
}

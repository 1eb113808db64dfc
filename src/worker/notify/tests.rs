//! Against a receiver of our own on loopback.

use super::*;
use crate::model::callback::Draft;
use crate::model::page::Page;
use crate::model::tenant::{OPERATOR, Scope};
use crate::store::DeliveryFilter;
use std::collections::VecDeque;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

const SECRET: &str = "root secret";
const PATIENCE: Duration = Duration::from_secs(20);

/// What the receiver does with a post.
#[derive(Clone)]
enum Does {
    /// Answers with this status.
    Answers(u16),
    /// Sends these bytes.
    Says(&'static [u8]),
    /// Never answers.
    Hangs,
    /// Closes at once.
    Closes,
}

#[derive(Clone, Default)]
struct Receiver {
    got: Arc<Mutex<Vec<(String, String)>>>,
    script: Arc<Mutex<VecDeque<Does>>>,
}

impl Receiver {
    async fn start(script: &[Does]) -> (Receiver, SocketAddr) {
        let (receiver, listener) = (Receiver::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        receiver.script.lock().unwrap().extend(script.iter().cloned());
        let (address, this) = (listener.local_addr().unwrap(), receiver.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(this.clone().serve(socket));
            }
        });
        (receiver, address)
    }

    async fn serve(self, mut socket: impl AsyncRead + AsyncWrite + Unpin) {
        let mut bytes = Vec::new();
        let (head, length) = loop {
            let mut buffer = [0; 4096];
            let n = socket.read(&mut buffer).await.unwrap_or(0);
            if n == 0 {
                return;
            }
            bytes.extend(&buffer[..n]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, _)) = text.split_once("\r\n\r\n") {
                let head = head.to_ascii_lowercase();
                let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
                break (head, length);
            }
        };
        let mut body = bytes.split_off(head.len() + 4);
        while body.len() < length {
            let mut buffer = [0; 4096];
            let n = socket.read(&mut buffer).await.unwrap();
            body.extend(&buffer[..n]);
        }
        self.got.lock().unwrap().push((head, String::from_utf8(body).unwrap()));
        let does = self.script.lock().unwrap().pop_front().unwrap_or(Does::Answers(200));
        match does {
            Does::Answers(status) => {
                let answer = format!("HTTP/1.1 {status} X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nok");
                let _ = socket.write_all(answer.as_bytes()).await;
            }
            Does::Says(bytes) => drop(socket.write_all(bytes).await),
            Does::Hangs => tokio::time::sleep(PATIENCE).await,
            Does::Closes => {}
        }
    }

    fn bodies(&self) -> Vec<String> {
        self.got.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }
}

struct Bench {
    store: Store,
    tasks: Tasks,
    settings: Settings,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(change: impl FnOnce(&mut Settings)) -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&crate::store::Settings::default(), dir.path(), Clock::real()).await.unwrap();
        store.root_key(Some(("rootid".to_owned(), crate::base::pii::Secret(SECRET.to_owned())))).await.unwrap();
        let allow = vec!["127.0.0.1".parse().unwrap()];
        let (first_wait, timeout) = (Span::millis(20), Span::millis(400));
        let mut settings = Settings { allow, first_wait, timeout, longest_wait: Span::millis(60), ..Settings::default() };
        change(&mut settings);
        let bench = Bench { store, tasks: Tasks::new(), settings, _dir: dir };
        start(bench.settings.clone(), bench.store.clone(), Clock::real(), &bench.tasks).unwrap();
        bench
    }

    async fn queue(&self, url: String, posts: &[(&str, &str)]) {
        let draft = |(object, body): &(&str, &str)| Draft {
            owner: OPERATOR,
            object: (*object).to_owned(),
            url: url.clone(),
            body: (*body).to_owned(),
        };
        assert_eq!(self.store.queue_callbacks(posts.iter().map(draft).collect(), 1000).await.unwrap(), 0);
    }

    async fn emptied(&self) -> Vec<Delivery> {
        let wait = async {
            while self.store.callbacks_waiting().await.unwrap() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("everything is delivered or given up");
        let mut log = self.store.deliveries(Scope::Operator, DeliveryFilter::default(), Page::new(1, 100)).await.unwrap().items;
        log.reverse();
        log
    }
}

#[tokio::test]
async fn a_post_is_signed_and_logged() {
    let (receiver, address) = Receiver::start(&[Does::Answers(204)]).await;
    let b = Bench::new(|_| {}).await;
    b.queue(format!("http://{address}/cb?x=1"), &[("a", "{\"门\":1}")]).await;
    let log = b.emptied().await;
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].status, log[0].error.as_str(), log[0].tried, log[0].last), (204, "", 1, true));
    let (head, body) = receiver.got.lock().unwrap().remove(0);
    assert_eq!(body, "{\"门\":1}");
    assert!(head.starts_with("post /cb?x=1 http/1.1\r\n"), "{head}");
    assert!(head.contains(&format!("host: {address}")) && head.contains("content-type: application/json"), "{head}");
    let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap().to_owned();
    assert_eq!((header("x-weir-accesskeyid").as_str(), header("x-weir-delivery")), ("rootid", log[0].id.to_string()));
    let signed = format!("{}\n{}\n{body}", header("x-weir-timestamp"), header("x-weir-delivery"));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let want = hex::encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
    assert_eq!(header("x-weir-signature"), format!("v1={want}"));
}

#[tokio::test]
async fn it_is_tried_five_times_and_order_is_kept() {
    use Does::{Answers, Closes, Hangs, Says};
    let script = [Answers(500), Closes, Hangs, Says(b"HTTP/1.1 garbage\r\n\r\n"), Answers(302), Answers(503), Answers(200)];
    let (receiver, address) = Receiver::start(&script).await;
    let b = Bench::new(|_| {}).await;
    b.queue(format!("http://{address}/"), &[("a", "1"), ("a", "2"), ("a", "3")]).await;
    let log = b.emptied().await;
    assert_eq!(receiver.bodies(), ["1", "1", "1", "1", "1", "2", "2", "3"]);
    let tries: Vec<_> = log.iter().map(|d| (d.body.as_str(), d.tried, d.status, d.last)).collect();
    let want = [
        ("1", 1, 500, false),
        ("1", 2, 0, false),
        ("1", 3, 0, false),
        ("1", 4, 0, false),
        ("1", 5, 302, true),
        ("2", 1, 503, false),
        ("2", 2, 200, true),
        ("3", 1, 200, true),
    ];
    assert_eq!(tries, want);
    assert!(log[2].error.contains("in time") && log[4].error.contains("302"), "{:?} {:?}", log[2], log[4]);
}

#[tokio::test]
async fn addresses_that_are_not_public_are_never_connected_to() {
    let (receiver, address) = Receiver::start(&[]).await;
    let b = Bench::new(|s| (s.allow, s.tries) = (Vec::new(), 2)).await;
    let port = address.port();
    let urls = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("127.0.0.1:{port}"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://[::1]:{port}/"),
        // Other ways to write 127.0.0.1 that resolvers take.
        format!("http://2130706433:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://0:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("gopher://127.0.0.1:{port}/"),
        format!("http://user@127.0.0.1:{port}/"),
    ];
    for (n, url) in urls.iter().enumerate() {
        b.queue(url.clone(), &[(&n.to_string(), "x")]).await;
    }
    let log = b.emptied().await;
    assert!(receiver.bodies().is_empty(), "{:?}", receiver.bodies());
    assert!(log.iter().all(|d| d.status == 0 && !d.error.is_empty()), "{log:?}");
    assert!(log.iter().filter(|d| d.url == urls[0]).all(|d| d.error.contains("not public")), "{log:?}");
    let never: Vec<_> = log.iter().filter(|d| d.url.contains("gopher") || d.url.contains('@')).map(|d| (d.tried, d.last)).collect();
    assert_eq!(never, [(1, true), (1, true)], "no later try would go better");
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let (receiver, address) = Receiver::start(&[Does::Answers(500)]).await;
    let b = Bench::new(|s| s.first_wait = Span::secs(1)).await;
    b.queue(format!("http://{address}/"), &[("a", "1"), ("a", "2")]).await;
    let wait = async {
        while b.store.deliveries(Scope::Operator, DeliveryFilter::default(), Page::default()).await.unwrap().total == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    assert!(b.tasks.finish(Duration::from_secs(5)).await.is_empty());
    assert_eq!(b.store.callbacks_waiting().await.unwrap(), 2);
    let tasks = Tasks::new();
    start(b.settings.clone(), b.store.clone(), Clock::real(), &tasks).unwrap();
    let log = b.emptied().await;
    assert_eq!(receiver.bodies(), ["1", "1", "2"]);
    assert_eq!(log[1].tried, 2);
}

#[tokio::test]
async fn a_host_that_hangs_does_not_hold_up_the_others() {
    let (slow, hangs) = Receiver::start(&vec![Does::Hangs; 40]).await;
    let (quick, answers) = Receiver::start(&[]).await;
    let b = Bench::new(|s| (s.at_once, s.at_once_per_host, s.tries, s.timeout) = (6, 3, 1, Span::millis(1500))).await;
    let objects: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let posts = |mark: &str| objects.iter().map(|o| (format!("{mark}{o}"), o.clone())).collect::<Vec<_>>();
    for (address, mark) in [(hangs, "h"), (answers, "q")] {
        let posts = posts(mark);
        let posts: Vec<(&str, &str)> = posts.iter().map(|(o, b)| (o.as_str(), b.as_str())).collect();
        b.queue(format!("http://{address}/"), &posts).await;
    }
    let wait = async {
        while quick.bodies().len() < 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
    assert!(slow.bodies().len() <= 3, "the quick ones did not wait for the slow ones to be given up: {}", slow.bodies().len());
    b.emptied().await;
}

#[tokio::test]
async fn a_tenant_that_is_gone_is_not_told() {
    let (receiver, address) = Receiver::start(&[]).await;
    let b = Bench::new(|_| {}).await;
    let (tenant, _) = b.store.create_tenant("t".parse().unwrap()).await.unwrap();
    b.store.set_tenant_status(tenant.user, Status::Deleted).await.unwrap();
    let draft = Draft { owner: tenant.id, object: "a".to_owned(), url: format!("http://{address}/"), body: "{}".to_owned() };
    b.store.queue_callbacks(vec![draft], 10).await.unwrap();
    let log = b.emptied().await;
    assert_eq!((log.len(), log[0].last, receiver.bodies().len()), (1, true, 0));
}

#[tokio::test]
async fn https_is_checked_against_the_certificate() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, key.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()))
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let (receiver, listener) = (Receiver::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (port, this) = (listener.local_addr().unwrap().port(), receiver.clone());
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            if let Ok(socket) = acceptor.accept(socket).await {
                tokio::spawn(this.clone().serve(socket));
            }
        }
    });
    let url = format!("https://localhost:{port}/");
    let b = Bench::new(|s| s.tries = 1).await;
    b.queue(url.clone(), &[("a", "1")]).await;
    let log = b.emptied().await;
    assert!(log[0].error.contains("TLS") && receiver.bodies().is_empty(), "{log:?}");
    let trusting = Bench::new(|s| (s.tries, s.ca_file, s.timeout) = (1, Some(ca), Span::secs(5))).await;
    trusting.queue(url, &[("a", "1")]).await;
    assert_eq!(trusting.emptied().await[0].status, 200);
    assert_eq!(receiver.bodies(), ["1"]);
    let nothing = Settings { ca_file: Some(dir.path().join("none")), ..Settings::default() };
    assert!(start(nothing, b.store.clone(), Clock::real(), &b.tasks).is_err());
}

#[tokio::test]
async fn waits_grow_and_vary() {
    let b = Bench::new(|_| {}).await;
    let settings = Settings { first_wait: Span::secs(2), longest_wait: Span::secs(60), ..Settings::default() };
    let poster = Poster::new(&settings).unwrap();
    let shared = Shared { settings, store: b.store.clone(), clock: Clock::real(), poster, busy: Mutex::default() };
    for (tried, secs) in [(1, 2.0), (2, 8.0), (3, 32.0), (4, 60.0), (30, 60.0)] {
        let waits: Vec<f64> = (0..50).map(|_| shared.wait(tried).as_secs_f64()).collect();
        assert!(waits.iter().all(|w| (secs * 0.75..=secs * 1.25).contains(w)), "{tried}: {waits:?}");
        assert!(waits.iter().any(|w| (w - waits[0]).abs() > 1e-6));
    }
}

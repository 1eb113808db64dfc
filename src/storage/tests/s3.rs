//! An object storage that misbehaves as it is told: one fault a request, then none.

use bytes::{Bytes, BytesMut};
use md5::{Digest, Md5};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// None.
    Fine,
    /// The connection is closed before anything is read.
    Refuse,
    /// The connection is closed in the middle of the body.
    CloseMidBody,
    /// The answer is no HTTP.
    Garbage,
    /// 503 with an XML body.
    Busy,
    /// 403 with an XML body.
    Forbidden,
    /// Everything is done, and the answer is lost.
    LoseAnswer,
    /// No answer for longer than anybody waits.
    Hang,
}

/// A server with one bucket.
#[derive(Clone, Default)]
pub struct S3(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, (Bytes, String, String)>,
    uploads: BTreeMap<String, BTreeMap<u32, Bytes>>,
    faults: VecDeque<Fault>,
    log: Vec<String>,
    next: u32,
    away: bool,
}

impl S3 {
    /// Listens on a free port.
    pub async fn start() -> (S3, SocketAddr) {
        let (s3, listener) = (S3::default(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (address, server) = (listener.local_addr().unwrap(), s3.clone());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(socket));
            }
        });
        (s3, address)
    }

    /// What goes wrong with the next requests, in order.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.lock().unwrap().faults.extend(faults);
    }

    /// Refuses everything, or not any more.
    pub fn away(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }

    /// The bytes of an object, and its type.
    pub fn object(&self, name: &str) -> Option<(Bytes, String)> {
        self.0.lock().unwrap().objects.get(name).map(|(data, _, kind)| (data.clone(), kind.clone()))
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.0.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Which requests were read whole, as in `PUT a/b.mp4`.
    pub fn log(&self) -> Vec<String> {
        self.0.lock().unwrap().log.clone()
    }

    /// Multipart uploads that are open.
    pub fn open(&self) -> usize {
        self.0.lock().unwrap().uploads.len()
    }

    /// Forgets all open uploads, as a bucket does after some days.
    pub fn forget_uploads(&self) {
        self.0.lock().unwrap().uploads.clear();
    }

    async fn serve(self, mut socket: TcpStream) {
        let mut buffer = BytesMut::new();
        while let Some((method, target, headers)) = head(&mut socket, &mut buffer).await {
            let length = headers.iter().find(|(name, _)| name == "content-length").map_or(0, |(_, value)| value.parse().unwrap());
            let fault = {
                let mut state = self.0.lock().unwrap();
                let next = state.faults.pop_front().unwrap_or(Fault::Fine);
                if state.away { Fault::Refuse } else { next }
            };
            if fault == Fault::Refuse {
                return;
            }
            let stop = if fault == Fault::CloseMidBody { length / 2 } else { length };
            while buffer.len() < stop {
                if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let answer = match fault {
                Fault::CloseMidBody => return,
                Fault::Garbage => b"\x16\x03\x01 this is no HTTP at all\r\n\r\n".to_vec(),
                Fault::Busy => status(503, "Slow Down", "<Error><Code>SlowDown</Code></Error>"),
                Fault::Forbidden => status(403, "Forbidden", "<Error><Code>SignatureDoesNotMatch</Code></Error>"),
                Fault::Hang => {
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                    return;
                }
                Fault::Fine | Fault::LoseAnswer | Fault::Refuse => {
                    let body = buffer.split_to(length).freeze();
                    let kind = headers.iter().find(|(name, _)| name == "content-type").map_or_else(String::new, |(_, v)| v.clone());
                    self.act(&method, &target, kind, body)
                }
            };
            if fault == Fault::LoseAnswer || socket.write_all(&answer).await.is_err() || fault == Fault::Garbage {
                return;
            }
            if !matches!(fault, Fault::Fine) {
                return;
            }
        }
    }

    fn act(&self, method: &str, target: &str, kind: String, body: Bytes) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let name = path.strip_prefix("/b/").unwrap_or(path).to_owned();
        let parameter = |name: &str| query.split('&').find_map(|p| p.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        let (upload, part) = (parameter("uploadId"), parameter("partNumber"));
        let starts = query.split('&').any(|p| p == "uploads" || p == "uploads=");
        let what = if starts { " begin".to_owned() } else { part.as_ref().map_or_else(String::new, |p| format!(" part {p}")) };
        state.log.push(format!("{method} {name}{what}"));
        match (method, upload, part) {
            ("POST", None, _) if starts => {
                state.next += 1;
                let id = format!("upload-{}", state.next);
                state.uploads.insert(id.clone(), BTreeMap::new());
                state.objects.entry(format!("\0{id}")).or_insert((Bytes::new(), String::new(), kind));
                let xml = format!(
                    "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>{name}</Key><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
                );
                status(200, "OK", &xml)
            }
            ("PUT", Some(id), Some(part)) => {
                let tag = sum(&body);
                match state.uploads.get_mut(&id) {
                    Some(parts) => {
                        parts.insert(part.parse().unwrap(), body);
                        with(200, "OK", &[("ETag", &format!("\"{tag}\""))], b"")
                    }
                    None => status(404, "Not Found", "<Error><Code>NoSuchUpload</Code></Error>"),
                }
            }
            ("POST", Some(id), _) => match state.uploads.remove(&id) {
                Some(parts) => {
                    let kind = state.objects.remove(&format!("\0{id}")).map(|o| o.2).unwrap_or_default();
                    let mut sums = Md5::new();
                    parts.values().for_each(|part| sums.update(Md5::digest(part)));
                    let tag = format!("{}-{}", hex::encode(sums.finalize()), parts.len());
                    let whole: Vec<u8> = parts.values().flat_map(|part| part.to_vec()).collect();
                    state.objects.insert(name, (whole.into(), tag.clone(), kind));
                    status(200, "OK", &format!("<CompleteMultipartUploadResult><ETag>\"{tag}\"</ETag></CompleteMultipartUploadResult>"))
                }
                None => status(404, "Not Found", "<Error><Code>NoSuchUpload</Code></Error>"),
            },
            ("DELETE", Some(id), _) => {
                state.uploads.remove(&id);
                with(204, "No Content", &[], b"")
            }
            ("PUT", None, _) => {
                let tag = sum(&body);
                state.objects.insert(name, (body, tag.clone(), kind));
                with(200, "OK", &[("ETag", &format!("\"{tag}\""))], b"")
            }
            ("DELETE", None, _) => {
                state.objects.remove(&name);
                with(204, "No Content", &[], b"")
            }
            ("GET" | "HEAD", None, _) => match state.objects.get(&name) {
                Some((data, tag, kind)) => {
                    let headers = [
                        ("ETag", format!("\"{tag}\"")),
                        ("Last-Modified", "Thu, 09 Oct 2025 08:53:20 GMT".to_owned()),
                        ("Content-Type", kind.clone()),
                    ];
                    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                    let mut answer = with(200, "OK", &headers, data);
                    if method == "HEAD" {
                        answer.truncate(answer.len() - data.len());
                    }
                    answer
                }
                None => status(404, "Not Found", if method == "HEAD" { "" } else { "<Error><Code>NoSuchKey</Code></Error>" }),
            },
            _ => status(400, "Bad Request", ""),
        }
    }
}

fn sum(data: &[u8]) -> String {
    hex::encode(Md5::digest(data))
}

fn status(code: u16, reason: &str, body: &str) -> Vec<u8> {
    with(code, reason, &[("Content-Type", "application/xml")], body.as_bytes())
}

fn with(code: u16, reason: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {code} {reason}\r\nContent-Length: {}\r\n", body.len()).into_bytes();
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out
}

type Head = (String, String, Vec<(String, String)>);

async fn head(socket: &mut TcpStream, buffer: &mut BytesMut) -> Option<Head> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break at;
        }
        if socket.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(buffer.split_to(end + 4).to_vec()).ok()?;
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(n, v)| (n.to_ascii_lowercase(), v.to_owned())).collect();
    Some((method, target, headers))
}

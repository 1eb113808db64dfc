//! REGISTER: challenge, check, lock, 200 with the time of day (sections 9.1, 9.10).

use super::super::{Id, Version};
use super::device::{Device, DeviceKey};
use super::event::{Event, Fresh, Gone};
use super::{Server, Wake};
use crate::media::time::Timestamp;
use crate::proto::sip::digest::{Algorithm, Challenge, Credentials, Freshness};
use crate::proto::sip::message::{Envelope, Request, Response};
use crate::proto::sip::transaction::ServerId;
use crate::proto::sip::uri::{self, one_line};
use crate::proto::sip::{Name, Path};
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

/// A question about a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AskId(u64);

/// Who wants to register.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// The platform ids of ours that it may mean; usually one.
    pub platforms: Vec<Id>,
    /// Its id.
    pub device: Id,
    /// How it is reached.
    pub path: Path,
    /// What it speaks.
    pub version: Version,
    /// What it calls itself.
    pub agent: String,
    /// For how many seconds; 0 ends its registration.
    pub expires: u32,
}

/// Whether it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may, to that platform, if it knows the password.
    Admit {
        /// The platform that it belongs to.
        platform: Id,
        /// Its password; `None` lets it in without.
        password: Option<String>,
        /// Another user name than its id.
        username: Option<String>,
    },
    /// It may not.
    Refuse {
        /// 403, 404 or 503.
        status: u16,
        /// Why; for the log.
        why: &'static str,
    },
    /// It shall go to another server (302, section 9.1.2.3).
    Redirect {
        /// The other server's URI.
        contact: String,
        /// For how many seconds.
        expires: u32,
    },
}

/// How long a verdict may take.
const VERDICT: Duration = Duration::from_secs(30);
/// How many devices with wrong passwords are remembered.
const FAILURES_MAX: usize = 100_000;
/// The shortest registration; shorter ones are made this long, so that a device that says 1 does not storm.
const EXPIRES_MIN: u32 = 30;

#[derive(Default)]
pub(super) struct Registrar {
    asks: HashMap<AskId, Pending>,
    asking: HashMap<Id, AskId>,
    failures: HashMap<DeviceKey, Failures>,
    locked: HashSet<DeviceKey>,
    rate: Rate,
    count: u64,
}

struct Pending {
    id: ServerId,
    path: Path,
    request: Request,
    device: Id,
}

struct Failures {
    count: u32,
    since: Timestamp,
}

/// REGISTER requests of each address within the current second.
#[derive(Default)]
struct Rate {
    second: i64,
    counts: HashMap<IpAddr, u32>,
}

impl Rate {
    fn allows(&mut self, now: Timestamp, source: IpAddr, most: u32) -> bool {
        let second = now.0 / 1_000_000_000;
        if second != self.second {
            self.second = second;
            self.counts.clear();
        }
        let count = self.counts.entry(source).or_insert(0);
        *count += 1;
        most == 0 || *count <= most
    }
}

impl Server {
    pub(super) fn on_register(&mut self, now: Timestamp, id: ServerId, path: Path, request: Request) {
        let named = request.from().and_then(|from| Id::new(from.user()));
        let Some(device) = named.or_else(|| request.to().and_then(|to| Id::new(to.user()))) else {
            return self.refuse(now, id, &path, &request, None, 400, "no usable id in From");
        };
        if !self.registrar.rate.allows(now, path.remote.ip(), self.config.register_rate) || self.registrar.asking.contains_key(&device) {
            // dropped, not refused: whoever means it asks again
            return self.layer.ignore(id);
        }
        let platforms = self.platforms_meant(&request);
        if platforms.is_empty() {
            return self.refuse(now, id, &path, &request, Some(device), 404, "it registers to a platform id that is none of ours");
        }
        if platforms.iter().all(|platform| self.registrar.locked.contains(&DeviceKey { platform: *platform, device })) {
            return self.refuse(now, id, &path, &request, Some(device), 403, "it is locked after repeated wrong passwords");
        }
        if self.registrar.asks.len() >= self.config.asks_max {
            let response = self.answer(&request, &path, 503).with(Name::RetryAfter, "60");
            return self.layer.respond_and_forget(now, id, response);
        }
        self.registrar.count += 1;
        let ask = AskId(self.registrar.count);
        let registration = Registration {
            platforms,
            device,
            path,
            version: version(&request),
            agent: request.headers.get(&Name::UserAgent).map(|text| text.chars().take(128).collect()).unwrap_or_default(),
            expires: self.expires(&request),
        };
        self.registrar.asking.insert(device, ask);
        self.registrar.asks.insert(ask, Pending { id, path, request, device });
        self.timers.set(now + VERDICT.into(), Wake::Ask(ask));
        self.event(Event::Ask { ask, registration: Box::new(registration) });
    }

    /// Which of our platform ids a registration can mean: the user of its Request-URI or of To, whole or as the ten digits of the
    /// domain; else the domain in the host; else, if there is only one, that one.
    fn platforms_meant(&self, request: &Request) -> Vec<Id> {
        let to = request.to().map(|to| to.uri).unwrap_or_default();
        let users = [request.user(), uri::user(&to)];
        let hosts = [uri::host_port(&request.uri), uri::host_port(&to)];
        for user in users {
            if let Some(exact) = self.platforms.iter().find(|platform| platform.as_str() == user) {
                return vec![*exact];
            }
        }
        let domain = |platform: &&Id| users[0] == platform.domain() || hosts.iter().any(|host| host.starts_with(platform.domain()));
        let of_domain: Vec<_> = self.platforms.iter().filter(domain).copied().collect();
        // a user that is a platform's id, but none of ours, is a wrong address and not a riddle
        let foreign = Id::new(users[0]).is_some_and(|id| id.kind() == super::super::id::Kind::Platform);
        match (of_domain.is_empty(), foreign, &self.platforms[..]) {
            (_, true, _) => Vec::new(),
            (false, ..) => of_domain,
            (true, false, [only]) => vec![*only],
            (true, false, _) => Vec::new(),
        }
    }

    /// Answers an [`Event::Ask`].
    pub fn verdict(&mut self, now: Timestamp, ask: AskId, verdict: Verdict) {
        let Some(Pending { id, path, request, device }) = self.take_ask(ask) else { return };
        match verdict {
            Verdict::Refuse { status, why } => self.refuse(now, id, &path, &request, Some(device), status, why),
            Verdict::Redirect { contact, expires } => {
                let response = self.answer(&request, &path, 302);
                let response = response.with(Name::Contact, format!("<{}>", one_line(&contact))).with(Name::Expires, expires.to_string());
                self.layer.respond(now, id, response);
            }
            Verdict::Admit { platform, password: None, .. } => self.admit(now, id, path, &request, DeviceKey { platform, device }, false),
            Verdict::Admit { platform, password: Some(password), username } => {
                let key = DeviceKey { platform, device };
                match self.check(now, key, &path, &request, &password, username.as_deref()) {
                    Ok(()) => self.admit(now, id, path, &request, key, true),
                    Err(Failed::Challenge { stale }) => self.challenge(now, id, &path, &request, key, stale),
                    Err(Failed::Wrong) => self.wrong_password(now, id, &path, &request, key),
                    Err(Failed::Locked) => {
                        self.refuse(now, id, &path, &request, Some(device), 403, "it is locked after repeated wrong passwords")
                    }
                }
            }
        }
        self.pump(now);
    }

    fn check(
        &mut self,
        now: Timestamp,
        key: DeviceKey,
        path: &Path,
        request: &Request,
        password: &str,
        username: Option<&str>,
    ) -> Result<(), Failed> {
        if self.registrar.locked.contains(&key) {
            return Err(Failed::Locked);
        }
        let Some(given) = request.headers.get(&Name::Authorization).and_then(|text| Credentials::parse(&text)) else {
            return Err(Failed::Challenge { stale: false });
        };
        let seconds = seconds(now);
        let freshness = self.nonces.check(&given.nonce, &whom(&key, path), seconds, self.config.nonce_life);
        let named = given.username == key.device.as_str() || Some(given.username.as_str()) == username;
        let right = named && given.realm == key.platform.domain() && given.verify(password, request.method.as_str());
        match (freshness, right) {
            (Freshness::Fresh, true) => Ok(()),
            (Freshness::Fresh, false) => Err(Failed::Wrong),
            // the password is right, or nothing is known of it: a new nonce, and no counting
            (Freshness::Stale, _) => Err(Failed::Challenge { stale: right }),
            (Freshness::Foreign, _) => Err(Failed::Challenge { stale: false }),
        }
    }

    fn challenge(&mut self, now: Timestamp, id: ServerId, path: &Path, request: &Request, key: DeviceKey, stale: bool) {
        let nonce = self.nonces.make(&whom(&key, path), seconds(now));
        let mut response = self.answer(request, path, 401);
        let algorithms: &[Algorithm] = if self.config.sha256 { &[Algorithm::Sha256, Algorithm::Md5] } else { &[Algorithm::Md5] };
        for algorithm in algorithms {
            let realm = key.platform.domain().to_owned();
            let challenge = Challenge { realm, nonce: nonce.clone(), algorithm: *algorithm, qop: self.config.qop, stale, opaque: None };
            response.headers.push(Name::WwwAuthenticate, challenge.to_string());
        }
        self.layer.respond_and_forget(now, id, response);
    }

    fn wrong_password(&mut self, now: Timestamp, id: ServerId, path: &Path, request: &Request, key: DeviceKey) {
        let source = path.remote;
        // a stranger's guesses do not lock a device out that is there and known by its address
        let stranger = self.devices.get(&key).and_then(|device| device.path).is_some_and(|known| known.remote.ip() != source.ip());
        let window: Timestamp = self.config.wrong_window.into();
        if self.registrar.failures.len() >= FAILURES_MAX {
            self.registrar.failures.retain(|_, failures| failures.since + window > now);
        }
        let failures = self.registrar.failures.entry(key).or_insert(Failures { count: 0, since: now });
        if failures.since + window <= now {
            *failures = Failures { count: 0, since: now };
        }
        failures.count += 1;
        let times = failures.count;
        self.event(Event::WrongPassword { device: key, source, times });
        if !stranger && self.config.wrong_passwords > 0 && times >= self.config.wrong_passwords {
            self.registrar.failures.remove(&key);
            self.registrar.locked.insert(key);
            self.event(Event::Locked { device: key });
        }
        let response = self.answer(request, path, 403);
        self.layer.respond(now, id, response);
    }

    /// Lets a locked device try again.
    pub fn unlock(&mut self, key: &DeviceKey) {
        self.registrar.locked.remove(key);
        self.registrar.failures.remove(key);
    }

    fn admit(&mut self, now: Timestamp, id: ServerId, path: Path, request: &Request, key: DeviceKey, authenticated: bool) {
        let expires = self.expires(request);
        let mut response = self.answer(request, &path, 200);
        if let Some(contact) = request.headers.raw(&Name::Contact) {
            response.headers.push(Name::Contact, contact.clone());
        }
        response.headers.push(Name::Expires, expires.to_string());
        // section 9.10: local time, not the form of RFC 1123
        response.headers.push(Name::Date, self.config.zone.format_millis(self.unix_ms(now)));
        self.layer.respond(now, id, response);
        self.registrar.failures.remove(&key);
        if expires == 0 {
            return self.gone(now, &key, Gone::Unregistered);
        }
        let registration = self.ids.key(&request.call_id());
        let version = version(request);
        let fresh = match self.devices.get(&key) {
            None => Fresh::First,
            Some(old) if old.registration == registration || old.registration == 0 => Fresh::Renewed,
            // another Call-ID from the address that it had: some take a new one for every refresh
            Some(old) if old.path.is_some_and(|known| known.link == path.link && known.remote == path.remote) => Fresh::Renewed,
            Some(_) => Fresh::Again,
        };
        let until = now + Duration::from_secs(u64::from(expires)).into();
        match self.devices.get_mut(&key) {
            Some(device) => {
                device.version = version;
                device.authenticated = authenticated;
                device.expires = until;
                device.registration = registration;
            }
            None => self.insert_device(now, key, version, authenticated, until, registration),
        }
        self.devices.set_path(&key, path);
        self.heard(now, &key);
        let agent = request.headers.get(&Name::UserAgent).map(|text| text.chars().take(128).collect()).unwrap_or_default();
        self.event(Event::Registered { device: key, fresh, path, version, expires, agent });
        if fresh != Fresh::Renewed {
            self.subscribe_again(now, &key);
        }
    }

    fn insert_device(
        &mut self,
        now: Timestamp,
        key: DeviceKey,
        version: Version,
        authenticated: bool,
        expires: Timestamp,
        registration: u128,
    ) {
        let wake = now + (self.config.keepalive * self.config.misses.max(1)).into();
        self.devices.insert(Device {
            key,
            path: None,
            version,
            authenticated,
            heard: now,
            expires,
            lost: None,
            probed: None,
            keepalive: None,
            last_gap: Duration::ZERO,
            interval: self.config.keepalive,
            wake,
            registration,
            faulty: 0,
            queries: Vec::new(),
            calls: Vec::new(),
            subscriptions: None,
        });
        self.timers.set(wake, Wake::Device(key));
    }

    fn expires(&self, request: &Request) -> u32 {
        match request.expires() {
            Some(0) => 0,
            Some(seconds) => seconds.clamp(EXPIRES_MIN, self.config.expires_max),
            None => self.config.expires,
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn refuse(
        &mut self,
        now: Timestamp,
        id: ServerId,
        path: &Path,
        request: &Request,
        device: Option<Id>,
        status: u16,
        why: &'static str,
    ) {
        let response = self.answer(request, path, status);
        self.layer.respond_and_forget(now, id, response);
        self.event(Event::Refused { device, source: path.remote, status, why });
    }

    /// An answer with what every answer of ours carries.
    pub(super) fn answer(&mut self, request: &Request, path: &Path, status: u16) -> Response {
        let tag = self.ids.tag();
        let mut response = Response::to(request, path.remote, status, &tag);
        if let Some(version) = request.headers.raw(&Name::XGbVer)
            && !version.is_empty()
        {
            // annex I: who announces an edition is told ours, in failures too
            response.headers.push(Name::XGbVer, Version::V2022.as_str());
        }
        response
    }

    pub(super) fn ask_timer(&mut self, ask: AskId) {
        if let Some(pending) = self.take_ask(ask) {
            self.layer.ignore(pending.id);
        }
    }

    fn take_ask(&mut self, ask: AskId) -> Option<Pending> {
        let pending = self.registrar.asks.remove(&ask)?;
        self.registrar.asking.remove(&pending.device);
        Some(pending)
    }
}

enum Failed {
    Challenge { stale: bool },
    Wrong,
    Locked,
}

/// A nonce is good for the device and the address that it was given to.
fn whom(key: &DeviceKey, path: &Path) -> String {
    format!("{key} {}", path.remote.ip())
}

fn seconds(now: Timestamp) -> u32 {
    (now.0 / 1_000_000_000) as u32
}

fn version(request: &Request) -> Version {
    request.headers.get(&Name::XGbVer).map(|text| Version::parse(&text)).unwrap_or_default()
}

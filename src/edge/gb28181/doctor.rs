//! The call doctor: what a device said, what arrived of it, and what is wrong, in plain words.

use super::address::is_private;
use super::media::Report;
use super::pull::Failure;
use super::roster::Entry;
use super::service::Service;
use crate::model::device::Status;
use crate::proto::gb28181::server::{Snapshot, TraceEntry};
use serde::Serialize;
use std::net::IpAddr;

#[cfg(test)]
mod tests;

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Findings {
    /// The device's id in the signalling.
    pub device: String,
    /// The platform id that it belongs to.
    pub platform: String,
    /// on, off, new, failed.
    pub status: &'static str,
    /// How it is reached: `udp/192.0.2.1:5060`.
    pub path: Option<String>,
    /// The address of ours that it was told.
    pub told: Option<String>,
    /// The edition that it speaks: 1.1, 2.0 or 3.0.
    pub version: Option<&'static str>,
    /// Seconds since it was last heard.
    pub silence: Option<f64>,
    /// The rhythm of its life signs in seconds.
    pub interval: Option<f64>,
    /// The last messages outside of calls, oldest first.
    pub messages: Vec<Line>,
    /// Its calls.
    pub calls: Vec<Call>,
    /// What is wrong, or that nothing is.
    pub verdict: Vec<String>,
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// The stream.
    pub stream: String,
    /// Its messages, oldest first.
    pub messages: Vec<Line>,
    /// What arrived.
    pub media: Option<Report>,
    /// Of a call that is over: why.
    pub over: Option<String>,
    /// Of a call that is over: seconds since then.
    pub over_for: Option<f64>,
    /// Whether it ended otherwise than by our hanging up.
    #[serde(skip)]
    failed: bool,
}

/// A failed call of longer ago says nothing about now, in seconds.
const STALE: f64 = 600.0;

/// One message.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Seconds ago.
    pub ago: f64,
    /// Whether we sent it.
    pub ours: bool,
    /// The other side.
    pub peer: String,
    /// The message.
    pub text: String,
}

/// Looks at a device.
pub(super) fn examine(service: &Service, entry: &Entry) -> Findings {
    let now = service.signalling.clock().now();
    let calls = service.pulls.calls_of(entry.id);
    let past = service.pulls.past_of(entry.id);
    let (snapshot, messages, traces, past_traces) = service.signalling.with(|server, _| {
        let traces: Vec<_> = calls.iter().map(|(_, call)| server.trace_of_call(*call)).collect();
        let past: Vec<_> = past.iter().map(|past| server.trace_of_call(past.call)).collect();
        (server.device(&entry.key), server.trace_of_device(&entry.key), traces, past)
    });
    let line = |entry: TraceEntry| Line {
        ago: now.since(entry.at).as_secs_f64(),
        ours: entry.ours,
        peer: entry.peer.to_string(),
        text: without_digest(&crate::proto::gb28181::charset::decode(&entry.bytes)),
    };
    let reports = service.media.reports();
    let mut calls: Vec<_> = calls
        .into_iter()
        .zip(traces)
        // one that is being tried again shows its last attempt below
        .filter(|((_, call), _)| past.iter().all(|past| past.call != *call))
        .map(|((key, _), trace)| Call {
            media: reports.iter().find(|report| report.stream == key.as_str()).cloned(),
            stream: key.to_string(),
            messages: trace.into_iter().map(line).collect(),
            over: None,
            over_for: None,
            failed: false,
        })
        .collect();
    calls.extend(past.into_iter().zip(past_traces).map(|(past, trace)| Call {
        stream: past.stream.to_string(),
        messages: trace.into_iter().map(line).collect(),
        failed: !matches!(past.why, Failure::Stopped | Failure::Finished),
        over: Some(past.why.to_string()),
        over_for: Some(now.since(past.at).as_secs_f64()),
        media: Some(past.media),
    }));
    let path = snapshot.as_ref().and_then(|snapshot| snapshot.path);
    let last = messages.len().saturating_sub(40);
    let mut findings = Findings {
        device: entry.key.device.to_string(),
        platform: entry.key.platform.to_string(),
        status: entry.status.as_str(),
        path: path.map(|path| path.to_string()),
        told: path.map(|path| path.local.to_string()),
        version: snapshot.as_ref().map(|snapshot| snapshot.version.as_str()),
        silence: snapshot.as_ref().map(|snapshot| now.since(snapshot.heard).as_secs_f64()),
        interval: snapshot.as_ref().map(|snapshot| snapshot.interval.as_secs_f64()),
        messages: messages.into_iter().skip(last).map(line).collect(),
        calls,
        verdict: Vec::new(),
    };
    findings.verdict = verdict(entry, snapshot.as_ref(), &findings);
    findings
}

fn verdict(entry: &Entry, snapshot: Option<&Snapshot>, findings: &Findings) -> Vec<String> {
    let mut said = Vec::new();
    match entry.status {
        Status::New => said.push(format!(
            "The device has never registered. On the device, set the SIP server's id {} and domain {}, and this host's address and port.",
            findings.platform,
            entry.key.platform.domain()
        )),
        Status::Failed => {
            said.push("The device is locked: it gave wrong passwords. Correct its password, then call UnlockDevice.".to_owned())
        }
        Status::Off => said
            .push("The device was registered and is gone: it is switched off, or the network between it and this host is cut.".to_owned()),
        Status::On => {}
    }
    let last_refusal = findings.messages.iter().rev().find(|line| line.ours && line.text.starts_with("SIP/2.0 4"));
    if let Some(refusal) = last_refusal.filter(|line| entry.status != Status::On && !line.text.starts_with("SIP/2.0 401")) {
        let first = refusal.text.lines().next().unwrap_or_default();
        said.push(format!("Its last request was refused with \"{first}\", {:.0} s ago.", refusal.ago));
    }
    if let Some(path) = snapshot.and_then(|snapshot| snapshot.path)
        && unreachable_from(path.local.ip(), path.remote.ip())
    {
        said.push(format!(
            "The device is reached over the Internet ({}) and was told the private address {}: set gb28181.public_ip.",
            path.remote.ip(),
            path.local.ip()
        ));
    }
    for (n, call) in findings.calls.iter().enumerate() {
        // of calls for one stream the last one counts: those that are open come first, those that are over stand in their order
        let newest = !findings.calls.iter().skip(n + 1).any(|other| other.stream == call.stream);
        let open = findings.calls.iter().any(|other| other.over.is_none() && other.stream == call.stream);
        match call.over_for {
            None => call_verdict(call, snapshot, &mut said),
            Some(age) if call.failed && newest && !open && age < STALE => {
                let before = said.len();
                call_verdict(call, snapshot, &mut said);
                if said.len() == before {
                    let why = call.over.as_deref().unwrap_or_default();
                    said.push(format!("{}: the last call ended {age:.0} s ago: {why}.", call.stream));
                }
            }
            Some(_) => {}
        }
    }
    if said.is_empty() {
        said.push("Nothing is wrong.".to_owned());
    }
    said
}

fn call_verdict(call: &Call, snapshot: Option<&Snapshot>, said: &mut Vec<String>) {
    let stream = &call.stream;
    let told = call.messages.iter().find(|line| line.ours && line.text.starts_with("INVITE ")).and_then(|line| media_host(&line.text));
    let answered = call.messages.iter().any(|line| !line.ours && line.text.starts_with("SIP/2.0 200"));
    let refused = call
        .messages
        .iter()
        .rev()
        .find(|line| !line.ours && matches!(line.text.get(8..9), Some("3" | "4" | "5" | "6")) && line.text.starts_with("SIP/2.0"));
    if let Some(refusal) = refused {
        said.push(format!("{stream}: the device refused with \"{}\".", refusal.text.lines().next().unwrap_or_default()));
    } else if !answered && call.messages.iter().any(|line| line.ours && line.text.starts_with("INVITE ")) {
        said.push(format!("{stream}: the device does not answer the INVITE."));
    }
    let Some(media) = &call.media else { return };
    if answered && media.packets == 0 {
        let device = snapshot.and_then(|snapshot| snapshot.path).map(|path| path.remote.ip());
        match (told, device) {
            (Some(told), Some(device)) if unreachable_from(told, device) => said.push(format!(
                "{stream}: the device sends to {told}, which is not this host as seen from {device}: set gb28181.public_ip."
            )),
            (Some(told), _) => said.push(format!(
                "{stream}: the device answered and nothing arrives. It was told to send to {told} port {}: check that this port is open for {}.",
                media.port,
                if media.transport == super::media::Transport::Udp { "UDP" } else { "TCP" }
            )),
            _ => said.push(format!("{stream}: the device answered and nothing arrives.")),
        }
    }
    said.extend(media.notes.iter().filter(|note| !note.starts_with("no packet has arrived")).map(|note| format!("{stream}: {note}.")));
}

/// Whether a device cannot send to the address that it was told: that belongs to a network of its own, the device to the Internet.
fn unreachable_from(told: IpAddr, device: IpAddr) -> bool {
    is_private(told) && !is_private(device)
}

/// The message without what a password could be guessed from.
fn without_digest(text: &str) -> String {
    let secret = |line: &str| {
        let name = line.split(':').next().unwrap_or_default().trim();
        name.eq_ignore_ascii_case("Authorization") || name.eq_ignore_ascii_case("Proxy-Authorization")
    };
    let mut shown = String::with_capacity(text.len());
    let mut hidden = false;
    for line in text.split_inclusive('\n') {
        // a line that begins with a blank goes on with the header before
        hidden = if line.starts_with([' ', '\t']) { hidden } else { secret(line) };
        match hidden {
            true if line.starts_with([' ', '\t']) => {}
            true => shown.push_str("Authorization: (not shown)\r\n"),
            false => shown.push_str(line),
        }
    }
    shown
}

/// The host of the first `c=` line.
fn media_host(text: &str) -> Option<IpAddr> {
    text.lines().find_map(|line| line.strip_prefix("c=")).and_then(|line| line.split_whitespace().nth(2)?.parse().ok())
}

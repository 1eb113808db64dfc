//! A call that was answered: only from here can BYE, INFO and the ACK of a 200 be made.

use super::header::Name;
use super::message::{Envelope, Method, Request, Response};
use super::uri;

/// One side of an established dialog (RFC 3261 section 12). It exists only after a 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    call_id: String,
    /// Our From value, with tag.
    local: String,
    /// The peer's To value, with its tag if it gave one (some devices give none).
    remote: String,
    remote_tag: String,
    local_tag: String,
    /// The Request-URI of what we send in it.
    target: String,
    number: u32,
}

impl Dialog {
    /// The caller's side: from the INVITE (or SUBSCRIBE) that it sent and the 2xx that came back. `None` for anything but a 2xx.
    pub fn of_caller(request: &Request, response: &Response) -> Option<Dialog> {
        if !(200..300).contains(&response.status) {
            return None;
        }
        Dialog::from_answer(response, &request.uri)
    }

    /// The caller's side, from the answer alone: enough to end a call that we have forgotten.
    pub fn from_answer(response: &Response, fallback_uri: &str) -> Option<Dialog> {
        if !(200..300).contains(&response.status) {
            return None;
        }
        let to = response.to()?;
        let from = response.from()?;
        let (number, _) = response.cseq()?;
        Some(Dialog {
            call_id: response.call_id().into_owned(),
            local: response.headers.get(&Name::From)?.into_owned(),
            remote: response.headers.get(&Name::To)?.into_owned(),
            remote_tag: to.tag().to_owned(),
            local_tag: from.tag().to_owned(),
            target: target(response.contact().map(|contact| contact.uri), fallback_uri),
            number,
        })
    }

    /// The callee's side: from the INVITE (or SUBSCRIBE) that came and our 2xx.
    pub fn of_callee(request: &Request, response: &Response) -> Option<Dialog> {
        if !(200..300).contains(&response.status) {
            return None;
        }
        let from = request.from()?;
        Some(Dialog {
            call_id: request.call_id().into_owned(),
            local: response.headers.get(&Name::To)?.into_owned(),
            remote: request.headers.get(&Name::From)?.into_owned(),
            remote_tag: from.tag().to_owned(),
            local_tag: response.to()?.tag().to_owned(),
            target: target(request.contact().map(|contact| contact.uri), &from.uri),
            number: 1,
        })
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        &self.call_id
    }

    /// The peer's tag; empty if it gave none.
    pub fn remote_tag(&self) -> &str {
        &self.remote_tag
    }

    /// Our tag.
    pub fn local_tag(&self) -> &str {
        &self.local_tag
    }

    /// The number of the last request that was made.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The ACK to a 2xx; it takes the INVITE's number and a branch of its own.
    pub fn ack(&self, via: String, number: u32) -> Request {
        self.base(Method::Ack, number).with_via(via)
    }

    /// The next request in the dialog. Its Via comes from the transaction layer.
    pub fn request(&mut self, method: Method) -> Request {
        self.number = self.number.saturating_add(1);
        self.base(method, self.number)
    }

    /// The request that ends it; there is none after.
    pub fn bye(mut self) -> Request {
        self.request(Method::Bye)
    }

    fn base(&self, method: Method, number: u32) -> Request {
        let cseq = format!("{number} {method}");
        Request::new(method, self.target.clone())
            .with(Name::From, self.local.clone())
            .with(Name::To, self.remote.clone())
            .with(Name::CallId, self.call_id.clone())
            .with(Name::CSeq, cseq)
            .with(Name::MaxForwards, "70")
    }
}

impl Request {
    fn with_via(mut self, via: String) -> Request {
        self.headers.push_front(Name::Via, via);
        self
    }
}

/// The peer's Contact names the request's target; the packet itself goes to where the peer was last heard, whatever stands here.
fn target(contact: Option<String>, fallback: &str) -> String {
    contact.filter(|uri| !uri::host_port(uri).is_empty() && !uri.contains(char::is_whitespace)).unwrap_or_else(|| fallback.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::sip::fixtures;

    #[test]
    fn the_sheets_ack_and_bye_come_out_of_the_sheets_answer() {
        let (invite, answer) = (fixtures::request("60_invite_play_udp"), fixtures::response("61_invite_play_200"));
        let dialog = Dialog::of_caller(&invite, &answer).unwrap();
        let ack = dialog.ack("SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKiv1ACK1".into(), 1);
        assert_eq!(ack.to_bytes(), fixtures::bytes("62_ack"));
        let mut bye = dialog.bye();
        bye.headers.push_front(Name::Via, "SIP/2.0/UDP 192.0.2.10:5060;rport;branch=z9hG4bKiv1BYE2");
        assert_eq!(bye.to_bytes(), fixtures::bytes("63_bye"));
    }

    #[test]
    fn a_refusal_makes_no_dialog() {
        let invite = fixtures::request("60_invite_play_udp");
        let refusal = Response::to(&invite, "198.51.100.8:5060".parse().unwrap(), 486, "t");
        assert_eq!(Dialog::of_caller(&invite, &refusal), None);
        assert_eq!(Dialog::of_callee(&invite, &refusal), None);
    }

    #[test]
    fn both_sides_agree() {
        let invite = fixtures::request("60_invite_play_udp");
        let ok = Response::to(&invite, "192.0.2.10:5060".parse().unwrap(), 200, "dev").with(Name::Contact, "<sip:1@10.0.0.9:5060>");
        let caller = Dialog::of_caller(&invite, &ok).unwrap();
        let callee = Dialog::of_callee(&invite, &ok).unwrap();
        assert_eq!((caller.local_tag(), caller.remote_tag()), (callee.remote_tag(), callee.local_tag()));
        assert_eq!(caller.bye().uri, "sip:1@10.0.0.9:5060");
        assert_eq!(callee.bye().uri, "sip:34020000002000000001@192.0.2.10:5060");
    }
}

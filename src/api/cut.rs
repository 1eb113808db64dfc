//! Cutting off: what runs ends when the right to run ends.

use super::Api;
use super::access::way_out;
use crate::base::id::StreamKey;
use crate::model::group::{Filter, InProtocol, OutProtocols};
use crate::model::id::{GroupId, TenantId};
use crate::model::page::{Page, Sort};
use crate::model::tenant::Scope;
use std::collections::HashSet;

/// Ends the streams and players of a group, and what its devices do.
pub async fn group(api: &Api, id: GroupId, why: &str) {
    everything(api, |row| row.group == id, why).await;
    api.devices().halted(id);
}

/// Ends the streams and players of a tenant, and what its devices do.
pub async fn tenant(api: &Api, id: TenantId, why: &str) {
    everything(api, |row| row.owner == id, why).await;
    let filter = || Filter { in_protocol: Some(InProtocol::Gb28181), ..Filter::default() };
    for num in 1.. {
        match api.store().groups(Scope::Tenant(id), filter(), &Sort::default(), Page::new(num, Page::MAX)).await {
            Ok(page) if page.items.is_empty() => break,
            Ok(page) => page.items.iter().for_each(|group| api.devices().halted(group.id)),
            Err(error) => {
                tracing::warn!(%error, "cannot list the groups of a tenant to cut them off");
                break;
            }
        }
    }
}

/// Ends a stream: whoever sends it, and whoever plays it.
pub fn stream(api: &Api, key: &StreamKey, why: &str) {
    api.media().cut(key, why);
    api.media().kick(why, &|player| base(player.key) == *key);
}

/// Ends the players of a group that use a protocol which it does not allow any more.
pub async fn players(api: &Api, id: GroupId, allowed: OutProtocols) {
    let keys = keys(api, |row| row.group == id).await;
    let gone = |protocol| way_out(protocol).is_some_and(|way| !allowed.has(way));
    api.media()
        .kick("the group does not allow this protocol any more", &|player| keys.contains(&base(player.key)) && gone(player.protocol));
}

async fn everything(api: &Api, which: impl Fn(&super::book::Row) -> bool, why: &str) {
    let keys = keys(api, which).await;
    for key in &keys {
        api.media().cut(key, why);
    }
    api.media().kick(why, &|player| keys.contains(&base(player.key)));
}

/// The live streams that a rule picks.
async fn keys(api: &Api, which: impl Fn(&super::book::Row) -> bool) -> HashSet<StreamKey> {
    let mut keys = HashSet::new();
    for live in api.media().list() {
        match api.book().row(&base(&live.key)).await {
            Ok(Some(row)) if which(&row) => {
                keys.insert(row.key.clone());
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, key = %live.key, "cannot tell whose stream this is"),
        }
    }
    keys
}

/// The stream behind what is made of it: an output `{stream}_{rule}`, or one with other sound.
fn base(key: &StreamKey) -> StreamKey {
    let name = key.name().split(['_', '@']).next().unwrap_or_default();
    StreamKey::new(key.app(), name).unwrap_or_else(|_| key.clone())
}

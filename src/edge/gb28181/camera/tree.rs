//! The tree of a simulated platform (annexes E and J): a region, a business group, virtual organisations below it and below each
//! other, channels in those.

use crate::proto::gb28181::Id;
use crate::proto::gb28181::manscdp::Item;

/// Channels in one virtual organisation.
const CHANNELS: usize = 16;
/// Every so many organisations one stands below the business group itself; the others stand below that one.
const FAMILY: usize = 4;
const AREA: usize = 10;

/// The nodes of a platform's tree above `count` channels.
pub(super) fn nodes(platform: Id, count: usize) -> Vec<Item> {
    let node = |id: Option<Id>, name: String| Item { id, name, online: true, ..Item::default() };
    let group = node_id(platform, 215, 1);
    let mut nodes = vec![
        node(platform.as_str().get(..6).and_then(Id::new), "Region".to_owned()),
        Item { parent_id: platform.to_string(), ..node(group, "Business group".to_owned()) },
    ];
    for n in 0..count.div_ceil(CHANNELS) {
        let parent = (n % FAMILY != 0).then(|| node_id(platform, 216, n - n % FAMILY + 1)).flatten();
        nodes.push(Item {
            business_group: text(group),
            parent_id: text(parent),
            ..node(node_id(platform, 216, n + 1), format!("Area {}", n + 1))
        });
    }
    nodes
}

/// The parents of channel number `n`, as `ParentID` has them, and its business group.
pub(super) fn place(platform: Id, n: usize) -> (String, String) {
    let organisation = node_id(platform, 216, n / CHANNELS + 1);
    (format!("{platform}/{}", text(organisation)), text(node_id(platform, 215, 1)))
}

fn node_id(platform: Id, kind: u16, serial: usize) -> Option<Id> {
    let (area, network) = (platform.as_str().get(..AREA)?, platform.as_str().get(AREA + 3..AREA + 4)?);
    Id::new(&format!("{area}{kind}{network}{serial:06}"))
}

fn text(id: Option<Id>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::gb28181::id::Kind;
    use std::collections::HashSet;

    #[test]
    fn every_channel_leads_to_the_business_group() {
        let platform = Id::new("34020000002000000009").unwrap();
        let nodes = nodes(platform, 100);
        let ids: HashSet<Id> = nodes.iter().filter_map(|node| node.id).collect();
        assert_eq!((nodes.len(), ids.len()), (2 + 7, 2 + 7));
        assert_eq!(nodes[0].id.unwrap().kind(), Kind::Region);
        assert_eq!((nodes[1].id.unwrap().kind(), nodes[1].parent_id.as_str()), (Kind::BusinessGroup, platform.as_str()));
        for node in &nodes[2..] {
            assert_eq!((node.id.unwrap().kind(), node.business_group.as_str()), (Kind::VirtualOrganisation, "34020000002150000001"));
            assert!(node.parents().all(|parent| ids.contains(&parent)));
        }
        assert_eq!(nodes[3].parents().collect::<Vec<_>>(), [nodes[2].id.unwrap()]);
        let (parents, group) = place(platform, 99);
        assert_eq!((parents.as_str(), group.as_str()), ("34020000002000000009/34020000002160000007", "34020000002150000001"));
    }
}

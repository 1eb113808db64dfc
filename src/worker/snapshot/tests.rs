//! Which streams are photographed, and what becomes of a picture that cannot be made.

use super::*;
use crate::av;
use crate::base::id::SessionId;
use crate::model::binding::{How, Instance};
use crate::model::group::{self, InProtocol};
use crate::model::template::{Draft, Formats, Snapshot, Storage};
use crate::storage;
use crate::stream::Source;

struct Desk {
    snapshots: Snapshots,
    registry: Registry,
    store: Store,
    stream: Stream,
    tasks: Tasks,
    _dir: tempfile::TempDir,
}

impl Desk {
    async fn new() -> Desk {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::real();
        let store = Store::open(&store::Settings::default(), dir.path(), clock.clone()).await.unwrap();
        let draft = group::Draft::new("g", InProtocol::Rtmp, "rtmp".parse().unwrap());
        let group = store.create_group(Scope::Operator, draft).await.unwrap();
        let stream = store.create_streams(Scope::Operator, group.id, vec!["s".into()]).await.unwrap().remove(0);
        let tasks = Tasks::new();
        let registry = Registry::new(Default::default(), clock.clone(), &tasks);
        let shelf = Shelf::open(storage::Settings::default(), dir.path(), store.clone(), clock.clone(), 10).await.unwrap();
        let helper = av::Settings { program: "/nowhere/weir-av".into(), ..Default::default() };
        let parts = Parts {
            settings: Settings::default(),
            store: store.clone(),
            registry: registry.clone(),
            shelf,
            stills: Stills::new(&helper, &tasks),
            domain: "d".into(),
            clock,
        };
        Desk { snapshots: Snapshots::start(parts, &tasks), registry, store, stream, tasks, _dir: dir }
    }

    async fn template(&self, name: &str) -> Template {
        let body = Body::Snapshot(Snapshot { interval: 1, formats: Formats::NONE, overwrite: None, sequence: None, expired: 0 });
        let draft = Draft { name: name.into(), description: String::new(), callback: None, storage: Storage::default(), body };
        self.store.create_template(Scope::Operator, draft).await.unwrap()
    }

    async fn looked_up(&self) -> Option<String> {
        let key = self.stream.key().unwrap();
        self.snapshots.look_up(&key).await.unwrap().map(|(_, template)| template.name.clone())
    }

    fn publish(&self) -> crate::stream::Publisher {
        let source = Source { protocol: "test", peer: String::new(), session: SessionId(1) };
        self.registry.publish(&self.stream.key().unwrap(), source).unwrap()
    }
}

#[tokio::test]
async fn a_streams_own_template_wins_over_its_groups_and_only_live_streams_count() {
    let desk = Desk::new().await;
    let (group, own) = (desk.template("group's").await, desk.template("own").await);
    let bind = async |template: &Template, instance| desk.store.bind(Scope::Operator, template.id, instance, How::default()).await.unwrap();
    bind(&group, Instance::Group(desk.stream.group)).await;
    assert_eq!(desk.looked_up().await, None, "nobody publishes it");
    let publisher = desk.publish();
    assert_eq!(desk.looked_up().await.as_deref(), Some("group's"));
    bind(&own, Instance::Stream(desk.stream.id)).await;
    assert_eq!(desk.looked_up().await.as_deref(), Some("own"));
    desk.store.unbind(Scope::Operator, Some(own.id), None, Instance::Stream(desk.stream.id)).await.unwrap();
    assert_eq!(desk.looked_up().await.as_deref(), Some("group's"));
    drop(publisher);
    assert_eq!(desk.looked_up().await, None);
}

#[tokio::test]
async fn what_cannot_be_made_is_told_and_counted() {
    let desk = Desk::new().await;
    assert!(matches!(desk.snapshots.take(desk.stream.id).await, Err(Failed::Off)));
    assert_eq!(desk.snapshots.counts(), Counts { taken: 0, failed: 1 });
    assert!(desk.registry.wanted_now().is_empty(), "a picture is no reason to fetch a stream");
    assert!(matches!(desk.snapshots.take(crate::model::id::StreamId(1)).await, Err(Failed::Store(_))));
    assert!(desk.tasks.finish(Duration::from_secs(5)).await.is_empty());
}

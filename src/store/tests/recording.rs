//! Recordings on demand: what the store promises.

use super::*;
use crate::base::id::StreamKey;
use crate::model::id::{RecordingId, StreamId, TemplateId, TenantId};
use crate::model::recording::{Order, Ordered, Paths};
use crate::model::template::Storage;

fn ordered(b: &super::Bench, id: RecordingId) -> Ordered {
    let order = Order {
        owner: TenantId(2),
        group: GroupId(4),
        stream: StreamId(5),
        key: StreamKey::parse("app/门口").unwrap(),
        template: Some(TemplateId(6)),
        formats: "mp4,hls".parse().unwrap(),
        interval: 60,
        paths: Paths::default(),
        storage: Storage { bucket: "b".to_owned(), endpoint: "http://127.0.0.1:9".to_owned(), region: "r".to_owned() },
        bucket_key: None,
        expired: 3,
        callback: Some("http://127.0.0.1/cb".to_owned()),
    };
    Ordered { id, since: b.now(), sequence: 0, order }
}

suite! {
    async fn what_was_ordered_is_there_after_a_restart_until_it_ends(b) {
        let (first, second) = (ordered(&b, b.store.new_recording()), ordered(&b, b.store.new_recording()));
        for one in [&first, &second] {
            b.store.put_recording(one.clone()).await.unwrap();
        }
        b.store.set_recording_sequence(first.id, 9).await.unwrap();
        b.store.set_recording_sequence(first.id, 4).await.unwrap();
        b.reopen().await;
        assert_eq!(b.store.recordings().await.unwrap(), [Ordered { sequence: 9, ..first.clone() }, second.clone()]);
        assert!(b.store.new_recording() > second.id, "ids are not given twice");
        assert!(b.store.end_recording(first.id).await.unwrap());
        assert!(!b.store.end_recording(first.id).await.unwrap());
        assert_eq!(b.store.recordings().await.unwrap(), [second]);
    }
}

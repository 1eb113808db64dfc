//! Cloud recordings: what the store promises.

use super::*;
use crate::model::cloud::CloudRecording;
use crate::model::id::StreamId;
use crate::store::CloudBegin;

fn recording(b: &super::Bench, sid: &str, resource: &str, uid: &str) -> CloudRecording {
    CloudRecording {
        sid: sid.to_owned(),
        resource: resource.to_owned(),
        owner: crate::model::tenant::OPERATOR,
        group: GroupId(4),
        stream: StreamId(5),
        cname: "门口".to_owned(),
        uid: uid.to_owned(),
        mode: "mix".to_owned(),
        recording: String::new(),
        order: Secret("{\"key\":\"secret\"}".to_owned()),
        running: true,
        started: b.now(),
        stopped: None,
        expires: Time(b.now().0 + 3_600_000),
    }
}

suite! {
    async fn a_resource_is_good_once_and_a_recording_runs_once(b) {
        let first = recording(&b, "s1", "r1", "1");
        assert_eq!(b.store.begin_cloud_recording(first.clone()).await.unwrap(), CloudBegin::New);
        let again = b.store.begin_cloud_recording(recording(&b, "s2", "r1", "2")).await.unwrap();
        assert_eq!(again, CloudBegin::Used(Box::new(first.clone())));
        assert_eq!(b.store.begin_cloud_recording(recording(&b, "s3", "r3", "1")).await.unwrap(), CloudBegin::Same);
        assert_eq!(b.store.begin_cloud_recording(recording(&b, "s4", "r4", "2")).await.unwrap(), CloudBegin::New);
        b.store.drop_cloud_recording("s4").await.unwrap();
        b.store.set_cloud_recording("s1", "77").await.unwrap();
        // A restart keeps what runs, with what was ordered.
        b.reopen().await;
        let running = b.store.running_cloud_recordings().await.unwrap();
        assert_eq!(running, [CloudRecording { recording: "77".to_owned(), ..first.clone() }]);
        is_not_found(b.store.cloud_recording(Scope::Tenant(crate::model::id::TenantId(9)), "s1").await, Noun::Record);
        assert!(b.store.end_cloud_recording("s1").await.unwrap());
        assert!(!b.store.end_cloud_recording("s1").await.unwrap());
        let over = b.store.cloud_recording(Scope::Operator, "s1").await.unwrap();
        assert_eq!((over.running, over.stopped, over.order), (false, Some(b.now()), Secret::default()));
        assert_eq!(b.store.cloud_recording_of("r1").await.unwrap().unwrap().sid, "s1");
        // The same may be recorded anew; the old resource stays used.
        assert_eq!(b.store.begin_cloud_recording(recording(&b, "s5", "r5", "1")).await.unwrap(), CloudBegin::New);
        assert!(matches!(b.store.begin_cloud_recording(recording(&b, "s6", "r1", "6")).await.unwrap(), CloudBegin::Used(_)));
        assert_eq!(b.store.sweep_cloud_recordings().await.unwrap(), 0);
        b.clock.advance(std::time::Duration::from_secs(3601));
        assert_eq!(b.store.sweep_cloud_recordings().await.unwrap(), 1, "what runs is kept");
    }
}

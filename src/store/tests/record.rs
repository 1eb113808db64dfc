//! Records: what the store promises.

use super::*;
use crate::model::alarm::Alarm;
use crate::model::id::{AlarmId, DeviceId, RecordId, RecordingId, StreamId, TemplateId, TenantId};
use crate::model::record::{Draft, Filter, Format, Kind, Place, Record};
use crate::store::AlarmFilter;
use std::time::Duration;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn draft(owner: TenantId, stream: i64, start: i64, end: i64) -> Draft {
    let place = Place { endpoint: String::new(), bucket: String::new(), object: format!("{stream}/{start}.mp4") };
    Draft {
        stream: StreamId(stream),
        group: GroupId(9),
        owner,
        template: Some(TemplateId(8)),
        recording: Some(RecordingId(stream * 100)),
        kind: Kind::Record,
        format: Some(Format::Mp4),
        place,
        start: Time(start),
        end: Time(end),
        duration_ms: end - start,
        width: 1920,
        height: 1080,
        size: 12345,
        expires: None,
    }
}

fn within(from: i64, to: i64) -> Filter {
    Filter { stream: StreamId(1), kind: Kind::Record, from: Time(from), to: Time(to) }
}

/// What a list should be, worked out row by row.
fn naive(all: &[Record], from: i64, to: i64) -> Vec<RecordId> {
    let mut fit: Vec<&Record> = all.iter().filter(|r| r.start.0 < to && (r.end.0 > from || r.start.0 >= from)).collect();
    fit.sort_by_key(|r| (r.start, r.id));
    fit.into_iter().map(|r| r.id).collect()
}

suite! {
    async fn a_record_comes_back_as_it_was_written(b) {
        let owner = b.tenant("t").await.tenant;
        let gap = Draft { kind: Kind::Gap, format: None, template: None, expires: Some(Time(5)), ..draft(owner, 1, 0, 10) };
        let made = b.store.add_records(vec![draft(owner, 1, 0, 1500), gap]).await.unwrap();
        b.reopen().await;
        for record in &made {
            assert_eq!(b.store.record(Scope::Tenant(owner), record.id).await.unwrap(), *record);
        }
        is_not_found(b.store.record(Scope::Tenant(TenantId(77)), made[0].id).await, Noun::Record);
        assert_eq!(b.store.records_of_object("", "1/0.mp4").await.unwrap(), made);
        let of = async |scope, id| b.store.records_of_recording(scope, RecordingId(id), 10).await.unwrap();
        assert_eq!(of(Scope::Tenant(owner), 100).await.len(), 2);
        assert!(of(Scope::Tenant(owner), 101).await.is_empty() && of(Scope::Tenant(TenantId(77)), 100).await.is_empty());
        let list = async |scope| b.store.records(scope, within(0, 9), Page::default()).await.unwrap().total;
        assert_eq!((list(Scope::Tenant(owner)).await, list(Scope::Tenant(TenantId(77))).await, list(Scope::Operator).await), (1, 0, 1));
        assert!(b.store.add_records(Vec::new()).await.unwrap().is_empty());
    }

    async fn pages_are_those_that_counting_rows_would_give(b) {
        let owner = b.tenant("t").await.tenant;
        // Days with no, few and many records, records that reach over midnight, several at one moment, another stream, another kind.
        let mut drafts = Vec::new();
        for day in [0, 1, 2, 5, 6, 9] {
            for n in 0..(day * 7 % 11 + 3) {
                let start = day * DAY + n * 2 * HOUR + 17;
                drafts.push(draft(owner, 1, start, start + 2 * HOUR));
                if n % 3 == 0 {
                    drafts.push(Draft { format: Some(Format::Flv), ..draft(owner, 1, start, start + HOUR) });
                }
            }
        }
        drafts.push(draft(owner, 1, 3 * DAY - 1, 3 * DAY + 1));
        drafts.push(draft(owner, 1, 3 * DAY, 3 * DAY));
        let others = [draft(owner, 2, DAY, DAY + 1), Draft { kind: Kind::Snapshot, ..draft(owner, 1, DAY, DAY + 1) }];
        b.store.add_records(others.to_vec()).await.unwrap();
        let mut all = Vec::new();
        for some in drafts.chunks(7) {
            all.extend(b.store.add_records(some.to_vec()).await.unwrap());
        }
        let check = async |all: &[Record], from: i64, to: i64, size: u32| {
            let want = naive(all, from, to);
            let mut got = Vec::new();
            for num in 1..=(want.len() as u32 / size + 2) {
                let page = b.store.records(Scope::Tenant(owner), within(from, to), Page::new(num, size)).await.unwrap();
                assert_eq!(page.total, want.len() as u64, "{from}..{to}");
                got.extend(page.items.iter().map(|r| r.id));
            }
            assert_eq!(got, want, "{from}..{to} by {size}");
        };
        for (from, to) in [
            (0, 10 * DAY),
            (i64::MIN, i64::MAX),
            (HOUR, 9 * DAY + 5 * HOUR),
            (DAY, 2 * DAY),
            (DAY + 1, 2 * DAY - 1),
            (3 * DAY, 5 * DAY),
            (3 * DAY, 3 * DAY + 1),
            (5 * DAY + 18, 5 * DAY + 19),
            (6 * DAY, 6 * DAY),
            (7 * DAY, 6 * DAY),
            (20 * DAY, 30 * DAY),
            (-5 * DAY, -DAY),
        ] {
            for size in [3, 10, 100] {
                check(&all, from, to, size).await;
            }
        }
        // The counts follow deletions.
        let (gone, left): (Vec<_>, Vec<_>) = all.iter().cloned().partition(|r| r.id.0 % 3 == 0 || r.start.0 / DAY == 5);
        let ids: Vec<_> = gone.iter().map(|r| r.id).chain([RecordId(5)]).collect();
        assert_eq!(b.store.delete_records(&ids).await.unwrap(), gone.len() as u64);
        assert_eq!(b.store.delete_records(&ids).await.unwrap(), 0);
        for (from, to) in [(0, 10 * DAY), (DAY, 6 * DAY), (5 * DAY, 6 * DAY)] {
            check(&left, from, to, 4).await;
        }
    }

    async fn records_expire_and_give_way(b) {
        let owner = b.tenant("t").await.tenant;
        let expiring = |n: i64, at: Option<i64>| Draft { expires: at.map(Time), ..draft(owner, 1, n, n + 1) };
        let made = b.store.add_records(vec![expiring(0, Some(30)), expiring(1, None), expiring(2, Some(20)), expiring(3, Some(40))]).await.unwrap();
        let expired = b.store.expired_records(Time(30), 10).await.unwrap();
        assert_eq!(expired.iter().map(|r| r.id).collect::<Vec<_>>(), [made[2].id, made[0].id]);
        assert_eq!(b.store.expired_records(Time(30), 1).await.unwrap().len(), 1);
        let mut far = draft(owner, 1, 9, 10);
        far.place.bucket = "bucket".to_owned();
        b.store.add_records(vec![far]).await.unwrap();
        assert_eq!(b.store.oldest_local_records(100).await.unwrap(), made);
    }

    async fn alarms_are_listed_and_swept(b) {
        let (owner, other) = (b.tenant("t").await, b.tenant("u").await);
        let alarm = |n: i64| Alarm {
            id: AlarmId(0),
            owner: owner.tenant,
            group: GroupId(1),
            device: DeviceId(n % 2 + 1),
            gb_id: code(1),
            method: 5,
            kind: (n > 0).then_some(2),
            priority: "1".to_owned(),
            description: "移动侦测".to_owned(),
            at: Time(b.now().0 + n * 1000),
        };
        let made = b.store.add_alarms((0..5).map(alarm).collect()).await.unwrap();
        let list = async |scope, filter| b.store.alarms(scope, filter, Page::default()).await.unwrap().items;
        let newest_first: Vec<_> = made.iter().rev().cloned().collect();
        assert_eq!(list(owner.scope(), AlarmFilter::default()).await, newest_first);
        assert!(list(other.scope(), AlarmFilter::default()).await.is_empty());
        assert_eq!(list(Scope::Operator, AlarmFilter { device: Some(DeviceId(1)), group: Some(GroupId(1)), ..Default::default() }).await.len(), 3);
        let span = AlarmFilter { from: Some(made[1].at), to: Some(made[3].at), ..Default::default() };
        assert_eq!(list(Scope::Operator, span).await.len(), 2);
        b.clock.advance(b.settings.keep_logs.0 + Duration::from_millis(1500));
        assert!(!b.store.sweep_logs().await.unwrap());
        assert_eq!(list(Scope::Operator, AlarmFilter::default()).await, newest_first[..3]);
    }

    async fn the_oldest_alarms_beyond_a_number_are_swept(b) {
        b.settings.most_logs = 3;
        b.reopen().await;
        let owner = b.tenant("t").await.tenant;
        let alarm = |n: i64| Alarm {
            id: AlarmId(0),
            owner,
            group: GroupId(1),
            device: DeviceId(1),
            gb_id: code(1),
            method: 5,
            kind: None,
            priority: "1".to_owned(),
            description: String::new(),
            at: Time(b.now().0 + n),
        };
        let made = b.store.add_alarms((0..2505).map(alarm).collect()).await.unwrap();
        // A portion at a time, the oldest first.
        let left = async || b.store.alarms(Scope::Operator, AlarmFilter::default(), Page::new(1, 10)).await.unwrap();
        for (more, rows) in [(true, 1505), (true, 505), (false, 3), (false, 3)] {
            assert_eq!((b.store.sweep_logs().await.unwrap(), left().await.total), (more, rows));
        }
        assert_eq!(left().await.items, made[2502..].iter().rev().cloned().collect::<Vec<_>>());
    }
}

//! Usage statistics: what the store promises.

use super::*;
use crate::model::id::{StreamId, TenantId};
use crate::model::usage::{Sums, Usage};
use crate::store::{MINUTE, UsageFilter};

fn minute(owner: TenantId, group: i64, stream: i64, n: i64) -> Usage {
    let at = Time::from_secs(1_760_054_400 + n * 60);
    let sums =
        Sums { bytes_in: 1000 + n, bytes_out: 10, video_frames: 25, live_ms: 60_000, viewers: n % 7, snapshots: 1, ..Sums::default() };
    Usage { at, owner, group: GroupId(group), stream: StreamId(stream), sums }
}

suite! {
    async fn minutes_are_replaced_and_rolled_up(b) {
        let owner = b.tenant("t").await.tenant;
        let minutes: Vec<_> = (0..600).map(|n| minute(owner, 1, 1, n)).chain((0..10).map(|n| minute(owner, 2, 1, n + 600))).collect();
        let (from, to) = (minutes[0].at, Time(minutes[609].at.0 + 60_000));
        for _ in 0..2 {
            // Again, as after a crash: nothing counts twice.
            b.store.put_usage(minutes.clone()).await.unwrap();
            for span in [300, 3600, 86_400] {
                b.store.roll_usage(span, from, Time(to.floor(span).0 + span * 1000)).await.unwrap();
            }
        }
        let filter = UsageFilter { group: None, stream: Some(StreamId(1)), from: from.floor(86_400), to: Time(to.0 + 86_400_000) };
        let mut want = Sums::default();
        minutes.iter().for_each(|m| want.add(&m.sums));
        for (span, rows) in [(MINUTE, 610), (300, 122), (3600, 11), (86_400, 1)] {
            let series = b.store.usage_series(Scope::Tenant(owner), span, filter).await.unwrap();
            assert_eq!(series.len(), rows, "{span}");
            assert!(series.iter().all(|(at, _)| *at == at.floor(span)));
            let mut sum = Sums::default();
            series.iter().for_each(|(_, s)| sum.add(s));
            assert_eq!(sum, want, "{span}");
        }
        // It moved at the end: each group keeps its share.
        let of = async |group| {
            let series = b.store.usage_series(Scope::Operator, 86_400, UsageFilter { group: Some(GroupId(group)), ..filter }).await.unwrap();
            series.iter().map(|(_, s)| s.snapshots).sum::<i64>()
        };
        assert_eq!((of(1).await, of(2).await), (600, 10));
        assert!(b.store.usage_series(Scope::Tenant(TenantId(5)), 3600, filter).await.unwrap().is_empty());
        let row = b.store.usage(Scope::Operator, MINUTE, UsageFilter { to: Time(from.0 + 1), ..filter }).await.unwrap();
        assert_eq!(row, minutes[..1]);
        invalid(b.store.roll_usage(61, from, to).await, "span");
        assert!(!b.store.sweep_usage(MINUTE, to).await.unwrap());
        assert!(b.store.usage(Scope::Operator, MINUTE, filter).await.unwrap().is_empty());
        assert_eq!(b.store.usage(Scope::Operator, 3600, filter).await.unwrap().len(), 11);
    }
}

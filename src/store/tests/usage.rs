//! Usage statistics: what the store promises.

use super::*;
use crate::model::id::{StreamId, TenantId};
use crate::model::usage::{Peak, Peaks, Sums, Total, Usage};
use crate::store::{MINUTE, TotalOf, UsageFilter};

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
            b.store.put_usage(minutes.clone(), Vec::new()).await.unwrap();
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

fn total(owner: TenantId, group: Option<i64>, protocol: &str, n: i64, most: i64) -> Total {
    let at = Time::from_secs(1_760_054_400 + n * 60);
    let peak = |most| Peak { most, at };
    let sums = Sums { bytes_in: 100, bytes_out: 10 * n, snapshots: 1, ..Sums::default() };
    let peaks = Peaks { streams: peak(most), viewers: peak(2 * most), recordings: peak(1), devices: peak(3) };
    Total { sums, peaks, ..Total::new(at, owner, group.map(GroupId), protocol) }
}

suite! {
    async fn totals_are_rolled_up_with_their_peaks(b) {
        let owner = b.tenant("t").await.tenant;
        let other = b.tenant("u").await.tenant;
        // A day and an hour; the most streams at minute 70 and again at minute 100.
        let most = |n| if n == 70 || n == 100 { 9 } else { n % 5 };
        let mut minutes: Vec<_> = (0..1500).map(|n| total(owner, None, "", n, most(n))).collect();
        minutes.extend((0..10).flat_map(|n| [total(owner, Some(4), "", n, 1), total(owner, Some(4), "hls", n, 0), total(other, None, "", n, 50)]));
        let (from, to) = (minutes[0].at, Time(minutes[1499].at.0 + 60_000));
        for _ in 0..2 {
            b.store.put_usage(Vec::new(), minutes.clone()).await.unwrap();
            for span in [300, 3600, 86_400] {
                b.store.roll_totals(span, from, Time(to.floor(span).0 + span * 1000)).await.unwrap();
            }
        }
        let all = (from.floor(86_400), Time(to.0 + 86_400_000));
        let tenant = TotalOf::Tenant(owner);
        for (span, rows) in [(MINUTE, 1500), (300, 300), (3600, 25), (86_400, 2)] {
            let found = b.store.totals(tenant, span, all.0, all.1).await.unwrap();
            assert_eq!(found.len(), rows, "{span}");
            let mut sum = Total::new(all.0, owner, None, "");
            found.iter().for_each(|t| sum.add(t));
            assert_eq!((sum.sums.bytes_in, sum.sums.bytes_out, sum.sums.snapshots), (150_000, 10 * (1499 * 1500 / 2), 1500), "{span}");
            assert_eq!(sum.peaks.streams, Peak { most: 9, at: Time(from.0 + 70 * 60_000) }, "{span}");
            assert_eq!((sum.peaks.viewers.most, sum.peaks.recordings.most, sum.peaks.devices.most), (18, 1, 3), "{span}");
            if span > MINUTE {
                assert_eq!((sum.top_in, sum.top_out), (500, 10 * (1495 + 1496 + 1497 + 1498 + 1499)), "{span}");
            }
            let one = b.store.total(tenant, span, all.0, all.1).await.unwrap().unwrap();
            assert_eq!((one.sums, one.top_in, one.top_out, one.peaks.streams.most), (sum.sums, sum.top_in, sum.top_out, 9), "{span}");
        }
        let group = b.store.totals(TotalOf::Group(GroupId(4), owner), 300, all.0, all.1).await.unwrap();
        assert_eq!(group.iter().map(|t| t.sums.snapshots).collect::<Vec<_>>(), [5, 5]);
        let by = b.store.totals_by_protocol(TotalOf::Group(GroupId(4), owner), 3600, all.0, all.1).await.unwrap();
        assert_eq!(by.iter().map(|t| (t.protocol.as_str(), t.sums.bytes_in)).collect::<Vec<_>>(), [("hls", 1000)]);
        assert!(b.store.total(TotalOf::Tenant(TenantId(99)), 300, all.0, all.1).await.unwrap().is_none());
        // What is old goes: details first.
        while b.store.sweep_totals(300, all.1, true).await.unwrap() {}
        assert!(b.store.totals_by_protocol(TotalOf::Group(GroupId(4), owner), 300, all.0, all.1).await.unwrap().is_empty());
        assert_eq!(b.store.totals(tenant, 300, all.0, all.1).await.unwrap().len(), 300);
        while b.store.sweep_totals(300, all.1, false).await.unwrap() {}
        assert!(b.store.totals(tenant, 300, all.0, all.1).await.unwrap().is_empty());
        assert_eq!(b.store.totals(tenant, 3600, all.0, all.1).await.unwrap().len(), 25);
    }
}

/// Two servers that share a database: neither replaces the other's minute, and devices, which both count, are not counted twice.
#[tokio::test]
async fn two_servers_count_side_by_side() {
    let Some(b) = super::Bench::postgres().await else { return };
    let settings = Settings { node: 1, ..b.settings.clone() };
    let second = Store::open(&settings, b.dir.path(), b.clock.clone()).await.unwrap();
    let owner = b.tenant("t").await.tenant;
    for store in [&b.store, &second, &b.store] {
        store.put_usage(vec![minute(owner, 1, 1, 0)], vec![total(owner, None, "", 0, 4)]).await.unwrap();
    }
    let (from, to) = (Time::from_secs(1_760_054_400), Time::from_secs(1_760_054_400 + 300));
    let roll = async |store: &Store| {
        store.roll_usage(300, from, to).await.unwrap();
        store.roll_totals(300, from, to).await.unwrap();
    };
    tokio::join!(roll(&b.store), roll(&second));
    let filter = UsageFilter { group: None, stream: None, from, to };
    assert_eq!(b.store.usage_series(Scope::Operator, 300, filter).await.unwrap()[0].1.bytes_in, 2000);
    assert_eq!(second.usage(Scope::Operator, MINUTE, filter).await.unwrap().len(), 1);
    let five = b.store.totals(TotalOf::Tenant(owner), 300, from, to).await.unwrap().remove(0);
    assert_eq!((five.sums.bytes_in, five.peaks.streams.most, five.peaks.devices.most), (200, 8, 3));
    second.close().await;
}

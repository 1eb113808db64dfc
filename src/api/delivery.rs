//! What was told to callbacks, and what devices reported. Not in the interface document.

use super::action::Action;
use super::context::{Context, number_maybe};
use super::error::Error;
use super::value::{Flag, Id, PageNum, PageSize, Text};
use super::view;
use crate::model::{alarm, callback};
use crate::store::{AlarmFilter, DeliveryFilter};
use crate::{action, actions, page_reply, reply};

actions!["Callbacks and alarms", "回调与报警": ListCallbackDeliveries, DescribeAlarms];

action! {
    /// Lists the tries to deliver callbacks, newest first.
    /// zh: 查询回调投递记录，按时间倒序。
    pub struct ListCallbackDeliveries {
        /// Only those about this object, as in device/123, stream/456 or template/789.
        /// zh: 按对象查询，如device/123。
        "Object" object: Option<Text<128>>,
        /// Only those that failed.
        /// zh: 仅失败的记录，默认false。
        "Failed" failed: Flag,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of tries to deliver callbacks.
    Deliveries "Deliveries" of Delivery
}

reply! {
    /// A try to deliver a callback.
    pub struct Delivery {
        /// The callback's id; several tries share it.
        /// zh: 回调ID，多次尝试相同。
        "Id" id: String,
        /// What it tells about.
        /// zh: 对象。
        "Object" object: String,
        /// Where it was sent.
        /// zh: 回调地址。
        "Url" url: String,
        /// What was sent.
        /// zh: 回调内容。
        "Body" body: String,
        /// The number of the try, from 1.
        /// zh: 第几次尝试。
        "Try" tried: u32,
        /// When.
        /// zh: 时间。
        "Time" time: String,
        /// How long it took, in milliseconds.
        /// zh: 耗时，单位毫秒。
        "Took" took: i64,
        /// The HTTP status of the answer; 0 where there was none.
        /// zh: 应答的HTTP状态码，无应答时为0。
        "HttpStatus" status: u16,
        /// What went wrong; empty where it was taken.
        /// zh: 错误信息，成功时为空。
        "Error" error: String,
        /// Whether it was the last try.
        /// zh: 是否为最后一次尝试。
        "Last" last: bool,
    }
}

action! {
    /// Lists the alarms that devices reported, newest first.
    /// zh: 查询设备报警记录，按时间倒序。
    pub struct DescribeAlarms {
        /// Only alarms of this group.
        /// zh: 按空间ID查询。
        "GroupId" group: Option<Id>,
        /// Only alarms of this device.
        /// zh: 按设备ID查询。
        "DeviceId" device: Option<Id>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of alarms.
    Alarms "Alarms" of Alarm
}

reply! {
    /// An alarm.
    pub struct Alarm {
        /// Its id.
        /// zh: 报警ID。
        "Id" id: String,
        /// The group of the device.
        /// zh: 空间ID。
        "GroupId" group: String,
        /// The device that reported it.
        /// zh: 设备ID。
        "DeviceId" device: String,
        /// The national id that it names: a channel, an alarm input or the device.
        /// zh: 报警源国标ID。
        "GbId" gb_id: String,
        /// How it was raised: 5 video, 7 others, and so on.
        /// zh: 报警方式：5视频报警，7其他报警等。
        "Alarm" method: String,
        /// What kind of alarm, within its method.
        /// zh: 报警类型。
        "SubAlarm" kind: Option<i64>,
        /// How urgent: 1 to 4.
        /// zh: 报警级别。
        "Priority" priority: String,
        /// What the device says about it.
        /// zh: 报警描述。
        "Description" description: String,
        /// When.
        /// zh: 报警时间。
        "Time" time: String,
    }
}

impl Action for ListCallbackDeliveries {
    type Reply = Deliveries;

    async fn run(self, cx: &Context) -> Result<Deliveries, Error> {
        let filter = DeliveryFilter { object: self.object.map(|o| o.0), failed: self.failed.0 };
        let page = cx.store().deliveries(cx.scope(), filter, view::page(self.page_size, self.page_num)).await?;
        let row = |d: callback::Delivery| Delivery {
            id: d.id.to_string(),
            object: d.object,
            url: d.url,
            body: d.body,
            tried: d.tried,
            time: d.at.to_string(),
            took: d.took_ms,
            status: d.status,
            error: d.error,
            last: d.last,
        };
        Ok(page.map(row).into())
    }
}

impl Action for DescribeAlarms {
    type Reply = Alarms;

    async fn run(self, cx: &Context) -> Result<Alarms, Error> {
        let filter = AlarmFilter {
            group: number_maybe(&self.group, "Group")?,
            device: number_maybe(&self.device, "Device")?,
            ..AlarmFilter::default()
        };
        let page = cx.store().alarms(cx.scope(), filter, view::page(self.page_size, self.page_num)).await?;
        let row = |a: alarm::Alarm| Alarm {
            id: a.id.to_string(),
            group: a.group.to_string(),
            device: a.device.to_string(),
            gb_id: a.gb_id.to_string(),
            method: a.method.to_string(),
            kind: a.kind,
            priority: a.priority,
            description: a.description,
            time: a.at.to_string(),
        };
        Ok(page.map(row).into())
    }
}

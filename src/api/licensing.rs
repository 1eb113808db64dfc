//! Selling licenses: products and renewals, the operator's alone; what was sold and activated, for whoever bought it. Not in the
//! interface document; devices and accounts use licenses by REST, see `api::license`.

use super::action::{Action, Who};
use super::context::Context;
use super::error::Error;
use super::value::{Int, PageNum, PageSize, Text};
use super::view;
use crate::model::id::{TenantId, UserId};
use crate::model::license::{self, Sku};
use crate::model::tenant::OPERATOR;
use crate::store::ProductDraft;
use crate::{action, actions, page_reply, reply};
use std::collections::HashMap;

actions![
    "Licenses", "License": CreateLicenseProduct, ModifyLicenseProduct, DescribeLicenseProducts, CreateLicenseRenewal,
    DescribeLicenseRenewals, DescribeLicenses
];

const DAY: i64 = 86_400;

action! {
    /// Sells licenses of a new product to a tenant.
    /// zh: 创建License产品（PID）。
    pub struct CreateLicenseProduct {
        /// Who buys them; the operator itself where it is not given.
        /// zh: 用户ID，不传为运营者自身。
        "UserId" user: Option<UserId>,
        /// The name of what they allow.
        /// zh: SKU名称。
        "Name" name: Text<128>,
        /// 1, 2 or 3, as the interface numbers its products.
        /// zh: 产品：1 RTC，2 RTSA，3 FPA。默认1。
        "Product" product: Option<Int<1, 3>>,
        /// 1 sound, 2 pictures, 3 both.
        /// zh: 媒体类型：1音频，2视频，3音视频。默认3。
        "MediaType" media_type: Option<Int<1, 3>>,
        /// Most minutes; 0 without limit.
        /// zh: 分钟数上限，0为不限。默认0。
        "Minutes" minutes: Option<Int<0, 1_000_000_000>>,
        /// When they may be used, as 00:00~23:59.
        /// zh: 使用时间段，默认00:00~23:59。
        "Period" period: Option<Text<32>>,
        /// 1 for use, 2 for trial.
        /// zh: 类型：1正式，2测试。默认1。
        "Type" kind: Option<Int<1, 2>>,
        /// Days that a license is good once it is activated.
        /// zh: 激活后的有效期，单位天。
        "Validity" validity: Int<1, 36_500>,
        /// How many.
        /// zh: 数量。
        "Quantity" quantity: Int<1, 1_000_000_000>,
    }
}

reply! {
    /// A new product.
    pub struct NewProduct {
        /// Its id.
        /// zh: 产品ID。
        "Pid" pid: String,
    }
}

action! {
    /// Sells more licenses of a product, or takes back those that are not allocated.
    /// zh: 修改License产品的数量。
    pub struct ModifyLicenseProduct {
        /// The product's id.
        /// zh: 产品ID。
        "Pid" pid: Text<64>,
        /// How many there are from now on.
        /// zh: 数量。
        "Quantity" quantity: Int<0, 1_000_000_000>,
    }
}

action! {
    /// Lists the products that were sold, newest first.
    /// zh: 查询License产品。
    pub struct DescribeLicenseProducts {
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of products.
    Products "Products" of Product
}

reply! {
    /// A product.
    pub struct Product {
        /// Its id.
        /// zh: 产品ID。
        "Pid" pid: String,
        /// Who bought it.
        /// zh: 用户ID。
        "UserId" user: String,
        /// The name of what it allows.
        /// zh: SKU名称。
        "Name" name: String,
        /// Its number in the interface.
        /// zh: 产品。
        "Product" product: i64,
        /// 1 sound, 2 pictures, 3 both.
        /// zh: 媒体类型。
        "MediaType" media_type: i64,
        /// Most minutes; 0 without limit.
        /// zh: 分钟数上限。
        "Minutes" minutes: i64,
        /// When it may be used.
        /// zh: 使用时间段。
        "Period" period: String,
        /// 1 for use, 2 for trial.
        /// zh: 类型。
        "Type" kind: i64,
        /// Days that a license is good.
        /// zh: 有效期，单位天。
        "Validity" validity: i64,
        /// How many there are.
        /// zh: 数量。
        "Quantity" quantity: i64,
        /// How many of them are given to applications.
        /// zh: 已配额数量。
        "Allocated" allocated: i64,
        /// When it was sold.
        /// zh: 创建时间。
        "CreatedTime" created: String,
    }
}

action! {
    /// Sells extensions of licenses of a product.
    /// zh: 创建License续期（RenewId）。
    pub struct CreateLicenseRenewal {
        /// The product's id.
        /// zh: 产品ID。
        "Pid" pid: Text<64>,
        /// Days that a license is good longer.
        /// zh: 延长的有效期，单位天。
        "Validity" validity: Int<1, 36_500>,
        /// How many licenses can be extended.
        /// zh: 可续期的License数量。
        "Quantity" quantity: Int<1, 1_000_000_000>,
    }
}

reply! {
    /// A new renewal.
    pub struct NewRenewal {
        /// Its id.
        /// zh: 续期ID。
        "RenewId" renew_id: String,
    }
}

action! {
    /// Lists the extensions that were sold of a product, newest first.
    /// zh: 查询License续期。
    pub struct DescribeLicenseRenewals {
        /// The product's id.
        /// zh: 产品ID。
        "Pid" pid: Text<64>,
    }
}

reply! {
    /// Extensions of a product.
    pub struct Renewals {
        /// The rows.
        /// zh: 续期列表。
        "Renewals" rows: Vec<Renewal>,
    }
}

reply! {
    /// An extension.
    pub struct Renewal {
        /// Its id.
        /// zh: 续期ID。
        "RenewId" renew_id: String,
        /// Days that a license is good longer.
        /// zh: 延长的有效期，单位天。
        "Validity" validity: i64,
        /// How many licenses can be extended.
        /// zh: 可续期的License数量。
        "Quantity" quantity: i64,
        /// How many were.
        /// zh: 已续期的License数量。
        "Used" used: i64,
        /// When it was sold.
        /// zh: 创建时间。
        "CreatedTime" created: String,
    }
}

action! {
    /// Lists the licenses that are activated, newest first.
    /// zh: 查询已激活的License。
    pub struct DescribeLicenses {
        /// Only those of this product.
        /// zh: 产品ID。
        "Pid" pid: Option<Text<64>>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of licenses.
    Licenses "Licenses" of License
}

reply! {
    /// An activated license.
    pub struct License {
        /// Its number.
        /// zh: License编号。
        "License" license: String,
        /// Its product.
        /// zh: 产品ID。
        "Pid" pid: String,
        /// The application: a group.
        /// zh: 应用，即空间ID。
        "AppId" app: String,
        /// The account or device that it is bound to.
        /// zh: 账号ID或设备ID。
        "LicenseKey" key: String,
        /// When it was activated.
        /// zh: 激活时间。
        "ActivationTime" activated: String,
        /// When it ends.
        /// zh: 到期时间。
        "ExpireTime" expires: String,
    }
}

impl Action for CreateLicenseProduct {
    type Reply = NewProduct;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<NewProduct, Error> {
        let owner = match &self.user {
            Some(user) => cx.store().tenant(user).await?.id,
            None => OPERATOR,
        };
        let sku = Sku {
            product: self.product.map_or(1, |n| n.0),
            name: self.name.0,
            media_type: self.media_type.map_or(3, |n| n.0),
            minutes: self.minutes.map_or(0, |n| n.0),
            period: self.period.map_or_else(|| "00:00~23:59".to_owned(), |text| text.0),
        };
        let kind = self.kind.map_or(1, |n| n.0);
        let draft = ProductDraft { owner, sku, kind, validity: self.validity.0 * DAY, quantity: self.quantity.0 };
        Ok(NewProduct { pid: cx.store().create_license_product(draft).await?.pid })
    }
}

impl Action for ModifyLicenseProduct {
    type Reply = NewProduct;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<NewProduct, Error> {
        Ok(NewProduct { pid: cx.store().resize_license_product(&self.pid.0, self.quantity.0).await?.pid })
    }
}

impl Action for DescribeLicenseProducts {
    type Reply = Products;

    async fn run(self, cx: &Context) -> Result<Products, Error> {
        let page = cx.store().license_products(cx.scope(), view::page(self.page_size, self.page_num)).await?;
        let users: HashMap<TenantId, String> = cx.store().tenants().await?.into_iter().map(|t| (t.id, t.user.to_string())).collect();
        let row = |p: license::Product| Product {
            pid: p.pid,
            user: users.get(&p.owner).cloned().unwrap_or_default(),
            name: p.sku.name,
            product: p.sku.product,
            media_type: p.sku.media_type,
            minutes: p.sku.minutes,
            period: p.sku.period,
            kind: p.kind,
            validity: p.validity / DAY,
            quantity: p.quantity,
            allocated: p.allocated,
            created: p.created.to_string(),
        };
        Ok(page.map(row).into())
    }
}

impl Action for CreateLicenseRenewal {
    type Reply = NewRenewal;
    const WHO: Who = Who::Operator;

    async fn run(self, cx: &Context) -> Result<NewRenewal, Error> {
        let renewal = cx.store().create_license_renewal(&self.pid.0, self.validity.0 * DAY, self.quantity.0).await?;
        Ok(NewRenewal { renew_id: renewal.renew_id })
    }
}

impl Action for DescribeLicenseRenewals {
    type Reply = Renewals;

    async fn run(self, cx: &Context) -> Result<Renewals, Error> {
        cx.store().license_product(cx.scope(), &self.pid.0).await?;
        let rows = cx.store().license_renewals(cx.scope(), &self.pid.0).await?;
        let row = |r: license::Renewal| Renewal {
            renew_id: r.renew_id,
            validity: r.validity / DAY,
            quantity: r.quantity,
            used: r.used,
            created: r.created.to_string(),
        };
        Ok(Renewals { rows: rows.into_iter().map(row).collect() })
    }
}

impl Action for DescribeLicenses {
    type Reply = Licenses;

    async fn run(self, cx: &Context) -> Result<Licenses, Error> {
        let pid = self.pid.as_ref().map(|pid| pid.0.as_str());
        let page = cx.store().licenses(cx.scope(), pid, view::page(self.page_size, self.page_num)).await?;
        let row = |l: license::License| License {
            license: l.license,
            pid: l.pid,
            app: l.app,
            key: l.key,
            activated: l.activated.to_string(),
            expires: l.expires.to_string(),
        };
        Ok(page.map(row).into())
    }
}

//! Directories: the tree that an operator files devices in. Not in the interface document; as in the public product.

use super::action::Action;
use super::context::{Context, number, number_maybe};
use super::device::Directory;
use super::error::Error;
use super::param::Patch;
use super::reply::{Done, Touched};
use super::value::{Id, PageNum, PageSize, Text};
use super::view;
use crate::model::directory::{self, Draft};
use crate::model::page::Paged;
use crate::{action, actions, page_reply};

actions!["Directories", "目录": CreateDirectory, ModifyDirectory, DeleteDirectory, DescribeDirectory, DescribeDirectories];

action! {
    /// Makes a directory in a group.
    /// zh: 创建目录。
    pub struct CreateDirectory {
        /// The group.
        /// zh: 目录所属空间ID。
        "GroupId" group: Id,
        /// The directory's name.
        /// zh: 目录名称。
        "Name" name: Text<128>,
        /// Its description.
        /// zh: 目录描述。
        "Description" description: Option<Text<512>>,
        /// The directory above it; at the top where it is not given.
        /// zh: 上级目录ID。
        "ParentId" parent: Option<Id>,
    }
}

action! {
    /// Changes a directory. What is not given stays as it is.
    /// zh: 修改目录，未给出的参数保持不变。
    pub struct ModifyDirectory {
        /// The directory's id.
        /// zh: 目录ID。
        "Id" id: Id,
        /// A new name.
        /// zh: 目录名称。
        "Name" name: Option<Text<128>>,
        /// A new description; empty removes it.
        /// zh: 目录描述，空值表示清除。
        "Description" description: Patch<Text<512>>,
        /// Another directory above it; empty moves it to the top.
        /// zh: 上级目录ID，空值表示移到顶层。
        "ParentId" parent: Patch<Id>,
    }
}

action! {
    /// Deletes a directory that holds no other; its devices stand outside from then on.
    /// zh: 删除目录，需无下级目录。
    pub struct DeleteDirectory {
        /// The directory's id.
        /// zh: 目录ID。
        "Id" id: Id,
    }
}

action! {
    /// Describes a directory.
    /// zh: 查询目录。
    pub struct DescribeDirectory {
        /// The directory's id.
        /// zh: 目录ID。
        "Id" id: Id,
    }
}

action! {
    /// Lists the directories of a group: those that were made in it, or those that a platform announces in its catalog.
    /// zh: 查询目录列表：空间内创建的目录，或指定平台设备目录中上报的目录。
    pub struct DescribeDirectories {
        /// The group.
        /// zh: 空间ID。
        "GroupId" group: Id,
        /// A platform of the group, whose own directories are meant.
        /// zh: 平台设备ID，查询该平台上报的目录。
        "DeviceId" device: Option<Id>,
        /// Only directories right below this one.
        /// zh: 按上级目录ID查询。
        "ParentId" parent: Option<Id>,
        /// Rows a page.
        /// zh: 分页大小，默认20。
        "PageSize" page_size: PageSize,
        /// Which page.
        /// zh: 第几页，默认1。
        "PageNum" page_num: PageNum,
    }
}

page_reply! {
    /// A page of directories.
    Directories "Directories" of Directory
}

impl Action for CreateDirectory {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let group = cx.group(&self.group).await?;
        let parent = number_maybe(&self.parent, "Directory")?;
        let description = self.description.map(|d| d.0).unwrap_or_default();
        let draft = Draft { group: group.id, parent, name: self.name.0, description };
        Ok(Touched::new(cx.store().create_directory(cx.scope(), draft).await?.id))
    }
}

impl Action for ModifyDirectory {
    type Reply = Touched;

    async fn run(self, cx: &Context) -> Result<Touched, Error> {
        let parent = match self.parent {
            Patch::Set(id) => Patch::Set(Some(number(&id, "Directory")?)),
            other => other.map(|_| None),
        };
        let change = move |directory: &mut directory::Directory| -> Result<(), Error> {
            if let Some(name) = self.name {
                directory.name = name.0;
            }
            self.description.map(|d| d.0).over(&mut directory.description);
            parent.over(&mut directory.parent);
            Ok(())
        };
        let directory = cx.store().update_directory(cx.scope(), number(&self.id, "Directory")?, change).await?;
        Ok(Touched::new(directory.id))
    }
}

impl Action for DeleteDirectory {
    type Reply = Done;

    async fn run(self, cx: &Context) -> Result<Done, Error> {
        cx.store().delete_directory(cx.scope(), number(&self.id, "Directory")?).await?;
        Ok(Done {})
    }
}

impl Action for DescribeDirectory {
    type Reply = Directory;

    async fn run(self, cx: &Context) -> Result<Directory, Error> {
        Ok(Directory::of(cx.store().directory(cx.scope(), number(&self.id, "Directory")?).await?))
    }
}

impl Action for DescribeDirectories {
    type Reply = Directories;

    async fn run(self, cx: &Context) -> Result<Directories, Error> {
        let group = cx.group(&self.group).await?;
        let parent = number_maybe(&self.parent, "Directory")?;
        let mut found = match &self.device {
            None => cx.store().directories(cx.scope(), group.id).await?,
            Some(id) => match cx.device(id).await? {
                device if device.group == group.id => cx.store().platform_directories(cx.scope(), device.id).await?,
                _ => return Err(Error::not_found("Device", &id.0)),
            },
        };
        found.retain(|directory| parent.is_none() || directory.parent == parent);
        let page = view::page(self.page_size, self.page_num);
        let (total, skip) = (found.len() as u64, usize::try_from(page.offset()).unwrap_or(usize::MAX));
        let items = found.into_iter().skip(skip).take(page.size() as usize).map(Directory::of).collect();
        Ok(Paged { items, total, page }.into())
    }
}

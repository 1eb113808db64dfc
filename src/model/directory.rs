//! Directories: the tree that an operator makes for devices, and the one that a platform announces for its channels.

use crate::model::id::{DeviceId, DirectoryId, GroupId, TenantId};
use crate::model::time::Time;

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// `Id`.
    pub id: DirectoryId,
    /// Whose it is.
    pub owner: TenantId,
    /// `GroupId`.
    pub group: GroupId,
    /// The platform that announced it; `None`: an operator made it.
    pub device: Option<DeviceId>,
    /// `ParentId`.
    pub parent: Option<DirectoryId>,
    /// The platform's code of it: an administrative area (2 to 8 digits), a business group or a virtual organisation (20 digits).
    pub code: Option<String>,
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
    /// `CreatedTime`.
    pub created: Time,
}

/// What a new directory is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// `GroupId`.
    pub group: GroupId,
    /// `ParentId`.
    pub parent: Option<DirectoryId>,
    /// `Name`.
    pub name: String,
    /// `Description`.
    pub description: String,
}

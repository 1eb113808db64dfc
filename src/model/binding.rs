//! Bindings: which template acts on which group or stream.

use crate::model::id::{GroupId, StreamId, TemplateId};
use crate::model::template::Kind;
use crate::model::word::words;

words! {
    /// `InstanceType`.
    InstanceType {
        /// Everything in a group.
        Group = "group",
        /// One stream.
        Stream = "stream",
    }
}

/// What a template is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Instance {
    /// A group.
    Group(GroupId),
    /// A stream.
    Stream(StreamId),
}

impl Instance {
    /// `InstanceType`.
    pub fn kind(self) -> InstanceType {
        match self {
            Instance::Group(_) => InstanceType::Group,
            Instance::Stream(_) => InstanceType::Stream,
        }
    }

    /// `InstanceId`.
    pub fn id(self) -> i64 {
        match self {
            Instance::Group(id) => id.0,
            Instance::Stream(id) => id.0,
        }
    }
}

/// A binding: an instance has at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// `TemplateId`.
    pub template: TemplateId,
    /// `TemplateType`.
    pub kind: Kind,
    /// `InstanceType` and `InstanceId`.
    pub instance: Instance,
}

/// How a template is bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct How {
    /// `ApplyAll`: the streams of the group are bound to it too, whatever they had.
    pub apply_all: bool,
    /// `Replace`: another template of the same kind gives way.
    pub replace: bool,
}

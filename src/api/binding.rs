//! Bindings: which template acts on which group or stream.

use super::value::{Flag, Id, Ids};
use crate::model::binding::InstanceType;
use crate::model::template::Kind;
use crate::{action, actions, reply};

actions!["Bindings", "模板绑定": BindTemplate, UnbindTemplate, BatchBindTemplate, BatchUnbindTemplate];

action! {
    /// Binds a template to a group or a stream. A stream's own binding wins over its group's.
    /// zh: 绑定模板到空间或流。
    pub struct BindTemplate {
        /// The template's id.
        /// zh: 模板ID。
        "TemplateId" template: Id,
        /// The template's type: only to make sure.
        /// zh: 模板类型，用于校验。
        "TemplateType" kind: Option<Kind>,
        /// The id of the group or stream.
        /// zh: 实例ID。
        "InstanceId" instance: Id,
        /// Whether that is a group or a stream.
        /// zh: 实例类型：group空间，stream流。
        "InstanceType" instance_type: InstanceType,
        /// Whether to bind the streams of the group too, over bindings of their own.
        /// zh: 是否强制应用到范围内的所有流，默认false。
        "ApplyAll" apply_all: Flag,
        /// Whether to replace a binding of the same type.
        /// zh: 是否强制替换已有绑定，默认false。
        "Replace" replace: Flag,
    }
}

reply! {
    /// A binding.
    pub struct Binding {
        /// The template's id.
        /// zh: 模板ID。
        "TemplateId" template: String,
        /// The template's type.
        /// zh: 模板类型。
        "TemplateType" kind: String,
        /// The id of the group or stream.
        /// zh: 实例ID。
        "InstanceId" instance: String,
        /// group or stream.
        /// zh: 实例类型。
        "InstanceType" instance_type: &'static str,
        /// Why it failed; absent where it did not.
        /// zh: 错误信息，仅当操作出错时存在。
        "Error" error: Option<String>,
    }
}

action! {
    /// Takes a template off a group or a stream; by its id, by its type, or both.
    /// zh: 解除模板绑定，模板ID与模板类型至少指定一个。
    pub struct UnbindTemplate {
        /// The template's id.
        /// zh: 模板ID。
        "TemplateId" template: Option<Id>,
        /// The template's type.
        /// zh: 模板类型。
        "TemplateType" kind: Option<Kind>,
        /// The id of the group or stream.
        /// zh: 实例ID。
        "InstanceId" instance: Id,
        /// Whether that is a group or a stream.
        /// zh: 实例类型：group空间，stream流。
        "InstanceType" instance_type: InstanceType,
    }
}

action! {
    /// Binds a template to several groups or streams.
    /// zh: 绑定模板到多个实例。
    pub struct BatchBindTemplate {
        /// The template's id.
        /// zh: 模板ID。
        "TemplateId" template: Id,
        /// The template's type: only to make sure.
        /// zh: 模板类型，用于校验。
        "TemplateType" kind: Option<Kind>,
        /// The ids of the groups or streams.
        /// zh: 实例ID，多值用逗号分隔。
        "InstanceId" instances: Ids,
        /// Whether those are groups or streams.
        /// zh: 实例类型：group空间，stream流。
        "InstanceType" instance_type: InstanceType,
        /// Whether to bind the streams of the groups too, over bindings of their own.
        /// zh: 是否强制应用到范围内的所有流，默认false。
        "ApplyAll" apply_all: Flag,
        /// Whether to replace bindings of the same type.
        /// zh: 是否强制替换已有绑定，默认false。
        "Replace" replace: Flag,
    }
}

reply! {
    /// The outcomes for the groups or streams of a batch.
    pub struct Bindings {
        /// One row for each group or stream.
        /// zh: 结果列表。
        "Results" also "Bindings" results: Vec<Binding>,
    }
}

action! {
    /// Takes templates off several groups or streams; by id, by type, or both.
    /// zh: 解除多个实例的模板绑定。
    pub struct BatchUnbindTemplate {
        /// The template's id; all bindings that fit where it is not given.
        /// zh: 模板ID，省略时解除实例上符合条件的所有绑定。
        "TemplateId" template: Option<Id>,
        /// The template's type.
        /// zh: 模板类型。
        "TemplateType" kind: Option<Kind>,
        /// The ids of the groups or streams.
        /// zh: 实例ID，多值用逗号分隔。
        "InstanceId" instances: Ids,
        /// Whether those are groups or streams.
        /// zh: 实例类型：group空间，stream流。
        "InstanceType" instance_type: InstanceType,
    }
}

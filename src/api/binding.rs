//! Bindings: which template acts on which group or stream.

use super::action::Action;
use super::context::{Context, number};
use super::error::Error;
use super::value::{Flag, Id, Ids};
use crate::model::binding::{self, How, Instance, InstanceType};
use crate::model::id::TemplateId;
use crate::model::template::{Kind, Template};
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
        "Results" & "Bindings" results: Vec<Binding>,
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

impl Action for BindTemplate {
    type Reply = Binding;

    async fn run(self, cx: &Context) -> Result<Binding, Error> {
        let template = checked(cx, &self.template, self.kind).await?;
        let how = How { apply_all: self.apply_all.0, replace: self.replace.0 };
        bind(cx, &template, &self.instance, self.instance_type, how).await
    }
}

impl Action for BatchBindTemplate {
    type Reply = Bindings;

    async fn run(self, cx: &Context) -> Result<Bindings, Error> {
        let template = checked(cx, &self.template, self.kind).await?;
        let how = How { apply_all: self.apply_all.0, replace: self.replace.0 };
        let mut results = Vec::with_capacity(self.instances.0.len());
        for id in self.instances.0 {
            let row = bind(cx, &template, &Id(id.clone()), self.instance_type, how).await;
            results.push(row.unwrap_or_else(|error| Binding {
                template: template.id.to_string(),
                kind: template.kind().to_string(),
                instance: id,
                instance_type: self.instance_type.as_str(),
                error: Some(error.message),
            }));
        }
        Ok(Bindings { results })
    }
}

impl Action for UnbindTemplate {
    type Reply = Binding;

    async fn run(self, cx: &Context) -> Result<Binding, Error> {
        let which = which(cx, &self.template, self.kind).await?;
        let mut gone = unbind(cx, which, &self.instance, self.instance_type).await?;
        // An instance has at most one of each type.
        gone.pop().ok_or_else(|| Error::not_found("Binding", &self.instance.0))
    }
}

impl Action for BatchUnbindTemplate {
    type Reply = Bindings;

    async fn run(self, cx: &Context) -> Result<Bindings, Error> {
        let which = which(cx, &self.template, self.kind).await?;
        let mut results = Vec::new();
        for id in self.instances.0 {
            match unbind(cx, which, &Id(id.clone()), self.instance_type).await {
                Ok(rows) => results.extend(rows),
                Err(error) => results.push(Binding {
                    template: self.template.as_ref().map(|id| id.0.clone()).unwrap_or_default(),
                    kind: which.1.map(|kind| kind.to_string()).unwrap_or_default(),
                    instance: id,
                    instance_type: self.instance_type.as_str(),
                    error: Some(error.message),
                }),
            }
        }
        Ok(Bindings { results })
    }
}

/// The template of an id, which must be of the type that the caller takes it for.
async fn checked(cx: &Context, id: &Id, kind: Option<Kind>) -> Result<Template, Error> {
    let template = cx.template(id).await?;
    match kind {
        Some(kind) if kind != template.kind() => {
            Err(Error::invalid("TemplateType", format!("must be {}: that is what the template is", template.kind())))
        }
        _ => Ok(template),
    }
}

/// Which bindings are meant: by id, by type, or both; at least one must be given.
async fn which(cx: &Context, id: &Option<Id>, kind: Option<Kind>) -> Result<(Option<TemplateId>, Option<Kind>), Error> {
    match (id, kind) {
        (None, None) => Err(Error::missing("TemplateId or TemplateType")),
        (None, kind) => Ok((None, kind)),
        (Some(id), kind) => {
            let template = checked(cx, id, kind).await?;
            Ok((Some(template.id), Some(template.kind())))
        }
    }
}

fn instance(id: &Id, kind: InstanceType) -> Result<Instance, Error> {
    Ok(match kind {
        InstanceType::Group => Instance::Group(number(id, "Group")?),
        InstanceType::Stream => Instance::Stream(number(id, "Stream")?),
    })
}

async fn bind(cx: &Context, template: &Template, id: &Id, kind: InstanceType, how: How) -> Result<Binding, Error> {
    let done = cx.store().bind(cx.scope(), template.id, instance(id, kind)?, how).await?;
    cx.book().forget();
    Ok(Binding::of(done))
}

async fn unbind(cx: &Context, which: (Option<TemplateId>, Option<Kind>), id: &Id, kind: InstanceType) -> Result<Vec<Binding>, Error> {
    let gone = cx.store().unbind(cx.scope(), which.0, which.1, instance(id, kind)?).await?;
    cx.book().forget();
    Ok(gone.into_iter().map(Binding::of).collect())
}

impl Binding {
    fn of(binding: binding::Binding) -> Binding {
        Binding {
            template: binding.template.to_string(),
            kind: binding.kind.to_string(),
            instance: binding.instance.id().to_string(),
            instance_type: binding.instance.kind().as_str(),
            error: None,
        }
    }
}

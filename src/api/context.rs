//! What an action has at hand: who calls, the server's parts, and the caller's objects by their ids.

use super::Api;
use super::error::Error;
use super::value::Id;
use crate::model::channel::Channel;
use crate::model::device::Device;
use crate::model::group::Group;
use crate::model::stream::Stream;
use crate::model::template::Template;
use crate::model::tenant::{AccessKey, Scope};
use std::str::FromStr;
use std::sync::Arc;

/// What an action has at hand. Cloning shares it.
#[derive(Clone)]
pub struct Context {
    api: Api,
    key: Arc<AccessKey>,
}

impl std::ops::Deref for Context {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Context {
    /// For one call with a key.
    pub fn new(api: Api, key: Arc<AccessKey>) -> Context {
        Context { api, key }
    }

    /// The caller's key.
    pub fn key(&self) -> &AccessKey {
        &self.key
    }

    /// Whose objects the caller reaches.
    pub fn scope(&self) -> Scope {
        self.key.scope()
    }

    /// The group of an id.
    pub async fn group(&self, id: &Id) -> Result<Group, Error> {
        Ok(self.store().group(self.scope(), number(id, "Group")?).await?)
    }

    /// The device of an id.
    pub async fn device(&self, id: &Id) -> Result<Device, Error> {
        Ok(self.store().device(self.scope(), number(id, "Device")?).await?)
    }

    /// The channel of an id.
    pub async fn channel(&self, id: &Id) -> Result<Channel, Error> {
        Ok(self.store().channel(self.scope(), number(id, "Channel")?).await?)
    }

    /// The stream of an id.
    pub async fn stream(&self, id: &Id) -> Result<Stream, Error> {
        Ok(self.store().stream(self.scope(), number(id, "Stream")?).await?)
    }

    /// The template of an id.
    pub async fn template(&self, id: &Id) -> Result<Template, Error> {
        Ok(self.store().template(self.scope(), number(id, "Template")?).await?)
    }
}

/// Reads an id; a text that none of our ids looks like names no object.
pub fn number<T: FromStr>(id: &Id, noun: &str) -> Result<T, Error> {
    id.0.parse().map_err(|_| Error::not_found(noun, &id.0))
}

/// The same for a filter, where it may be absent.
pub fn number_maybe<T: FromStr>(id: &Option<Id>, noun: &str) -> Result<Option<T>, Error> {
    id.as_ref().map(|id| number(id, noun)).transpose()
}

//! What an action has at hand: who calls, and the server's parts.

use super::Api;
use crate::model::tenant::Scope;

/// Who calls, once that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Whose objects it reaches.
    pub scope: Scope,
    /// Its tenant's name.
    pub user: String,
    /// Whether it is the operator.
    pub operator: bool,
}

/// What an action has at hand.
pub struct Context {
    api: Api,
    /// Who calls.
    pub caller: Caller,
}

impl Context {
    /// For one call.
    pub fn new(api: Api, caller: Caller) -> Context {
        Context { api, caller }
    }
}

impl std::ops::Deref for Context {
    type Target = Api;
    fn deref(&self) -> &Api {
        &self.api
    }
}

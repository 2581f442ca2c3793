//! A definition in the making, in the order in which people read one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// A definition.
#[derive(Debug, Default, Serialize)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    pub(super) steps: Vec<Step>,
}

/// A step.
#[derive(Debug, Default, Serialize)]
pub(super) struct Step {
    pub(super) id: String,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skill: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) inputs: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource_limits: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sandbox: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error_handling: Option<ErrorHandling>,
}

/// Limits of a step.
#[derive(Debug, Serialize)]
pub(super) struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu: Option<Value>,
}

/// What happens when a step fails.
#[derive(Debug, Serialize)]
pub(super) struct ErrorHandling {
    pub(super) strategy: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_attempts: Option<u32>,
}

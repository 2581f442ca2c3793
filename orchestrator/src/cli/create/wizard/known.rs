//! What steps can call, and what earlier steps give.

use serde_json::Value;

use super::super::draft::Draft;
use crate::{
    agents,
    catalog::list::{self, What},
    store::home::Home,
};

/// What steps can call.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) skills: Vec<Skill>,
    pub(super) agents: Vec<String>,
}

/// A skill.
#[derive(Debug)]
pub(super) struct Skill {
    pub(super) name: String,
    description: String,
    /// JSON Schemas; `null` where it has none.
    pub(super) inputs: Value,
    outputs: Value,
}

impl Skill {
    /// As a line of a list.
    pub(super) fn shown(&self) -> String {
        if self.description.is_empty() {
            self.name.clone()
        } else {
            format!("{}: {}", self.name, self.description)
        }
    }
}

impl Known {
    /// The skills and agents that can be found from the home and from here.
    pub(super) fn of(home: &Home) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        let skills = list::all(&here, home, None).callable.into_iter().map(|callable| {
            let text = |schema: &str| serde_json::from_str(schema).unwrap_or_default();
            match callable.what {
                What::BuiltIn(builtin) => Skill {
                    name: callable.name,
                    description: builtin.description.to_owned(),
                    inputs: text(builtin.inputs),
                    outputs: text(builtin.outputs),
                },
                What::External { manifest, .. } => Skill {
                    name: callable.name,
                    description: manifest.description.clone().unwrap_or_default(),
                    inputs: manifest.inputs.as_ref().map(|schema| text(schema.as_str())).unwrap_or_default(),
                    outputs: manifest
                        .outputs
                        .as_ref()
                        .map(|schema| text(schema.as_str()))
                        .unwrap_or_default(),
                },
            }
        });
        let agents = agents::all_names(&agents::places(None, home));
        Self {
            skills: skills.collect(),
            agents: agents.into_iter().map(|name| name.as_str().to_owned()).collect(),
        }
    }

    /// References to what the steps so far give, by the schemas of their skills. What an agent gives is not known.
    pub(super) fn references(&self, draft: &Draft) -> Vec<String> {
        let mut references = Vec::new();
        for step in &draft.steps {
            let skill = self.skills.iter().find(|skill| Some(&skill.name) == step.skill.as_ref());
            let outputs = skill.and_then(|skill| skill.outputs["properties"].as_object());
            let names = outputs.into_iter().flat_map(|outputs| outputs.keys());
            references.extend(names.map(|name| format!("{}.{name}", step.id)));
        }
        references
    }
}

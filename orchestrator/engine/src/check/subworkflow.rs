//! A `workflow` step: the definition that it calls is checked where it stands, and becomes part of the plan.

use std::collections::BTreeMap;

use super::{
    Check, Library, Named, declared_inputs,
    inherit::{Inherited, Surroundings},
    judge,
    library::LibraryFile,
    limits,
    order::Reader,
    outline::Spot,
    sandbox::{Trust, chosen},
    types::{misses, of_input},
};
use crate::{
    diagnostic::{
        Diagnostic, Severity,
        codes::{BAD_WORKFLOW_INPUT, BROKEN_WORKFLOW, DEEP_WORKFLOW, RECURSIVE_WORKFLOW, UNKNOWN_WORKFLOW},
    },
    load::{Member, Node, in_words, nearest},
    plan::{InputDeclaration, Limits, SandboxChoice, Step, StepId, StepKind, Subworkflow},
    value::Template,
};

/// How deep workflows may call each other.
const MAX_DEPTH: usize = 16;
/// Most steps of all sub-workflows of a run together.
const MAX_STEPS: u32 = 10_000;
/// Longest name of a step with those of the workflow steps around it.
const MAX_NAME: usize = 200;

/// What the passes over a definition and over those that it calls share.
pub(super) struct Calls<'a> {
    library: &'a Library,
    /// The files in which the pass stands, outermost first; the definition at the top is not among them.
    way: Vec<usize>,
    /// How many steps have a number already.
    numbered: u32,
    /// How many of them belong to the definition at the top.
    at_top: u32,
    /// What is wrong with each file.
    found: BTreeMap<usize, Vec<Diagnostic>>,
    /// Steps of the workflows that the definition which is looked at calls.
    called: Vec<Step>,
}

/// Where the definition stands that is looked at.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// The number of its first step.
    pub(super) base: u32,
    /// The workflow step that calls it.
    pub(super) holder: Option<StepId>,
    /// What stands before the ids of its steps.
    pub(super) prefix: String,
    /// The limits of what stands around it.
    pub(super) limits: Limits,
    /// What holds for everything inside.
    pub(super) inherited: Inherited,
    /// The sandbox, where nobody inside chooses.
    pub(super) sandbox: SandboxChoice,
    /// How far everything inside is trusted, where nobody inside says.
    pub(super) trust: Option<Trust>,
}

impl<'a> Calls<'a> {
    pub(super) fn new(library: &'a Library) -> Self {
        Self { library, way: Vec::new(), numbered: 0, at_top: 0, found: BTreeMap::new(), called: Vec::new() }
    }

    /// Numbers for the steps of the definition that is looked at next.
    pub(super) fn number(&mut self, steps: usize) {
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        if self.way.is_empty() {
            self.at_top = steps;
        }
        self.numbered = self.numbered.saturating_add(steps);
    }

    /// The steps of all that the definition calls; it is through.
    pub(super) fn take_called(&mut self) -> Vec<Step> {
        std::mem::take(&mut self.called)
    }

    /// The file behind a name in the definition that is looked at.
    pub(super) fn file(&self, name: &str) -> Option<&'a LibraryFile> {
        self.library.file(self.way.last().copied(), name).map(|(_, file)| file)
    }

    /// What is wrong with each file of the library, by its index.
    pub(super) fn into_found(self) -> BTreeMap<usize, Vec<Diagnostic>> {
        self.found
    }

    /// What was found in a file, where that was not known: each file is told of once.
    fn keep(&mut self, file: usize, diagnostics: Vec<Diagnostic>) -> bool {
        let is_wrong = has_errors(&diagnostics);
        let known = self.found.entry(file).or_default();
        if known.is_empty() || (is_wrong && !has_errors(known)) {
            *known = diagnostics;
        }
        is_wrong
    }
}

fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

impl<'a> Check<'a, '_> {
    /// What a `workflow` step does; `None`: it is wrong, which was reported.
    pub(super) fn subworkflow(&mut self, root: &'a Node, node: &'a Node, spot: Spot) -> Option<StepKind> {
        let inputs = match node.get("inputs") {
            Some(inputs) => self.template(inputs, Reader::Step(spot.step)),
            None => Template::Object(Vec::new()),
        };
        let place = node.get("workflow")?;
        let name = place.as_text()?;
        let library = self.calls.library;
        let of = self.calls.way.last().copied();
        let Some((index, file)) = library.file(of, name) else {
            self.no_workflow(place, name, library.named(of, name));
            return None;
        };
        self.given(node, file, &inputs, Reader::Step(spot.step));
        if self.calls.way.contains(&index) {
            self.recursive(place, &file.name);
            return None;
        }
        let step = node.get("id").and_then(Node::as_text)?;
        let prefix = format!("{}{step}.", self.standing.prefix);
        if let Some(why) = self.too_deep(&prefix) {
            self.problems.report(DEEP_WORKFLOW, place.span.range(), why.0).hint(why.1);
            return None;
        }
        let standing = Standing {
            base: self.calls.numbered,
            holder: Some(spot.step),
            prefix,
            limits: self.limits_around(root, node, spot),
            inherited: self.inherited(node, spot),
            sandbox: self.own_sandbox(node, spot).or(chosen(root)).or(self.standing.sandbox.clone()),
            trust: self.trust(node, spot),
        };
        let around = self.surroundings.get(&spot.step).cloned().unwrap_or_default();
        self.called(place, (index, file), standing, (inputs, around))
    }

    /// Checks the file that is called. Its steps go behind those of this definition.
    fn called(
        &mut self,
        place: &Node,
        (index, file): (usize, &'a LibraryFile),
        standing: Standing,
        (inputs, around): (Template, Surroundings),
    ) -> Option<StepKind> {
        let before = self.calls.take_called();
        self.calls.way.push(index);
        let (plan, diagnostics) = match &file.definition {
            Ok(definition) => judge(definition, &file.catalog, (self.calls, standing)),
            Err(diagnostics) => (None, diagnostics.clone()),
        };
        self.calls.way.pop();
        self.calls.called = before;
        if self.calls.keep(index, diagnostics) {
            self.problems
                .report(
                    BROKEN_WORKFLOW,
                    place.span.range(),
                    format!("the workflow in {} is not valid", file.name),
                )
                .hint(format!("`q workflow validate {}` tells why", file.name));
        }
        let plan = plan?;
        self.calls.called.extend(plan.steps);
        Some(StepKind::Workflow(Box::new(Subworkflow {
            name: plan.name,
            version: plan.version,
            steps: plan.root,
            given: inputs,
            env: around.env,
            cwd: around.cwd,
            timeout: plan.timeout,
            inputs: plan.inputs,
            readonly: plan.readonly,
            mutable: plan.mutable,
            outputs: plan.outputs,
            max_concurrent_steps: plan.limits.max_concurrent_steps,
            default_strategy: plan.default_strategy,
            rollback: plan.rollback,
            last: plan.last,
        })))
    }

    fn no_workflow(&mut self, place: &Node, name: &str, named: Option<&Named>) {
        match named {
            Some(Named::Top) => self.recursive(place, name),
            Some(Named::Nothing { why, hint }) => {
                self.problems.report(UNKNOWN_WORKFLOW, place.span.range(), why.clone()).hint(hint.clone());
            }
            Some(Named::File(_)) | None => {
                let message = format!("the workflow `{name}` does not exist");
                self.problems.report(UNKNOWN_WORKFLOW, place.span.range(), message);
            }
        }
    }

    fn recursive(&mut self, place: &Node, name: &str) {
        self.problems
            .report(RECURSIVE_WORKFLOW, place.span.range(), format!("{name} calls itself"))
            .hint("a workflow cannot be part of itself, directly or by others; a loop repeats steps");
    }

    /// Why no workflow can be called here any more, and what to do.
    fn too_deep(&self, prefix: &str) -> Option<(String, &'static str)> {
        let flatter = "let fewer workflows call each other in a row";
        if self.calls.way.len() >= MAX_DEPTH {
            return Some((format!("workflows call each other more than {MAX_DEPTH} deep"), flatter));
        }
        // Room for the id of a step.
        if prefix.len() > MAX_NAME - 64 {
            let message = "the ids of the workflow steps around are too long together".to_owned();
            return Some((message, "give them shorter ids"));
        }
        let steps = self.calls.numbered.saturating_sub(self.calls.at_top);
        (steps > MAX_STEPS).then(|| {
            let message = format!("all sub-workflows together have more than {MAX_STEPS} steps");
            (message, "call them from fewer places; a loop repeats a call")
        })
    }

    /// The inputs of a step against those that the workflow declares.
    fn given(&mut self, step: &'a Node, file: &'a LibraryFile, inputs: &Template, from: Reader) {
        let Ok(definition) = &file.definition else { return };
        let declared = declared_inputs(&definition.root);
        // Under `$literal` the inputs are what it holds.
        let node = step.get("inputs").map(|node| node.get("$literal").unwrap_or(node));
        let members = node.map_or(&[][..], Node::members);
        for member in members {
            match declared.get(&*member.key) {
                None => {
                    let place = member.key_span.range();
                    let known = || declared.keys().map(String::as_str);
                    let message = format!("the workflow in {} declares no input `{}`", file.name, member.key);
                    let report = self.problems.report(BAD_WORKFLOW_INPUT, place.clone(), message);
                    match nearest(&member.key, known()) {
                        Some(near) => report.hint(format!("did you mean `{near}`?")).suggest(place, near),
                        None if declared.is_empty() => report.hint("it declares none"),
                        None => report.hint(format!("its inputs: {}", in_words(known().take(20)))),
                    };
                }
                Some(declaration) => self.misfit(member, declaration, inputs, from),
            }
        }
        for (name, declaration) in &declared {
            let is_missing = declaration.required
                && declaration.default.is_none()
                && members.iter().all(|member| *member.key != **name);
            if is_missing {
                let message = format!("the workflow in {} needs the input `{name}`", file.name);
                self.problems.report(BAD_WORKFLOW_INPUT, node.unwrap_or(step).opening(), message);
            }
        }
    }

    /// A value that is known now and has the wrong type, or one that can only have a wrong one.
    fn misfit(&mut self, member: &Member, declaration: &InputDeclaration, inputs: &Template, from: Reader) {
        let Some(kind) = declaration.kind else { return };
        let value = match inputs {
            Template::Object(members) => members.iter().find(|(name, _)| **name == *member.key),
            Template::Literal(_)
            | Template::Reference(_)
            | Template::Expression(_)
            | Template::Text(_)
            | Template::Array(_) => None,
        };
        let is_wrong = match value {
            Some((_, value)) if !matches!(value, Template::Literal(_)) => {
                misses(self.template_types(value, from).surely, of_input(kind).surely)
            }
            Some(_) => !kind.takes(&member.value.get("$literal").unwrap_or(&member.value).to_json()),
            None => {
                let is_literal = matches!(inputs, Template::Literal(_));
                let value = member.value.get("$literal").unwrap_or(&member.value);
                is_literal && !kind.takes(&value.to_json())
            }
        };
        if is_wrong {
            let message = format!("the input `{}` must be of type {}", member.key, kind.name());
            self.problems.report(BAD_WORKFLOW_INPUT, member.value.span.range(), message);
        }
    }

    /// The limits that hold for what a step contains: its own, those of what holds it, and of the definition.
    pub(super) fn limits_around(&self, root: &Node, node: &Node, spot: Spot) -> Limits {
        let own = |node: &Node| node.get("resource_limits").map(limits::read).unwrap_or_default();
        let holders = self.outline.upwards(spot.parent).map(|step| own(self.outline.step(step).node));
        let all =
            holders.fold(limits::tightest(&own(node), &own(root)), |all, own| limits::tightest(&all, &own));
        Limits { max_concurrent_steps: None, ..limits::tightest(&all, &self.standing.limits) }
    }
}

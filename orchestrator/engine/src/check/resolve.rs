//! References to what they lead to: steps before, keys of the context, inputs, records.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    Check,
    before::Wanted,
    names::{RECORD_FIELDS, RUN_FIELDS},
    order::Reader,
    outline::StepPlace,
    reference::Path,
};
use crate::{
    diagnostic::codes::{
        ALMOST_REFERENCE, Code, SECRET_INPUT, UNKNOWN_CONTEXT, UNKNOWN_FIELD, UNKNOWN_INPUT, UNKNOWN_OUTPUT,
        UNKNOWN_STEP,
    },
    expr::Asked,
    load::{Node, in_words, nearest},
    plan::StepId,
    value::{Reference, Root, Segment},
};

/// A reference on its way, with what messages need.
pub(super) struct Use<'u> {
    /// The string that holds it.
    pub(super) node: &'u Node,
    /// Its text.
    pub(super) text: &'u str,
    /// Where its text starts in the content of the string.
    pub(super) start: usize,
    /// Who reads it.
    pub(super) from: Reader,
    /// What `has()` said where it is read.
    pub(super) asked: &'u [Asked],
}

/// Where the names are that a name should have been one of.
enum Known<'k, 'a> {
    Steps,
    Outputs(&'k StepPlace<'a>),
    Context,
    Inputs,
    Fields(&'static [&'static str]),
}

impl<'a> Check<'a, '_> {
    /// A whole string that has the form of a reference; `None`: it is a literal, or wrong.
    pub(super) fn bare_reference(
        &mut self,
        node: &Node,
        text: &str,
        path: &Path<'_>,
        from: Reader,
    ) -> Option<Reference> {
        let at = Use { node, text, start: 0, from, asked: &[] };
        if let Some(root) = self.loop_name(from, path.head) {
            return Some(from_loop(root, text, path));
        }
        if is_root(path.head) || self.outline.by_id(path.head).is_some() {
            return self.reference(&at, path);
        }
        self.near_miss(&at, path);
        None
    }

    /// An expression that is a path; `None`: it is wrong.
    pub(super) fn expression_reference(&mut self, at: &Use<'_>, path: &Path<'_>) -> Option<Reference> {
        if let Some(root) = self.loop_name(at.from, path.head) {
            return Some(from_loop(root, at.text, path));
        }
        if is_root(path.head) || self.outline.by_id(path.head).is_some() {
            return self.reference(at, path);
        }
        if self.names.context.contains(path.head) {
            let mut segments = vec![Segment::Key(path.head.to_owned())];
            segments.extend(path.segments.iter().map(|(segment, _)| segment.clone()));
            return Some(Reference { root: Root::Context, path: segments, text: at.text.to_owned() });
        }
        let message = format!("`{}` is not known here", path.head);
        self.unknown(UNKNOWN_STEP, at, (path.head, &path.head_range), message, &Known::Steps);
        None
    }

    fn reference(&mut self, at: &Use<'_>, path: &Path<'_>) -> Option<Reference> {
        let segments = || path.segments.iter().map(|(segment, _)| segment.clone()).collect::<Vec<_>>();
        let (root, path) = match path.head {
            "context" => (Root::Context, self.context(at, path).then(segments)?),
            "inputs" => (Root::Inputs, self.input(at, path).then(segments)?),
            "run" => (Root::Run, self.run_field(at, path).then(segments)?),
            "steps" if path.segments.is_empty() => (Root::Steps(self.own_steps()), Vec::new()),
            "steps" => {
                let step = self.record(at, path)?;
                (Root::StepRecord(step), segments().split_off(1))
            }
            id => {
                let outline = self.outline;
                let step = outline.by_id(id)?;
                let id = self.comes_before(at, step, &path.head_range, Wanted::Outputs)?;
                self.step_output(at, step, path)?;
                (Root::Step(id), segments())
            }
        };
        Some(Reference { root, path, text: at.text.to_owned() })
    }

    fn context(&mut self, at: &Use<'_>, path: &Path<'_>) -> bool {
        let Some((segment, range)) = path.segments.first() else { return true };
        let Some(key) = self.key(at, segment, range) else { return false };
        if self.names.context.contains(key) {
            return true;
        }
        let message = format!("the context has no key `{key}`");
        self.unknown(UNKNOWN_CONTEXT, at, (key, range), message, &Known::Context);
        false
    }

    fn input(&mut self, at: &Use<'_>, path: &Path<'_>) -> bool {
        let Some((segment, range)) = path.segments.first() else {
            if self.has_secret_inputs() {
                self.secret_is_kept(at, &path.head_range, "`inputs` as a whole holds a secret input");
            }
            return true;
        };
        let Some(key) = self.key(at, segment, range) else { return false };
        if self.is_bound(at.from, key) {
            return true;
        }
        if self.names.inputs.contains(key) {
            if self.is_secret_input(key) && !(self.hands_on && path.segments.len() == 1) {
                self.secret_is_kept(at, range, &format!("`{key}` is a secret input"));
            }
            return true;
        }
        let message = format!("the workflow declares no input `{key}`");
        self.unknown(UNKNOWN_INPUT, at, (key, range), message, &Known::Inputs);
        false
    }

    /// A secret input stands where its value would be stored or decide something.
    fn secret_is_kept(&mut self, at: &Use<'_>, range: &std::ops::Range<usize>, what: &str) {
        let place = self.place_in(at.node, at.start + range.start..at.start + range.end);
        self.problems
            .report(SECRET_INPUT, place, format!("{what}: it can only be handed on as it is"))
            .hint("it may stand in `inputs` and `env` of a step, alone or inside a text");
    }

    fn run_field(&mut self, at: &Use<'_>, path: &Path<'_>) -> bool {
        let Some((segment, range)) = path.segments.first() else { return true };
        self.field(at, segment, range, "`run`", &RUN_FIELDS)
    }

    /// `steps["<id>"]`, as a whole or one field of it.
    fn record(&mut self, at: &Use<'_>, path: &Path<'_>) -> Option<StepId> {
        let (segment, range) = path.segments.first()?;
        let id = self.key(at, segment, range)?;
        let outline = self.outline;
        let Some(step) = outline.by_id(id) else {
            let message = format!("there is no step `{id}`");
            self.unknown(UNKNOWN_STEP, at, (id, range), message, &Known::Steps);
            return None;
        };
        let number = self.comes_before(at, step, range, Wanted::Record)?;
        let Some((field, field_range)) = path.segments.get(1) else { return Some(number) };
        if !self.field(at, field, field_range, "the record of a step", &RECORD_FIELDS) {
            return None;
        }
        if let (Segment::Key(field), Some((Segment::Key(name), range))) = (field, path.segments.get(2))
            && field == "outputs"
        {
            self.known_output(at, step, name, range)?;
        }
        Some(number)
    }

    fn step_output(&mut self, at: &Use<'_>, step: &StepPlace<'a>, path: &Path<'_>) -> Option<()> {
        let Some((segment, range)) = path.segments.first() else { return Some(()) };
        let name = self.key(at, segment, range)?;
        if matches!(name, "data" | "text") {
            return Some(());
        }
        self.known_output(at, step, name, range)
    }

    fn known_output(
        &mut self,
        at: &Use<'_>,
        step: &StepPlace<'a>,
        name: &str,
        range: &Range<usize>,
    ) -> Option<()> {
        if self.names.has_others(step) || self.names.is_known_output(step, name) {
            return Some(());
        }
        let message = format!("the step `{}` has no output `{name}`", step.id.unwrap_or_default());
        self.unknown(UNKNOWN_OUTPUT, at, (name, range), message, &Known::Outputs(step));
        None
    }

    fn field(
        &mut self,
        at: &Use<'_>,
        segment: &Segment,
        range: &Range<usize>,
        what: &str,
        fields: &'static [&'static str],
    ) -> bool {
        let Some(name) = self.key(at, segment, range) else { return false };
        if fields.contains(&name) {
            return true;
        }
        let message = format!("{what} has no field `{name}`");
        self.unknown(UNKNOWN_FIELD, at, (name, range), message, &Known::Fields(fields));
        false
    }

    /// The name in a segment; an index is no name.
    fn key<'s>(&mut self, at: &Use<'_>, segment: &'s Segment, range: &Range<usize>) -> Option<&'s str> {
        match segment {
            Segment::Key(key) => Some(key),
            Segment::Index(index) => {
                let place = self.place(at, range);
                self.problems
                    .report(UNKNOWN_FIELD, place, format!("a name is needed here, not the index {index}"))
                    .hint(format!("`{}` is read as a reference", at.text));
                None
            }
        }
    }

    /// The steps of the definition by their ids.
    fn own_steps(&mut self) -> Arc<BTreeMap<String, StepId>> {
        let outline = self.outline;
        let named = || outline.running().filter_map(|(step, spot)| Some((step.id?.to_owned(), spot.step)));
        Arc::clone(self.own_steps.get_or_insert_with(|| Arc::new(named().collect())))
    }

    /// Reports a name that is not known, with the one that it nearly is, or those that there are.
    fn unknown(
        &mut self,
        code: Code,
        at: &Use<'_>,
        (name, range): (&str, &Range<usize>),
        message: String,
        known: &Known<'_, 'a>,
    ) {
        if self.problems.is_full() {
            self.problems.report(code, at.node.span.range(), message);
            return;
        }
        let known = self.known(known, name);
        let in_condition = self.in_condition;
        let place = self.place(at, range);
        let is_plain = self.definition.text().get(place.clone()) == Some(name);
        let report = self.problems.report(code, place.clone(), message);
        match nearest(name, known.iter().map(String::as_str)) {
            Some(near) => {
                report.hint(format!("did you mean `{near}`?"));
                // Names with escapes in them are left to the user.
                if is_plain {
                    report.suggest(place, near);
                }
            }
            None if known.is_empty() && in_condition => {}
            None if known.is_empty() => {
                report.hint("`{\"$literal\": \"…\"}` takes a text as it is");
            }
            None => {
                let known = in_words(known.iter().map(String::as_str).take(20));
                let way_out =
                    if in_condition { "" } else { "; `{\"$literal\": \"…\"}` takes a text as it is" };
                report.hint(format!("known: {known}{way_out}"));
            }
        }
    }

    /// The names that one could have been; of steps only those that are near.
    fn known(&mut self, known: &Known<'_, 'a>, name: &str) -> Vec<String> {
        let owned = |name: &&str| (*name).to_owned();
        match known {
            Known::Steps => {
                let near = self.names.near.of(name);
                near.iter()
                    .map(|near| near.id)
                    .filter(|id| nearest(name, [*id]).is_some())
                    .map(str::to_owned)
                    .collect()
            }
            Known::Outputs(step) => {
                self.names.known_outputs(step).iter().chain(&["data", "text"]).map(owned).collect()
            }
            Known::Context => self.names.context.iter().map(owned).collect(),
            Known::Inputs => self.names.inputs.iter().map(owned).collect(),
            Known::Fields(fields) => fields.iter().map(owned).collect(),
        }
    }

    /// A literal that is almost a reference to a step.
    fn near_miss(&mut self, at: &Use<'_>, path: &Path<'_>) {
        let near = self.names.near.of(path.head);
        let meant =
            near.iter().filter(|near| near.distance == 1).find(|near| self.is_output(near.id, path)).copied();
        let place = self.place(at, &path.head_range);
        if let Some(meant) = meant {
            self.problems
                .report(UNKNOWN_STEP, place.clone(), format!("there is no step `{}`", path.head))
                .hint(format!("did you mean `{}`? `{{\"$literal\": \"…\"}}` takes a text as it is", meant.id))
                .suggest(place, meant.id);
            return;
        }
        let looks_meant = |near: &&super::near::Near<'_>| match near.id.len() {
            0..=4 => false,
            5..=7 => near.distance == 1,
            _ => true,
        };
        let Some(warned) = near.iter().filter(looks_meant).min_by_key(|near| near.distance) else {
            return;
        };
        let warned = warned.id;
        self.problems
            .report(
                ALMOST_REFERENCE,
                place.clone(),
                format!("`{}` is taken as text: there is no such step", path.head),
            )
            .hint(format!("did you mean `{warned}`? `{{\"$literal\": \"…\"}}` says that it is text"))
            .suggest(place, warned);
    }

    /// Whether a path goes on with an output of the step.
    fn is_output(&self, id: &str, path: &Path<'_>) -> bool {
        let Some((Segment::Key(name), _)) = path.segments.first() else { return false };
        let Some(step) = self.outline.by_id(id) else { return false };
        matches!(name.as_str(), "data" | "text") || self.names.is_known_output(step, name)
    }

    pub(super) fn place(&self, at: &Use<'_>, range: &Range<usize>) -> Range<usize> {
        self.place_in(at.node, at.start + range.start..at.start + range.end)
    }
}

/// A reference to the item of a loop around, or to its number.
fn from_loop(root: Root, text: &str, path: &Path<'_>) -> Reference {
    let path = path.segments.iter().map(|(segment, _)| segment.clone()).collect();
    Reference { root, path, text: text.to_owned() }
}

fn is_root(head: &str) -> bool {
    matches!(head, "context" | "inputs" | "run" | "steps")
}

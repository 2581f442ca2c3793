//! What a skill makes of its inputs: the work, what it reads, how its answer is read.

use std::path::{Path, PathBuf};

use ipc::message::Work;
use schemas::{json::Json, skill::Protocol};
use worker::skills::program;
use workflow_engine::{
    check::over_inputs,
    plan::{ExternalSkill, Needs, SkillCall, SkillTarget},
    run::Spawn,
    value::{self, Root, Scope, Segment},
    verdict::Speaks,
};

use super::{
    agent::{self, AgentWatch},
    host::Host,
    ladder::Told,
    prepare::Refused,
    spare,
};

/// Largest inputs that travel inside the birth's frame.
const INLINE: usize = 256 * 1024;

/// What the target makes of the inputs.
pub(super) struct Task {
    pub(super) work: Work,
    pub(super) speaks: Speaks,
    pub(super) stdin: Option<Vec<u8>>,
    /// Whether anything can come on stdout and stderr: what runs inside q says all by its control socket.
    pub(super) outputs: bool,
    /// Built-ins that touch nothing need no mounts.
    pub(super) mounts: bool,
    pub(super) work_dir: Option<PathBuf>,
    pub(super) events: bool,
    /// Folder of an external skill.
    pub(super) folder: Option<String>,
    /// More environment.
    pub(super) env: Vec<(String, String)>,
    pub(super) outputs_schema: Option<Json>,
    /// Who is told to end, where that is not the step's to say.
    pub(super) told: Option<Told>,
    /// What is watched of an agent.
    pub(super) agent: Option<AgentWatch>,
}

/// Makes it.
pub(super) fn task(host: &Host, spawn: &Spawn, call: &SkillCall) -> Result<Task, Refused> {
    match call.target.as_ref() {
        SkillTarget::Builtin { needs } => {
            let small = spawn.inputs.len() <= INLINE;
            let mounts = *needs != Needs::Nothing;
            let work_dir = mounts.then(|| spare::work_dir(host, spawn)).transpose()?;
            Ok(Task {
                work: Work::Builtin {
                    skill: call.skill.clone(),
                    inputs: small.then(|| spawn.inputs.clone()),
                    work_dir: work_dir
                        .as_deref()
                        .map(|path| path.to_string_lossy().into_owned())
                        .unwrap_or_default(),
                },
                speaks: Speaks::Builtin,
                stdin: (!small).then(|| spawn.inputs.as_str().as_bytes().to_vec()),
                outputs: mounts || worker::skills::writes(&call.skill),
                mounts,
                work_dir,
                events: false,
                folder: None,
                env: Vec::new(),
                outputs_schema: None,
                told: None,
                agent: None,
            })
        }
        SkillTarget::Program { shell } => {
            let kind = if *shell { program::Kind::Shell } else { program::Kind::Exec };
            let program = kind.program(spawn.inputs.as_str());
            let program = program.map_err(|bad| Refused::BadInput {
                pointer: bad.pointer.clone(),
                message: bad.message.clone(),
            })?;
            Ok(Task {
                work: Work::Program { argv: program.argv },
                speaks: Speaks::Program { allow_failure: program.allow_failure },
                stdin: program.stdin.map(String::into_bytes),
                outputs: true,
                mounts: true,
                work_dir: Some(spare::work_dir(host, spawn)?),
                events: false,
                folder: None,
                env: Vec::new(),
                outputs_schema: None,
                told: None,
                agent: None,
            })
        }
        SkillTarget::External(skill) => external(host, spawn, skill),
        SkillTarget::Agent(agent) => agent::task(host, spawn, call, agent),
    }
}

fn external(host: &Host, spawn: &Spawn, skill: &ExternalSkill) -> Result<Task, Refused> {
    if let Some(schema) = &skill.inputs
        && let Err(misfit) = crate::schema::check(schema, &spawn.inputs)
    {
        return Err(Refused::BadInput { pointer: misfit.pointer, message: misfit.message });
    }
    let work_dir = spare::work_dir(host, spawn)?;
    let (argv, stdin, speaks) = match skill.protocol {
        Protocol::JsonStdio1 => {
            let mut members = envelope(host, spawn, &work_dir);
            members.insert(4, ("inputs", spawn.inputs.clone()));
            let request = value::object(&members).into_string().into_bytes();
            (skill.command.clone(), Some(request), Speaks::JsonStdio)
        }
        Protocol::Text => {
            let argv = skill.command.iter().enumerate().map(|(index, text)| match index {
                0 => Ok(text.clone()),
                _ => filled(text, &spawn.inputs),
            });
            let argv: Vec<String> = argv.collect::<Result<_, _>>()?;
            (argv, None, Speaks::Text { parse_json: skill.parse_json })
        }
    };
    let mut env = Vec::new();
    for (name, text) in &skill.env {
        let value =
            if skill.protocol == Protocol::Text { filled(text, &spawn.inputs)? } else { text.clone() };
        env.push((name.clone(), value));
    }
    if argv.iter().chain(env.iter().map(|(_, value)| value)).any(|text| text.contains('\0')) {
        let message = "an argument or a variable of the program would hold a NUL byte".to_owned();
        return Err(Refused::BadInput { pointer: String::new(), message });
    }
    Ok(Task {
        work: Work::Program { argv },
        speaks,
        stdin,
        outputs: true,
        mounts: true,
        work_dir: Some(work_dir),
        events: skill.events,
        folder: Some(skill.folder.clone()),
        env,
        outputs_schema: skill.outputs.clone(),
        told: None,
        agent: None,
    })
}

/// A string of a `text` skill, with the inputs that it names.
fn filled(text: &str, inputs: &Json) -> Result<String, Refused> {
    over_inputs(text)
        .and_then(|template| template.fill_text(&OnlyInputs(inputs)).map_err(|missing| missing.to_string()))
        .map_err(|message| Refused::BadInput { pointer: String::new(), message })
}

/// The one name that the strings of a `text` skill may use.
struct OnlyInputs<'a>(&'a Json);

impl Scope for OnlyInputs<'_> {
    fn resolve(&self, root: &Root, path: &[Segment]) -> Option<Json> {
        match root {
            Root::Inputs => value::select(self.0, path),
            Root::Step(_)
            | Root::StepRecord(_)
            | Root::Steps(_)
            | Root::StepIds(_)
            | Root::Context
            | Root::Run
            | Root::Item(_)
            | Root::Index(_) => None,
        }
    }
}

/// What a `json-stdio@1` program reads, but for its inputs.
pub(super) fn envelope(host: &Host, spawn: &Spawn, work_dir: &Path) -> Vec<(&'static str, Json)> {
    let text = |text: &str| Json::from_serialize(&text).unwrap_or_else(|_| Json::null());
    let number = |number: u32| Json::from_serialize(&number).unwrap_or_else(|_| Json::null());
    vec![
        ("v", number(1)),
        ("run_id", text(&host.run.id().to_string())),
        ("step_id", text(host.plan.steps[spawn.step.index()].id())),
        ("attempt", number(spawn.id.attempt)),
        ("context", spawn.context.clone()),
        ("work_dir", text(&work_dir.to_string_lossy())),
    ]
}

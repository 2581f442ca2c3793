//! Where everything lies: [`Home`], [`RunDir`] and [`AttemptDir`] are paths with types. Nothing is read here,
//! and nothing made but the home itself.

use std::{
    ffi::OsString,
    fmt::Write as _,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use nix::unistd::geteuid;
use schemas::journal::AttemptId;

use super::{
    files::{self, Fault},
    names::{self, RunId, SafeName},
};

/// The longest file name that Linux file systems take, in bytes.
const FILE_NAME_MAX: usize = 255;

/// Why there is no home.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither `--home` nor `$Q_WORKFLOW_HOME` nor `$HOME` is set.
    #[error("find a home: none of --home, $Q_WORKFLOW_HOME and $HOME is set")]
    Unset,
    /// The path cannot be made absolute.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The directory that holds all state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Takes an absolute path, whether it exists or not.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Chooses the home: `--home`, else `$Q_WORKFLOW_HOME`, else `~/.aws/amazonq/workflows`. An empty
    /// variable counts as unset. Nothing is made.
    pub fn choose(flag: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> Result<Self, Error> {
        let set = |name| env(name).filter(|value| !value.is_empty());
        let path = match (flag, set("Q_WORKFLOW_HOME"), set("HOME")) {
            (Some(flag), _, _) => flag.to_owned(),
            (None, Some(home), _) => home.into(),
            (None, None, Some(user)) => Path::new(&user).join(".aws/amazonq/workflows"),
            (None, None, None) => return Err(Error::Unset),
        };
        let absolute = std::path::absolute(&path).map_err(files::fault("find", &path))?;
        Ok(Self::at(absolute))
    }

    /// Makes the home durably if it is missing; what exists keeps its mode.
    pub fn ensure(&self) -> Result<(), Fault> {
        self.refuse_foreign()?;
        files::ensure_dir_durable(&self.path)
    }

    /// Refuses to write where another user has runs: what two users write into one home, neither could go on with.
    /// Whoever may do so can still read there.
    pub(super) fn refuse_foreign(&self) -> Result<(), Fault> {
        let runs = self.runs();
        let (own, owner) = match std::fs::metadata(&runs) {
            Ok(found) => (geteuid().as_raw(), found.uid()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(files::fault("look at", &runs)(error)),
        };
        if own == owner {
            return Ok(());
        }
        let why = format!("its runs belong to the user with the id {owner}, and this is {own}");
        Err(files::fault("write into the home", &self.path)(io::Error::new(
            io::ErrorKind::PermissionDenied,
            why,
        )))
    }

    /// The home itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `definitions/`.
    pub fn definitions(&self) -> PathBuf {
        self.path.join("definitions")
    }

    /// `definitions/<name>.json`.
    pub fn definition(&self, name: &SafeName) -> PathBuf {
        self.path.join(format!("definitions/{name}.json"))
    }

    /// `skills/`.
    pub fn skills(&self) -> PathBuf {
        self.path.join("skills")
    }

    /// `skills/<name>/skill.json`.
    pub fn skill(&self, name: &SafeName) -> PathBuf {
        self.path.join(format!("skills/{name}/skill.json"))
    }

    /// `agents/`.
    pub fn agents(&self) -> PathBuf {
        self.path.join("agents")
    }

    /// `agents/<name>.json`.
    pub fn agent(&self, name: &SafeName) -> PathBuf {
        self.path.join(format!("agents/{name}.json"))
    }

    /// `schedules.json`.
    pub fn schedules(&self) -> PathBuf {
        self.path.join("schedules.json")
    }

    /// `schedules.lock`: held while the schedules are changed.
    pub fn schedules_lock(&self) -> PathBuf {
        self.path.join("schedules.lock")
    }

    /// `fires.jsonl`: what became of the fires of schedules.
    pub fn fires(&self) -> PathBuf {
        self.path.join("fires.jsonl")
    }

    /// `daemon.lock`: held by the daemon.
    pub fn daemon_lock(&self) -> PathBuf {
        self.path.join("daemon.lock")
    }

    /// `daemon.log`: what a daemon in the background says.
    pub fn daemon_log(&self) -> PathBuf {
        self.path.join("daemon.log")
    }

    /// `daemon.sock`: where the daemon listens.
    pub fn daemon_socket(&self) -> PathBuf {
        self.path.join("daemon.sock")
    }

    /// `config.json`.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.json")
    }

    /// `index.jsonl`.
    pub fn index(&self) -> PathBuf {
        self.path.join("index.jsonl")
    }

    /// `index.lock`: held while the index is written, shared by appenders.
    pub fn index_lock(&self) -> PathBuf {
        self.path.join("index.lock")
    }

    /// `queue/`: the line of runs that wait for a slot, and the slots that are taken.
    pub fn queue(&self) -> PathBuf {
        self.path.join("queue")
    }

    /// `runs/`.
    pub fn runs(&self) -> PathBuf {
        self.path.join("runs")
    }

    /// `runs/<id>`.
    pub fn run(&self, id: RunId) -> RunDir {
        RunDir { path: self.path.join(format!("runs/{id}")), id }
    }
}

/// The directory of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
    id: RunId,
}

impl RunDir {
    /// The run.
    pub fn id(&self) -> RunId {
        self.id
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `definition.json`: the frozen copy.
    pub fn definition(&self) -> PathBuf {
        self.path.join("definition.json")
    }

    /// `called/`: the frozen copies of what the definition calls.
    pub fn all_called(&self) -> PathBuf {
        self.path.join("called")
    }

    /// `called/<index>`: a folder with the frozen copies of a definition that the definition calls.
    pub fn called(&self, index: usize) -> PathBuf {
        self.all_called().join(index.to_string())
    }

    /// `prompts.json`: the frozen copies of the files of prompts.
    pub fn prompts(&self) -> PathBuf {
        self.path.join("prompts.json")
    }

    /// `journal.jsonl`: the truth, and the lock of its owner.
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    /// `state.json`: the derived view.
    pub fn state(&self) -> PathBuf {
        self.path.join("state.json")
    }

    /// `logs/run.log`: the newest of the engine's own log files.
    pub fn run_log(&self) -> PathBuf {
        self.path.join("logs/run.log")
    }

    /// `steps/<step>[@<i>.<j>]/<attempt>`: the records of an attempt.
    pub fn attempt(&self, id: &AttemptId) -> Result<AttemptDir, names::Error> {
        let relative = Path::new("steps").join(attempt_path(id)?);
        Ok(AttemptDir { path: self.path.join(&relative), relative })
    }

    /// `work/`: holds the directories that attempts may write to.
    pub fn work_folder(&self) -> PathBuf {
        self.path.join("work")
    }

    /// `work/<step>[@<i>.<j>]/<attempt>`: the directory that an attempt may write to.
    pub fn work(&self, id: &AttemptId) -> Result<PathBuf, names::Error> {
        Ok(self.work_folder().join(attempt_path(id)?))
    }
}

/// The directory with the records of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptDir {
    path: PathBuf,
    relative: PathBuf,
}

impl AttemptDir {
    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory below the run's.
    pub fn relative(&self) -> &Path {
        &self.relative
    }

    /// `transcript.jsonl`: what an agent said and did.
    pub fn transcript(&self) -> PathBuf {
        self.path.join("transcript.jsonl")
    }

    /// `agent.json`: what an agent that runs did and used so far.
    pub fn agent(&self) -> PathBuf {
        self.path.join("agent.json")
    }

    /// `stdout.log`.
    pub fn stdout(&self) -> PathBuf {
        self.path.join("stdout.log")
    }

    /// `stderr.log`.
    pub fn stderr(&self) -> PathBuf {
        self.path.join("stderr.log")
    }

    /// `output.json`: an output too large for the journal.
    pub fn output(&self) -> PathBuf {
        self.path.join("output.json")
    }
}

/// `<step>/<attempt>`, or `<step>@<i>.<j>/<attempt>` inside loops: `@` is in no name, so that no two
/// attempts meet.
fn attempt_path(id: &AttemptId) -> Result<String, names::Error> {
    // The ids of the workflow steps around it stand before it, each with a dot behind.
    for part in id.step.split('.') {
        part.parse::<SafeName>()?;
    }
    let mut path = id.step.clone();
    for (depth, index) in id.turn.iter().enumerate() {
        let separator = if depth == 0 { '@' } else { '.' };
        write!(path, "{separator}{index}").expect("writing to a String does not fail");
    }
    if path.len() > FILE_NAME_MAX {
        return Err(names::Error::TooDeep { step: id.step.clone(), loops: id.turn.len() });
    }
    write!(path, "/{}", id.attempt).expect("writing to a String does not fail");
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_choice(flag: Option<&str>, env: &[(&str, &str)], expected: &str) {
        let lookup = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into());
        let home = Home::choose(flag.map(Path::new), lookup).unwrap();
        assert_eq!(home.path(), Path::new(expected));
    }

    #[test]
    fn home_is_chosen_by_flag_then_variable_then_user() {
        let all = [("Q_WORKFLOW_HOME", "/v"), ("HOME", "/u")];
        check_choice(Some("/f"), &all, "/f");
        check_choice(None, &all, "/v");
        check_choice(None, &all[1..], "/u/.aws/amazonq/workflows");
        check_choice(None, &[("Q_WORKFLOW_HOME", ""), ("HOME", "/u")], "/u/.aws/amazonq/workflows");
        assert!(matches!(Home::choose(None, |_| None), Err(Error::Unset)));
    }

    #[test]
    fn a_relative_home_is_made_absolute() {
        let home = Home::choose(Some(Path::new("x")), |_| None).unwrap();
        assert_eq!(home.path(), std::env::current_dir().unwrap().join("x"));
    }

    #[track_caller]
    fn check_attempt(step: &str, turn: &[u32], expected: Option<&str>) {
        let run = Home::at("/h".into()).run(RunId::generate());
        let id = AttemptId { step: step.into(), turn: turn.into(), attempt: 2 };
        let relative = run.attempt(&id).ok().map(|dir| dir.relative().to_str().unwrap().to_owned());
        assert_eq!(relative.as_deref(), expected);
        if let Some(relative) = relative {
            let work = relative.replacen("steps/", "work/", 1);
            assert_eq!(run.work(&id).unwrap(), run.path().join(work));
        }
    }

    #[test]
    fn attempts_of_turns_have_directories_of_their_own() {
        check_attempt("a", &[], Some("steps/a/2"));
        check_attempt("a", &[0], Some("steps/a@0/2"));
        check_attempt("a", &[3, 14], Some("steps/a@3.14/2"));
        check_attempt("call.inner", &[3], Some("steps/call.inner@3/2"));
        check_attempt("call..inner", &[], None);
        check_attempt("a@3", &[14], None);
        check_attempt("..", &[], None);
        check_attempt("../../x", &[], None);
        check_attempt("a", &[u32::MAX; 40], None);
    }

    #[test]
    fn the_layout_is_that_of_the_reference() {
        let home = Home::at("/h".into());
        let name: SafeName = "n".parse().unwrap();
        let id = RunId::generate();
        let run = home.run(id);
        let shown = [
            home.definition(&name),
            home.skill(&name),
            home.agent(&name),
            home.schedules(),
            home.config(),
            home.index(),
            run.journal(),
            run.state(),
            run.definition(),
            run.run_log(),
        ]
        .map(|path| path.to_str().unwrap().replace(&id.to_string(), "ID"));
        let expected = [
            "/h/definitions/n.json",
            "/h/skills/n/skill.json",
            "/h/agents/n.json",
            "/h/schedules.json",
            "/h/config.json",
            "/h/index.jsonl",
            "/h/runs/ID/journal.jsonl",
            "/h/runs/ID/state.json",
            "/h/runs/ID/definition.json",
            "/h/runs/ID/logs/run.log",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_home_is_made_with_all_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("a/b/c"));
        home.ensure().unwrap();
        home.ensure().unwrap();
        assert!(home.path().is_dir());
    }

    #[test]
    fn a_home_that_cannot_be_made_names_the_path() {
        let home = Home::at("/proc/no-such/home".into());
        let fault = home.ensure().unwrap_err();
        assert!(fault.path.starts_with("/proc"), "{fault}");
    }
}

//! The engine's side for tests: a launcher, fresh leaves, births, and what became of them.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ipc::limits::{Bytes, ProcessLimits};
use ipc::message::{
    Birth, BirthKind, Capabilities, FromLauncher, FromWorker, Network, ProcessUsage, Sandbox, Seccomp, Stage,
    Streams, Task, ToLauncher, ToWorker, UserNamespace, VERSION, WaitStatus, Work,
};
use ipc::socket::{self, Receiver};
use libtest_mimic::{Failed, Trial};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use schemas::json::Json;

/// Nothing in these tests takes longer, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A test of this name in a fresh tree, with a launcher that is ready. Where the host has no usable cgroup,
/// it says so and passes.
pub(crate) fn trial(name: &str, test: fn(&mut Engine)) -> Trial {
    Trial::test(name, move || match Tree::plant() {
        Ok(tree) => {
            test(&mut Engine::start(tree));
            Ok(())
        }
        Err(reason) => skip(&reason),
    })
}

fn skip(reason: &str) -> Result<(), Failed> {
    writeln!(std::io::stderr(), "SKIPPED: {reason}").map_err(Failed::from)
}

/// An own sub-tree of the cgroup that this process is in; removed at the end.
#[derive(Debug)]
pub(crate) struct Tree {
    base: PathBuf,
    leaves: AtomicU32,
}

impl Tree {
    fn plant() -> Result<Self, String> {
        static TREES: AtomicU32 = AtomicU32::new(0);
        let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(|error| error.to_string())?;
        let mount = mounts
            .lines()
            .find(|line| line.split(" - ").nth(1).is_some_and(|kind| kind.starts_with("cgroup2 ")))
            .and_then(|line| line.split(' ').nth(4))
            .ok_or("no cgroup v2 is mounted")?;
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("0::/"))
            .ok_or("this process is in no cgroup v2")?;
        let name = format!("births-test-{}-{}", std::process::id(), TREES.fetch_add(1, Ordering::Relaxed));
        let base = Path::new(mount).join(own).join(name);
        fs::create_dir(&base).map_err(|error| format!("{} cannot be made: {error}", base.display()))?;
        Ok(Self { base, leaves: AtomicU32::new(0) })
    }

    /// A fresh leaf.
    pub(crate) fn leaf(&self) -> PathBuf {
        let leaf = self.base.join(format!("leaf-{}", self.leaves.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&leaf).expect("a leaf");
        leaf
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let leaves: Vec<PathBuf> = (0..self.leaves.load(Ordering::Relaxed))
            .map(|number| self.base.join(format!("leaf-{number}")))
            .filter(|leaf| leaf.exists())
            .collect();
        for leaf in &leaves {
            kill(leaf);
        }
        for path in leaves.iter().chain([&self.base]) {
            let removed = until(|| fs::remove_dir(path).is_ok() || !path.exists());
            assert!(removed || std::thread::panicking(), "{} stays", path.display());
        }
    }
}

/// Kills all that is in a leaf.
pub(crate) fn kill(leaf: &Path) {
    File::options()
        .write(true)
        .open(leaf.join("cgroup.kill"))
        .expect("cgroup.kill")
        .write_all(b"1")
        .expect("kill");
}

/// Pids in a leaf; of a leaf that is gone, none.
pub(crate) fn pids(leaf: &Path) -> Vec<i32> {
    let text = fs::read_to_string(leaf.join("cgroup.procs")).unwrap_or_default();
    text.lines().map(|line| line.parse().expect("a pid")).collect()
}

/// Waits until it is true; `false`: never within [`PATIENCE`].
pub(crate) fn until(mut predicate: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !predicate() {
        if Instant::now() > deadline {
            return false;
        }
        poll(&mut [], PollTimeout::from(2_u8)).expect("poll");
    }
    true
}

/// A launcher and the engine's end of its socket.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) launcher: Child,
    pub(crate) tree: Tree,
    socket: Option<UnixStream>,
    receiver: Receiver,
    unread: VecDeque<FromLauncher>,
    tickets: u64,
}

/// What the launcher found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ready {
    pub(crate) birth: BirthKind,
    pub(crate) namespaces: bool,
    pub(crate) strict: Option<bool>,
    pub(crate) seccomp: bool,
    pub(crate) notes: Vec<String>,
}

impl Engine {
    fn start(tree: Tree) -> Self {
        let (ours, theirs) = UnixStream::pair().expect("a socket");
        ours.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let launcher = Command::new("/proc/self/exe")
            .arg(super::LAUNCHER)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()
            .expect("a launcher");
        let mut engine = Self {
            launcher,
            tree,
            socket: Some(ours),
            receiver: Receiver::new(),
            unread: VecDeque::new(),
            tickets: 0,
        };
        let leaf = engine.tree.leaf();
        let ready = engine.set_up(Some(&leaf));
        assert!(ready.namespaces, "{ready:?}");
        fs::remove_dir(leaf).expect("the probe leaves nothing");
        engine
    }

    /// Sends the first frame (tests may send it again).
    pub(crate) fn set_up(&mut self, probe: Option<&Path>) -> Ready {
        self.set_up_with(probe, Capabilities::Kept)
    }

    /// The same with a bound on capabilities.
    pub(crate) fn set_up_with(&mut self, probe: Option<&Path>, capabilities: Capabilities) -> Ready {
        self.set_up_hiding(probe, capabilities, &[])
    }

    /// The same with paths that are hidden.
    pub(crate) fn set_up_hiding(
        &mut self,
        probe: Option<&Path>,
        capabilities: Capabilities,
        hidden: &[&Path],
    ) -> Ready {
        let text = |path: &Path| path.to_str().expect("text").to_owned();
        let setup = ToLauncher::Setup {
            version: VERSION,
            probe: probe.map(text),
            capabilities,
            filtered: capabilities != Capabilities::Kept,
            strict: true,
            hidden: hidden.iter().map(|path| text(path)).collect(),
            guarded: Vec::new(),
        };
        self.send(&setup, Vec::new());
        match self.receive().0 {
            FromLauncher::Ready { version: VERSION, birth, namespaces, strict, seccomp, notes, .. } => {
                Ready { birth, namespaces, strict, seccomp, notes }
            }
            other @ (FromLauncher::Ready { .. }
            | FromLauncher::Born { .. }
            | FromLauncher::NotBorn { .. }
            | FromLauncher::Exited { .. }) => panic!("{other:?}"),
        }
    }

    fn socket(&self) -> &UnixStream {
        self.socket.as_ref().expect("open")
    }

    fn send(&self, message: &ToLauncher, descriptors: Vec<OwnedFd>) {
        socket::send(self.socket(), message, descriptors).expect("the launcher listens");
    }

    fn receive(&mut self) -> (FromLauncher, Vec<OwnedFd>) {
        let socket = self.socket.as_ref().expect("open");
        self.receiver.wait(socket).expect("a frame").expect("the launcher lives")
    }

    /// Dies, as far as the launcher can tell.
    pub(crate) fn hang_up(&mut self) {
        self.socket = None;
    }

    /// Orders a birth that must succeed.
    pub(crate) fn birth(&mut self, order: Order) -> Attempt {
        self.try_birth(order).expect("it is born")
    }

    /// Orders a birth, with its task.
    pub(crate) fn try_birth(&mut self, order: Order) -> Result<Attempt, (Stage, i32)> {
        let (wanted, stdin) = (order.0, order.1);
        let mut idle = self.idle(wanted.leaf.clone(), wanted.sandbox.clone())?;
        idle.begin(wanted, stdin);
        Ok(idle)
    }

    /// Orders a process that has no task yet.
    pub(crate) fn idle(&mut self, leaf: Option<String>, sandbox: Sandbox) -> Result<Attempt, (Stage, i32)> {
        self.tickets += 1;
        let ticket = self.tickets;
        let (our_control, control) = UnixStream::pair().expect("a socket");
        our_control.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let birth = Birth { ticket, leaf: leaf.clone(), sandbox };
        self.send(&ToLauncher::Birth(Box::new(birth)), vec![control.into()]);
        loop {
            match self.receive() {
                (FromLauncher::Born { ticket: its, pid }, mut pidfd) if its == ticket => {
                    return Ok(Attempt {
                        ticket,
                        pid,
                        leaf: leaf.map(PathBuf::from),
                        pidfd: pidfd.pop().expect("one"),
                        control: our_control,
                        frames: Receiver::new(),
                        stdin: None,
                        stdout: nowhere(),
                        stderr: nowhere(),
                        events: None,
                    });
                }
                (FromLauncher::NotBorn { ticket: its, stage, errno }, _) if its == ticket => {
                    return Err((stage, errno));
                }
                (other, _) => self.unread.push_back(other),
            }
        }
    }

    /// Orders a birth, gives its ticket and reads no answer. It gets no task.
    pub(crate) fn order_only(&mut self, order: Order) -> u64 {
        self.tickets += 1;
        let birth = Birth { ticket: self.tickets, leaf: order.0.leaf, sandbox: order.0.sandbox };
        self.send(&ToLauncher::Birth(Box::new(birth)), vec![nowhere().into()]);
        self.tickets
    }

    /// Waits until an attempt was reaped.
    pub(crate) fn exited(&mut self, attempt: &Attempt) -> (WaitStatus, ProcessUsage) {
        self.exited_ticket(attempt.ticket)
    }

    /// Waits until the attempt of a ticket was reaped.
    pub(crate) fn exited_ticket(&mut self, of: u64) -> (WaitStatus, ProcessUsage) {
        loop {
            let earlier = self
                .unread
                .iter()
                .position(|frame| matches!(frame, FromLauncher::Exited { ticket, .. } if *ticket == of));
            if let Some(position) = earlier
                && let Some(FromLauncher::Exited { status, usage, .. }) = self.unread.remove(position)
            {
                return (status, usage);
            }
            let (frame, _) = self.receive();
            if matches!(frame, FromLauncher::Exited { .. }) {
                self.unread.push_back(frame);
            }
        }
    }

    /// Lets an attempt run to its end.
    pub(crate) fn finish(&mut self, mut attempt: Attempt) -> Outcome {
        attempt.stdin = None;
        let stdout = read_all(&mut attempt.stdout);
        let stderr = read_all(&mut attempt.stderr);
        let mut frames = Vec::new();
        while let Some(frame) = attempt.next_frame() {
            frames.push(frame);
        }
        let (status, usage) = self.exited(&attempt);
        Outcome { stdout, stderr, frames, status, usage }
    }

    /// Orders a birth and lets it run to its end.
    pub(crate) fn run(&mut self, order: Order) -> Outcome {
        let attempt = self.birth(order);
        self.finish(attempt)
    }

    /// A birth of a program under the profile `standard`.
    pub(crate) fn program(&self, argv: &[&str]) -> Order {
        let argv = argv.iter().map(|&argument| argument.to_owned()).collect();
        self.order(Work::Program { argv }, standard())
    }

    /// The same of a line for a shell.
    pub(crate) fn shell(&self, line: &str) -> Order {
        self.program(&["sh", "-c", line])
    }

    /// A birth of a built-in skill that needs no file.
    pub(crate) fn builtin(&self, skill: &str, inputs: &str) -> Order {
        let inputs = Some(Json::parse(inputs).expect("json"));
        let work = Work::Builtin { skill: skill.to_owned(), inputs, work_dir: "/".to_owned() };
        self.order(
            work,
            Sandbox {
                namespaces: false,
                mounts: false,
                user_namespace: UserNamespace::None,
                capabilities: Capabilities::Dropped,
                seccomp: Seccomp::Memory,
                ..standard()
            },
        )
    }

    fn order(&self, work: Work, sandbox: Sandbox) -> Order {
        let leaf = self.tree.leaf().to_str().expect("text").to_owned();
        Order(
            Wanted {
                leaf: Some(leaf),
                sandbox,
                work_dir: None,
                limits: ProcessLimits::default(),
                env: vec![("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin".to_owned())],
                cwd: "/".to_owned(),
                events: false,
                work,
            },
            None,
        )
    }

    /// Processes whose parent is the launcher, zombies too.
    pub(crate) fn children_of_launcher(&self) -> String {
        let pid = self.launcher.id();
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("the launcher lives")
    }

    /// How many descriptors the launcher has open.
    pub(crate) fn descriptors_of_launcher(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.launcher.id())).expect("the launcher lives").count()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.hang_up();
        let ended = until(|| self.launcher.try_wait().expect("wait").is_some());
        assert!(ended || std::thread::panicking(), "the launcher outlives its engine");
    }
}

/// A birth and its task.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) leaf: Option<String>,
    pub(crate) sandbox: Sandbox,
    pub(crate) work_dir: Option<String>,
    pub(crate) limits: ProcessLimits,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) events: bool,
    pub(crate) work: Work,
}

/// A birth to be ordered, and what stdin is if not a pipe.
#[derive(Debug)]
pub(crate) struct Order(pub(crate) Wanted, pub(crate) Option<File>);

impl Order {
    /// The same with a change.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Wanted)) -> Self {
        change(&mut self.0);
        self
    }

    /// The same under the profile `none`.
    pub(crate) fn unconfined(self) -> Self {
        self.with(|birth| {
            birth.sandbox.namespaces = false;
            birth.sandbox.mounts = false;
            birth.sandbox.user_namespace = UserNamespace::None;
            birth.sandbox.capabilities = Capabilities::Kept;
            birth.sandbox.seccomp = Seccomp::None;
            birth.sandbox.work = None;
        })
    }
}

pub(crate) fn standard() -> Sandbox {
    Sandbox {
        namespaces: true,
        mounts: true,
        user_namespace: if nix::unistd::geteuid().is_root() {
            UserNamespace::None
        } else {
            UserNamespace::First
        },
        network: Network::Host,
        capabilities: Capabilities::Standard,
        tmp_size: Bytes(16 << 20),
        keep_visible: Vec::new(),
        work: None,
        root: None,
        seccomp: Seccomp::Default,
        no_fork: false,
        user: None,
        delegate: false,
    }
}

/// One birth that happened.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) pid: i32,
    pub(crate) leaf: Option<PathBuf>,
    pub(crate) pidfd: OwnedFd,
    pub(crate) stdin: Option<File>,
    pub(crate) events: Option<File>,
    pub(crate) stdout: File,
    ticket: u64,
    control: UnixStream,
    frames: Receiver,
    stderr: File,
}

impl Attempt {
    /// Gives it its task.
    pub(crate) fn begin(&mut self, wanted: Wanted, stdin: Option<File>) {
        let (mut pipe, our_stdin) =
            std::io::pipe().map(|(theirs, ours)| (file(theirs), ours)).expect("a pipe");
        let (our_stdout, stdout) = std::io::pipe().expect("a pipe");
        let (our_stderr, stderr) = std::io::pipe().expect("a pipe");
        if let Some(mut file) = stdin {
            std::io::Seek::rewind(&mut file).expect("a file");
            pipe = file;
        }
        let mut descriptors: Vec<OwnedFd> = vec![pipe.into(), stdout.into(), stderr.into()];
        if wanted.events {
            let (ours, theirs) = std::io::pipe().expect("a pipe");
            descriptors.push(theirs.into());
            self.events = Some(file(ours));
        }
        let task = Task {
            work_dir: wanted.work_dir,
            limits: wanted.limits,
            env: wanted.env,
            cwd: (wanted.sandbox.seccomp != Seccomp::Memory).then_some(wanted.cwd),
            streams: Streams { input: true, outputs: true, events: wanted.events },
            work: wanted.work,
        };
        // One that failed already says so itself.
        let _gone = socket::send(&self.control, &ToWorker::Task(Box::new(task)), descriptors);
        self.stdin = Some(file(our_stdin));
        self.stdout = file(our_stdout);
        self.stderr = file(our_stderr);
    }

    /// Has no use for it.
    pub(crate) fn dismiss(&self) {
        self.control.shutdown(std::net::Shutdown::Both).expect("a socket");
    }

    /// The next frame of its control socket; `None` at the end.
    pub(crate) fn next_frame(&mut self) -> Option<FromWorker> {
        let (frame, _) = self.next_frame_with_descriptors()?;
        Some(frame)
    }

    /// The same, with the descriptors of the frame.
    pub(crate) fn next_frame_with_descriptors(&mut self) -> Option<(FromWorker, Vec<OwnedFd>)> {
        match self.frames.wait(&self.control) {
            // It died before it had read its task.
            Err(socket::Error::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            frame => frame.expect("a frame"),
        }
    }

    /// Waits until it says `line` on stdout.
    pub(crate) fn says(&mut self, line: &str) {
        let mut said = String::new();
        while !said.ends_with('\n') {
            let mut byte = [0];
            assert!(readable(&self.stdout), "it says nothing after {said:?}");
            assert_eq!(self.stdout.read(&mut byte).expect("stdout"), 1, "it ends after {said:?}");
            said.push(char::from(byte[0]));
        }
        assert_eq!(said.trim_end(), line);
    }

    /// Whether the process is dead within [`PATIENCE`].
    pub(crate) fn dies(&self) -> bool {
        readable(&self.pidfd)
    }
}

/// What became of an attempt.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) frames: Vec<FromWorker>,
    pub(crate) status: WaitStatus,
    pub(crate) usage: ProcessUsage,
}

impl Outcome {
    /// How the leader of a program ended, and what it left; everything before must have been in order.
    #[track_caller]
    pub(crate) fn leader(&self) -> (WaitStatus, u64) {
        match self.frames.as_slice() {
            [
                FromWorker::Started { version: VERSION },
                FromWorker::LeaderExited { status, leftovers, .. },
            ] => {
                assert_eq!(self.status, WaitStatus::Exited(0), "the init ends well");
                (*status, *leftovers)
            }
            other => panic!("{other:?} {self:?}"),
        }
    }

    /// What a program that ended well and left nothing printed.
    #[track_caller]
    pub(crate) fn output(&self) -> &str {
        assert_eq!(self.leader(), (WaitStatus::Exited(0), 0), "{}", self.stderr);
        &self.stdout
    }

    /// Why it never began.
    #[track_caller]
    pub(crate) fn failed_at(&self) -> (Stage, i32) {
        match self.frames.as_slice() {
            [FromWorker::SetupFailed { stage, errno }] => (*stage, *errno),
            other => panic!("{other:?}"),
        }
    }
}

fn nowhere() -> File {
    File::options().read(true).write(true).open("/dev/null").expect("/dev/null")
}

fn file(end: impl Into<OwnedFd>) -> File {
    File::from(end.into())
}

fn readable(descriptor: &impl AsFd) -> bool {
    let wait = PollTimeout::try_from(PATIENCE).expect("short");
    poll(&mut [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)], wait).expect("poll") > 0
}

fn read_all(file: &mut File) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        assert!(readable(file), "the stream does not end");
        match file.read(&mut chunk).expect("a stream") {
            0 => return String::from_utf8(bytes).expect("text"),
            length => bytes.extend_from_slice(&chunk[..length]),
        }
    }
}

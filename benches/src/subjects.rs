//! What is measured.

use std::{
    fmt::Write as _,
    fs::{File, OpenOptions},
    io::{Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::measure::{self, Cost};

/// Steps of a chain in a round.
const STEPS: u32 = 200;
/// Steps of a definition that is only checked.
pub(crate) const CHECKED: u32 = 10_000;
/// Size of each value that the large engine holds, and their number: about 1 GB.
const BALLAST: (usize, usize) = (15 * 1024 * 1024, 64);

/// Names of the subjects.
pub(crate) const SPAWN: &str = "S: posix_spawn + wait of /bin/true";
pub(crate) const DURABLE: &str = "F: append 300 B + fdatasync, preallocated";
pub(crate) const EXEC: &str = "q: chain of exec /bin/true";
pub(crate) const STRICT: &str = "q: the same under strict";
pub(crate) const ECHO: &str = "q: chain of echo";
pub(crate) const BARE: &str = "q: the same under none";
pub(crate) const ABREAST: &str = "q: echo, 16 abreast";
pub(crate) const XARGS: &str = "xargs -P2 /bin/true";
pub(crate) const MAKE: &str = "make: chain of /bin/true";
pub(crate) const NINJA: &str = "ninja -j1: chain of /bin/true";
pub(crate) const BWRAP: &str = "bwrap with the same namespaces";
pub(crate) const VERSION: &str = "q --version, whole";
pub(crate) const JUST: &str = "just --version, whole";

/// The subjects, with their files.
#[derive(Debug)]
pub(crate) struct Subjects {
    q: PathBuf,
    dir: tempfile::TempDir,
    quick: bool,
}

/// Figures that are taken once.
#[derive(Debug)]
pub(crate) struct Once {
    /// CPU per step between these numbers of steps.
    pub(crate) scaling: Vec<(u32, u32, Cost)>,
    /// Resident size of the engine at the largest number of steps, KiB.
    pub(crate) largest: (u32, f64),
    /// Wall time of a step in a small and in a large engine, microseconds; resident size of the large one.
    pub(crate) engine_size: Option<(f64, f64, f64)>,
    /// Bytes written to the run's directory per step.
    pub(crate) bytes_per_step: f64,
}

/// A large definition.
#[derive(Debug)]
pub(crate) struct Check {
    /// What is in it.
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    /// `q workflow validate`.
    pub(crate) validate: Cost,
    /// `serde_json` into a tree of values.
    pub(crate) parse: Cost,
}

/// The program that is measured: `$Q_BIN`, else the one beside this.
pub(crate) fn program() -> Result<PathBuf> {
    let beside = std::env::current_exe()?;
    let q = match std::env::var_os("Q_BIN") {
        Some(q) => q.into(),
        None => beside.parent().context("the bench has no folder")?.join("q"),
    };
    ensure!(q.is_file(), "{} is not there: cargo build --release --bin q", q.display());
    Ok(q)
}

impl Subjects {
    pub(crate) fn find(quick: bool) -> Result<Self> {
        let q = program()?;
        // Not in memory: what a durable record costs is the disk's matter.
        let dir = tempfile::Builder::new().prefix("q-bench").tempdir_in("/var/tmp")?;
        for steps in [1, STEPS + 1] {
            write(&dir, &format!("exec-{steps}.json"), &chain(steps, |_| exec()))?;
            write(&dir, &format!("echo-{steps}.json"), &chain(steps, |_| echo()))?;
            write(&dir, &format!("strict-{steps}.json"), &with_sandbox(chain(steps, |_| exec()), "strict"))?;
            write(&dir, &format!("bare-{steps}.json"), &with_sandbox(chain(steps, |_| echo()), "none"))?;
            write(&dir, &format!("abreast-{steps}.json"), &abreast(&chain(steps, |_| echo())))?;
        }
        std::fs::File::create(dir.path().join("Makefile"))?.write_all(makefile(STEPS).as_bytes())?;
        std::fs::File::create(dir.path().join("build.ninja"))?.write_all(ninjafile(STEPS).as_bytes())?;
        Ok(Self { q, dir, quick })
    }

    /// One round: every subject once.
    pub(crate) fn round(&self) -> Result<Vec<(&'static str, Cost)>> {
        let steps = STEPS.to_string();
        let spawn = measure::command(&["spawn", &steps, "/bin/true"])?;
        let nothing = measure::command(&["spawn", "0", "/bin/true"])?;
        let makefile = self.path("Makefile");
        let xargs = format!("seq {STEPS} | xargs -P2 -n1 /bin/true");
        let mut round = vec![
            (SPAWN, spawn.per_part(nothing, STEPS)),
            (DURABLE, self.durable_append()?),
            (EXEC, self.chain("exec")?),
            (STRICT, self.chain("strict")?),
            (ECHO, self.chain("echo")?),
            (BARE, self.chain("bare")?),
            (ABREAST, self.chain("abreast")?),
            (XARGS, measure::command(&["sh", "-c", &xargs])?.per_part(nothing, STEPS)),
            (MAKE, measure::command(&["make", "-f", &makefile])?.per_part(nothing, STEPS)),
            (VERSION, measure::command(&[&self.q.display().to_string(), "--version"])?),
        ];
        if has("ninja") {
            // What it has built it does not build again.
            let ninja = format!("cd {} && rm -f .ninja_* && ninja -j1 --quiet", self.dir.path().display());
            round.push((NINJA, measure::command(&["sh", "-c", &ninja])?.per_part(nothing, STEPS)));
        }
        if has("just") {
            round.push((JUST, measure::command(&["just", "--version"])?));
        }
        if has("bwrap") {
            let bwrap = "for i in $(seq 50); do bwrap --ro-bind / / --unshare-pid --unshare-ipc --unshare-uts \
                         --proc /proc --tmpfs /tmp /bin/true; done";
            round.push((BWRAP, measure::command(&["sh", "-c", bwrap])?.per_part(nothing, 50)));
        }
        Ok(round)
    }

    /// Peers that are not installed here, and so not measured.
    pub(crate) fn missing() -> Vec<&'static str> {
        ["ninja", "just", "bwrap"].into_iter().filter(|peer| !has(peer)).collect()
    }

    /// What is taken once.
    pub(crate) fn once(&self) -> Result<Once> {
        let sizes: &[u32] = if self.quick { &[100, 1000] } else { &[100, 1000, 10_000] };
        let mut runs = Vec::new();
        let mut bytes_per_step = 0.0;
        for steps in sizes {
            let file = format!("scale-{steps}.json");
            write(&self.dir, &file, &chain(*steps, |_| echo()))?;
            runs.push((*steps, self.run(&file)?));
            // Of a longer run the oldest part of the log is gone.
            if *steps == 1000 {
                bytes_per_step = written_bytes(&self.newest_run()?)? / f64::from(*steps);
            }
        }
        let scaling = runs.windows(2).map(|pair| {
            let ((few, base), (many, whole)) = (pair[0], pair[1]);
            (few, many, whole.per_part(base, many - few))
        });
        let (steps, last) = *runs.last().context("no run")?;
        Ok(Once {
            scaling: scaling.collect(),
            largest: (steps, last.max_rss_kib),
            engine_size: if self.quick { None } else { Some(self.engine_size()?) },
            bytes_per_step,
        })
    }

    /// What a condition costs once it is read, microseconds: one over a list of items, less the same over one item.
    pub(crate) fn condition(&self) -> Result<f64> {
        const ITEMS: u32 = 10_000;
        let cost = |count: u32| -> Result<Cost> {
            let items: Vec<_> = (0..count).map(|n| json!({"status": 200, "n": n, "name": "a"})).collect();
            write(&self.dir, "vars.json", &json!({"items": items}))?;
            let (q, file) = (self.q.display().to_string(), self.path("vars.json"));
            let condition = "items.all(i, i.status == 200 && i.n < 100000 && i.name != 'b')";
            best(&[&q, "workflow", "eval", condition, "--vars", &file])
        };
        Ok((cost(ITEMS)?.cpu_us - cost(1)?.cpu_us) / f64::from(ITEMS))
    }

    /// Definitions of many steps: each refers to the one before; with a condition each, all alike or all different.
    pub(crate) fn checks(&self) -> Result<Vec<Check>> {
        let step = |index: u32| {
            let before = if index == 0 { "run.id".to_owned() } else { format!("s{}.message", index - 1) };
            json!({"skill": "echo", "name": format!("Step number {index}"), "timeout": "30s",
                   "inputs": {"message": before, "text": format!("https://example.com/{index}")}})
        };
        let with = |condition: &dyn Fn(u32) -> String, index| {
            let mut step = step(index);
            step["when"] = condition(index).into();
            step
        };
        let alike = |_| "run.attempt == 1 && run.id != ''".to_owned();
        let different = |index: u32| format!("run.attempt < {index} || size(run.id) > {}", index % 7);
        let definitions = [
            ("references", chain(CHECKED, step)),
            ("references and conditions, all alike", chain(CHECKED, |index| with(&alike, index))),
            ("references and conditions, all different", chain(CHECKED, |index| with(&different, index))),
        ];
        definitions.into_iter().map(|(name, definition)| self.check(name, &definition)).collect()
    }

    fn check(&self, name: &'static str, definition: &Value) -> Result<Check> {
        write(&self.dir, "check.json", definition)?;
        let (q, file) = (self.q.display().to_string(), self.path("check.json"));
        Ok(Check {
            name,
            bytes: std::fs::metadata(&file)?.len(),
            validate: best(&[&q, "workflow", "validate", &file])?,
            parse: best(&["parse", &file])?,
        })
    }

    fn chain(&self, kind: &str) -> Result<Cost> {
        let base = self.run(&format!("{kind}-1.json"))?;
        let whole = self.run(&format!("{kind}-{}.json", STEPS + 1))?;
        Ok(whole.per_part(base, STEPS))
    }

    fn run(&self, file: &str) -> Result<Cost> {
        let (q, home, file) = (self.q.display().to_string(), self.path("home"), self.path(file));
        measure::command(&[&q, "workflow", "--home", &home, "run", &file])
    }

    /// A step in an engine that holds nothing, and in one that holds a gigabyte of earlier results.
    fn engine_size(&self) -> Result<(f64, f64, f64)> {
        let (size, count) = BALLAST;
        std::fs::File::create(self.dir.path().join("ballast"))?.write_all(&vec![b'x'; size])?;
        let ballast = self.path("ballast");
        let load = |index: usize| {
            json!({"id": format!("ballast{index}"), "type": "skill", "skill": "exec",
                                         "inputs": {"argv": ["cat", ballast]}})
        };
        let steps = |count: usize| -> Vec<Value> {
            let chain = chain(STEPS, |_| exec());
            let chain = chain["steps"].as_array().cloned().unwrap_or_default();
            // What the ballast left to be written to disk must not be written while the chain runs.
            let sync = json!({"id": "sync", "type": "skill", "skill": "exec", "inputs": {"argv": ["sync"]}});
            (0..count).map(load).chain([sync]).chain(chain).collect()
        };
        let mut wall = Vec::new();
        let mut largest = 0.0_f64;
        for count in [0, count] {
            let workflow = json!({"name": "size", "version": "1.0.0", "steps": steps(count)});
            write(&self.dir, "size.json", &workflow)?;
            largest = largest.max(self.run("size.json")?.max_rss_kib);
            wall.push(self.median_step("s")?);
        }
        Ok((wall[0], wall[1], largest))
    }

    /// Median time from one step's end to the next one's, by the journal, for steps whose id begins so.
    fn median_step(&self, prefix: &str) -> Result<f64> {
        let text = std::fs::read_to_string(self.newest_run()?.join("journal.jsonl"))?;
        let mut ends = Vec::new();
        for line in text.lines() {
            let record: Value = serde_json::from_str(line)?;
            let step = record["event"]["attempt_ended"]["id"]["step"].as_str().unwrap_or_default();
            if step.starts_with(prefix) && step != "sync" {
                ends.push(record["up_us"].as_f64().context("up_us")?);
            }
        }
        let mut gaps: Vec<f64> = ends.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_by(f64::total_cmp);
        gaps.get(gaps.len() / 2).copied().context("no step")
    }

    fn newest_run(&self) -> Result<PathBuf> {
        let runs = std::fs::read_dir(self.dir.path().join("home/runs"))?;
        let newest = runs.flatten().map(|entry| entry.path()).max();
        newest.context("no run")
    }

    fn durable_append(&self) -> Result<Cost> {
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(false).open(self.path("append"))?;
        let record = [b'x'; 300];
        file.write_all(&vec![0; record.len() * STEPS as usize])?;
        file.sync_all()?;
        file.rewind()?;
        let began = Instant::now();
        for _ in 0..STEPS {
            file.write_all(&record)?;
            file.sync_data()?;
        }
        let wall_us = began.elapsed().as_secs_f64() * 1e6 / f64::from(STEPS);
        Ok(Cost { wall_us, cpu_us: 0.0, max_rss_kib: 0.0 })
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
}

/// The least of five costs.
fn best(argv: &[&str]) -> Result<Cost> {
    let costs = (0..5).map(|_| measure::command(argv)).collect::<Result<Vec<_>>>()?;
    costs.into_iter().min_by(|a, b| a.cpu_us.total_cmp(&b.cpu_us)).context("no cost")
}

fn written_bytes(run: &Path) -> Result<f64> {
    let mut bytes = 0;
    for name in ["journal.jsonl", "logs/run.log", "logs/run.log.1", "logs/run.log.2"] {
        bytes += std::fs::metadata(run.join(name)).map_or(0, |file| file.len());
    }
    Ok(u32::try_from(bytes).map(f64::from)?)
}

fn chain(steps: u32, call: impl Fn(u32) -> Value) -> Value {
    let step = |index: u32| {
        let mut step = call(index);
        step["id"] = format!("s{index}").into();
        step["type"] = "skill".into();
        step
    };
    json!({"name": "chain", "version": "1.0.0", "steps": (0..steps).map(step).collect::<Vec<_>>()})
}

fn exec() -> Value {
    json!({"skill": "exec", "inputs": {"argv": ["/bin/true"]}})
}

fn echo() -> Value {
    json!({"skill": "echo", "inputs": {"message": "Hello"}})
}

fn with_sandbox(mut workflow: Value, profile: &str) -> Value {
    workflow["sandbox"] = profile.into();
    workflow
}

/// The steps of a chain, 16 at once.
fn abreast(chain: &Value) -> Value {
    let group = json!({"id": "all", "type": "parallel", "max_concurrent": 16, "steps": chain["steps"]});
    json!({"name": "abreast", "version": "1.0.0", "steps": [group]})
}

/// Whether a program is in `PATH`.
fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The same chain for ninja, in the order of the file.
fn ninjafile(steps: u32) -> String {
    let mut text = String::from("rule true\n command = /bin/true\nbuild t0: phony\n");
    for step in 1..=steps {
        let _infallible = writeln!(text, "build t{step}: true t{}", step - 1);
    }
    text
}

/// A chain for make: each target depends on the one before, none is ever made.
fn makefile(steps: u32) -> String {
    let mut text = format!("all: t{steps}\n.PHONY: all t0");
    for step in 1..=steps {
        let _infallible = write!(text, " t{step}");
    }
    text.push_str("\nt0:\n");
    for step in 1..=steps {
        let _infallible = write!(text, "t{step}: t{}\n\t@/bin/true\n", step - 1);
    }
    text
}

fn write(dir: &tempfile::TempDir, name: &str, value: &Value) -> Result<()> {
    Ok(File::create(dir.path().join(name))?.write_all(value.to_string().as_bytes())?)
}

//! A home with many runs: what listing, filtering, making the index anew and pruning cost there, beside what the
//! program costs to start.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::measure::{self, Cost};

/// Rounds of what changes nothing.
pub(crate) const ROUNDS: usize = 15;
/// Runs that stay when the home is pruned.
const KEPT: u32 = 1000;

/// Makes the home, measures, and prints the table.
pub(crate) fn measure(q: &Path, runs: u32) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("q-home").tempdir_in("/var/tmp")?;
    let home = Home::new(q, dir.path());
    home.fill(dir.path(), runs)?;
    Row::begin(&format!("a home with {runs} runs"));
    home.list(&[]).map(|cost| Row::once("index made anew from the runs", cost).print())?;
    Row::often("`q --version`", ROUNDS, || measure::command(&[&home.q.to_string_lossy(), "--version"]))?
        .print();
    let all = runs.to_string();
    for (name, arguments) in [
        ("`list` of the newest 20", &[][..]),
        ("`list --name`, 1 in 1,000 fits, all are looked at", &["--name", "seldom", "--limit", &all]),
        ("`list --status failed`, 1 in 10 fits, 20 are shown", &["--status", "failed"]),
        ("`list --since`, none fits", &["--since", "1s", "--limit", &all]),
    ] {
        Row::often(name, ROUNDS, || home.list(arguments))?.print();
    }
    let keep = KEPT.to_string();
    let prune = ["prune", "--older-than", "1d", "--keep", &keep];
    Row::once("`prune --dry-run`", home.run(&[&prune[..], &["--dry-run"]].concat())?).print();
    Row::once("`prune` of all but 1,000", home.run(&prune)?).print();
    let left = fs::read_dir(home.path.join("runs"))?.count();
    ensure!(left == KEPT as usize, "{left} runs are left");
    Ok(())
}

/// A home and the program that has it.
pub(crate) struct Home {
    pub(crate) q: PathBuf,
    pub(crate) path: PathBuf,
}

impl Home {
    pub(crate) fn new(q: &Path, folder: &Path) -> Self {
        Self { q: q.to_owned(), path: folder.join("home") }
    }

    /// One real run, and copies of what is derived from it, each with an id, a moment, a name and an end of its own.
    pub(crate) fn fill(&self, folder: &Path, runs: u32) -> Result<()> {
        let step = json!({"id": "a", "type": "skill", "skill": "echo", "inputs": {"v": 1}});
        let definition = folder.join("workflow.json");
        let text = json!({"name": "often", "version": "1.0.0", "steps": [step]}).to_string();
        File::create(&definition)?.write_all(text.as_bytes())?;
        self.run(&["run", &definition.to_string_lossy()])?;
        let all = self.path.join("runs");
        let real = fs::read_dir(&all)?.next().context("no run")??.path();
        let view: Value = serde_json::from_slice(&fs::read(real.join("state.json"))?)?;
        let journal = fs::read(real.join("journal.jsonl"))?;
        for number in 0..runs {
            let id = format!("01900000-0000-7000-8000-{number:012x}");
            let mut view = view.clone();
            view["run_id"] = json!(id);
            for key in ["created_at", "started_at", "finished_at"] {
                view[key] = json!(format!("2025-01-{:02}T00:00:{:02}Z", 1 + number % 28, number % 60));
            }
            if number % 1000 == 0 {
                view["workflow"] = json!("seldom");
            }
            if number % 10 == 0 {
                view["status"] = json!("failed");
            }
            let run = all.join(id);
            fs::create_dir(&run)?;
            File::create(run.join("state.json"))?.write_all(view.to_string().as_bytes())?;
            // Nobody reads that of a run that has ended and has a view.
            File::create(run.join("journal.jsonl"))?.write_all(&journal)?;
        }
        fs::remove_dir_all(real)?;
        Ok(fs::remove_file(self.path.join("index.jsonl"))?)
    }

    fn list(&self, arguments: &[&str]) -> Result<Cost> {
        self.run(&[&["list", "--runs"], arguments].concat())
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Result<Cost> {
        let (q, home) = (self.q.to_string_lossy(), self.path.to_string_lossy());
        measure::command(&[&[&*q, "workflow"], arguments, &["--home", &*home]].concat())
    }
}

/// A row of a table of costs.
pub(crate) struct Row {
    name: &'static str,
    costs: Vec<Cost>,
}

impl Row {
    /// What comes above the rows.
    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn begin(what: &str) {
        println!("| {what} | wall ms | CPU ms |");
        println!("|---|---:|---:|");
    }

    fn once(name: &'static str, cost: Cost) -> Self {
        Self { name, costs: vec![cost] }
    }

    /// Of so many rounds.
    pub(crate) fn often(
        name: &'static str,
        rounds: usize,
        measured: impl Fn() -> Result<Cost>,
    ) -> Result<Self> {
        let costs = (0..rounds).map(|_| measured()).collect::<Result<_>>()?;
        Ok(Self { name, costs })
    }

    /// Prints what it takes when nothing disturbs it: the tenth percentile.
    #[expect(clippy::print_stdout, reason = "the table is what this program is for")]
    pub(crate) fn print(&self) {
        let p10 = |of: fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = self.costs.iter().map(of).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 10] / 1e3
        };
        println!("| {} | {:.1} | {:.1} |", self.name, p10(|cost| cost.wall_us), p10(|cost| cost.cpu_us));
    }
}

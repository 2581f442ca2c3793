//! What the commands themselves take, on a home with many runs; and what a daemon with many schedules takes to start.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{
    home::{Home, ROUNDS, Row},
    measure,
};

/// Runs of the home.
const RUNS: u32 = 1000;
/// Schedules of the daemon.
const SCHEDULES: usize = 10_000;
/// Starts of the daemon.
const STARTS: usize = 20;

/// The commands that only tell, and those that change next to nothing. The newest run is a real one.
const COMMANDS: [&str; 32] = [
    "list",
    "list --json",
    "list --status failed",
    "list --definitions",
    "status",
    "status --json",
    "logs @last",
    "logs @last --json",
    "history",
    "history --json",
    "history nightly",
    "explain @last",
    "graph nightly",
    "graph @last --format mermaid",
    "graph @last --format dot",
    "graph @last --format svg",
    "report @last",
    "validate nightly",
    "run nightly --dry-run",
    "stop @last",
    "prune --dry-run",
    "schedule list",
    "schedule next nightly",
    "schedule disable nightly",
    "skills list",
    "skills show shell",
    "agents list",
    "doctor",
    "schema",
    "eval 1+1",
    "completions bash",
    "man",
];

/// Measures all of them, and prints the tables.
#[expect(clippy::print_stdout, reason = "the tables are what this program is for")]
pub(crate) fn measure(q: &Path) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("q-commands").tempdir_in("/var/tmp")?;
    let home = Home::new(q, dir.path());
    home.fill(dir.path(), RUNS)?;
    home.run(&["list"])?;
    let step =
        |id: &str| json!({"id": id, "type": "skill", "skill": "shell", "inputs": {"command": "seq 20"}});
    let steps: Vec<_> = ["a", "b", "c", "d", "e", "f", "g", "h"].map(step).into();
    let file = dir.path().join("nightly.json");
    write(&file, &json!({"name": "nightly", "version": "1.0.0", "steps": steps}))?;
    home.run(&["schedule", "add", &file.to_string_lossy(), "--cron", "@yearly"])?;
    home.run(&["run", "nightly"])?;
    println!("| a home with {RUNS} runs | wall ms | CPU ms |\n|---|---:|---:|");
    Row::often("nothing: the measuring process", ROUNDS, || measure::command(&["true"]))?.print();
    for command in COMMANDS {
        let words: Vec<_> = command.split(' ').collect();
        Row::often(command, ROUNDS, || home.run(&words))?.print();
    }
    println!(
        "\n| a daemon starts with | wall ms | CPU ms | resident MB | wake-ups in 2 s |\n|---|---:|---:|---:|---:|"
    );
    for (count, cron) in [(0, daily as fn(usize) -> String), (SCHEDULES, daily), (SCHEDULES, monthly)] {
        start_daemons(&home, count, cron)?;
    }
    Ok(())
}

/// One of the 1,440 expressions of a day.
fn daily(number: usize) -> String {
    format!("{} {} * * *", number % 60, number / 60 % 24)
}

/// All different.
fn monthly(number: usize) -> String {
    format!("{} {} {} * *", number % 60, number / 60 % 24, 1 + number / 1440 % 28)
}

#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn start_daemons(home: &Home, count: usize, cron: fn(usize) -> String) -> Result<()> {
    const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo"];
    let one = |number: usize| {
        json!({"id": format!("s{number}"), "workflow": "nightly", "since": "2099-01-01T00:00:00Z",
            "cron": cron(number), "timezone": ZONES[number % ZONES.len()]})
    };
    let all: Vec<_> = (0..count).map(one).collect();
    write(&home.path.join("schedules.json"), &json!({"schema_version": 1, "schedules": all}))?;
    let (mut wall, mut cpu, mut rss, mut wakes) = (Vec::new(), Vec::new(), 0.0, 0.0);
    for start in 0..STARTS {
        wall.push(home.run(&["daemon", "start"])?.wall_us / 1e3);
        let status = home.json(&["daemon", "status", "--json"])?;
        let process = Path::new("/proc").join(status["pid"].to_string());
        let on_cpu = fs::read_to_string(process.join("schedstat"))?;
        cpu.push(on_cpu.split(' ').next().context("no figure")?.parse::<f64>()? / 1e6);
        if start == 0 {
            rss = figure(&process, "VmRSS:")? / 1e3;
            let before = figure(&process, "voluntary_ctxt_switches:")?;
            measure::command(&["sleep", "2"])?;
            wakes = figure(&process, "voluntary_ctxt_switches:")? - before;
        }
        home.run(&["daemon", "stop"])?;
    }
    wall.sort_by(f64::total_cmp);
    cpu.sort_by(f64::total_cmp);
    let different: BTreeSet<_> = all.iter().map(|one| one["cron"].to_string()).collect();
    let different = different.len();
    let name = format!("{count} schedules, {different} expressions");
    println!("| {name} | {:.1} | {:.1} | {rss:.0} | {wakes} |", wall[STARTS / 10], cpu[STARTS / 10]);
    Ok(())
}

/// A figure of `/proc/<pid>/status`.
fn figure(process: &Path, name: &str) -> Result<f64> {
    let status = fs::read_to_string(process.join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).context("the kernel does not tell")?;
    Ok(line.split_ascii_whitespace().next().context("no figure")?.parse()?)
}

fn write(file: &Path, value: &Value) -> Result<()> {
    Ok(File::create(file)?.write_all(value.to_string().as_bytes())?)
}

impl Home {
    /// What a command prints.
    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Command::new(&self.q);
        let output = command.args(["workflow", "--home"]).arg(&self.path).args(arguments).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

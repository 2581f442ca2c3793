//! A loop of very many cheap steps in one run: what the engine holds while it lasts, and what a step costs at its
//! beginning and at its end.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

/// Between two looks at the engine.
const LOOK: Duration = Duration::from_millis(100);

/// What the engine holds at one moment.
#[derive(Debug, Clone, Copy)]
struct Look {
    rss_kib: u64,
    descriptors: usize,
    cpu_ticks: u64,
}

/// Runs the loop and prints what was seen in each quarter of it.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn measure(q: &Path, steps: u32) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("q-soak").tempdir_in("/var/tmp")?;
    let turn = json!({"id": "turn", "type": "skill", "skill": "echo", "inputs": {"message": "Hello"},
        "assign": {"count": "${count + 1}"}});
    let turns = json!({"id": "turns", "type": "loop", "condition": format!("count < {steps}"),
        "max_iterations": steps, "steps": [turn]});
    let workflow =
        json!({"name": "soak", "version": "1.0.0", "context": {"mutable": {"count": 0}}, "steps": [turns]});
    let file = dir.path().join("soak.json");
    std::io::Write::write_all(&mut fs::File::create(&file)?, workflow.to_string().as_bytes())?;
    let mut engine = Command::new(q)
        .args(["workflow", "--home"])
        .arg(dir.path().join("home"))
        .arg("run")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let looks = watch(&mut engine)?;
    println!("| {steps} steps of a loop, part | resident MB | descriptors | CPU of the engine, ms |");
    println!("|---|---:|---:|---:|");
    let quarter = looks.len().div_ceil(4).max(1);
    let mut before = 0;
    for (index, part) in looks.chunks(quarter).enumerate() {
        let most = |of: fn(&Look) -> u64| part.iter().map(of).max().unwrap_or_default();
        let (rss, ticks) = (most(|look| look.rss_kib), most(|look| look.cpu_ticks));
        let descriptors = part.iter().map(|look| look.descriptors).max().unwrap_or_default();
        // A tick is 10 ms: sysconf(3), _SC_CLK_TCK.
        println!("| {} | {} | {descriptors} | {} |", index + 1, rss / 1024, (ticks - before) * 10);
        before = ticks;
    }
    Ok(())
}

/// Looks at the engine until it ends.
fn watch(engine: &mut Child) -> Result<Vec<Look>> {
    let proc = format!("/proc/{}", engine.id());
    let mut looks = Vec::new();
    std::thread::scope(|scope| {
        let (ended, end) = mpsc::channel();
        scope.spawn(move || ended.send(engine.wait()));
        loop {
            match end.recv_timeout(LOOK) {
                Ok(status) => {
                    ensure!(status?.success(), "the run failed");
                    return Ok(looks);
                }
                // One that is ending cannot be looked at.
                Err(RecvTimeoutError::Timeout) => looks.extend(look(&proc).ok()),
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("nobody waits for the engine"),
            }
        }
    })
}

fn look(proc: &str) -> Result<Look> {
    let status = fs::read_to_string(format!("{proc}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it has ended")?;
    let stat = fs::read_to_string(format!("{proc}/stat"))?;
    // Numbers after the name in brackets: utime and stime are the 12th and 13th, proc(5).
    let (_, numbers) = stat.rsplit_once(") ").context("stat")?;
    let ticks = numbers.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Look {
        rss_kib: rss.trim().trim_end_matches(" kB").parse()?,
        descriptors: fs::read_dir(format!("{proc}/fd"))?.count(),
        cpu_ticks: ticks,
    })
}

//! The table, in the form in which docs/performance.md keeps it.

use anyhow::{Context as _, Result};

use crate::{
    measure::Cost,
    subjects::{
        ABREAST, BARE, CHECKED, Check, DURABLE, ECHO, EXEC, JUST, Once, SPAWN, STRICT, VERSION, XARGS,
    },
};

/// Prints the tenth percentile over the rounds (what the machine does when nothing disturbs it), ratios to S, and the figures that are taken once.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn print(table: &[(String, Vec<Cost>)], once: &Once) -> Result<()> {
    let undisturbed = |costs: &[Cost], of: fn(&Cost) -> f64| {
        let mut figures: Vec<f64> = costs.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 10).copied().context("no figure")
    };
    let (_, spawn) = table.first().context("no subject")?;
    let (wall, cpu) = (undisturbed(spawn, |cost| cost.wall_us)?, undisturbed(spawn, |cost| cost.cpu_us)?);
    println!("| subject (per step, p10 of {} rounds) | wall µs | × S | CPU µs | × S |", spawn.len());
    println!("|---|---:|---:|---:|---:|");
    for (name, costs) in table {
        let (own_wall, own_cpu) =
            (undisturbed(costs, |cost| cost.wall_us)?, undisturbed(costs, |cost| cost.cpu_us)?);
        println!("| {name} | {own_wall:.0} | {:.2} | {own_cpu:.0} | {:.2} |", own_wall / wall, own_cpu / cpu);
    }
    println!();
    print_targets(table, once)?;
    println!();
    let mut first = None;
    for (few, many, cost) in &once.scaling {
        let base = *first.get_or_insert(cost.cpu_us);
        println!(
            "- CPU per echo step from {few} to {many} steps: {:.0} µs ({:.2} × the first)",
            cost.cpu_us,
            cost.cpu_us / base
        );
    }
    println!("- bytes written per echo step (journal and log): {:.0}", once.bytes_per_step);
    println!(
        "- largest process of a run of {} steps: {:.1} MB resident",
        once.largest.0,
        once.largest.1 / 1024.0
    );
    if let Some((small, large, rss)) = once.engine_size {
        println!(
            "- exec step in a small engine {small:.0} µs, in one of {:.0} MB {large:.0} µs: {:.2} ×",
            rss / 1024.0,
            large / small
        );
    }
    Ok(())
}

/// Prints the targets of docs/performance.md, as far as they can be had of these figures.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
fn print_targets(table: &[(String, Vec<Cost>)], once: &Once) -> Result<()> {
    let figure = |name: &str, of: fn(&Cost) -> f64| {
        let (_, costs) = table.iter().find(|(subject, _)| subject == name)?;
        let mut figures: Vec<f64> = costs.iter().map(of).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 10).copied()
    };
    let wall = |name: &str| figure(name, |cost| cost.wall_us);
    let cpu = |name: &str| figure(name, |cost| cost.cpu_us);
    let (spawn, durable) = (wall(SPAWN).context("S")?, wall(DURABLE).context("F")?);
    let spawn_cpu = cpu(SPAWN).context("S")?;
    let net = |name: &str| Some((wall(name)? - durable) / spawn);
    let growth =
        once.scaling.last().zip(once.scaling.first()).map(|(last, first)| last.2.cpu_us / first.2.cpu_us);
    let rows = [
        ("G1", "isolated exec step less one F, × S", net(EXEC), "≤ 1.5"),
        ("G1", "the same under strict, × S", net(STRICT), "≤ 2.5"),
        ("G2", "CPU of an isolated built-in step, × S", cpu(ECHO).map(|cpu| cpu / spawn_cpu), "≤ 0.5"),
        ("G2", "its latency less one F, × S", net(ECHO), "≤ 0.3"),
        (
            "I5",
            "CPU that isolation adds to a built-in step, × S",
            cpu(ECHO).zip(cpu(BARE)).map(|(held, bare)| (held - bare) / spawn_cpu),
            "≤ 0.5",
        ),
        ("G3", "steps/s 16 abreast, × xargs -P2", wall(XARGS).zip(wall(ABREAST)).map(|(x, q)| x / q), "≥ 2"),
        ("G4", "durable chain of /bin/true, × S", wall(EXEC).map(|exec| exec / spawn), "≤ 1.5"),
        ("G5", "CPU per step, long runs against short", growth, "≤ 1.10"),
        ("G5", "bytes written per step", Some(once.bytes_per_step), "≤ 1024"),
        ("G6", "largest process, MB", Some(once.largest.1 / 1024.0), "≤ 16"),
        (
            "G9",
            "q --version, × just --version",
            wall(VERSION).zip(wall(JUST)).map(|(q, just)| q / just),
            "≤ 0.6",
        ),
        (
            "G12",
            "exec step in an engine of 1 GB, × a small one",
            once.engine_size.map(|(small, large, _)| large / small),
            "≤ 1.1",
        ),
    ];
    println!("| target | what | here | wanted |");
    println!("|---|---|---:|---:|");
    for (target, what, here, wanted) in rows {
        let here = here.map_or("not measured".to_owned(), |here| format!("{here:.2}"));
        println!("| {target} | {what} | {here} | {wanted} |");
    }
    for peer in crate::subjects::Subjects::missing() {
        println!("- {peer} is not installed: skipped");
    }
    Ok(())
}

/// Prints what checking and deciding costs.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn print_checks(checks: &[Check], condition_us: f64) {
    println!();
    println!("| checking {CHECKED} steps | MB | CPU ms | serde_json, ms | ratio | resident MB |");
    println!("|---|---:|---:|---:|---:|---:|");
    for check in checks {
        println!(
            "| {} | {} | {:.0} | {:.1} | {:.1} | {:.0} |",
            check.name,
            check.bytes.div_ceil(1_000_000),
            check.validate.cpu_us / 1e3,
            check.parse.cpu_us / 1e3,
            check.validate.cpu_us / check.parse.cpu_us,
            check.validate.max_rss_kib / 1024.0
        );
    }
    println!();
    println!("- a condition, once it is read: {condition_us:.1} µs");
}

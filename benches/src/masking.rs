//! What it costs to look for secrets in what a step prints: the same step without a secret, with a short one and with a
//! long one, none of which comes in its output.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
};

use anyhow::Result;
use serde_json::json;

use crate::{home::Row, measure};

/// Rounds of each.
const ROUNDS: usize = 5;
/// What the step prints, MiB.
const PRINTED: usize = 64;
/// Characters of a line of it, as base64(1) writes them.
const LINE: usize = 76;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Measures, and prints the table.
pub(crate) fn measure(q: &Path) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("q-masking").tempdir_in("/var/tmp")?;
    let place = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let mut letters = Letters(1);
    write(&place("printed"), &letters.lines((PRINTED << 20) / (LINE + 1)))?;
    write(&place("token"), &letters.lines(1)[..20])?;
    write(&place("key"), &letters.lines(30))?;
    let (q, home) = (q.to_string_lossy(), place("home"));
    let config = json!({"secrets": {"TOKEN": {"file": place("token")}, "KEY": {"file": place("key")}}});
    Row::begin(&format!("a step that prints {PRINTED} MiB"));
    for (name, secrets) in [
        ("without a secret", json!([])),
        ("with a token of 20 bytes", json!(["TOKEN"])),
        ("with a key of 30 lines", json!(["KEY"])),
    ] {
        let step = json!({"id": "a", "type": "skill", "skill": "exec", "inputs": {"argv": ["cat", place("printed")]},
            "secrets": secrets, "resource_limits": {"output": "256MiB"}});
        let definition = place("workflow.json");
        let text = json!({"name": "prints", "version": "1.0.0", "steps": [step]}).to_string();
        write(&definition, text.as_bytes())?;
        let run = || {
            fs::create_dir(&home)?;
            write(&format!("{home}/config.json"), config.to_string().as_bytes())?;
            let cost = measure::command(&[&*q, "workflow", "run", &definition, "--home", &home]);
            fs::remove_dir_all(&home)?;
            cost
        };
        Row::often(name, ROUNDS, run)?.print();
    }
    Ok(())
}

fn write(path: &str, bytes: &[u8]) -> Result<()> {
    Ok(File::create(path)?.write_all(bytes)?)
}

/// Letters that look drawn, and are the same each time.
struct Letters(u64);

impl Letters {
    fn lines(&mut self, count: usize) -> Vec<u8> {
        let mut lines = Vec::with_capacity(count * (LINE + 1));
        for _ in 0..count {
            for _ in 0..LINE {
                self.0 =
                    self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                lines.push(ALPHABET[(self.0 >> 58) as usize]);
            }
            lines.push(b'\n');
        }
        lines
    }
}

//! `fires.jsonl`: what became of the fires of schedules. The daemon alone writes it, each line durable before
//! what follows from it is done; it is shortened when a daemon starts.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    path::PathBuf,
};

use jiff::Timestamp;
use schemas::schedule::{FIRES_VERSION, Fire, FireRecord};

use super::{
    disk,
    files::{self, Durability, Fault, Trouble, fault},
    home::Home,
};

/// A line that is longer was not written by q.
const LINE_MAX: u64 = 64 * 1024;

/// Why fires were not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A line that is not the last is not a record.
    #[error("{}:{line}: not a record of a fire", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A newer q wrote it.
    #[error("{}: written by a newer q (version {version})", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// A system call failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Every record, oldest first. A last line that is not whole was never durable, and is passed over.
pub fn read(home: &Home) -> Result<Vec<FireRecord>, Error> {
    let path = home.fires();
    let file = match files::open_regular(&path) {
        Ok(file) => file,
        Err(error) if error.trouble() == Trouble::Missing => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut input = BufReader::new(file);
    let mut records = Vec::new();
    for line in 1.. {
        let mut text = Vec::new();
        let length =
            (&mut input).take(LINE_MAX).read_until(b'\n', &mut text).map_err(fault("read", &path))?;
        if length == 0 || (text.last() != Some(&b'\n') && (text.len() as u64) < LINE_MAX) {
            break;
        }
        let Ok(record) = serde_json::from_slice::<FireRecord>(&text) else {
            return Err(Error::Line { path, line });
        };
        if record.v > FIRES_VERSION {
            return Err(Error::Newer { path, version: record.v });
        }
        records.push(record);
    }
    Ok(records)
}

/// The last fire of each schedule.
pub fn last(records: &[FireRecord]) -> HashMap<&str, Timestamp> {
    let mut last = HashMap::new();
    for record in records {
        let found = last.entry(record.schedule.as_str()).or_insert(record.at);
        *found = record.at.max(*found);
    }
    last
}

/// The end of the file, open for writing.
#[derive(Debug)]
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Replaces the file by what still matters of these records, and opens it.
    pub fn start(home: &Home, records: &[FireRecord]) -> Result<Self, Error> {
        let path = home.fires();
        files::replace(&path, Durability::Durable, |file| {
            for record in essential(records) {
                serde_json::to_writer(&mut *file, record)?;
                file.write_all(b"\n")?;
            }
            Ok(())
        })?;
        let file = files::open_private(&path, OpenOptions::new().append(true))?;
        Ok(Self { file, path })
    }

    /// Appends records in one write; they are durable when this returns.
    pub fn append(&mut self, records: &[FireRecord]) -> Result<(), Error> {
        let mut text = Vec::new();
        for record in records {
            serde_json::to_writer(&mut text, record)
                .map_err(io::Error::from)
                .map_err(fault("write", &self.path))?;
            text.push(b'\n');
        }
        let written = disk::write_all(&self.file, &self.path, &text)
            .and_then(|()| disk::sync_data(&self.file, &self.path));
        Ok(written.map_err(fault("write", &self.path))?)
    }
}

/// The records from which the same state follows: of each fire what it came to last, unless it is over; and of
/// each schedule its last fire.
fn essential(records: &[FireRecord]) -> Vec<&FireRecord> {
    let mut newest: HashMap<(&str, Timestamp), usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        newest.insert((&record.schedule, record.at), index);
    }
    let last = last(records);
    let mut kept: Vec<_> = newest
        .into_values()
        .filter(|index| {
            let record = &records[*index];
            let over = matches!(record.fire, Fire::Ended { .. } | Fire::Skipped { .. });
            !over || last.get(record.schedule.as_str()) == Some(&record.at)
        })
        .collect();
    kept.sort_unstable();
    kept.into_iter().map(|index| &records[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(schedule: &str, second: i64, fire: Fire) -> FireRecord {
        let at = Timestamp::from_second(second).unwrap();
        FireRecord { v: FIRES_VERSION, ts: at, schedule: schedule.to_owned(), at, fire }
    }

    fn skipped() -> Fire {
        Fire::Skipped { why: "a run of it still runs".to_owned() }
    }

    #[test]
    fn records_are_read_again_and_shortened() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        assert_eq!(read(&home).unwrap(), []);
        let run = || "r".to_owned();
        let all = [
            record("a", 1, Fire::Starting { run: run() }),
            record("a", 1, Fire::Started { run: run() }),
            record("a", 1, Fire::Ended { run: run(), status: None }),
            record("a", 2, Fire::Starting { run: run() }),
            record("b", 2, skipped()),
            record("a", 3, Fire::Waiting),
            record("a", 4, skipped()),
        ];
        let mut writer = Writer::start(&home, &[]).unwrap();
        writer.append(&all).unwrap();
        assert_eq!(read(&home).unwrap(), all);
        assert_eq!(last(&all)["a"].as_second(), 4);
        drop(Writer::start(&home, &all).unwrap());
        assert_eq!(read(&home).unwrap(), all[3..]);
    }

    #[test]
    fn a_torn_last_line_is_passed_over_and_any_other_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().to_owned());
        let mut writer = Writer::start(&home, &[]).unwrap();
        writer.append(&[record("a", 1, skipped())]).unwrap();
        writer.file.write_all(b"{\"v\":1,").unwrap();
        assert_eq!(read(&home).unwrap().len(), 1);
        writer.file.write_all(b"\n").unwrap();
        writer.append(&[record("a", 2, skipped())]).unwrap();
        assert!(read(&home).unwrap_err().to_string().ends_with("fires.jsonl:2: not a record of a fire"));
    }
}

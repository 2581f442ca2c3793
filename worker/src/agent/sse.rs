//! Server-sent events, as models stream their answers: lines `data: …`, capped. What the data means is the
//! provider's.

use std::io::{BufRead, BufReader, Read};

/// Longest line, and longest answer.
pub(super) const LINE_MAX: usize = 1024 * 1024;
/// Longest answer of a model.
pub(super) const ANSWER_MAX: u64 = 16 * 1024 * 1024;

/// Why a stream ends too early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The connection.
    #[error("the answer broke off: {0}")]
    Broken(#[from] std::io::Error),
    /// A line over the cap.
    #[error("the answer has a line of more than {LINE_MAX} bytes")]
    Line,
}

/// Calls `take` for the data of each event, until it says that it was the last, or the stream ends. Says whether it
/// was the last.
pub(super) fn read<E: From<Error>>(
    from: impl Read,
    mut take: impl FnMut(&str) -> Result<bool, E>,
) -> Result<bool, E> {
    let mut lines = BufReader::new(from.take(ANSWER_MAX));
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut lines).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line);
        if read.map_err(Error::Broken)? == 0 {
            return Ok(false);
        }
        if line.len() > LINE_MAX {
            return Err(Error::Line.into());
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(data) = text.trim_end().strip_prefix("data:")
            && take(data.trim_start())?
        {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str], whole: bool) {
        let mut found = Vec::new();
        let ended = read::<Error>(text.as_bytes(), |data| {
            found.push(data.to_owned());
            Ok(data == "end")
        });
        assert_eq!(
            (found, ended.expect("it is readable")),
            (expected.iter().map(|&d| d.to_owned()).collect(), whole)
        );
    }

    #[test]
    fn data_comes_line_by_line() {
        check(
            "data: a\n\ndata:b\r\n\nevent: x\n: comment\ndata: end\n\ndata: late\n",
            &["a", "b", "end"],
            true,
        );
        check("data: a\n\ndata: hal", &["a", "hal"], false);
        check("", &[], false);
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let endless = std::io::repeat(b'x');
        assert!(matches!(read::<Error>(endless, |_| Ok(false)), Err(Error::Line)));
    }
}

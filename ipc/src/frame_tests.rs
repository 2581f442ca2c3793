//! The rules of [`super`]: hostile lengths, splits, depths and encodings.

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Decoder, Error, HEADER, MAX_DEPTH, MAX_FRAME, encode};

fn raw_frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(body.len()).expect("short").to_le_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes
}

/// What a stream gave: its frames as text, then how it ended.
fn decode(chunks: &[&[u8]]) -> (Vec<String>, String) {
    let mut decoder = Decoder::new();
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.feed(chunk);
        loop {
            match decoder.take::<Box<RawValue>>() {
                Ok(Some(frame)) => frames.push(frame.get().to_owned()),
                Ok(None) => break,
                Err(error) => return (frames, kind(&error).to_owned()),
            }
        }
    }
    let end = decoder.finish().map_or_else(|error| kind(&error).to_owned(), |()| "end".to_owned());
    (frames, end)
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::TooLarge { .. } => "too large",
        Error::TooDeep => "too deep",
        Error::Truncated => "truncated",
        Error::Message(_) => "no message",
    }
}

#[track_caller]
fn check(chunks: &[&[u8]], frames: &[&str], end: &str) {
    let (got, got_end) = decode(chunks);
    assert_eq!(
        (got.iter().map(String::as_str).collect::<Vec<_>>(), got_end.as_str()),
        (frames.to_vec(), end)
    );
}

#[test]
fn nothing_is_a_clean_end() {
    check(&[], &[], "end");
    check(&[b""], &[], "end");
}

#[test]
fn two_frames_in_one_write() {
    check(&[&[raw_frame(b"1"), raw_frame(b"[2]")].concat()], &["1", "[2]"], "end");
}

#[test]
fn byte_by_byte() {
    let bytes = [raw_frame("{\"a\":\"é\"}".as_bytes()), raw_frame(b"true")].concat();
    let chunks: Vec<&[u8]> = bytes.chunks(1).collect();
    check(&chunks, &["{\"a\":\"é\"}", "true"], "end");
}

#[test]
fn end_inside_a_frame() {
    let frame = raw_frame(b"[1,2]");
    for cut in 1..frame.len() {
        check(&[&frame[..cut]], &[], "truncated");
    }
}

#[test]
fn length_over_the_cap_is_refused_without_a_body() {
    check(&[&[0xFF; HEADER]], &[], "too large");
    check(&[&u32::try_from(MAX_FRAME + 1).expect("fits").to_le_bytes()], &[], "too large");
    check(&[&u32::try_from(MAX_FRAME).expect("fits").to_le_bytes()], &[], "truncated");
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut decoder = Decoder::new();
    decoder.feed(&u32::try_from(MAX_FRAME).expect("fits").to_le_bytes());
    assert!(decoder.take::<Box<RawValue>>().expect("waits").is_none());
    assert!(decoder.buffer.capacity() < 64);
}

#[test]
fn depth() {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    for (depth, end) in [(1, "end"), (MAX_DEPTH - 1, "end"), (MAX_DEPTH, "end"), (MAX_DEPTH + 1, "too deep")]
    {
        assert_eq!(decode(&[&raw_frame(&nested(depth))]).1, end, "depth {depth}");
    }
    check(&[&raw_frame(&nested(100_000))], &[], "too deep");
    let in_string = format!("\"{}\\\"{}\"", "[".repeat(500), "[".repeat(500));
    check(&[&raw_frame(in_string.as_bytes())], &[&in_string], "end");
}

#[test]
fn bad_text() {
    for body in [&b""[..], b" ", b"{", b"\xFF", b"\"\xC3\"", b"nul", b"1 2", b"NaN"] {
        check(&[&raw_frame(body)], &[], "no message");
    }
}

#[test]
fn an_error_stays() {
    let mut decoder = Decoder::new();
    decoder.feed(&raw_frame(b"x"));
    decoder.feed(&raw_frame(b"1"));
    for _ in 0..2 {
        assert!(matches!(decoder.take::<Box<RawValue>>(), Err(Error::Message(_))));
    }
}

#[test]
fn a_typed_frame_with_unknown_type_is_refused() {
    #[derive(Debug, Deserialize)]
    enum Known {
        One,
    }
    let mut decoder = Decoder::new();
    decoder.feed(&raw_frame(b"\"One\""));
    decoder.feed(&raw_frame(b"\"Two\""));
    assert!(matches!(decoder.take(), Ok(Some(Known::One))));
    assert!(matches!(decoder.take::<Known>(), Err(Error::Message(_))));
}

#[test]
fn encode_refuses_over_the_cap() {
    // A string of n characters is n + 2 bytes of JSON.
    assert!(encode(&"a".repeat(MAX_FRAME - 2)).is_ok());
    assert!(
        matches!(encode(&"a".repeat(MAX_FRAME - 1)), Err(Error::TooLarge { length }) if length == MAX_FRAME + 1)
    );
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        values in prop::collection::vec(prop::collection::vec(any::<String>(), 0..4), 0..8),
        cuts in prop::collection::vec(1_usize..40, 1..40),
    ) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| encode(value).expect("small")).collect();
        let mut decoder = Decoder::new();
        let mut got: Vec<Vec<String>> = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
            decoder.feed(chunk);
            while let Some(value) = decoder.take().expect("valid") {
                got.push(value);
            }
            rest = tail;
        }
        prop_assert!(decoder.finish().is_ok());
        prop_assert_eq!(got, values);
    }

    #[test]
    fn any_bytes_have_a_defined_outcome(bytes in prop::collection::vec(any::<u8>(), 0..4096)) {
        let (_, end) = decode(&[&bytes]);
        prop_assert!(["end", "too large", "too deep", "truncated", "no message"].contains(&end.as_str()));
    }
}

//! Any bytes in any pieces as frames: what comes out does not depend on the pieces, and nothing is held beyond the cap.
//!
//! `cargo +nightly fuzz run frame -- -max_len=4096 -timeout=1 -malloc_limit_mb=64`

#![no_main]

use ipc::frame::Decoder;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// The messages up to the first that is none, and whether there was one such.
fn read(pieces: &mut dyn Iterator<Item = &[u8]>) -> (Vec<Value>, bool) {
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.take() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(_) => return (messages, true),
            }
        }
    }
    (messages, decoder.finish().is_err())
}

fuzz_target!(|input: (u8, &[u8])| {
    let (size, bytes) = input;
    let whole = read(&mut std::iter::once(bytes));
    let cut = read(&mut bytes.chunks(usize::from(size) + 1));
    assert_eq!(whole, cut);
});

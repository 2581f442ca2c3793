//! Bytes to frames and back: a little-endian `u32` length, then that many bytes of JSON. Pure: no socket
//! is read or written here.

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// Longest frame, without its length. Larger values travel by descriptor.
pub const MAX_FRAME: usize = 1 << 20;

/// Deepest nesting of arrays and objects in a frame: what the JSON parser itself allows in typed parts. It
/// does not count inside raw values, so it is counted here, before parsing.
pub const MAX_DEPTH: usize = 128;

const HEADER: usize = 4;

/// What can be wrong with a frame. Each is final: nothing after it in the stream can be trusted.
#[derive(Debug, Error)]
pub enum Error {
    /// The announced or made length is over the cap.
    #[error("frame of {length} bytes is over the cap of {MAX_FRAME}")]
    TooLarge {
        /// Length of the frame.
        length: usize,
    },
    /// The nesting is over the cap.
    #[error("frame is nested deeper than {MAX_DEPTH}")]
    TooDeep,
    /// The stream ended inside a frame.
    #[error("stream ended inside a frame")]
    Truncated,
    /// The bytes are no message of the expected kind.
    #[error("frame is no known message")]
    Message(#[source] serde_json::Error),
}

/// Makes the bytes of one frame.
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; HEADER];
    serde_json::to_writer(&mut bytes, message).map_err(Error::Message)?;
    let length = bytes.len() - HEADER;
    let header =
        u32::try_from(length).ok().filter(|_| length <= MAX_FRAME).ok_or(Error::TooLarge { length })?;
    bytes[..HEADER].copy_from_slice(&header.to_le_bytes());
    Ok(bytes)
}

/// Cuts a stream of bytes into frames, however the stream was split.
///
/// Feed what was read, then take frames until there is none: so it never holds more than one frame and
/// one read.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Where the first frame not yet taken starts in `buffer`.
    start: usize,
}

impl Decoder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next whole frame; `None`: more bytes are needed. After an error, every call gives it.
    pub fn take<M: DeserializeOwned>(&mut self) -> Result<Option<M>, Error> {
        let pending = &self.buffer[self.start..];
        let Some((header, rest)) = pending.split_first_chunk::<HEADER>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*header)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(Error::TooLarge { length });
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        if nests_too_deep(body) {
            return Err(Error::TooDeep);
        }
        let message = serde_json::from_slice(body).map_err(Error::Message)?;
        self.start += HEADER + length;
        Ok(Some(message))
    }

    /// Whether all that was fed was also taken.
    pub fn is_empty(&self) -> bool {
        self.start == self.buffer.len()
    }

    /// To be called at the end of the stream.
    pub fn finish(&self) -> Result<(), Error> {
        if self.is_empty() { Ok(()) } else { Err(Error::Truncated) }
    }
}

/// Whether brackets outside of strings nest deeper than [`MAX_DEPTH`]. On bytes that are no JSON the answer
/// means nothing, but it comes: the parser refuses them.
fn nests_too_deep(body: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;

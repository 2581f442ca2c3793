//! Bytes to frames and back: a little-endian `u32` length, then that many bytes of JSON.

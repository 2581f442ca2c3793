//! The built-in skills: one file each, run in-process by the worker; `shell` and `exec` only describe the
//! program that the engine starts. Nothing here knows of sandboxes, frames or the engine.

mod catalog;
mod input;
mod run;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_server;

mod duration;
mod files;
mod http;
mod http_inputs;
mod http_response;
mod json_text;
mod pointer;

mod assert;
mod echo;
mod exec;
mod fail;
mod file_copy;
mod file_delete;
mod file_exists;
mod file_list;
mod file_read;
mod file_write;
mod hash;
mod http_get;
mod http_request;
mod json_parse;
mod json_query;
mod log_error;
mod mcp_call;
mod notify;
mod process_a;
mod process_b;
mod process_file;
mod set_context;
mod shell;
mod sleep;
mod template;
mod wait_for;

pub mod program;

pub use catalog::{Builtin, Needs, catalog, find, writes};
pub use input::BadInput;
pub use run::{Context, run};

//! The text of a client frame: decoded or rejected, without a panic.

#![no_main]

use actors::protocol::client::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _frame_or_not = decode(text);
});

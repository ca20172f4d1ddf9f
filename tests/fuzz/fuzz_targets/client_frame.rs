//! The text of a frame as a client sends it: understood or not, and no panic.

#![no_main]

use actors::protocol::client::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _frame_or_not = decode(text);
});

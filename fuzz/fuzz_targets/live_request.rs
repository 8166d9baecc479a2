#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tickhouse_fuzz::live_request(bytes));

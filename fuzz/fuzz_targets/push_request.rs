#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tickhouse_fuzz::push_request(bytes));

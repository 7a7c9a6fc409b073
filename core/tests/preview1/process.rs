//! The process, randomness and scheduling.

use crate::support::{Guest, PAGE, PATTERN, fails};
use wasi_rs_core::abi::Errno;
use wasi_rs_core::preview1::CallError;

#[test]
fn an_exit_is_a_value() {
    let mut guest = Guest::new();
    for code in [0, 1, 33, 255, 256, u32::MAX] {
        assert_eq!(guest.call("proc_exit", &[code.into()]), Err(CallError::Exit(code)));
    }
}

#[test]
fn a_signal_reaches_nobody() {
    let mut guest = Guest::new();
    // This process would not live to see the second.
    for signal in (0..40).chain([255, u32::MAX]) {
        assert_eq!(guest.call("proc_raise", &[signal.into()]), fails(Errno::Nosys), "{signal}");
    }
}

#[test]
fn yielding_succeeds() {
    assert_eq!(Guest::new().call("sched_yield", &[]), Ok(()));
}

#[test]
fn random_bytes_fill_their_buffer_and_differ() {
    let mut guest = Guest::new();
    let mut seen = Vec::new();
    for len in [16, 17, 255, 256, 257, 1023, 1024, 1025, 40_000] {
        guest.fresh();
        let at = guest.room(len);
        assert_eq!(guest.call("random_get", &[at, len as u64]), Ok(()));
        let bytes = guest.bytes(at, len).to_vec();
        // All but surely, no half of it is still the pattern.
        let untouched = bytes.iter().map(|byte| usize::from(*byte == PATTERN)).sum::<usize>();
        assert!(untouched < len / 2, "{untouched} of {len}");
        assert!(bytes[len - 16..] != [PATTERN; 16], "the end is filled");
        seen.push(bytes[..16].to_vec());
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 9, "no two are alike");
}

#[test]
fn every_byte_value_comes_up_about_equally_often() {
    let mut guest = Guest::new();
    let mut counts = [0_u32; 256];
    for _ in 0..16 {
        guest.fresh();
        guest.call("random_get", &[0, PAGE as u64]).unwrap();
        for byte in &guest.memory {
            counts[usize::from(*byte)] += 1;
        }
    }
    // 4096 expected, with a standard deviation of 64.
    assert!(counts.iter().all(|count| (3456..=4736).contains(count)), "{counts:?}");
}

#[test]
fn no_random_bytes_are_a_success() {
    let mut guest = Guest::new();
    guest.fresh();
    assert_eq!(guest.call("random_get", &[5, 0]), Ok(()));
    assert!(guest.memory.iter().all(|byte| *byte == PATTERN));
}

#[test]
fn many_random_bytes_are_filled_in_slices() {
    let mut guest = crate::support::Guest::new();
    guest.ctx.random = Some(std::sync::Arc::new(wasi_rs_core::host::SeededRandom::new([7; 32])));
    let mut expected = vec![0; 9 << 20];
    let whole =
        wasi_rs_core::memory::GuestMemory::from_slice(&mut expected).region(0, 9 << 20).unwrap();
    wasi_rs_core::host::SeededRandom::new([7; 32]).fill(whole);
    guest.memory.resize(10 << 20, crate::support::PATTERN);
    let len = 9_u64 << 20;
    assert_eq!(
        guest.slice("random_get", &[100, len]),
        Err(wasi_rs_core::preview1::CallError::Again)
    );
    assert_eq!(
        guest.slice("random_get", &[100, len]),
        Err(wasi_rs_core::preview1::CallError::Again)
    );
    assert_eq!(guest.slice("random_get", &[100, len]), Ok(()));
    assert!(guest.memory[100..100 + expected.len()] == expected[..]);
}

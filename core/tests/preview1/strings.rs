//! Arguments and environment.

use crate::support::{PAGE, Setup};
use wasi_rs_core::preview1::CallError;

#[test]
fn arguments_and_environment_arrive() {
    let setup = Setup {
        args: &["program", "-x", "", "ünïcödé"],
        environ: &["A=b", "EMPTY=", "C=d=e\n"],
        ..Setup::default()
    };
    let mut guest = setup.guest();
    assert_eq!(
        guest.strings("args_get", "args_sizes_get"),
        ["program", "-x", "", "ünïcödé"].map(|text| text.as_bytes().to_vec())
    );
    assert_eq!(
        guest.strings("environ_get", "environ_sizes_get"),
        ["A=b", "EMPTY=", "C=d=e\n"].map(|text| text.as_bytes().to_vec())
    );
}

#[test]
fn none_are_a_success() {
    let mut guest = Setup::default().guest();
    for (get, sizes) in [("args_get", "args_sizes_get"), ("environ_get", "environ_sizes_get")] {
        assert!(guest.strings(get, sizes).is_empty());
        guest.fresh();
        let (count, size) = (guest.room(4), guest.room(4));
        guest.call(sizes, &[count, size]).unwrap();
        assert_eq!((guest.u32(count), guest.u32(size)), (0, 0));
    }
}

#[test]
fn the_exact_bytes() {
    let mut guest = Setup { args: &["ab", "c"], ..Setup::default() }.guest();
    guest.fresh();
    guest.call("args_get", &[0x101, 0x203]).unwrap();
    assert_eq!(guest.bytes(0x101, 8), [0x03, 0x02, 0, 0, 0x06, 0x02, 0, 0]);
    assert_eq!(guest.bytes(0x203, 5), *b"ab\0c\0");
}

#[test]
fn neither_is_written_where_one_does_not_fit() {
    let mut guest = Setup { args: &["ab", "c"], environ: &["A=b"], ..Setup::default() }.guest();
    let end = PAGE as u64;
    for (list, buffer) in [(end - 7, 0), (0, end - 4), (end, 0), (0, end)] {
        guest.fresh();
        assert_eq!(guest.call("args_get", &[list, buffer]), Err(CallError::OutOfBounds));
    }
    for (list, buffer) in [(end - 3, 0), (0, end - 3)] {
        guest.fresh();
        assert_eq!(guest.call("environ_get", &[list, buffer]), Err(CallError::OutOfBounds));
    }
    guest.fresh();
    assert_eq!(guest.call("args_get", &[end - 8, 0]), Ok(()));
    assert_eq!(guest.call("args_get", &[0, end - 5]), Ok(()));
}

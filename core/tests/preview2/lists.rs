//! Lists: exactly as long as what there is, and no memory of the host by a number of the guest's.

use crate::component::{CREATE, Component, READ, WRITE};
use wasi_rs_core::preview2::{CallError, Trap};

#[test]
fn a_list_takes_just_its_bytes() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/seven", "1234567");
    let file = component.open(directory, "seven", 0, READ).unwrap();
    let stream = component.fallible("read_via_stream", &[file, 0]).unwrap();
    for length in [8, 100, 1 << 20, 1 << 31, 1 << 40, u64::MAX] {
        assert_eq!(component.read(file, length, 0), Ok((b"1234567".to_vec(), false)));
        assert_eq!(component.asked, [(0, 7)], "{length}");
    }
    assert_eq!(component.stream_read("blocking_read", stream, u64::MAX), Ok(b"1234567".to_vec()));
    assert_eq!(component.asked, [(0, 7)]);
    assert_eq!(component.read(file, 100, 7), Ok((Vec::new(), true)));
    assert_eq!(component.asked, [(0, 0)], "adapters want to be asked for nothing, too");
}

#[test]
fn large_parts_of_files_are_read_at_once() {
    let (mut component, directory) = Component::new();
    let bytes: Vec<u8> = (0..300_000_u32).map(|index| (index * 7 >> 3) as u8).collect();
    component.temp.write("box/large", &bytes);
    let file = component.open(directory, "large", 0, READ).unwrap();
    assert_eq!(component.read(file, 1 << 40, 0), Ok((bytes.clone(), false)));
    assert_eq!(component.asked, [(0, 300_000)]);
    let stream = component.fallible("read_via_stream", &[file, 100_000]).unwrap();
    let read = component.stream_read("blocking_read", stream, 150_000).unwrap();
    assert_eq!(read, bytes[100_000..250_000]);
    let rest = component.stream_read("input_read", stream, 150_000).unwrap();
    assert_eq!(rest, bytes[250_000..]);
    assert_eq!(component.stream_read("input_read", stream, 1), Err("closed".to_owned()));
}

#[test]
fn what_a_file_lost_meanwhile_is_given_back() {
    for (kept, closed) in [(70_000, false), (0, true)] {
        let (mut component, directory) = Component::new();
        component.temp.write("box/file", vec![7; 200_000]);
        let file = component.open(directory, "file", 0, READ).unwrap();
        let stream = component.fallible("read_via_stream", &[file, 0]).unwrap();
        let left = component.begin("blocking_read", &[stream, 200_000]).unwrap();
        assert_eq!(left.realloc, [0, 0, 1, 200_000]);
        component.temp.write("box/file", vec![7; kept]);
        component.memory.resize(400_000, 0xaa);
        let left = component.place(65_536).unwrap();
        if closed {
            assert_eq!((component.byte(0), component.byte(4)), (1, 1), "closed");
            continue;
        }
        assert_eq!(left.realloc, [65_536, 200_000, 1, 70_000]);
        assert_eq!(component.place(65_536).unwrap().realloc[2], 0);
        assert_eq!((component.byte(0), component.list(4)), (0, vec![7; 70_000]));
    }
}

#[test]
fn a_list_of_random_bytes_is_asked_for_first() {
    let (mut component, _) = Component::new();
    let left = component.begin("get_random_bytes", &[u64::from(u32::MAX)]).unwrap();
    assert_eq!(left.realloc, [0, 0, 1, u32::MAX]);
    assert_eq!(component.place(1024), Err(CallError::OutOfBounds));
    for long in [1 << 32, u64::MAX] {
        assert_eq!(
            component.begin("get_random_bytes", &[long]),
            Err(CallError::Trap(Trap::TooLong))
        );
    }
    component.call("get_random_bytes", &[100]).unwrap();
    let bytes = component.list(0);
    assert_eq!(bytes.len(), 100);
    component.call("get_random_bytes", &[100]).unwrap();
    assert_ne!(component.list(0), bytes);
    let seed = component.call("get_random_u64", &[]).unwrap().value;
    assert_ne!(component.call("get_insecure_random_u64", &[]).unwrap().value, seed);
    component.call("insecure_seed", &[]).unwrap();
    assert_ne!((component.long(0), component.long(8)), (0, 0));
}

#[test]
fn realloc_is_not_trusted() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    let file = component.open(directory, "file", 0, READ).unwrap();
    assert_eq!(component.place(64), Err(CallError::Trap(Trap::Realloc)), "nothing was asked for");
    component.begin("descriptor_read", &[file, 10, 0]).unwrap();
    let size = component.memory.len() as u32;
    for pointer in [size, size - 3, u32::MAX] {
        assert_eq!(component.place(pointer), Err(CallError::OutOfBounds), "{pointer}");
    }
    // The memory has grown meanwhile: the same call, made again, succeeds.
    component.memory.resize(size as usize + 65_536, 0xaa);
    assert_eq!(component.place(size).unwrap().realloc[2], 0);
    assert_eq!(component.list(4), b"text");
    assert_eq!(component.place(64), Err(CallError::Trap(Trap::Realloc)));
    // A list of words is aligned.
    let pollable = component.call("subscribe_duration", &[0]).unwrap().value;
    let [pointer, len] = component.bytes(&(pollable as u32).to_le_bytes());
    component.begin("poll_list", &[pointer, len]).unwrap();
    assert_eq!(component.place(1026), Err(CallError::Trap(Trap::Realloc)));
}

#[test]
fn pointers_outside_the_memory_leave_no_trace() {
    let (mut component, directory) = Component::new();
    let size = component.memory.len() as u64;
    for (pointer, len) in
        [(size, 1), (size - 1, 2), (u64::from(u32::MAX), 1), (0, 1 << 31), (8, u64::from(u32::MAX))]
    {
        for native in ["create_directory_at", "unlink_file_at", "readlink_at"] {
            let result = component.call(native, &[directory, pointer, len]);
            assert_eq!(result, Err(CallError::OutOfBounds), "{native} {pointer:#x} {len:#x}");
        }
        let file = component.open(directory, "made", CREATE, READ | WRITE).unwrap();
        let result = component.call("descriptor_write", &[file, pointer, len, 0]);
        assert_eq!(result, Err(CallError::OutOfBounds));
        assert_eq!(component.path("unlink_file_at", directory, "made"), Ok(0));
    }
    // An empty list may begin anywhere.
    let file = component.open(directory, "made", CREATE, WRITE).unwrap();
    assert_eq!(component.fallible("descriptor_write", &[file, 1 << 31, 0, 0]), Ok(0));
    assert_eq!(component.path("unlink_file_at", directory, "made"), Ok(0));
    assert!(component.names(directory).is_empty());
}

#[test]
fn offsets_end_at_2_63() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    let file = component.open(directory, "file", 0, READ | WRITE).unwrap();
    for offset in [1 << 63, u64::MAX] {
        assert_eq!(component.read(file, 10, offset), Err("invalid"));
        assert_eq!(component.write(file, b"x", offset), Err("invalid"));
        assert!(component.fallible("set_size", &[file, offset]).is_err());
        assert!(component.fallible("advise", &[file, offset, 1, 0]).is_err());
        let stream = component.fallible("read_via_stream", &[file, offset]).unwrap();
        assert_eq!(
            component.stream_read("blocking_read", stream, 10),
            Err("invalid (inval)".to_owned())
        );
        assert_eq!(
            component.stream_read("blocking_read", stream, 10),
            Err("closed".to_owned()),
            "an error ends a stream"
        );
        let stream = component.fallible("write_via_stream", &[file, offset]).unwrap();
        assert!(component.stream_write("blocking_write_and_flush", stream, b"x").is_err());
        assert_eq!(component.streamed("check_write", &[stream]), Err("closed".to_owned()));
    }
    assert_eq!(component.read(file, 10, (1 << 63) - 11), Ok((Vec::new(), true)));
    assert_eq!(component.temp.read("box/file"), b"text");
}

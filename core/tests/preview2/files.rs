//! Files and directories.

use crate::component::{
    CREATE, Component, DIRECTORY, EXCLUSIVE, MUTATE_DIRECTORY, READ, TRUNCATE, WRITE,
};
use crate::support::Setup;
use std::sync::Arc;
use wasi_rs_core::host::Budget;

#[test]
fn nothing_is_given_by_default() {
    let mut component = Component::of(Setup::default());
    assert!(component.directories().is_empty());
    component.call("get_environment", &[]).unwrap();
    assert_eq!(component.word(4), 0);
    component.call("get_arguments", &[]).unwrap();
    assert_eq!(component.word(4), 0);
    component.call("initial_cwd", &[]).unwrap();
    assert_eq!(component.byte(0), 0);
}

#[test]
fn what_is_written_is_read() {
    let (mut component, directory) = Component::new();
    let file = component.open(directory, "file", CREATE, READ | WRITE).unwrap();
    assert_eq!(component.write(file, b"hello world", 0), Ok(11));
    assert_eq!(component.write(file, b"W", 6), Ok(1));
    assert_eq!(component.read(file, 100, 0), Ok((b"hello World".to_vec(), false)));
    assert_eq!(component.read(file, 5, 6), Ok((b"World".to_vec(), false)));
    assert_eq!(component.read(file, 5, 11), Ok((Vec::new(), true)));
    assert_eq!(component.read(file, 0, 0), Ok((Vec::new(), false)));
    assert_eq!(component.temp.read("box/file"), b"hello World");
    assert_eq!(component.fallible("set_size", &[file, 5]), Ok(0));
    assert_eq!(component.temp.read("box/file"), b"hello");
    assert_eq!(component.fallible("sync", &[file]), Ok(0));
    assert_eq!(component.fallible("sync_data", &[file]), Ok(0));
    assert_eq!(component.fallible("sync_data", &[directory]), Ok(0));
    assert_eq!(component.fallible("advise", &[file, 0, 0, 3]), Ok(0));
}

#[test]
fn a_stat_has_its_fields() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "1234567");
    let [pointer, len] = component.bytes(b"file");
    component.fallible("stat_at", &[directory, 0, pointer, len]).unwrap();
    let at = 8;
    assert_eq!(component.byte(at), 6, "a regular file");
    assert_eq!(component.long(at + 8), 1, "links");
    assert_eq!(component.long(at + 16), 7, "the size");
    for time in [at + 24, at + 48, at + 72] {
        assert_eq!(component.byte(time), 1);
        assert!(component.long(time + 8) > 1_500_000_000);
        assert!(component.word(time + 16) < 1_000_000_000);
    }
    component.fallible("stat", &[directory]).unwrap();
    assert_eq!(component.byte(at), 3, "a directory");
}

#[test]
fn times_are_set() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "");
    let file = component.open(directory, "file", 0, WRITE).unwrap();
    let at = |nanoseconds: u64| 2 | nanoseconds << 32;
    assert_eq!(component.fallible("set_times", &[file, at(5), 1000, at(7), 2000]), Ok(0));
    component.fallible("stat", &[file]).unwrap();
    assert_eq!((component.long(8 + 32), component.word(8 + 40)), (1000, 5));
    assert_eq!((component.long(8 + 56), component.word(8 + 64)), (2000, 7));
    let [pointer, len] = component.bytes(b"file");
    let args = [directory, 0, pointer, len, 0, 0, at(9), 3000];
    assert_eq!(component.fallible("set_times_at", &args), Ok(0));
    component.fallible("stat", &[file]).unwrap();
    assert_eq!((component.long(8 + 32), component.long(8 + 56)), (1000, 3000));
    for (first, seconds, error) in
        [(at(1_000_000_000), 0, "invalid"), (at(0), u64::MAX, "overflow")]
    {
        assert_eq!(component.fallible("set_times", &[file, first, seconds, 0, 0]), Err(error));
    }
}

#[test]
fn flags_and_types_are_told() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "");
    for (flags, expected) in [(READ, 1), (WRITE, 2), (READ | WRITE, 3)] {
        let file = component.open(directory, "file", 0, flags).unwrap();
        component.fallible("get_flags", &[file]).unwrap();
        assert_eq!(u64::from(component.byte(1)), expected);
        component.fallible("get_type", &[file]).unwrap();
        assert_eq!(component.byte(1), 6);
    }
    component.fallible("get_flags", &[directory]).unwrap();
    assert_eq!(u64::from(component.byte(1)), READ | MUTATE_DIRECTORY);
    component.fallible("get_type", &[directory]).unwrap();
    assert_eq!(component.byte(1), 3);
}

#[test]
fn what_was_not_opened_for_it_is_not_open() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    let reader = component.open(directory, "file", 0, READ).unwrap();
    assert_eq!(component.write(reader, b"x", 0), Err("bad-descriptor"));
    assert_eq!(component.fallible("write_via_stream", &[reader, 0]), Err("bad-descriptor"));
    assert_eq!(component.fallible("append_via_stream", &[reader]), Err("bad-descriptor"));
    assert_eq!(component.fallible("set_size", &[reader, 0]), Err("bad-descriptor"));
    // Writing a file out does not change it.
    assert_eq!(component.fallible("sync_data", &[reader]), Ok(0));
    assert_eq!(component.fallible("sync", &[reader]), Ok(0));
    let writer = component.open(directory, "file", 0, WRITE).unwrap();
    assert_eq!(component.read(writer, 1, 0), Err("bad-descriptor"));
    assert_eq!(component.fallible("read_via_stream", &[writer, 0]), Err("bad-descriptor"));
    assert_eq!(component.read(directory, 1, 0), Err("is-directory"));
    assert_eq!(component.fallible("read_directory", &[reader]), Err("not-directory"));
    assert_eq!(component.path("create_directory_at", reader, "x"), Err("not-directory"));
    assert_eq!(component.open(reader, "x", 0, READ), Err("not-directory"));
    assert_eq!(component.temp.read("box/file"), b"text");
}

#[test]
fn open_flags_are_kept() {
    let (mut component, directory) = Component::new();
    assert_eq!(component.open(directory, "none", 0, READ), Err("no-entry"));
    let file = component.open(directory, "new", CREATE | EXCLUSIVE, WRITE).unwrap();
    component.write(file, b"text", 0).unwrap();
    assert_eq!(component.open(directory, "new", CREATE | EXCLUSIVE, WRITE), Err("exist"));
    assert_eq!(component.open(directory, "new", DIRECTORY, READ), Err("not-directory"));
    component.open(directory, "new", TRUNCATE, WRITE).unwrap();
    assert_eq!(component.temp.read("box/new"), b"");
    component.path("create_directory_at", directory, "sub").unwrap();
    let sub = component.open(directory, "sub", DIRECTORY, READ).unwrap();
    component.open(sub, "below", CREATE, WRITE).unwrap();
    assert!(component.temp.there("box/sub/below"));
    assert_eq!(component.open(directory, "sub", 0, WRITE), Err("is-directory"));
    assert_eq!(component.open(directory, "x", CREATE | DIRECTORY, READ), Err("invalid"));
}

#[test]
fn a_listing_has_all_names_but_the_dots() {
    let (mut component, directory) = Component::new();
    assert!(component.names(directory).is_empty());
    component.temp.create_dir("box/sub");
    component.temp.symlink("sub", "box/link");
    for index in 0..1000 {
        component.temp.write(&format!("box/file-{index:04}"), "");
    }
    let names = component.names(directory);
    assert_eq!(names.len(), 1002);
    assert_eq!(names[0], (3, "sub".to_owned()));
    assert_eq!(names[1], (5, "link".to_owned()));
    assert_eq!(names[2], (6, "file-0000".to_owned()));
}

#[test]
fn all_listings_share_the_memory_for_listings() {
    let (mut component, directory) = Component::new();
    for index in 0..300 {
        component.temp.write(&format!("box/{index:0200}"), "");
    }
    let budget = Arc::new(Budget::new(1 << 20));
    component.guest.ctx.listings = Arc::clone(&budget);
    let mut listings = Vec::new();
    let refused = loop {
        let listing = component.fallible("read_directory", &[directory]).unwrap();
        listings.push(listing);
        match component.fallible("read_directory_entry", &[listing]) {
            Ok(_) => assert!(listings.len() < 200, "listings take memory without end"),
            Err(error) => break error,
        }
    };
    assert_eq!(refused, "insufficient-memory");
    assert!(listings.len() > 20, "{} listings", listings.len());
    // One that is dropped makes room for another, and so does one that has come to its end.
    let last = listings.pop().unwrap();
    let list = |component: &mut Component, listing| {
        let mut count = 0;
        while component.fallible("read_directory_entry", &[listing]).is_ok()
            && component.byte(4) == 1
        {
            count += 1;
        }
        count
    };
    assert!(component.drop(listings.pop().unwrap()));
    assert_eq!(list(&mut component, last), 300, "what was refused is not lost");
    let first = listings.remove(0);
    assert_eq!(list(&mut component, first), 299);
    let left = budget.left();
    assert!(component.drop(first));
    assert_eq!(budget.left(), left);
    for listing in listings {
        assert!(component.drop(listing));
    }
    assert_eq!(budget.left(), 1 << 20);
}

#[test]
fn files_are_linked_renamed_and_removed() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/one", "text");
    let sub = {
        component.path("create_directory_at", directory, "sub").unwrap();
        component.open(directory, "sub", DIRECTORY, READ).unwrap()
    };
    let two = |component: &mut Component, native: &str, from: &str, to: &str| {
        let [from, from_len] = component.bytes(from.as_bytes());
        let [to, to_len] = component.bytes(to.as_bytes());
        let args: Vec<u64> = match native {
            "link_at" => vec![directory, 0, from, from_len, sub, to, to_len],
            "rename_at" => vec![directory, from, from_len, sub, to, to_len],
            _ => vec![directory, from, from_len, to, to_len],
        };
        component.fallible(native, &args)
    };
    assert_eq!(two(&mut component, "link_at", "one", "two"), Ok(0));
    assert_eq!(component.temp.read("box/sub/two"), b"text");
    let (one, other) = (
        component.open(directory, "one", 0, READ).unwrap(),
        component.open(sub, "two", 0, READ).unwrap(),
    );
    assert_eq!(component.call("is_same_object", &[one, other]).unwrap().value, 1);
    assert_eq!(component.call("is_same_object", &[one, directory]).unwrap().value, 0);
    component.fallible("metadata_hash", &[one]).unwrap();
    let hash = (component.long(8), component.long(16));
    let [pointer, len] = component.bytes(b"sub/two");
    component.fallible("metadata_hash_at", &[directory, 0, pointer, len]).unwrap();
    assert_eq!((component.long(8), component.long(16)), hash);
    assert_eq!(two(&mut component, "rename_at", "one", "three"), Ok(0));
    assert!(!component.temp.there("box/one") && component.temp.there("box/sub/three"));
    assert_eq!(two(&mut component, "symlink_at", "sub/three", "link"), Ok(0));
    assert_eq!(component.path("readlink_at", directory, "link"), Ok(0));
    assert_eq!(component.list(4), b"sub/three");
    assert_eq!(two(&mut component, "symlink_at", "/etc", "absolute"), Err("not-permitted"));
    assert_eq!(component.path("unlink_file_at", directory, "link"), Ok(0));
    assert_eq!(component.path("remove_directory_at", directory, "sub"), Err("not-empty"));
    assert_eq!(component.path("unlink_file_at", directory, "sub"), Err("is-directory"));
    assert_eq!(component.path("readlink_at", directory, "sub"), Err("invalid"));
}

#[test]
fn streams_have_positions_of_their_own() {
    let (mut component, directory) = Component::new();
    let file = component.open(directory, "file", CREATE, READ | WRITE).unwrap();
    let out = component.fallible("write_via_stream", &[file, 2]).unwrap();
    assert_eq!(component.streamed("check_write", &[out]), Ok(1 << 20));
    assert_eq!(component.stream_write("output_write", out, b"abc"), Ok(0));
    assert_eq!(component.stream_write("blocking_write_and_flush", out, b"def"), Ok(0));
    assert_eq!(component.streamed("write_zeroes", &[out, 2]), Ok(0));
    assert_eq!(component.streamed("flush", &[out]), Ok(0));
    assert_eq!(component.streamed("blocking_flush", &[out]), Ok(0));
    assert_eq!(component.temp.read("box/file"), b"\0\0abcdef\0\0");
    let end = component.fallible("append_via_stream", &[file]).unwrap();
    assert_eq!(component.stream_write("blocking_write_and_flush", end, b"end"), Ok(0));
    // A descriptor that has appended writes where it is told to all the same.
    assert_eq!(component.write(file, b"AB", 0), Ok(2));
    assert_eq!(component.stream_write("output_write", out, b"!"), Ok(0));
    component.temp.write("box/other", "");
    assert_eq!(component.stream_write("output_write", end, b"?"), Ok(0));
    assert_eq!(component.temp.read("box/file"), b"ABabcdef\0\0!nd?");
    let one = component.fallible("read_via_stream", &[file, 0]).unwrap();
    let two = component.fallible("read_via_stream", &[file, 2]).unwrap();
    assert_eq!(component.stream_read("input_read", one, 2), Ok(b"AB".to_vec()));
    assert_eq!(component.stream_read("blocking_read", two, 3), Ok(b"abc".to_vec()));
    assert_eq!(component.streamed("skip", &[two, 3]), Ok(3));
    assert_eq!(component.streamed("blocking_skip", &[two, 2]), Ok(2));
    assert_eq!(component.stream_read("blocking_read", two, 100), Ok(b"!nd?".to_vec()));
    assert_eq!(component.stream_read("input_read", two, 0), Ok(Vec::new()));
    assert_eq!(component.stream_read("input_read", two, 1), Err("closed".to_owned()));
    let into = component.open(directory, "other", 0, WRITE).unwrap();
    let into = component.fallible("write_via_stream", &[into, 0]).unwrap();
    assert_eq!(component.streamed("splice", &[into, one, 3]), Ok(3));
    assert_eq!(component.streamed("blocking_splice", &[into, one, 100]), Ok(9));
    assert_eq!(component.streamed("splice", &[into, one, 1]), Err("closed".to_owned()));
    assert_eq!(component.temp.read("box/other"), b"abcdef\0\0!nd?");
}

#[test]
fn zeros_are_written_in_parts() {
    let (mut component, directory) = Component::new();
    let file = component.open(directory, "file", CREATE, WRITE).unwrap();
    let out = component.fallible("write_via_stream", &[file, 0]).unwrap();
    let size = (9 << 20) + 5;
    assert_eq!(component.streamed("blocking_write_zeroes_and_flush", &[out, size]), Ok(0));
    assert_eq!(component.temp.read("box/file"), vec![0; size as usize]);
}

#[test]
fn an_embedders_environment_is_told() {
    let mut component = Component::of(Setup {
        args: &["program", "", "ünïcode"],
        environ: &["A=1", "EMPTY=", "B=x=y"],
        ..Setup::default()
    });
    component.call("get_arguments", &[]).unwrap();
    let (list, count) = (component.word(0), component.word(4));
    let strings: Vec<Vec<u8>> =
        (0..count).map(|index| component.list_at(list + 8 * index)).collect();
    assert_eq!(strings, ["program".as_bytes(), b"", "ünïcode".as_bytes()]);
    component.call("get_environment", &[]).unwrap();
    let (list, count) = (component.word(0), component.word(4));
    let pairs: Vec<[Vec<u8>; 2]> = (0..count)
        .map(|index| [0, 8].map(|field| component.list_at(list + 16 * index + field)))
        .collect();
    let expected = [["A", "1"], ["EMPTY", ""], ["B", "x=y"]];
    assert_eq!(pairs, expected.map(|pair| pair.map(|text| text.as_bytes().to_vec())));
    component.state.set_cwd(Some("/work".to_owned()));
    component.call("initial_cwd", &[]).unwrap();
    assert_eq!((component.byte(0), component.list(4)), (1, b"/work".to_vec()));
}

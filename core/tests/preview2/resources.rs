//! Handles: forged, stale, dropped twice and in any order; and none is left.

use crate::component::{CREATE, Component, READ, WRITE};
use wasi_rs_core::preview2::{CallError, FUNCTIONS, Trap};

const TRAP: CallError = CallError::Trap(Trap::UnknownHandle);

/// Every function with a handle, called with a rep: the error of its interface, or a trap.
fn refused(component: &mut Component, native: &str, rep: u64) {
    let function = crate::component::function(native);
    let mut args = vec![rep];
    for parameter in &function.parameters[1..] {
        match parameter.core_params {
            "ii" => args.extend(component.bytes(b"x")),
            "T" => args.extend([0, 0]),
            "h" => args.push(rep),
            _ => args.push(0),
        }
    }
    match component.call(native, &args) {
        Ok(_) => {
            assert_eq!(component.byte(0), 1, "{native} worked on {rep:#x}");
            let (size, at) = (function.result.area, if function.result.area == 16 { 8 } else { 4 });
            if function.result.error.is_some() {
                assert_eq!(component.byte(at), 1, "{native}: closed");
            } else {
                let code = match size {
                    2 => 1,
                    24 | 104 => 8,
                    16 if native == "descriptor_write" => 8,
                    _ => 4,
                };
                assert_eq!(component.byte(code), 3, "{native}: bad-descriptor");
            }
        }
        Err(error) => assert_eq!(error, TRAP, "{native}"),
    }
}

#[test]
fn forged_handles_reach_nothing() {
    let (mut component, directory) = Component::new();
    let others: Vec<u64> = vec![
        component.call("get_stdin", &[]).unwrap().value,
        component.call("get_stdout", &[]).unwrap().value,
        component.call("subscribe_duration", &[0]).unwrap().value,
        directory,
    ];
    let before = component.state.live();
    let natives: Vec<&str> = FUNCTIONS
        .iter()
        .filter(|function| {
            function.parameters.first().is_some_and(|parameter| parameter.core_params == "h")
        })
        .map(|function| function.native)
        .collect();
    assert!(natives.len() > 40);
    for native in natives {
        let kind = crate::component::function(native).parameters[0].kind;
        for rep in [0, 1, 2, 3, 4, 1 << 18, u64::from(u32::MAX), 1 << 30, 0x5fff_ffff] {
            refused(&mut component, native, rep);
        }
        // Resources of other kinds.
        for (rep, its) in
            others.iter().zip(["input-stream", "output-stream", "pollable", "descriptor"])
        {
            if its != kind {
                refused(&mut component, native, *rep);
            }
        }
        // The right kind and place, with another generation.
        for (rep, its) in
            others.iter().zip(["input-stream", "output-stream", "pollable", "descriptor"])
        {
            if its == kind {
                refused(&mut component, native, rep ^ 1 << 18);
            }
        }
    }
    assert_eq!(component.state.live(), before, "nothing was made or dropped");
}

#[test]
fn what_is_dropped_is_gone() {
    let (mut component, directory) = Component::new();
    let file = component.open(directory, "file", CREATE, READ | WRITE).unwrap();
    assert!(component.drop(file));
    assert!(!component.drop(file), "twice");
    assert_eq!(component.read(file, 1, 0), Err("bad-descriptor"));
    let again = component.open(directory, "file", 0, READ).unwrap();
    assert_ne!(again, file);
    assert_eq!(component.read(file, 1, 0), Err("bad-descriptor"));
    // A preopen that is dropped can be asked for again.
    assert!(component.drop(directory));
    assert_eq!(component.open(directory, "file", 0, READ), Err("bad-descriptor"));
    let (directory, _) = component.directories().remove(0);
    component.open(directory, "file", 0, READ).unwrap();
}

#[test]
fn children_outlive_their_parents() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    component.temp.assert_open_descriptors(1);
    let file = component.open(directory, "file", 0, READ | WRITE).unwrap();
    let input = component.fallible("read_via_stream", &[file, 0]).unwrap();
    let output = component.fallible("write_via_stream", &[file, 4]).unwrap();
    let listing = component.fallible("read_directory", &[directory]).unwrap();
    let pollable = component.call("input_subscribe", &[input]).unwrap().value;
    assert!(component.drop(file) && component.drop(directory));
    assert_eq!(component.stream_write("blocking_write_and_flush", output, b"!"), Ok(0));
    assert_eq!(component.stream_read("blocking_read", input, 10), Ok(b"text!".to_vec()));
    assert_eq!(component.fallible("read_directory_entry", &[listing]), Ok(0));
    assert_eq!(component.list(12), b"file");
    assert!(component.drop(input));
    assert_eq!(component.call("ready", &[pollable]).unwrap().value, 1);
    assert!(component.drop(output));
    // The pollable holds the file.
    component.temp.assert_open_descriptors(2);
    assert!(component.drop(pollable) && component.drop(listing));
    component.temp.assert_open_descriptors(1);
    assert_eq!(component.state.live(), 0);
}

#[test]
fn thousands_of_handles_leave_nothing() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    component.temp.assert_open_descriptors(1);
    let live = component.state.live();
    for round in 0..3000 {
        let file = component.open(directory, "file", 0, READ | WRITE).unwrap();
        let input = component.fallible("read_via_stream", &[file, 0]).unwrap();
        let output = component.fallible("append_via_stream", &[file]).unwrap();
        let poll = component.call("output_subscribe", &[output]).unwrap().value;
        let mut reps = [file, input, output, poll];
        reps.rotate_left(round % 4);
        for rep in reps {
            assert!(component.drop(rep));
        }
    }
    component.temp.assert_open_descriptors(1);
    assert_eq!(component.state.live(), live);
}

#[test]
fn a_closed_instance_has_nothing() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    let file = component.open(directory, "file", 0, READ).unwrap();
    let input = component.fallible("read_via_stream", &[file, 0]).unwrap();
    component.state.close(&component.guest.ctx);
    component.guest.ctx.table.close();
    assert_eq!(component.state.live(), 0);
    assert_eq!(component.read(file, 1, 0), Err("bad-descriptor"));
    assert_eq!(component.stream_read("input_read", input, 1), Err("closed".to_owned()));
    assert_eq!(component.open(directory, "file", 0, READ), Err("bad-descriptor"));
    assert!(component.directories().is_empty());
    let out = component.call("get_stdout", &[]).unwrap().value;
    assert!(component.stream_write("blocking_write_and_flush", out, b"x").is_err());
}

#[test]
fn the_number_of_open_files_is_limited() {
    let (mut component, directory) = Component::new();
    component.temp.write("box/file", "text");
    component.guest.ctx.table.limit(6);
    let one = component.open(directory, "file", 0, READ).unwrap();
    let two = component.open(directory, "file", 0, READ).unwrap();
    assert_eq!(component.open(directory, "file", 0, READ), Err("insufficient-memory"));
    let stream = component.fallible("read_via_stream", &[one, 0]).unwrap();
    assert!(component.drop(one));
    assert_eq!(
        component.open(directory, "file", 0, READ),
        Err("insufficient-memory"),
        "the stream holds the file"
    );
    assert!(component.drop(stream));
    component.open(directory, "file", 0, READ).unwrap();
    assert!(component.drop(two));
}

//! Paths: what leads outside, and what is no path.

use crate::component::{CREATE, Component, DIRECTORY, FOLLOW, READ, WRITE};

const ESCAPES: [&str; 9] = [
    "..",
    "../outside/secret",
    "sub/../../outside/secret",
    "/etc/passwd",
    "/",
    "out/secret",
    "./out/secret",
    "up",
    "chain/secret",
];

fn component() -> (Component, u64) {
    let (component, directory) = Component::new();
    component.temp.create_dir("box/sub");
    component.temp.symlink("../outside", "box/out");
    component.temp.symlink("..", "box/up");
    component.temp.symlink("out", "box/chain");
    (component, directory)
}

#[test]
fn no_path_leads_outside() {
    let (mut component, directory) = component();
    let outside = component.temp.tree("outside");
    for path in ESCAPES {
        for flags in [READ, WRITE, READ | WRITE] {
            assert_eq!(component.open(directory, path, 0, flags), Err("not-permitted"), "{path}");
        }
        let [pointer, len] = component.bytes(path.as_bytes());
        let args = [directory, FOLLOW, pointer, len];
        assert_eq!(component.fallible("stat_at", &args), Err("not-permitted"), "{path}");
        let [pointer, len] = component.bytes(path.as_bytes());
        let args = [directory, FOLLOW, pointer, len];
        assert_eq!(component.fallible("metadata_hash_at", &args), Err("not-permitted"), "{path}");
    }
    for path in ["../new", "out/new", "/tmp/new", "sub/../../new"] {
        assert_eq!(component.open(directory, path, CREATE, WRITE), Err("not-permitted"), "{path}");
        let created = component.path("create_directory_at", directory, path);
        assert_eq!(created, Err("not-permitted"), "{path}");
    }
    for path in ["../outside/secret", "out/secret", "/etc/passwd"] {
        let unlinked = component.path("unlink_file_at", directory, path);
        assert_eq!(unlinked, Err("not-permitted"), "{path}");
        let read = component.path("readlink_at", directory, path);
        assert_eq!(read, Err("not-permitted"), "{path}");
    }
    assert_eq!(component.temp.tree("outside"), outside);
}

#[test]
fn links_of_the_guest_lead_nowhere() {
    let (mut component, directory) = component();
    let [text, text_len] = component.bytes(b"../../outside");
    let [path, path_len] = component.bytes(b"sub/mine");
    let args = [directory, text, text_len, path, path_len];
    component.fallible("symlink_at", &args).unwrap();
    assert_eq!(component.open(directory, "sub/mine/secret", 0, READ), Err("not-permitted"));
    let sub = component.open(directory, "sub", DIRECTORY, READ).unwrap();
    assert_eq!(component.open(sub, "mine/secret", 0, READ), Err("not-permitted"));
    assert_eq!(component.open(sub, "../out/secret", 0, READ), Err("not-permitted"));
}

#[test]
fn what_is_no_path_has_its_error() {
    let (mut component, directory) = component();
    let long = "a/".repeat(3000);
    for (path, error) in
        [("", "no-entry"), ("nul\0byte", "invalid"), (long.as_str(), "name-too-long")]
    {
        assert_eq!(component.open(directory, path, 0, READ), Err(error), "{path:?}");
    }
    for bytes in [&b"\xff\xfe"[..], b"a\xc3", b"\xed\xa0\x80"] {
        let [pointer, len] = component.bytes(bytes);
        let result = component.fallible("create_directory_at", &[directory, pointer, len]);
        assert_eq!(result, Err("illegal-byte-sequence"));
    }
}

/// A held descriptor stays the same directory under another name, unlike in a host that names
/// descriptors by their paths.
#[test]
fn a_held_descriptor_stays_what_it_is() {
    let (mut component, directory) = Component::new();
    component.temp.create_dir("box/held");
    component.temp.write("box/held/file", "mine");
    let held = component.open(directory, "held", DIRECTORY, READ).unwrap();
    std::fs::rename(component.temp.path("box/held"), component.temp.path("box/moved")).unwrap();
    component.temp.symlink("../outside", "box/held");
    assert_eq!(component.open(held, "secret", 0, READ), Err("no-entry"));
    let file = component.open(held, "file", 0, READ).unwrap();
    assert_eq!(component.read(file, 10, 0), Ok((b"mine".to_vec(), false)));
    component.open(held, "new", CREATE, WRITE).unwrap();
    assert!(component.temp.there("box/moved/new") && !component.temp.there("outside/new"));
    assert_eq!(component.names(held).len(), 2);
}

#[test]
fn absolute_links_of_the_host_are_not_told() {
    let (mut component, directory) = Component::new();
    component.temp.symlink("/etc/passwd", "box/absolute");
    assert_eq!(component.path("readlink_at", directory, "absolute"), Err("not-permitted"));
    component.temp.symlink("relative/text", "box/relative");
    assert_eq!(component.path("readlink_at", directory, "relative"), Ok(0));
    assert_eq!(component.list(4), b"relative/text");
}

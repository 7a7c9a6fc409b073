//! The rules for paths that need no file system, against their definition.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasi_rs_core::abi::Errno;
use wasi_rs_core::host::{GuestPath, PATH_LIMIT, PathBuffer, Tree};
use wasi_rs_core::memory::GuestMemory;

fuzz_target!(|bytes: &[u8]| {
    rules(bytes);
    if let Ok(path) = str::from_utf8(bytes) {
        embedder(path);
    }
});

fn rules(bytes: &[u8]) {
    let refusal = match bytes {
        [] => Some(Errno::Noent),
        _ if bytes.len() > PATH_LIMIT => Some(Errno::Nametoolong),
        _ if bytes.contains(&0) => Some(Errno::Inval),
        _ if str::from_utf8(bytes).is_err() => Some(Errno::Ilseq),
        [b'/', ..] => Some(Errno::Notcapable),
        _ => None,
    };
    let path = GuestPath::new(bytes);
    assert_eq!(path.err(), refusal);

    // Out of the guest's memory, the path is the same; and a link's text differs in that it may be
    // absolute.
    let mut copy = bytes.to_vec();
    copy.push(b'!');
    let region =
        GuestMemory::from_slice(&mut copy).region(0, u32::try_from(bytes.len()).unwrap()).unwrap();
    assert_eq!(PathBuffer::new().read(region), path);
    let mut buffer = PathBuffer::new();
    match buffer.read_text(region) {
        Ok(text) => assert!(text == bytes && matches!(refusal, None | Some(Errno::Notcapable))),
        Err(errno) => assert_eq!(Some(errno), refusal),
    }

    let Ok(path) = path else { return };
    assert_eq!(path.as_bytes(), bytes);
    let split = path.split();
    assert!(!split.name.is_empty() && !split.name.contains(&b'/'));
    assert_eq!(split.is_dots(), split.name == b"." || split.name == b"..");
    assert_eq!(split.trailing_slash, bytes.ends_with(b"/"));
    let mut whole = split.parent.map_or(Vec::new(), |parent| [parent.as_bytes(), b"/"].concat());
    whole.extend(split.name);
    assert_eq!(split.parent.is_none(), whole == split.name);
    let (start, slashes) = bytes.split_at(whole.len());
    assert!(start == whole && slashes.iter().all(|byte| *byte == b'/'));
    assert_eq!(path.is_plain_name(), bytes == split.name && !split.is_dots());
    if let Some(parent) = split.parent {
        // What is handed to the resolver is itself a guest's path.
        assert_eq!(GuestPath::new(parent.as_bytes()), Ok(parent));
    }
}

/// Paths of the embedder's, in a tree.
fn embedder(path: &str) {
    let tree = Tree::new(1 << 20);
    let components: Vec<&str> = path.split('/').collect();
    let refusal = if path.contains('\0')
        || components.iter().any(|component| matches!(*component, "" | "." | ".."))
    {
        Some(Errno::Inval)
    } else if path.len() > PATH_LIMIT || components.iter().any(|component| component.len() > 255) {
        Some(Errno::Nametoolong)
    } else {
        None
    };
    assert_eq!(tree.seed(path, b"bytes").err(), refusal);
    if refusal.is_none() {
        assert_eq!(tree.read_file(path).unwrap(), b"bytes");
        assert_eq!(tree.list_files("", &mut { usize::MAX }).unwrap(), [path]);
        assert_eq!(tree.create_directories(path), Err(Errno::Notdir));
    } else {
        assert_eq!(tree.read_file(path).err(), refusal);
        assert_eq!(tree.create_directories(path).err(), refusal);
        assert!(tree.list_files("", &mut { usize::MAX }).unwrap().is_empty());
    }
}

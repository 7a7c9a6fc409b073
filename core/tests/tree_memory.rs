//! The host's memory for a tree in memory, compared with what the tree is charged.

#![allow(clippy::panic, unsafe_code, reason = "an allocator that counts")]
#![allow(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    clippy::cast_precision_loss,
    reason = "tests"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use wasi_rs_core::abi::{Errno, Fdflags};
use wasi_rs_core::host::{Directory, File, GuestPath, OpenOptions, Opened, Tree};
use wasi_rs_core::memory::GuestMemory;

thread_local!(static ALLOCATED: Cell<usize> = const { Cell::new(0) });

/// Counts what this thread has allocated, as blocks of an allocator are: 16 bytes more, in
/// multiples of 16.
struct Counting;

fn block(size: usize) -> usize {
    (size + 8).next_multiple_of(16).max(32)
}

// SAFETY: it hands everything on to the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.set(ALLOCATED.get().wrapping_add(block(layout.size())));
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        ALLOCATED.set(ALLOCATED.get().wrapping_sub(block(layout.size())));
        // SAFETY: as the caller's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const MAX: u64 = 4 << 20;

fn path(text: &str) -> GuestPath<'_> {
    GuestPath::new(text.as_bytes()).unwrap()
}

fn create(directory: &dyn Directory, name: &str) -> Result<Box<dyn File>, Errno> {
    let options = OpenOptions {
        create: true,
        exclusive: false,
        directory: false,
        truncate: false,
        follow: false,
        read: true,
        write: true,
        private: false,
        flags: Fdflags::empty(),
    };
    match directory.open(path(name), options)? {
        Opened::File(file) => Ok(file),
        Opened::Directory(_) => panic!("{name} is a directory"),
    }
}

fn write(file: &dyn File, len: usize, offset: u64) -> Result<usize, Errno> {
    let mut bytes = vec![1; len];
    let region =
        GuestMemory::from_slice(&mut bytes).region(0, u32::try_from(len).unwrap()).unwrap();
    file.pwrite(&[region], offset)
}

/// Lets `act` fill a tree, call by call, until it is full or has had enough, and compares.
fn fill(what: &str, mut act: impl FnMut(&dyn Directory, usize) -> Result<(), Errno>) {
    let before = ALLOCATED.get();
    let tree = Tree::new(MAX);
    let top = tree.root_directory(false);
    let mut most = 0_usize;
    let mut full = false;
    for index in 0..40_000 {
        match act(&*top, index) {
            Ok(()) => {}
            Err(errno) => {
                assert_eq!(errno, Errno::Nospc, "{what}, {index}");
                full = true;
                break;
            }
        }
        most = most.max(ALLOCATED.get().wrapping_sub(before));
    }
    let charged = usize::try_from(tree.used_bytes()).unwrap();
    assert!(full, "{what}: the tree is not full with {charged} bytes");
    // Lists that double are up to half empty.
    assert!(most < 2 * usize::try_from(MAX).unwrap(), "{what}: {most} bytes for {charged}");
    drop((top, tree));
    let after = ALLOCATED.get();
    assert_eq!(after, before, "{what}");
    // Last, as the words of a test are kept in memory of this thread.
    println!("{what}: {most} bytes for {charged}: {:.2}", most as f64 / charged as f64);
}

#[test]
fn the_memory_of_a_tree_is_near_what_it_is_charged() {
    fill("large files cut to one byte", |top, index| {
        let file = create(top, &format!("f{index}"))?;
        write(&*file, 64 * 1024, 0)?;
        file.set_size(1)
    });
    fill("large files cut to half", |top, index| {
        let file = create(top, &format!("f{index}"))?;
        write(&*file, 64 * 1024, 0)?;
        file.set_size(33 * 1024)
    });
    fill("files of one byte", |top, index| {
        write(&*create(top, &index.to_string())?, 1, 0).map(drop)
    });
    fill("empty files", |top, index| create(top, &index.to_string()).map(drop));
    fill("files of 65 bytes", |top, index| {
        write(&*create(top, &index.to_string())?, 65, 0).map(drop)
    });
    fill("a byte behind a chunk", |top, index| {
        write(&*create(top, &index.to_string())?, 1, 65536).map(drop)
    });
    fill("the last byte of each chunk", |top, index| {
        write(&*create(top, "f")?, 1, 65535 + 65536 * index as u64).map(drop)
    });
    fill("the first byte of each chunk", |top, index| {
        write(&*create(top, "f")?, 1, 65536 * index as u64)
            .and_then(|done| if done == 0 { Err(Errno::Nospc) } else { Ok(()) })
    });
    fill("directories", |top, index| top.create_directory(path(&index.to_string())));
    fill("directories with a file", |top, index| {
        top.create_directory(path(&index.to_string()))?;
        create(top, &format!("{index}/f")).map(drop)
    });
    let mut below: Option<Box<dyn Directory>> = None;
    fill("directories below each other", |top, _| {
        let here = below.as_deref().unwrap_or(top);
        if let Err(errno) = here.create_directory(path("d")) {
            below = None;
            return Err(errno);
        }
        let options = OpenOptions {
            create: false,
            exclusive: false,
            directory: true,
            truncate: false,
            follow: false,
            read: true,
            write: false,
            private: false,
            flags: Fdflags::empty(),
        };
        let Opened::Directory(next) = here.open(path("d"), options)? else { panic!() };
        below = Some(next);
        Ok(())
    });
    fill("hard links", |top, index| {
        create(top, "f")?;
        top.link(path("f"), false, top, path(&format!("l{index}")))
    });
    fill("hard links in descending order", |top, index| {
        create(top, "f")?;
        top.link(path("f"), false, top, path(&format!("l{:06}", 999_999 - index)))
    });
    fill("symbolic links", |top, index| top.symlink(b"x", path(&index.to_string())));
    fill("long names", |top, index| create(top, &format!("{}{index}", "n".repeat(249))).map(drop));
    fill("files made and mostly removed", |top, index| {
        create(top, &index.to_string())?;
        if index % 3 == 0 { Ok(()) } else { top.unlink_file(path(&index.to_string())) }
    });
}

//! The table of functions against the specification.

use wasi_rs_core::abi::{Errno, Rights};
use wasi_rs_core::preview1::FUNCTIONS;

/// All functions, in the order of `wasiImport`'s keys, with their wasm parameters.
pub const SIGNATURES: [(&str, &str); 46] = [
    ("args_get", "ii"),
    ("args_sizes_get", "ii"),
    ("clock_res_get", "ii"),
    ("clock_time_get", "iIi"),
    ("environ_get", "ii"),
    ("environ_sizes_get", "ii"),
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_get", "ii"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_get", "ii"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_read", "iiii"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("fd_write", "iiii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("poll_oneoff", "iiii"),
    ("proc_exit", "i"),
    ("proc_raise", "i"),
    ("random_get", "ii"),
    ("sched_yield", ""),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
];

#[test]
fn all_functions_have_the_specifications_signatures() {
    let table: Vec<(&str, String)> =
        FUNCTIONS.iter().map(|function| (function.name, function.signature())).collect();
    let wanted: Vec<(&str, String)> =
        SIGNATURES.iter().map(|(name, signature)| (*name, (*signature).to_owned())).collect();
    assert_eq!(table, wanted);
}

#[test]
fn rights_have_the_specifications_bits() {
    let in_order = [
        Rights::FD_DATASYNC,
        Rights::FD_READ,
        Rights::FD_SEEK,
        Rights::FD_FDSTAT_SET_FLAGS,
        Rights::FD_SYNC,
        Rights::FD_TELL,
        Rights::FD_WRITE,
        Rights::FD_ADVISE,
        Rights::FD_ALLOCATE,
        Rights::PATH_CREATE_DIRECTORY,
        Rights::PATH_CREATE_FILE,
        Rights::PATH_LINK_SOURCE,
        Rights::PATH_LINK_TARGET,
        Rights::PATH_OPEN,
        Rights::FD_READDIR,
        Rights::PATH_READLINK,
        Rights::PATH_RENAME_SOURCE,
        Rights::PATH_RENAME_TARGET,
        Rights::PATH_FILESTAT_GET,
        Rights::PATH_FILESTAT_SET_SIZE,
        Rights::PATH_FILESTAT_SET_TIMES,
        Rights::FD_FILESTAT_GET,
        Rights::FD_FILESTAT_SET_SIZE,
        Rights::FD_FILESTAT_SET_TIMES,
        Rights::PATH_SYMLINK,
        Rights::PATH_REMOVE_DIRECTORY,
        Rights::PATH_UNLINK_FILE,
        Rights::POLL_FD_READWRITE,
        Rights::SOCK_SHUTDOWN,
        Rights::SOCK_ACCEPT,
    ];
    for (bit, right) in in_order.into_iter().enumerate() {
        assert_eq!(right.bits(), 1 << bit, "{right:?}");
    }
    assert_eq!(Rights::all().bits(), (1 << in_order.len()) - 1);
}

#[test]
fn errnos_have_the_specifications_numbers() {
    for (errno, code) in [
        (Errno::TooBig, 1),
        (Errno::Acces, 2),
        (Errno::Again, 6),
        (Errno::Badf, 8),
        (Errno::Exist, 20),
        (Errno::Ilseq, 25),
        (Errno::Inval, 28),
        (Errno::Isdir, 31),
        (Errno::Loop, 32),
        (Errno::Nametoolong, 37),
        (Errno::Noent, 44),
        (Errno::Nosys, 52),
        (Errno::Notdir, 54),
        (Errno::Notempty, 55),
        (Errno::Notsock, 57),
        (Errno::Notsup, 58),
        (Errno::Overflow, 61),
        (Errno::Perm, 63),
        (Errno::Pipe, 64),
        (Errno::Spipe, 70),
        (Errno::Xdev, 75),
        (Errno::Notcapable, 76),
    ] {
        assert_eq!(errno.code(), code, "{}", errno.name());
    }
}

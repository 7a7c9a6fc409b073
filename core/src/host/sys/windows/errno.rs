//! Error numbers of Windows: those of the system and those of its sockets.

use crate::abi::Errno;
use std::io;
use windows_sys::Win32::Foundation as system;
use windows_sys::Win32::Networking::WinSock as socket;

/// The errno for an error number of the host, if the specification has one.
#[must_use]
pub fn errno_from_raw(raw: i32) -> Option<Errno> {
    let raw = raw.cast_unsigned();
    TABLE.iter().find(|(code, _)| *code == raw).map(|(_, errno)| *errno)
}

/// The errno for an error number of the host.
pub(super) fn from_code(code: u32) -> Errno {
    errno_from_raw(code.cast_signed()).unwrap_or(Errno::Io)
}

/// The errno of the call that failed last in this thread.
pub(super) fn last() -> Errno {
    crate::host::from_io(&io::Error::last_os_error())
}

const TABLE: &[(u32, Errno)] = &[
    (system::ERROR_FILE_NOT_FOUND, Errno::Noent),
    (system::ERROR_PATH_NOT_FOUND, Errno::Noent),
    (system::ERROR_INVALID_DRIVE, Errno::Noent),
    (system::ERROR_BAD_PATHNAME, Errno::Noent),
    // Windows does not allow such a name, so there is no such file.
    (system::ERROR_INVALID_NAME, Errno::Noent),
    (system::ERROR_BAD_NETPATH, Errno::Noent),
    (system::ERROR_BAD_NET_NAME, Errno::Noent),
    (system::ERROR_MOD_NOT_FOUND, Errno::Noent),
    (system::ERROR_FILE_EXISTS, Errno::Exist),
    (system::ERROR_ALREADY_EXISTS, Errno::Exist),
    (system::ERROR_DIRECTORY, Errno::Notdir),
    (system::ERROR_DIRECTORY_NOT_SUPPORTED, Errno::Isdir),
    (system::ERROR_DIR_NOT_EMPTY, Errno::Notempty),
    (system::ERROR_ACCESS_DENIED, Errno::Acces),
    (system::ERROR_CANT_ACCESS_FILE, Errno::Acces),
    (system::ERROR_NOACCESS, Errno::Fault),
    (system::ERROR_PRIVILEGE_NOT_HELD, Errno::Perm),
    // Another handle to the file does not let it be opened like this.
    (system::ERROR_SHARING_VIOLATION, Errno::Busy),
    (system::ERROR_LOCK_VIOLATION, Errno::Busy),
    (system::ERROR_BUSY, Errno::Busy),
    (system::ERROR_PIPE_BUSY, Errno::Busy),
    (system::ERROR_NOT_READY, Errno::Busy),
    (system::ERROR_USER_MAPPED_FILE, Errno::Txtbsy),
    (system::ERROR_WRITE_PROTECT, Errno::Rofs),
    (system::ERROR_INVALID_HANDLE, Errno::Badf),
    (system::ERROR_INVALID_TARGET_HANDLE, Errno::Badf),
    (system::ERROR_TOO_MANY_OPEN_FILES, Errno::Mfile),
    (system::ERROR_NOT_ENOUGH_MEMORY, Errno::Nomem),
    (system::ERROR_OUTOFMEMORY, Errno::Nomem),
    (system::ERROR_NO_SYSTEM_RESOURCES, Errno::Nomem),
    (system::ERROR_HANDLE_DISK_FULL, Errno::Nospc),
    (system::ERROR_DISK_FULL, Errno::Nospc),
    (system::ERROR_DISK_QUOTA_EXCEEDED, Errno::Dquot),
    (system::ERROR_FILE_TOO_LARGE, Errno::Fbig),
    (system::ERROR_FILENAME_EXCED_RANGE, Errno::Nametoolong),
    (system::ERROR_BUFFER_OVERFLOW, Errno::Nametoolong),
    (system::ERROR_NOT_SAME_DEVICE, Errno::Xdev),
    (system::ERROR_TOO_MANY_LINKS, Errno::Mlink),
    (system::ERROR_STOPPED_ON_SYMLINK, Errno::Loop),
    (system::ERROR_CANT_RESOLVE_FILENAME, Errno::Loop),
    (system::ERROR_NOT_A_REPARSE_POINT, Errno::Inval),
    (system::ERROR_INVALID_REPARSE_DATA, Errno::Inval),
    (system::ERROR_INVALID_PARAMETER, Errno::Inval),
    (system::ERROR_NEGATIVE_SEEK, Errno::Inval),
    (system::ERROR_INSUFFICIENT_BUFFER, Errno::Inval),
    (system::ERROR_META_EXPANSION_TOO_LONG, Errno::TooBig),
    (system::ERROR_SEEK_ON_DEVICE, Errno::Spipe),
    (system::ERROR_BROKEN_PIPE, Errno::Pipe),
    (system::ERROR_NO_DATA, Errno::Pipe),
    (system::ERROR_BAD_PIPE, Errno::Pipe),
    (system::ERROR_PIPE_NOT_CONNECTED, Errno::Pipe),
    (system::ERROR_OPERATION_ABORTED, Errno::Canceled),
    (system::ERROR_INVALID_FUNCTION, Errno::Notsup),
    (system::ERROR_NOT_SUPPORTED, Errno::Notsup),
    (system::ERROR_CALL_NOT_IMPLEMENTED, Errno::Notsup),
    (system::ERROR_NO_UNICODE_TRANSLATION, Errno::Ilseq),
    (system::ERROR_SEM_TIMEOUT, Errno::Timedout),
    (system::WAIT_TIMEOUT, Errno::Timedout),
    (system::ERROR_CONNECTION_REFUSED, Errno::Connrefused),
    (system::ERROR_CONNECTION_ABORTED, Errno::Connaborted),
    (system::ERROR_NETNAME_DELETED, Errno::Connreset),
    (system::ERROR_NETWORK_UNREACHABLE, Errno::Netunreach),
    (system::ERROR_HOST_UNREACHABLE, Errno::Hostunreach),
    (socket::WSAEINTR.cast_unsigned(), Errno::Intr),
    (socket::WSAEBADF.cast_unsigned(), Errno::Badf),
    (socket::WSAEACCES.cast_unsigned(), Errno::Acces),
    (socket::WSAEFAULT.cast_unsigned(), Errno::Fault),
    (socket::WSAEINVAL.cast_unsigned(), Errno::Inval),
    (socket::WSAEMFILE.cast_unsigned(), Errno::Mfile),
    (socket::WSAEWOULDBLOCK.cast_unsigned(), Errno::Again),
    (socket::WSAEINPROGRESS.cast_unsigned(), Errno::Inprogress),
    (socket::WSAEALREADY.cast_unsigned(), Errno::Already),
    (socket::WSAENOTSOCK.cast_unsigned(), Errno::Notsock),
    (socket::WSAEDESTADDRREQ.cast_unsigned(), Errno::Destaddrreq),
    (socket::WSAEMSGSIZE.cast_unsigned(), Errno::Msgsize),
    (socket::WSAEPROTOTYPE.cast_unsigned(), Errno::Prototype),
    (socket::WSAENOPROTOOPT.cast_unsigned(), Errno::Noprotoopt),
    (socket::WSAEPROTONOSUPPORT.cast_unsigned(), Errno::Protonosupport),
    (socket::WSAEOPNOTSUPP.cast_unsigned(), Errno::Notsup),
    (socket::WSAEAFNOSUPPORT.cast_unsigned(), Errno::Afnosupport),
    (socket::WSAEADDRINUSE.cast_unsigned(), Errno::Addrinuse),
    (socket::WSAEADDRNOTAVAIL.cast_unsigned(), Errno::Addrnotavail),
    (socket::WSAENETDOWN.cast_unsigned(), Errno::Netdown),
    (socket::WSAENETUNREACH.cast_unsigned(), Errno::Netunreach),
    (socket::WSAENETRESET.cast_unsigned(), Errno::Netreset),
    (socket::WSAECONNABORTED.cast_unsigned(), Errno::Connaborted),
    (socket::WSAECONNRESET.cast_unsigned(), Errno::Connreset),
    (socket::WSAENOBUFS.cast_unsigned(), Errno::Nobufs),
    (socket::WSAEISCONN.cast_unsigned(), Errno::Isconn),
    (socket::WSAENOTCONN.cast_unsigned(), Errno::Notconn),
    (socket::WSAESHUTDOWN.cast_unsigned(), Errno::Pipe),
    (socket::WSAETIMEDOUT.cast_unsigned(), Errno::Timedout),
    (socket::WSAECONNREFUSED.cast_unsigned(), Errno::Connrefused),
    (socket::WSAELOOP.cast_unsigned(), Errno::Loop),
    (socket::WSAENAMETOOLONG.cast_unsigned(), Errno::Nametoolong),
    (socket::WSAEHOSTUNREACH.cast_unsigned(), Errno::Hostunreach),
    (socket::WSAENOTEMPTY.cast_unsigned(), Errno::Notempty),
    (socket::WSAEDQUOT.cast_unsigned(), Errno::Dquot),
    (socket::WSAESTALE.cast_unsigned(), Errno::Stale),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_stands_once() {
        let mut codes: Vec<u32> = TABLE.iter().map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), TABLE.len());
    }
}

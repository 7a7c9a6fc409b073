//! Host error numbers.

use crate::abi::Errno;
use rustix::io::Errno as Host;

/// The errno for a raw error number of the host, if the specification has one.
#[must_use]
pub fn errno_from_raw(raw: i32) -> Option<Errno> {
    lookup(Host::from_raw_os_error(raw))
}

/// The errno for an error of a system call.
pub(super) fn from_rustix(error: Host) -> Errno {
    lookup(error).unwrap_or(Errno::Io)
}

// Out of line, because it is long, and a call that succeeds does not need it.
#[inline(never)]
fn lookup(error: Host) -> Option<Errno> {
    // Some systems give two names one number, so this cannot be a match.
    const TABLE: &[(Host, Errno)] = &[
        (Host::NOENT, Errno::Noent),
        (Host::AGAIN, Errno::Again),
        (Host::WOULDBLOCK, Errno::Again),
        (Host::EXIST, Errno::Exist),
        (Host::NOTDIR, Errno::Notdir),
        (Host::ISDIR, Errno::Isdir),
        (Host::BADF, Errno::Badf),
        (Host::INVAL, Errno::Inval),
        (Host::LOOP, Errno::Loop),
        (Host::ACCESS, Errno::Acces),
        (Host::PERM, Errno::Perm),
        (Host::NOTEMPTY, Errno::Notempty),
        (Host::XDEV, Errno::Xdev),
        (Host::SPIPE, Errno::Spipe),
        (Host::PIPE, Errno::Pipe),
        (Host::NAMETOOLONG, Errno::Nametoolong),
        (Host::NOTSUP, Errno::Notsup),
        (Host::OPNOTSUPP, Errno::Notsup),
        (Host::INTR, Errno::Intr),
        (Host::NOSPC, Errno::Nospc),
        (Host::DQUOT, Errno::Dquot),
        (Host::FBIG, Errno::Fbig),
        (Host::MFILE, Errno::Mfile),
        (Host::NFILE, Errno::Nfile),
        (Host::MLINK, Errno::Mlink),
        (Host::ROFS, Errno::Rofs),
        (Host::BUSY, Errno::Busy),
        (Host::TXTBSY, Errno::Txtbsy),
        (Host::NXIO, Errno::Nxio),
        (Host::NODEV, Errno::Nodev),
        (Host::NOMEM, Errno::Nomem),
        (Host::OVERFLOW, Errno::Overflow),
        (Host::NOTSOCK, Errno::Notsock),
        (Host::NOTCONN, Errno::Notconn),
        (Host::CONNRESET, Errno::Connreset),
        (Host::CONNABORTED, Errno::Connaborted),
        (Host::CONNREFUSED, Errno::Connrefused),
        (Host::TOOBIG, Errno::TooBig),
        (Host::ADDRINUSE, Errno::Addrinuse),
        (Host::ADDRNOTAVAIL, Errno::Addrnotavail),
        (Host::AFNOSUPPORT, Errno::Afnosupport),
        (Host::ALREADY, Errno::Already),
        (Host::BADMSG, Errno::Badmsg),
        (Host::CANCELED, Errno::Canceled),
        (Host::CHILD, Errno::Child),
        (Host::DEADLK, Errno::Deadlk),
        (Host::DESTADDRREQ, Errno::Destaddrreq),
        (Host::DOM, Errno::Dom),
        (Host::FAULT, Errno::Fault),
        (Host::HOSTUNREACH, Errno::Hostunreach),
        (Host::IDRM, Errno::Idrm),
        (Host::ILSEQ, Errno::Ilseq),
        (Host::INPROGRESS, Errno::Inprogress),
        (Host::IO, Errno::Io),
        (Host::ISCONN, Errno::Isconn),
        (Host::MSGSIZE, Errno::Msgsize),
        (Host::MULTIHOP, Errno::Multihop),
        (Host::NETDOWN, Errno::Netdown),
        (Host::NETRESET, Errno::Netreset),
        (Host::NETUNREACH, Errno::Netunreach),
        (Host::NOBUFS, Errno::Nobufs),
        (Host::NOEXEC, Errno::Noexec),
        (Host::NOLCK, Errno::Nolck),
        (Host::NOLINK, Errno::Nolink),
        (Host::NOMSG, Errno::Nomsg),
        (Host::NOPROTOOPT, Errno::Noprotoopt),
        (Host::NOSYS, Errno::Nosys),
        (Host::NOTRECOVERABLE, Errno::Notrecoverable),
        (Host::NOTTY, Errno::Notty),
        (Host::OWNERDEAD, Errno::Ownerdead),
        (Host::PROTO, Errno::Proto),
        (Host::PROTONOSUPPORT, Errno::Protonosupport),
        (Host::PROTOTYPE, Errno::Prototype),
        (Host::RANGE, Errno::Range),
        (Host::SRCH, Errno::Srch),
        (Host::STALE, Errno::Stale),
        (Host::TIMEDOUT, Errno::Timedout),
    ];
    TABLE.iter().find(|(host, _)| *host == error).map(|(_, errno)| *errno)
}

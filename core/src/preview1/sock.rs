//! Sockets that the embedder gave to the guest, and those accepted from them.

#![allow(
    clippy::cast_possible_truncation,
    reason = "of an i32 that stands for a shorter type, the upper bits mean nothing"
)]

use super::fd::fdflags;
use super::stream::{all, attempt};
use super::{Call, IoVecsArg, Result};
use crate::abi::{Errno, Fd, Fdflags, Filetype, Riflags, Rights, RightsPair, Roflags, Sdflags};
use crate::descriptor::Descriptor;
use crate::host::{File, Interest, Opened};

/// The socket, if it is one and the descriptor has `rights`. `notsock` comes before `notcapable`.
fn socket(descriptor: &Descriptor, rights: Rights) -> Result<&dyn File> {
    let Opened::File(file) = descriptor.object() else { return Err(Errno::Notsock.into()) };
    if !file.is_socket() {
        return Err(Errno::Notsock.into());
    }
    Ok(descriptor.file(rights).map(|_| &**file)?)
}

/// Takes a connection. It waits for one unless the descriptor has `NONBLOCK`.
///
/// POSIX: `accept`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notcapable`: the right `sock_accept` is missing.
/// - `notsock`: it is not a socket.
/// - `inval`: it does not listen, or there is no such flag.
/// - `again`: nobody connects, and the descriptor has `NONBLOCK`.
/// - `mfile`, `nfile`: too many files are open. The connection waits on.
///
/// # Node
/// `node:wasi` crashes on a descriptor that is not a socket.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_accept>
pub(super) fn sock_accept(call: &Call<'_>, fd: Fd, flags: u32) -> Result<Fd> {
    let descriptor = call.descriptor(fd)?;
    descriptor.require(Rights::SOCK_ACCEPT)?;
    let flags = fdflags(flags)?;
    let file = socket(&descriptor, Rights::SOCK_ACCEPT)?;
    // A connection that was taken could not be put back.
    let number = call.ctx.table.reserve()?;
    let accepted = attempt(call, &descriptor, file, Interest::Read, file.accept())?;
    let rights = descriptor.rights();
    let rights = RightsPair { base: rights.inheriting, inheriting: rights.inheriting };
    drop(descriptor);
    Ok(number.fill(Descriptor::new(Opened::File(accepted), rights, flags))?)
}

/// Receives a message. It waits for one unless the descriptor has `NONBLOCK`; with `RECV_WAITALL`,
/// until the buffers are full. On a stream, a call without buffers returns 0 at once.
///
/// POSIX: `recvmsg`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notsock`: it is not a socket.
/// - `notcapable`: the right `fd_read` is missing.
/// - `inval`: there is no such flag.
/// - `again`: there is nothing to receive, and the descriptor has `NONBLOCK`.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_recv>
pub(super) fn sock_recv(
    call: &Call<'_>,
    fd: Fd,
    ri_data: IoVecsArg,
    ri_flags: u32,
) -> Result<(u32, u16)> {
    let flags = Riflags::from_bits(ri_flags as u16).ok_or(Errno::Inval)?;
    ri_data.with(call.memory, |bufs| {
        let descriptor = call.descriptor(fd)?;
        let file = socket(&descriptor, Rights::FD_READ)?;
        let is_stream = file.filetype() == Filetype::SocketStream;
        if is_stream && bufs.regions().is_empty() {
            // As `fd_read` does. Some hosts would wait for bytes that have no place to go.
            return Ok((0, Roflags::empty().bits()));
        }
        let waits_for_all = flags == Riflags::RECV_WAITALL && is_stream;
        if waits_for_all && !descriptor.flags().contains(Fdflags::NONBLOCK) {
            let received = all(call, &descriptor, file, Interest::Read, bufs, |bufs| {
                file.recv(bufs, flags).map(|(received, _)| received)
            })?;
            return Ok((received, Roflags::empty().bits()));
        }
        let (received, roflags) =
            attempt(call, &descriptor, file, Interest::Read, file.recv(bufs.regions(), flags))?;
        Ok((u32::try_from(received).unwrap_or(u32::MAX), roflags.bits()))
    })
}

/// Sends a message. A stream takes all of it, however long that takes, unless the descriptor has
/// `NONBLOCK`.
///
/// POSIX: `sendmsg`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notsock`: it is not a socket.
/// - `notcapable`: the right `fd_write` is missing.
/// - `inval`: a flag was given; there are none.
/// - `again`: there is no room, and the descriptor has `NONBLOCK`.
/// - `pipe`: nobody receives.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_send>
pub(super) fn sock_send(call: &Call<'_>, fd: Fd, si_data: IoVecsArg, si_flags: u32) -> Result<u32> {
    if si_flags as u16 != 0 {
        return Err(Errno::Inval.into());
    }
    si_data.with(call.memory, |bufs| {
        let descriptor = call.descriptor(fd)?;
        let file = socket(&descriptor, Rights::FD_WRITE)?;
        all(call, &descriptor, file, Interest::Write, bufs, |bufs| file.send(bufs))
    })
}

/// Shuts channels of a socket down.
///
/// POSIX: `shutdown`.
///
/// # Errors
/// - `badf`: the descriptor is not open.
/// - `notsock`: it is not a socket, or it is the host's own standard output or standard error,
///   which the guest may use but not end.
/// - `notcapable`: the right `sock_shutdown` is missing.
/// - `inval`: there is no such flag, or none was given.
/// - `notconn`: it is not connected.
///
/// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sock_shutdown>
pub(super) fn sock_shutdown(call: &Call<'_>, fd: Fd, how: u32) -> Result<()> {
    let descriptor = call.descriptor(fd)?;
    let file = socket(&descriptor, Rights::SOCK_SHUTDOWN)?;
    let how = Sdflags::from_bits(how as u8).ok_or(Errno::Inval)?;
    Ok(file.shutdown(how)?)
}

//! Flags and enumerations.

use bitflags::bitflags;

bitflags! {
    /// How a descriptor behaves.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fdflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Fdflags: u16 {
        /// Data are written at the end of the file.
        const APPEND = 1 << 0;
        /// Writes complete as `fd_datasync` would have them.
        const DSYNC = 1 << 1;
        /// Calls that would block fail with `again`.
        const NONBLOCK = 1 << 2;
        /// Reads complete as `DSYNC` and `SYNC` would have writes.
        const RSYNC = 1 << 3;
        /// Writes complete as `fd_sync` would have them.
        const SYNC = 1 << 4;
    }

    /// How `path_open` opens.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#oflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Oflags: u16 {
        /// Create the file if it does not exist.
        const CREAT = 1 << 0;
        /// Fail if it is not a directory.
        const DIRECTORY = 1 << 1;
        /// Fail if the file exists.
        const EXCL = 1 << 2;
        /// Cut the file to size 0.
        const TRUNC = 1 << 3;
    }

    /// How a path is resolved.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#lookupflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Lookupflags: u32 {
        /// Follow a symbolic link in the last component.
        const SYMLINK_FOLLOW = 1 << 0;
    }

    /// Which times to set, and to what.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#fstflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Fstflags: u16 {
        /// Set the time of the last access to the given one.
        const ATIM = 1 << 0;
        /// Set the time of the last access to now.
        const ATIM_NOW = 1 << 1;
        /// Set the time of the last modification to the given one.
        const MTIM = 1 << 2;
        /// Set the time of the last modification to now.
        const MTIM_NOW = 1 << 3;
    }

    /// How `poll_oneoff` reads a clock's timeout.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#subclockflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Subclockflags: u16 {
        /// The timeout is a point in time, not a duration.
        const ABSTIME = 1 << 0;
    }

    /// The result of polling a descriptor.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#eventrwflags>
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
    pub struct Eventrwflags: u16 {
        /// The peer has closed its end.
        const HANGUP = 1 << 0;
    }

    /// How `sock_recv` receives.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#riflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Riflags: u16 {
        /// Leave the message in the socket.
        const RECV_PEEK = 1 << 0;
        /// Wait until all of the buffers are filled.
        const RECV_WAITALL = 1 << 1;
    }

    /// The flags that `sock_recv` gives with a message.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#roflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Roflags: u16 {
        /// The message was longer than the buffers.
        const RECV_DATA_TRUNCATED = 1 << 0;
    }

    /// Which channels of a socket to shut down.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#sdflags>
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Sdflags: u8 {
        /// The receiving side.
        const RD = 1 << 0;
        /// The sending side.
        const WR = 1 << 1;
    }
}

macro_rules! enumeration {
    ($(#[$doc:meta])* $name:ident: $repr:ty { $($(#[$case:meta])* $variant:ident = $value:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr($repr)]
        pub enum $name { $($(#[$case])* $variant = $value,)* }

        impl $name {
            /// The specification's names, by value.
            pub const NAMES: &[&str] = &[$($text,)*];

            /// From the guest's value, if it is one of the specification's.
            #[must_use]
            pub fn from_value(value: u32) -> Option<Self> {
                match value { $($value => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

enumeration! {
    /// The type of a file.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#filetype>
    Filetype: u8 {
        /// None of the others.
        Unknown = 0 "unknown",
        /// A block device.
        BlockDevice = 1 "block_device",
        /// A character device; a terminal if it has neither the right to seek nor to tell.
        CharacterDevice = 2 "character_device",
        /// A directory.
        Directory = 3 "directory",
        /// A regular file.
        RegularFile = 4 "regular_file",
        /// A datagram socket.
        SocketDgram = 5 "socket_dgram",
        /// A byte-stream socket. Pipes are reported so, as `node:wasi` does.
        SocketStream = 6 "socket_stream",
        /// A symbolic link.
        SymbolicLink = 7 "symbolic_link",
    }
}

enumeration! {
    /// The position that an offset is relative to.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#whence>
    Whence: u8 {
        /// The start of the file.
        Set = 0 "set",
        /// The current offset.
        Cur = 1 "cur",
        /// The end of the file.
        End = 2 "end",
    }
}

enumeration! {
    /// A clock.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#clockid>
    Clockid: u32 {
        /// Time since 1970-01-01T00:00:00Z.
        Realtime = 0 "realtime",
        /// Time that never goes back; its epoch is undefined.
        Monotonic = 1 "monotonic",
        /// CPU time of the process.
        ProcessCputimeId = 2 "process_cputime_id",
        /// CPU time of the calling thread.
        ThreadCputimeId = 3 "thread_cputime_id",
    }
}

enumeration! {
    /// Advice on how a file will be used.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#advice>
    Advice: u8 {
        /// None.
        Normal = 0 "normal",
        /// From lower to higher offsets.
        Sequential = 1 "sequential",
        /// In random order.
        Random = 2 "random",
        /// Soon.
        Willneed = 3 "willneed",
        /// Not soon.
        Dontneed = 4 "dontneed",
        /// Once.
        Noreuse = 5 "noreuse",
    }
}

enumeration! {
    /// The kind of an event or a subscription.
    ///
    /// <https://github.com/WebAssembly/WASI/blob/wasi-0.1/preview1/docs.md#eventtype>
    Eventtype: u8 {
        /// A clock reached a time.
        Clock = 0 "clock",
        /// A descriptor has data to read.
        FdRead = 1 "fd_read",
        /// A descriptor takes data.
        FdWrite = 2 "fd_write",
    }
}

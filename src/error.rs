//! Errors of construction, shaped as `node:wasi` shapes them.

use napi::bindgen_prelude::{JsObjectValue, JsValue, Unknown};
use napi::{Env, Error, JsError, Status};
use std::io;
use std::path::PathBuf;
use wasi_rs_core::abi::Errno;
use wasi_rs_core::host::from_io;

/// The call that Node names as the one that failed.
const SYSCALL: &str = "uvwasi_init";

/// Why an instance could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConstructionError {
    /// A preopen could not be opened.
    #[error("preopen {guest:?} cannot be opened: host path {host:?}: {source}")]
    Preopen {
        /// The guest's name.
        guest: String,
        /// The host's path.
        host: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A descriptor of the host could not be borrowed.
    #[error("{name} cannot be used: host descriptor {fd}: {source}")]
    Stdio {
        /// The option.
        name: &'static str,
        /// The host's descriptor.
        fd: i32,
        /// The cause.
        source: io::Error,
    },
    /// A file could not be put into a tree in memory.
    #[error("preopen {guest:?} cannot hold {name:?}: {}", errno.name())]
    Entry {
        /// The guest's name of the preopen.
        guest: String,
        /// The file's path.
        name: String,
        /// The cause.
        errno: Errno,
    },
    /// There are more preopens than descriptors.
    #[error("too many preopens")]
    Table(Errno),
}

impl ConstructionError {
    fn errno(&self) -> Errno {
        match self {
            Self::Preopen { source, .. } | Self::Stdio { source, .. } => from_io(source),
            Self::Entry { errno, .. } | Self::Table(errno) => *errno,
        }
    }

    /// Throws it in JavaScript and gives what a callback returns then.
    pub(super) fn throw(&self, env: &Env) -> Error {
        let errno = self.errno();
        let code = format!("UVWASI_E{}", errno.name().to_uppercase());
        let message = format!("{code}, {SYSCALL}: {self}");
        let thrown = || -> napi::Result<()> {
            let error: Unknown<'_> = JsError::from(Error::new(Status::GenericFailure, message.clone())).into_unknown(*env);
            let mut object = error.coerce_to_object()?;
            object.set_named_property("errno", u32::from(errno.code()))?;
            object.set_named_property("code", code.as_str())?;
            object.set_named_property("syscall", SYSCALL)?;
            env.throw(object.to_unknown())
        };
        match thrown() {
            Ok(()) => Error::new(Status::PendingException, message),
            Err(error) => error,
        }
    }
}

//! The options of an instance, as `index.js` hands them over after its checks.

use super::error::ConstructionError;
use crate::ctx::{Ctx, Strings};
use crate::descriptor::Descriptor;
use crate::host;
use napi::bindgen_prelude::Uint8Array;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of the host that the guest gets under a name.
#[napi_derive::napi(object)]
pub(crate) struct PreopenOptions {
    /// The guest's name for it.
    pub guest: String,
    /// The host's path.
    pub path: String,
    /// Whether the guest is to change nothing below it.
    pub read_only: bool,
}

/// What an instance is made of.
#[napi_derive::napi(object)]
pub(crate) struct InstanceOptions {
    /// Arguments, each ending in NUL.
    pub args: Uint8Array,
    /// `NAME=value`, each ending in NUL.
    pub env: Uint8Array,
    /// Preopens, in the order of their descriptors.
    pub preopens: Vec<PreopenOptions>,
    /// The host's descriptor for the guest's standard input.
    pub stdin: i32,
    /// The host's descriptor for the guest's standard output.
    pub stdout: i32,
    /// The host's descriptor for the guest's standard error.
    pub stderr: i32,
}

impl InstanceOptions {
    /// Opens everything. If one thing fails, what was opened before it is closed again.
    pub(super) fn into_ctx(self) -> Result<Ctx, ConstructionError> {
        let ctx = Ctx {
            args: Arc::new(Strings::from_terminated(self.args.to_vec())),
            environ: Arc::new(Strings::from_terminated(self.env.to_vec())),
            ..Ctx::default()
        };
        for (name, fd) in [("stdin", self.stdin), ("stdout", self.stdout), ("stderr", self.stderr)] {
            let (object, flags) = host::stdio(fd).map_err(|source| ConstructionError::Stdio { name, fd, source })?;
            insert(&ctx, Descriptor::given(object, flags))?;
        }
        for PreopenOptions { guest, path, read_only } in self.preopens {
            let host = PathBuf::from(path);
            let object = host::open_preopen(&host, guest == "/").map_err(|source| ConstructionError::Preopen {
                guest: guest.clone(),
                host,
                source,
            })?;
            let preopen = Descriptor::preopen(object, guest.as_bytes());
            insert(&ctx, if read_only { preopen.read_only() } else { preopen })?;
        }
        Ok(ctx)
    }
}

fn insert(ctx: &Ctx, descriptor: Descriptor) -> Result<(), ConstructionError> {
    ctx.table.insert(descriptor).map(drop).map_err(ConstructionError::Table)
}

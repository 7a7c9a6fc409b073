//! The names to which the sockets of a guest are bound and connected.

use super::addon_instance::AddonInstance;
use super::function;
use napi::bindgen_prelude::{FunctionCallContext, JsObjectValue, Object};
use napi::{Env, Result};
use std::rc::Rc;
use wasi_rs_core::host::{Opened, SocketName, SocketNames};

/// One end of a socket, as Node's `server.address()` tells it.
#[napi_derive::napi(object, object_from_js = false)]
pub(crate) struct SocketEnd {
    /// The address, or the path of a Unix socket, which is empty where there is none.
    pub address: String,
    /// `IPv4`, `IPv6` or `Unix`.
    pub family: &'static str,
    /// The port, where there are ports.
    pub port: Option<u16>,
}

/// The two ends of a socket.
#[napi_derive::napi(object, object_from_js = false)]
pub(crate) struct SocketEnds {
    /// This one.
    pub local: Option<SocketEnd>,
    /// The other one, if the socket is connected.
    pub peer: Option<SocketEnd>,
}

impl From<SocketName> for SocketEnd {
    fn from(name: SocketName) -> Self {
        match name {
            SocketName::Ip(address) => Self {
                address: address.ip().to_string(),
                family: if address.is_ipv4() { "IPv4" } else { "IPv6" },
                port: Some(address.port()),
            },
            SocketName::Path(path) => Self {
                address: String::from_utf8_lossy(&path).into_owned(),
                family: "Unix",
                port: None,
            },
        }
    }
}

/// Adds the function to the addon's exports.
pub(super) fn export(
    env: &Env,
    exports: &mut Object<'_>,
    environment: &Rc<AddonInstance>,
) -> Result<()> {
    let here = Rc::clone(environment);
    // Nothing where the descriptor is not open, or no socket.
    let names = move |call: FunctionCallContext<'_>| {
        let (id, fd) = (call.get(0)?, call.get(1)?);
        let names = here.with_instance(id, |instance| {
            let descriptor = instance.ctx.table.get(fd).ok()?;
            let Opened::File(file) = descriptor.object() else { return None };
            file.socket_names().ok()
        });
        Ok(names.flatten().map(|SocketNames { local, peer }| SocketEnds {
            local: local.map(SocketEnd::from),
            peer: peer.map(SocketEnd::from),
        }))
    };
    exports.set_named_property("socketNames", function(env, "socketNames", names)?)
}

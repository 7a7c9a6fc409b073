//! The path of this library, and a refusal in the place of pipes between the host and a guest.

#![allow(unsafe_code, reason = "calls that fill a name")]

use crate::host::Stdio;
use std::io;
use std::os::windows::ffi::OsStringExt;
use std::os::windows::io::OwnedHandle;
use std::path::PathBuf;
use std::ptr;
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
    GetModuleFileNameW, GetModuleHandleExW,
};

/// The guest's end of a pipe. None is ever made, see [`open_pipe`].
pub struct PipeEnd(OwnedHandle);

impl PipeEnd {
    /// The same end once more.
    ///
    /// # Errors
    /// Those of `DuplicateHandle`.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The guest's standard stream.
    ///
    /// # Errors
    /// `Unsupported`, always.
    pub fn into_stdio(self, _: bool) -> io::Result<Stdio> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Anonymous pipes of Windows cannot be waited for by Node, which takes no handles either.
///
/// # Errors
/// `Unsupported`, always.
pub fn open_pipe(_: bool) -> io::Result<(i32, PipeEnd)> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Numbers of descriptors are a matter of Node's own C library, not of this one.
///
/// # Errors
/// `Unsupported`, always.
///
/// # Safety
/// None is needed here.
pub unsafe fn inherited_pipe(_: i32) -> io::Result<PipeEnd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Numbers of descriptors are a matter of Node's own C library, not of this one.
///
/// # Errors
/// `Unsupported`, always.
pub fn duplicate(_: i32, _: i32) -> io::Result<i32> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing is to be closed.
///
/// # Safety
/// None is needed here.
pub unsafe fn close_duplicate(_: i32) {}

/// The path of the file that this code was loaded from.
#[must_use]
pub fn library_path() -> Option<PathBuf> {
    let mut module = ptr::null_mut();
    let here: *const () = (library_path as fn() -> Option<PathBuf>) as *const ();
    let flags =
        GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT;
    // SAFETY: with this flag the name is an address, any of this library; the handle is a local.
    if unsafe { GetModuleHandleExW(flags, here.cast(), &raw mut module) } == 0 {
        return None;
    }
    // The longest path that Windows has.
    let mut name = vec![0_u16; 32_768];
    let size = u32::try_from(name.len()).ok()?;
    // SAFETY: the pointer is to as many units as the size says.
    let length = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), size) };
    let name = name.get(..usize::try_from(length).ok()?).filter(|name| !name.is_empty())?;
    Some(std::ffi::OsString::from_wide(name).into())
}

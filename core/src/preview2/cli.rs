//! The process, as the guest imagines it.

use super::area::{Lists, OptionTerminal, Owned};
use super::resources::Resource;
use super::streams::{Input, Output};
use super::{Call, CallError, Result, Trap};
use crate::abi::Fd;
use crate::ctx::StringArray;
use crate::host::{File, Opened};
use std::rc::Rc;

/// The strings without their terminators.
fn strings(array: &StringArray) -> impl Iterator<Item = &[u8]> {
    array
        .bytes()
        .split_inclusive(|byte| *byte == 0)
        .map(|text| text.strip_suffix(&[0]).unwrap_or(text))
}

/// The environment, as names and values.
pub(super) fn get_environment(call: &Call<'_>) -> Result<Lists<8>> {
    let environ = call.state.environ(call.ctx);
    let pairs = strings(&environ).flat_map(|text| {
        let at = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
        let (name, value) = text.split_at_checked(at).unwrap_or((text, &[]));
        [name, value.get(1..).unwrap_or_default()]
    });
    Lists::strings(pairs, 2, &[])
}

/// The arguments.
pub(super) fn get_arguments(call: &Call<'_>) -> Result<Lists<8>> {
    Lists::strings(strings(&call.state.args(call.ctx)), 1, &[])
}

/// Where the guest stands: nowhere, unless the embedder says so.
pub(super) fn initial_cwd(call: &Call<'_>) -> Result<Lists<12>> {
    Lists::option(call.state.cwd())
}

/// Ends the guest: with code 0 for ok, 1 for an error.
pub(super) fn exit(_: &Call<'_>, status: u32) -> Result<()> {
    match status {
        0 | 1 => Err(CallError::Exit(status)),
        _ => Err(Trap::Argument.into()),
    }
}

/// Ends the guest with a code.
pub(super) fn exit_with_code(_: &Call<'_>, code: u32) -> Result<()> {
    Err(CallError::Exit(code & 0xff))
}

const STDIN: Fd = 0;
const STDOUT: Fd = 1;
const STDERR: Fd = 2;

pub(super) fn get_stdin(call: &Call<'_>) -> Result<Owned> {
    Ok(Owned(Resource::Input(Rc::new(Input::of_stream(call.state.standard(STDIN))))))
}

fn output(call: &Call<'_>, fd: Fd) -> Owned {
    Owned(Resource::Output(Rc::new(Output::of_stream(call.state.standard(fd), call.state))))
}

pub(super) fn get_stdout(call: &Call<'_>) -> Result<Owned> {
    Ok(output(call, STDOUT))
}

pub(super) fn get_stderr(call: &Call<'_>) -> Result<Owned> {
    Ok(output(call, STDERR))
}

/// Whether a standard stream is a terminal.
fn terminal(call: &Call<'_>, fd: Fd) -> OptionTerminal {
    OptionTerminal(call.ctx.table.get(fd).is_ok_and(|found| match found.object() {
        Opened::File(file) => File::is_terminal(&**file),
        Opened::Directory(_) => false,
    }))
}

pub(super) fn get_terminal_stdin(call: &Call<'_>) -> Result<OptionTerminal> {
    Ok(terminal(call, STDIN))
}

pub(super) fn get_terminal_stdout(call: &Call<'_>) -> Result<OptionTerminal> {
    Ok(terminal(call, STDOUT))
}

pub(super) fn get_terminal_stderr(call: &Call<'_>) -> Result<OptionTerminal> {
    Ok(terminal(call, STDERR))
}

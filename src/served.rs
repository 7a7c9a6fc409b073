//! File systems that JavaScript serves: what `lib/served.js` and a call say to each other.
//!
//! A request and the numbers of its answer lie in a piece of memory that both sides share, as those
//! of a call do. Functions of the embedder never see that memory. Bytes and texts are passed as
//! values.
//!
//! ```text
//!  0 what is asked | 1 file system | 2 file | 3 position | 4 length: f64
//!  5 time of access, 6 of modification: i64 | 7 whether files are to be closed: f64
//!  8 errno or 0 | 9 number, or type of the file: f64
//! 10 device | 11 serial number | 12 links | 13 size | 14 to 16 times: i64
//! 17 ticket of the request, by which it is answered: f64
//! ```

#![allow(unsafe_code, reason = "callbacks of Node-API, and memory that is shared with JavaScript")]

use super::addon_instance::{AddonInstance, Instance};
use super::function;
use super::imports::create_function;
use napi::bindgen_prelude::{
    BigUint64Array, FromNapiValue, FunctionCallContext, JsObjectValue, Object, Uint8Array, Unknown,
};
use napi::{Env, Result, check_status, sys};
use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use wasi_rs_core::abi::{Errno, Filestat, Filetype};
use wasi_rs_core::host::{Answer, Exchange, Flags, Listed, Op, Request};

/// The requests, in the order of their numbers. `lib/served.js` has a function for each name.
const OPS: [(Op, &str); 20] = [
    (Op::Stat, "stat"),
    (Op::StatFile, "statFile"),
    (Op::Open(Flags::Read), "openToRead"),
    (Op::Open(Flags::Write), "openToWrite"),
    (Op::Open(Flags::Truncate), "openToTruncate"),
    (Op::Open(Flags::Create), "openToCreate"),
    (Op::Read, "read"),
    (Op::Write, "write"),
    (Op::SetSize, "setSize"),
    (Op::SetFileTimes, "setFileTimes"),
    (Op::Sync, "sync"),
    (Op::List, "list"),
    (Op::MakeDirectory, "makeDirectory"),
    (Op::RemoveDirectory, "removeDirectory"),
    (Op::Unlink, "unlink"),
    (Op::Rename, "rename"),
    (Op::Link, "link"),
    (Op::Symlink, "symlink"),
    (Op::ReadLink, "readLink"),
    (Op::SetTimes, "setTimes"),
];

/// The largest number that JavaScript's numbers hold exactly.
const NUMBER_LIMIT: f64 = 9_007_199_254_740_991.0;

const PLACES: usize = 18;

/// The shared memory. Each place is an f64 or an i64.
struct Board([Cell<u64>; PLACES]);

impl Board {
    fn number(&self, place: usize) -> f64 {
        f64::from_bits(self.bits(place))
    }

    fn bits(&self, place: usize) -> u64 {
        self.0.get(place).map_or(0, Cell::get)
    }

    #[allow(clippy::cast_precision_loss, reason = "requests have no greater numbers")]
    fn set_number(&self, place: usize, number: u64) {
        self.set_bits(place, (number as f64).to_bits());
    }

    fn set_bits(&self, place: usize, bits: u64) {
        if let Some(place) = self.0.get(place) {
            place.set(bits);
        }
    }

    /// A whole number that JavaScript has given.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole and in range"
    )]
    fn whole(&self, place: usize) -> Option<u64> {
        let number = self.number(place);
        ((0.0..=NUMBER_LIMIT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
    }
}

/// A request that JavaScript has taken and not answered.
struct Pending {
    ticket: u64,
    request: Request,
    /// The place in the guest's memory of the bytes that are read.
    offset: Option<u32>,
}

/// The state of an instance for file systems that JavaScript serves.
#[derive(Default)]
pub(super) struct Serving {
    pub(super) exchange: Arc<Exchange>,
    pending: RefCell<Vec<Pending>>,
}

impl Serving {
    /// Hands the request of the call over that has just ended. `base` is where the memory lies.
    fn take(&self, board: &Board, base: usize) {
        board.set_number(7, u64::from(self.exchange.has_closing()));
        let Some((ticket, request)) = self.exchange.take() else {
            board.set_bits(0, (-1.0_f64).to_bits());
            return;
        };
        let op = OPS.iter().position(|(op, _)| *op == request.op);
        board.set_number(0, op.unwrap_or(OPS.len()) as u64);
        board.set_number(1, request.served.into());
        board.set_number(2, request.file);
        board.set_number(3, request.position);
        board.set_number(4, request.length as u64);
        board.set_bits(5, request.times.0);
        board.set_bits(6, request.times.1);
        board.set_number(17, ticket);
        let offset = request.target.and_then(|target| target.checked_sub(base));
        let offset = offset.and_then(|offset| u32::try_from(offset).ok());
        self.pending.borrow_mut().push(Pending { ticket, request, offset });
    }

    /// Looks at the request that was taken last.
    fn with_pending<T>(&self, act: impl FnOnce(&Request) -> T) -> Option<T> {
        self.pending.borrow().last().map(|pending| act(&pending.request))
    }

    /// Takes out the request whose ticket is on the board.
    fn take_pending(&self, board: &Board) -> Option<Pending> {
        let ticket = board.whole(17)?;
        let mut pending = self.pending.borrow_mut();
        let at = pending.iter().rposition(|one| one.ticket == ticket)?;
        Some(pending.remove(at))
    }

    /// Answers the request whose ticket is on the board.
    fn answer(&self, board: &Board, make: impl FnOnce(&Request, Option<u32>) -> Answer) {
        if let Some(Pending { ticket, request, offset }) = self.take_pending(board) {
            let answer = make(&request, offset);
            self.exchange.answer(ticket, request, answer);
        }
    }

    fn abandon(&self, board: &Board) {
        if let Some(pending) = self.take_pending(board) {
            self.exchange.abandon(pending.ticket);
        }
    }
}

/// The errno that JavaScript has said, if it failed.
fn failed(board: &Board) -> Option<Answer> {
    let code = board.whole(8);
    if code == Some(0) {
        return None;
    }
    let errno = Errno::ALL.iter().find(|errno| Some(u64::from(errno.code())) == code);
    Some(Answer::Failed(errno.copied().unwrap_or(Errno::Io)))
}

/// The answer that numbers are.
fn answer_of(board: &Board, op: Op) -> Answer {
    if let Some(failed) = failed(board) {
        return failed;
    }
    let wrong = Answer::Failed(Errno::Io);
    match op {
        Op::Stat | Op::StatFile => {
            let filetype = board.whole(9).and_then(|value| u32::try_from(value).ok());
            let Some(filetype) = filetype.and_then(Filetype::from_value) else { return wrong };
            Answer::Stat(Filestat {
                dev: board.bits(10),
                ino: board.bits(11),
                filetype,
                nlink: board.bits(12),
                size: board.bits(13),
                atim: board.bits(14),
                mtim: board.bits(15),
                ctim: board.bits(16),
            })
        }
        Op::Open(_) | Op::Write => board.whole(9).map_or(wrong, Answer::Number),
        Op::Read | Op::List | Op::ReadLink => wrong,
        _ => Answer::Done,
    }
}

impl AddonInstance {
    /// A call has ended with a request.
    pub(super) fn take_served(&self, id: u32) {
        let Some(board) = self.board() else { return };
        self.with_instance(id, |instance| {
            if let Some(serving) = instance.streams.serving.as_deref() {
                serving.take(board, instance.base().addr());
            }
        });
    }

    /// A call that was made again has come to its end.
    pub(super) fn finish_served(&self, id: u32) {
        self.serving(id, |serving| serving.exchange.finish());
    }

    fn serving<T>(&self, id: u32, act: impl FnOnce(&Serving) -> T) -> Option<T> {
        self.with_instance(id, |instance: &Instance| instance.streams.serving.as_deref().map(act))
            .flatten()
    }

    /// The board, once a program serves a file system. For the length of a call.
    fn board(&self) -> Option<&Board> {
        // SAFETY: the buffer lives as long as the environment, and has the board's size and V8's
        // alignment of at least eight bytes. JavaScript alone writes to it, and does not run.
        unsafe { self.board.get().cast::<Board>().as_ref() }
    }

    /// Does something with what the instance serves whose number is in the frame.
    fn with_served<T>(&self, act: impl FnOnce(&Instance, &Serving, &Board) -> T) -> Option<T> {
        // SAFETY: JavaScript waits for the callback.
        let frame = unsafe { self.frame() };
        let board = self.board()?;
        self.with_instance(frame.instance, |instance| {
            instance.streams.serving.as_deref().map(|serving| act(instance, serving, board))
        })
        .flatten()
    }
}

/// Calls `act` with what was given to a callback, and its first argument if it is a view of bytes.
///
/// # Safety
/// The callback must have been made by `create_function` with an environment.
unsafe fn callback(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    act: impl FnOnce(&AddonInstance, &mut [u8]),
) -> sys::napi_value {
    let mut argument = ptr::null_mut();
    let mut count = 1;
    let mut data: *mut c_void = ptr::null_mut();
    // SAFETY: `env` and `info` are those of the running callback, and the pointers are to locals.
    let status = unsafe {
        sys::napi_get_cb_info(
            env,
            info,
            &raw mut count,
            &raw mut argument,
            ptr::null_mut(),
            &raw mut data,
        )
    };
    // SAFETY: the data live as long as the function, which is being called.
    let environment = unsafe { data.cast::<Rc<AddonInstance>>().as_ref() };
    let (Some(environment), sys::Status::napi_ok) = (environment, status) else {
        return ptr::null_mut();
    };
    let (mut kind, mut len, mut base) = (0, 0, ptr::null_mut());
    if count == 1 {
        // SAFETY: the value is an argument of the running callback. What is no such view is an
        // error, which leaves the locals as they are.
        let status = unsafe {
            sys::napi_get_typedarray_info(
                env,
                argument,
                &raw mut kind,
                &raw mut len,
                &raw mut base,
                ptr::null_mut(),
                ptr::null_mut(),
            )
        };
        if status != sys::Status::napi_ok || kind != sys::TypedarrayType::uint8_array {
            (len, base) = (0, ptr::null_mut());
        }
    }
    if base.is_null() || len == 0 {
        act(environment, &mut []);
    } else {
        // SAFETY: the view's bytes, of which no JavaScript runs to take them away. `lib/served.js`
        // makes the views, of memory that no other thread has.
        act(environment, unsafe { std::slice::from_raw_parts_mut(base.cast(), len) });
    }
    ptr::null_mut()
}

/// `() => undefined`: answers by the numbers on the board.
unsafe extern "C" fn answer(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `object`.
    unsafe {
        callback(env, info, |environment, _| {
            environment.with_served(|_, serving, board| {
                serving.answer(board, |request, _| answer_of(board, request.op));
            });
        })
    }
}

/// `(view) => undefined`: answers with the first bytes of a view, as many as the board says.
unsafe extern "C" fn answer_bytes(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    // SAFETY: made by `object`.
    unsafe {
        callback(env, info, |environment, bytes| {
            environment.with_served(|instance, serving, board| {
                serving.answer(board, |request, offset| {
                    if let Some(failed) = failed(board) {
                        return failed;
                    }
                    let len = board.whole(9).and_then(|len| usize::try_from(len).ok());
                    let read = len.filter(|len| *len <= request.length);
                    match (read.and_then(|len| bytes.get(..len)), offset) {
                        (Some(read), Some(offset)) if request.op == Op::Read => {
                            let len = u32::try_from(read.len()).unwrap_or(u32::MAX);
                            // SAFETY: JavaScript has handed a live memory over, and waits.
                            match instance.memory().region(offset, len) {
                                Ok(region) => Answer::Number(region.write_at(0, read) as u64),
                                Err(_) => Answer::Failed(Errno::Fault),
                            }
                        }
                        (Some(read), None) if request.op == Op::Read => serving.exchange.copy(read),
                        _ => Answer::Failed(Errno::Io),
                    }
                });
            });
        })
    }
}

/// `(view) => undefined`: copies what is to be written to the beginning of a view.
unsafe extern "C" fn fill(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `object`.
    unsafe {
        callback(env, info, |environment, room| {
            environment.with_served(|_, serving, _| {
                serving.with_pending(|request| {
                    for (to, from) in room.iter_mut().zip(&request.bytes) {
                        *to = *from;
                    }
                });
            });
        })
    }
}

/// `() => undefined`: gives the call up whose request has the ticket on the board.
unsafe extern "C" fn abandon(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    // SAFETY: made by `object`.
    unsafe {
        callback(env, info, |environment, _| {
            environment.with_served(|_, serving, board| serving.abandon(board));
        })
    }
}

/// `{ board, ops, answer, answerBytes, answerText, answerNames, fill, text, abandon, closing
/// }`
pub(super) fn object<'a>(env: &Env, environment: &Rc<AddonInstance>) -> Result<Object<'a>> {
    let mut served = Object::new(env)?;
    let (mut data, mut value, mut reference) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: `env` is live, and the pointers are to locals.
    check_status!(unsafe {
        sys::napi_create_arraybuffer(env.raw(), size_of::<Board>(), &raw mut data, &raw mut value)
    })?;
    // SAFETY: as above; the reference keeps the buffer, and so `data`, alive.
    check_status!(unsafe { sys::napi_create_reference(env.raw(), value, 1, &raw mut reference) })?;
    // SAFETY: `value` is a live value of `env`.
    served.set_named_property("board", unsafe { Unknown::from_napi_value(env.raw(), value) }?)?;
    served.set_named_property("ops", OPS.map(|(_, name)| name).to_vec())?;
    environment.board.set(data);
    let callbacks: [(&str, super::imports::Callback); 4] =
        [("answer", answer), ("answerBytes", answer_bytes), ("fill", fill), ("abandon", abandon)];
    for (name, callback) in callbacks {
        let here = Rc::clone(environment);
        served.set_named_property(name, create_function(env, name, callback, here)?)?;
    }

    // (id, second) => string: the path of the request taken last, or its second text.
    let here = Rc::clone(environment);
    let text = move |call: FunctionCallContext<'_>| {
        let second: bool = call.get(1)?;
        let text = |request: &Request| {
            if second { request.other.clone() } else { request.path.clone() }
        };
        Ok(here.serving(call.get(0)?, |serving| serving.with_pending(text)).flatten())
    };
    served.set_named_property("text", function(env, "text", text)?)?;

    // (id, text) => undefined: answers with the text of a link.
    let here = Rc::clone(environment);
    let answer_text = move |call: FunctionCallContext<'_>| {
        let text: String = call.get(1)?;
        let Some(board) = here.board() else { return Ok(()) };
        here.serving(call.get(0)?, |serving| {
            serving.answer(board, |request, _| match request.op {
                Op::ReadLink => Answer::Text(text),
                _ => Answer::Failed(Errno::Io),
            });
        });
        Ok(())
    };
    served.set_named_property("answerText", function(env, "answerText", answer_text)?)?;

    // (id, names, types, inos) => undefined: answers with the names in a directory, of which each
    // ends in a slash, which none has.
    let here = Rc::clone(environment);
    let answer_names = move |call: FunctionCallContext<'_>| {
        let (names, types): (String, Uint8Array) = (call.get(1)?, call.get(2)?);
        let inos: BigUint64Array = call.get(3)?;
        let listed = names.split_terminator('/').zip(types.iter().zip(inos.iter()));
        let listed = listed.map(|(name, (filetype, ino))| Listed {
            name: name.to_owned(),
            ino: *ino,
            filetype: Filetype::from_value((*filetype).into()).unwrap_or(Filetype::Unknown),
        });
        let Some(board) = here.board() else { return Ok(()) };
        here.serving(call.get(0)?, |serving| {
            serving.answer(board, |request, _| match request.op {
                Op::List => Answer::Names(listed.collect()),
                _ => Answer::Failed(Errno::Io),
            });
        });
        Ok(())
    };
    served.set_named_property("answerNames", function(env, "answerNames", answer_names)?)?;

    // (id) => number[]: the files to be closed: a file system and a file, and so on.
    let here = Rc::clone(environment);
    let closing = move |call: FunctionCallContext<'_>| {
        let files = here.serving(call.get(0)?, |serving| serving.exchange.take_closing());
        #[allow(clippy::cast_precision_loss, reason = "JavaScript gave the number")]
        let pair = |(served, file): (u32, u64)| [f64::from(served), file as f64];
        Ok(files.unwrap_or_default().into_iter().flat_map(pair).collect::<Vec<f64>>())
    };
    served.set_named_property("closing", function(env, "closing", closing)?)?;
    Ok(served)
}

const _: () = assert!(size_of::<Board>() == 8 * PLACES);

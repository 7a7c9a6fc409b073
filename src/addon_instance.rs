//! One environment of JavaScript: its frame, and the instances made in it.

#![allow(unsafe_code, reason = "the frame and guest memories are shared with JavaScript")]

use super::frame::{FRAME_SIZE, Frame};
use super::numbered::Owner;
use super::options::JsStreams;
use super::preview2::Preview2;
use super::waiting::Waits;
use super::{pipes, runs, shared};
use napi::bindgen_prelude::{FromNapiValue, Unknown};
use napi::{Env, Result, check_status, sys};
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::c_void;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{
    AtomicPtr, AtomicUsize,
    Ordering::{AcqRel, Relaxed, Release},
};
use wasi_rs_core::ctx::Ctx;
use wasi_rs_core::host::readiness;
use wasi_rs_core::memory::GuestMemory;

/// An instance as its environment sees it.
pub(super) struct Instance {
    pub(super) ctx: Ctx,
    pub(super) streams: JsStreams,
    base: Cell<*mut u8>,
    len: Cell<usize>,
    preview2: OnceCell<Box<Preview2>>,
}

impl Instance {
    /// The instance's state for 0.2, made on first use, because few instances have any.
    pub(super) fn preview2(&self) -> &Preview2 {
        self.preview2.get_or_init(Box::default)
    }

    /// Where the guest's memory lies.
    pub(super) fn base(&self) -> *mut u8 {
        self.base.get()
    }

    /// The guest's memory.
    ///
    /// # Safety
    /// The memory last set must be alive and not detached for all of `'a`. JavaScript ensures that:
    /// before each call it checks whether its view was detached, and it does not run during a call.
    pub(super) unsafe fn memory<'a>(&self) -> GuestMemory<'a> {
        // SAFETY: the caller's promise.
        unsafe { GuestMemory::from_raw(self.base.get(), self.len.get()) }
    }
}

/// The process's first `napi_env` and its state, while that environment lives. It is nearly always
/// the only one. Checking it first saves `napi_get_cb_info`, a fifth of a short call.
static FIRST: First =
    First { env: AtomicPtr::new(ptr::null_mut()), environment: AtomicPtr::new(ptr::null_mut()) };

struct First {
    env: AtomicPtr<sys::napi_env__>,
    environment: AtomicPtr<AddonInstance>,
}

/// An environment. It belongs to one thread.
pub(super) struct AddonInstance {
    env: sys::napi_env,
    frame: *mut Frame,
    buffer: sys::napi_ref,
    instances: RefCell<Vec<Option<Box<Instance>>>>,
    free: RefCell<Vec<u32>>,
    pub(super) waits: Waits,
    /// Memory that `served.rs` shares with JavaScript, from its first use on.
    pub(super) board: Cell<*mut c_void>,
}

/// How many environments of the process have been made and have not ended.
static LIVING: AtomicUsize = AtomicUsize::new(0);

impl AddonInstance {
    /// Makes the environment's frame. At the end of the environment, its instances are closed.
    pub(super) fn new(env: &Env) -> Result<Rc<Self>> {
        let (mut data, mut value, mut buffer) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is live, and the pointers are to locals.
        check_status!(unsafe {
            sys::napi_create_arraybuffer(env.raw(), FRAME_SIZE, &raw mut data, &raw mut value)
        })?;
        // SAFETY: as above; the reference keeps the buffer, and so `data`, alive.
        check_status!(unsafe { sys::napi_create_reference(env.raw(), value, 1, &raw mut buffer) })?;
        let environment = Rc::new(Self {
            env: env.raw(),
            frame: data.cast(),
            buffer,
            instances: RefCell::default(),
            free: RefCell::default(),
            waits: Waits::default(),
            board: Cell::new(ptr::null_mut()),
        });
        LIVING.fetch_add(1, AcqRel);
        // Its functions may be called until then.
        let ending = Rc::clone(&environment);
        env.add_env_cleanup_hook(ending, |ending| ending.end())?;
        environment.claim_first();
        Ok(environment)
    }

    /// The environment with this name, if it is the first of the process.
    ///
    /// # Safety
    /// Only functions of an environment may ask, by its own name: they run on its thread, and
    /// before its end.
    pub(super) unsafe fn first<'a>(env: sys::napi_env) -> Option<&'a Self> {
        if FIRST.env.load(Relaxed) != env {
            return None;
        }
        // SAFETY: it is alive until its end, where it takes itself out.
        unsafe { FIRST.environment.load(Relaxed).as_ref() }
    }

    /// Makes this the first environment of the process, if there is none.
    fn claim_first(&self) {
        if FIRST.env.load(Relaxed) == self.env {
            // A runtime that loads an addon twice under one name: neither can be told by it.
            FIRST.environment.store(ptr::null_mut(), Relaxed);
        } else if FIRST.env.compare_exchange(ptr::null_mut(), self.env, AcqRel, Relaxed).is_ok() {
            // Only this thread asks for it.
            FIRST.environment.store(ptr::from_ref(self).cast_mut(), Relaxed);
        }
    }

    fn release_first(&self) {
        if FIRST.env.load(Relaxed) == self.env {
            FIRST.environment.store(ptr::null_mut(), Relaxed);
            FIRST.env.store(ptr::null_mut(), Release);
        }
    }

    /// This environment as the owner of what other environments find by numbers.
    pub(super) fn owner(&self) -> Owner {
        // No other environment has its address before this one has ended.
        Owner(ptr::from_ref(self).addr())
    }

    /// The frame as an `ArrayBuffer`.
    pub(super) fn frame_buffer(&self, env: &Env) -> Result<Unknown<'static>> {
        let mut value = ptr::null_mut();
        // SAFETY: the reference was made in `new` and is never deleted.
        check_status!(unsafe {
            sys::napi_get_reference_value(env.raw(), self.buffer, &raw mut value)
        })?;
        // SAFETY: `value` is a live value of `env`.
        unsafe { Unknown::from_napi_value(env.raw(), value) }
    }

    /// The frame, for the length of a call.
    ///
    /// # Safety
    /// The environment's JavaScript must not run while the reference lives.
    pub(super) unsafe fn frame(&self) -> &Frame {
        // SAFETY: the buffer has the frame's size and V8's alignment of at least eight bytes, lives
        // as long as the environment, and is written by JavaScript only, which does not run.
        unsafe { &*self.frame }
    }

    /// Does something with the instance that has a number. Meanwhile no instance is added or
    /// released: that takes JavaScript, which does not run.
    #[inline]
    pub(super) fn with_instance<T>(&self, id: u32, act: impl FnOnce(&Instance) -> T) -> Option<T> {
        let instances = self.instances.try_borrow().ok()?;
        instances.get(usize::try_from(id).ok()?)?.as_deref().map(act)
    }

    /// Adds an instance and leaves in the frame what JavaScript is to know of it.
    fn add(&self, ctx: Ctx, streams: JsStreams) -> u32 {
        let (args, environ) = (ctx.args.sizes(), ctx.environ.sizes());
        let id = self.place(ctx, streams);
        // SAFETY: JavaScript waits for the function that makes the instance.
        unsafe { self.frame() }.set_created(id, args, environ);
        id
    }

    fn place(&self, ctx: Ctx, streams: JsStreams) -> u32 {
        let instance = Some(Box::new(Instance {
            ctx,
            streams,
            base: Cell::new(ptr::null_mut()),
            len: Cell::new(0),
            preview2: OnceCell::new(),
        }));
        let mut instances = self.instances.borrow_mut();
        if let Some(id) = self.free.borrow_mut().pop()
            && let Some(slot) = usize::try_from(id).ok().and_then(|index| instances.get_mut(index))
        {
            *slot = instance;
            return id;
        }
        instances.push(instance);
        u32::try_from(instances.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn release(&self, id: u32) {
        let instance = usize::try_from(id)
            .ok()
            .and_then(|index| self.instances.borrow_mut().get_mut(index).and_then(Option::take));
        if instance.is_some() {
            self.free.borrow_mut().push(id);
        }
        drop(instance);
    }

    /// Closes all descriptors of an instance.
    pub(super) fn close(&self, id: u32) {
        self.with_instance(id, |instance| {
            if let Some(preview2) = instance.preview2.get() {
                preview2.state.close(&instance.ctx);
            }
            instance.ctx.table.close();
        });
    }

    /// Lets other environments attach to an instance, by a number.
    pub(super) fn share(&self, id: u32) -> Option<u32> {
        self.with_instance(id, |instance| shared::add(self.owner(), instance.ctx.share()))
    }

    /// Sets the memory of an instance.
    pub(super) fn set_memory(&self, id: u32, base: *mut u8, len: usize) {
        self.with_instance(id, |instance| {
            instance.base.set(base);
            instance.len.set(len);
        });
    }

    fn end(&self) {
        self.release_first();
        let instances = std::mem::take(&mut *self.instances.borrow_mut());
        drop(instances);
        let owner = self.owner();
        shared::release(owner);
        pipes::release(owner);
        runs::release(owner);
        self.waits.close();
        if LIVING.fetch_sub(1, AcqRel) == 1 {
            // The host may unload this library, and the thread is in its code.
            readiness::stop();
        }
    }
}

/// The owner of an instance. JavaScript keeps it as an external value in the closures of
/// `wasiImport`, and its collection releases the instance with all descriptors.
pub(super) struct Handle {
    environment: Rc<AddonInstance>,
    id: u32,
}

impl Handle {
    pub(super) fn new(environment: &Rc<AddonInstance>, ctx: Ctx, streams: JsStreams) -> Self {
        let id = environment.add(ctx, streams);
        Self { environment: Rc::clone(environment), id }
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.environment.release(self.id);
    }
}

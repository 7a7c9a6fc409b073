//! The least that a sleep of a suspended guest takes: a thread that sleeps by a timer of the kernel
//! and calls a threadsafe function. `suspend.mjs` measures it beside the guest's.
#![cfg(target_os = "linux")]

use napi::Status;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use rustix::io::{read, retry_on_intr};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

type Callback = ThreadsafeFunction<(), (), (), Status, false>;

static SLEEPS: Mutex<Option<Sender<Duration>>> = Mutex::new(None);

/// Starts the thread. The callback is called at the end of each sleep.
#[napi_derive::napi]
pub fn start(callback: Callback) {
    let (sleeps, asked) = channel();
    *SLEEPS.lock().unwrap() = Some(sleeps);
    std::thread::spawn(move || {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::empty()).unwrap();
        let zero = Timespec { tv_sec: 0, tv_nsec: 0 };
        for time in asked {
            let it_value = Timespec::try_from(time).unwrap();
            let once = Itimerspec { it_interval: zero, it_value };
            timerfd_settime(&timer, TimerfdTimerFlags::empty(), &once).unwrap();
            retry_on_intr(|| read(&timer, &mut [0; 8])).unwrap();
            callback.call((), ThreadsafeFunctionCallMode::NonBlocking);
        }
    });
}

/// Lets the thread sleep for so many nanoseconds.
#[napi_derive::napi]
pub fn sleep(ns: f64) {
    if let Some(sleeps) = &*SLEEPS.lock().unwrap() {
        let _ = sleeps.send(Duration::from_secs_f64(ns / 1e9));
    }
}

/// Ends the thread.
#[napi_derive::napi]
pub fn stop() {
    *SLEEPS.lock().unwrap() = None;
}

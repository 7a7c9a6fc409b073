//! Waiting that holds no thread of a guest: one thread of the process waits for all.
//!
//! [`begin`] registers the conditions that one call of a guest waits for, and returns at once. When
//! the first of them comes true, the thread tells the [`Waker`]. Descriptors are duplicated, so the
//! guest and the embedder may use and close theirs meanwhile.
//!
//! The thread is started by the first wait and ends a moment after the last one.

use super::sys::{Handle, Watched};
use super::{Timestamp, monotonic_now};
use polling::{Event, Events, Poller};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The time that the thread stays when nobody waits, in nanoseconds. Without it, a guest that reads
/// piece after piece would start a thread for each.
const LINGER: Timestamp = 20_000_000;

/// The time after which a call looks again where no event tells when it can go on, in nanoseconds.
const NAP: Timestamp = 10_000_000;

/// The receiver of the news that a wait has ended.
pub trait Waker: Send + Sync {
    /// The wait with this token has ended. Called from any thread, without a lock held.
    fn wake(&self, token: u32);
}

/// The host's answer to the request to watch a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watching {
    /// The host tells when the file is ready.
    Watched,
    /// The file is always ready.
    Ready,
    /// The host cannot tell.
    Unknown,
}

/// The reasons for which a call would have to wait.
#[derive(Default)]
pub struct Waiting {
    watched: Vec<Watched>,
    until: Option<Timestamp>,
    ready: bool,
    /// Whether it also waits for what the embedder's stream gives.
    pub input: bool,
    /// Whether it also waits until the embedder's stream has taken what was written.
    pub output: bool,
}

impl Waiting {
    /// Waits for a file.
    pub fn watch(&mut self, handle: Handle<'_>, read: bool, write: bool) {
        match Watched::new(handle, read, write) {
            Ok(watched) => self.watched.push(watched),
            Err(Watching::Ready) => self.ready = true,
            Err(Watching::Watched | Watching::Unknown) => self.nap(),
        }
    }

    /// Waits until a time of the monotonic clock, in nanoseconds.
    pub fn until(&mut self, time: Timestamp) {
        self.until = Some(self.until.map_or(time, |until| until.min(time)));
    }

    /// Looks again soon.
    pub fn nap(&mut self) {
        self.until(monotonic_now().saturating_add(NAP));
    }

    /// Whether it waits for something of the host.
    #[must_use]
    pub fn is_for_host(&self) -> bool {
        self.ready || self.until.is_some() || !self.watched.is_empty()
    }
}

/// A wait that the thread knows.
struct Entry {
    watched: Vec<Watched>,
    until: Option<Timestamp>,
    poller: Arc<Poller>,
    token: u32,
    waker: Arc<dyn Waker>,
}

impl Entry {
    /// Whether something that is watched is ready now.
    fn is_ready(&self) -> bool {
        self.watched.iter().any(Watched::is_ready)
    }

    fn forget(self) {
        for watched in self.watched {
            watched.remove(&self.poller);
        }
    }

    fn finish(self) {
        let (waker, token) = (Arc::clone(&self.waker), self.token);
        self.forget();
        waker.wake(token);
    }
}

struct Running {
    poller: Arc<Poller>,
    thread: JoinHandle<()>,
}

struct State {
    waits: BTreeMap<usize, Entry>,
    timers: BTreeSet<(Timestamp, usize)>,
    /// The token of the last wait. Tokens are not used again, so an event for a wait that was given
    /// up finds nothing.
    last: usize,
    running: Option<Running>,
    /// A thread that has ended or is about to end.
    ended: Option<JoinHandle<()>>,
    /// The time at which the thread looks next by itself.
    looks_at: Timestamp,
}

static STATE: Mutex<State> = Mutex::new(State {
    waits: BTreeMap::new(),
    timers: BTreeSet::new(),
    last: 0,
    running: None,
    ended: None,
    looks_at: 0,
});

fn lock() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl State {
    /// Takes a wait out.
    fn take(&mut self, id: usize) -> Option<Entry> {
        let entry = self.waits.remove(&id)?;
        if let Some(until) = entry.until {
            self.timers.remove(&(until, id));
        }
        Some(entry)
    }

    /// The poller of the thread, which is started if there is none.
    fn poller(&mut self) -> Option<Arc<Poller>> {
        if let Some(running) = &self.running {
            return Some(Arc::clone(&running.poller));
        }
        if let Some(ended) = self.ended.take() {
            // The thread holds no lock any more.
            let _ = ended.join();
        }
        let poller = Arc::new(Poller::new().ok()?);
        let own = Arc::clone(&poller);
        // The thread begins by taking the lock, which is held here.
        let thread =
            thread::Builder::new().name("wasi-rs wait".into()).spawn(move || run(&own)).ok()?;
        self.looks_at = 0;
        self.running = Some(Running { poller: Arc::clone(&poller), thread });
        Some(poller)
    }

    /// A number that no event can have: `usize::MAX` is the poller's own.
    fn next_id(&mut self) -> usize {
        loop {
            self.last = self.last.wrapping_add(1);
            if self.last != usize::MAX && !self.waits.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

/// A wait that has begun. Dropping it gives the wait up.
#[derive(Debug)]
pub struct Ticket(usize);

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = lock();
        let Some(entry) = state.take(self.0) else { return };
        let now = monotonic_now();
        // The thread is to find out that nobody waits any more, or it would stay for good.
        let is_last = state.waits.is_empty() && state.looks_at > now.saturating_add(LINGER);
        if is_last {
            state.looks_at = now;
        }
        drop(state);
        if is_last {
            // If the poller cannot be told, the thread looks when the next wait begins.
            let _ = entry.poller.notify();
        }
        entry.forget();
    }
}

/// Begins a wait, and tells the waker when its first condition comes true: perhaps before this
/// returns. `None`: the host has no room for another descriptor or thread.
#[must_use]
pub fn begin(waiting: Waiting, token: u32, waker: Arc<dyn Waker>) -> Option<Ticket> {
    let mut state = lock();
    let poller = state.poller()?;
    let id = state.next_id();
    let mut until = waiting.until;
    let mut is_ready = waiting.ready;
    let mut kept = Vec::with_capacity(waiting.watched.len());
    for watched in waiting.watched {
        match watched.add(&poller, id) {
            Watching::Watched => kept.push(watched),
            Watching::Ready => is_ready = true,
            Watching::Unknown => {
                let nap = monotonic_now().saturating_add(NAP);
                until = Some(until.map_or(nap, |until| until.min(nap)));
            }
        }
    }
    let entry = Entry { watched: kept, until, poller, token, waker };
    if is_ready {
        drop(state);
        entry.finish();
        return Some(Ticket(id));
    }
    let poller = Arc::clone(&entry.poller);
    state.waits.insert(id, entry);
    let mut is_next = false;
    if let Some(until) = until {
        state.timers.insert((until, id));
        is_next = until < state.looks_at;
    }
    drop(state);
    if is_next {
        // It fails if the poller cannot be told, and then it looks when it would have anyway.
        let _ = poller.notify();
    }
    Some(Ticket(id))
}

/// Ends the thread, if there is one, and waits for its end, because nobody will wait any more.
/// The thread stays if there is a wait: another environment began it after the caller had found
/// that it was the last one.
pub fn stop() {
    let (running, ended) = {
        let mut state = lock();
        if !state.waits.is_empty() {
            return;
        }
        (state.running.take(), state.ended.take())
    };
    if let Some(Running { poller, thread }) = running {
        let _ = poller.notify();
        let _ = thread.join();
    }
    if let Some(ended) = ended {
        let _ = ended.join();
    }
}

/// The thread.
fn run(poller: &Arc<Poller>) {
    let mut events = Events::new();
    let mut is_idle = false;
    loop {
        let mut due = Vec::new();
        let timeout = {
            let mut state = lock();
            let is_own = |running: &Running| Arc::ptr_eq(&running.poller, poller);
            if !state.running.as_ref().is_some_and(is_own) {
                return;
            }
            let now = monotonic_now();
            while let Some((until, id)) = state.timers.first().copied()
                && until <= now
            {
                due.extend(state.take(id));
            }
            let timeout = if !state.waits.is_empty() {
                is_idle = false;
                state.timers.first().map(|(until, _)| until.saturating_sub(now))
            } else if is_idle && due.is_empty() {
                let running = state.running.take();
                state.ended = running.map(|running| running.thread);
                return;
            } else {
                is_idle = true;
                Some(LINGER)
            };
            state.looks_at = timeout.map_or(Timestamp::MAX, |timeout| now.saturating_add(timeout));
            timeout
        };
        for entry in due {
            entry.finish();
        }
        events.clear();
        if poller.wait(&mut events, timeout.map(Duration::from_nanos)).is_err() {
            // The kernel has no memory, so asking again at once would not help.
            thread::sleep(Duration::from_nanos(NAP));
        }
        let came: Vec<Entry> = {
            let mut state = lock();
            let is_nothing = |state: &State, event: &Event| {
                // It may be told of for urgent data alone, which lets no call go on.
                event.is_priority()
                    && state.waits.get(&event.key).is_some_and(|entry| !entry.is_ready())
            };
            let mut taken = Vec::new();
            for event in events.iter() {
                if !is_nothing(&state, &event) {
                    taken.extend(state.take(event.key));
                }
            }
            taken
        };
        for entry in came {
            entry.finish();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    struct Channel(Mutex<Sender<(u32, Timestamp)>>);

    impl Waker for Channel {
        fn wake(&self, token: u32) {
            let _ = self.0.lock().unwrap().send((token, monotonic_now()));
        }
    }

    fn channel_waker() -> (Arc<dyn Waker>, Receiver<(u32, Timestamp)>) {
        let (sender, receiver) = channel();
        (Arc::new(Channel(Mutex::new(sender))), receiver)
    }

    fn sleep_until(time: Timestamp) -> Waiting {
        let mut waiting = Waiting::default();
        waiting.until(time);
        waiting
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_timer_is_never_early_however_short_it_is() {
        let (waker, woken) = channel_waker();
        // Around the linger, too: a wait that begins while the thread is about to end.
        for (token, ns) in (0..400_u32).zip([0, 1_000, 70_000, 900_000, 20_000_000].iter().cycle())
        {
            let until = monotonic_now() + ns;
            let _ticket = begin(sleep_until(until), token, Arc::clone(&waker)).unwrap();
            let (told, at) = woken.recv_timeout(PATIENCE).unwrap();
            assert_eq!(told, token);
            assert!(at >= until, "{} ns early", until - at);
        }
    }

    #[test]
    fn a_wait_outlasts_the_end_of_one_who_was_the_last() {
        let (waker, woken) = channel_waker();
        let ticket = begin(sleep_until(monotonic_now() + 30_000_000), 4, waker).unwrap();
        stop();
        assert_eq!(woken.recv_timeout(PATIENCE).unwrap().0, 4);
        drop(ticket);
    }

    #[test]
    fn what_is_given_up_is_not_told_of() {
        let (waker, woken) = channel_waker();
        let now = monotonic_now();
        let early = begin(sleep_until(now + 30_000_000), 1, Arc::clone(&waker)).unwrap();
        let late = begin(sleep_until(now + 60_000_000), 2, Arc::clone(&waker)).unwrap();
        drop(early);
        assert_eq!(woken.recv_timeout(PATIENCE).unwrap().0, 2);
        drop(late);
        assert!(woken.recv_timeout(Duration::from_millis(20)).is_err());
    }

    #[cfg(unix)]
    mod unix {
        use super::*;
        use std::io::Write;
        use std::os::fd::AsFd;

        fn read(file: &impl AsFd) -> Waiting {
            let mut waiting = Waiting::default();
            waiting.watch(file.as_fd(), true, false);
            waiting
        }

        #[test]
        fn two_wait_for_one_pipe_and_both_are_told() {
            let (waker, woken) = channel_waker();
            let (reader, mut writer) = std::io::pipe().unwrap();
            let tickets = [1, 2].map(|token| begin(read(&reader), token, Arc::clone(&waker)));
            assert!(woken.recv_timeout(Duration::from_millis(20)).is_err());
            writer.write_all(b"x").unwrap();
            let mut told = [0; 2].map(|_| woken.recv_timeout(PATIENCE).unwrap().0);
            told.sort_unstable();
            assert_eq!(told, [1, 2]);
            drop(tickets);
        }

        #[test]
        fn a_descriptor_that_is_closed_meanwhile_is_still_watched() {
            let (waker, woken) = channel_waker();
            let (reader, writer) = std::io::pipe().unwrap();
            let ticket = begin(read(&reader), 7, waker);
            drop(reader);
            drop(writer);
            assert_eq!(woken.recv_timeout(PATIENCE).unwrap().0, 7);
            drop(ticket);
        }

        #[test]
        fn urgent_data_wakes_nobody() {
            use rustix::net::SendFlags;
            use std::net::{TcpListener, TcpStream};

            let (waker, woken) = channel_waker();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, _) = listener.accept().unwrap();
            for before in [true, false] {
                let begun = (!before).then(|| begin(read(&socket), 5, Arc::clone(&waker)));
                assert_eq!(rustix::net::send(&peer, b"!", SendFlags::OOB), Ok(1));
                let begun = begun.unwrap_or_else(|| begin(read(&socket), 5, Arc::clone(&waker)));
                assert!(woken.recv_timeout(Duration::from_millis(50)).is_err(), "{before}");
                peer.write_all(b"text").unwrap();
                assert_eq!(woken.recv_timeout(PATIENCE).unwrap().0, 5);
                drop(begun);
                // All that can be read, and what was urgent once.
                let mut room = [0; 64];
                socket.set_nonblocking(true).unwrap();
                while rustix::io::read(&socket, &mut room).is_ok() {}
            }
        }

        #[test]
        #[cfg(target_os = "linux")]
        fn a_file_is_ready_at_once() {
            let (waker, woken) = channel_waker();
            let file = std::fs::File::open("/proc/self/exe").unwrap();
            let start = std::time::Instant::now();
            let _ticket = begin(read(&file), 3, waker).unwrap();
            assert_eq!(woken.recv_timeout(PATIENCE).unwrap().0, 3);
            assert!(start.elapsed() < Duration::from_secs(5));
        }
    }
}

//! Writing what was changed above to the directory below.
//!
//! New content is staged first: whole, beside the place where it is to be, under a name that
//! nothing has. If room or a right is lacking, staging fails, and all staged files are removed
//! again. Then each is renamed to its place, and what the guest removed is removed below.
//!
//! A file with several names is written where it lies, so that they stay its own. What it holds is
//! staged as a copy, and put back if a write fails; such files come first, so that nothing else was
//! done then.

use super::super::file::Body;
use super::super::names::{Id, Inode, name_charge};
use super::super::{Change, Changed};
use super::below::{
    DIRECTORY, Handle, Identity, LowerDir, Merged, Origin, identity, one, open_regular,
};
use super::changes::{New, Step};
use super::names::{Met, State};
use super::{Dir, Overlay};
use crate::abi::{Errno, Fdflags, Filestat, Filetype, Whence};
use crate::host::pieces::each_piece;
use crate::host::{File, OpenOptions, Opened, Result, SetTime, SetTimes};
use crate::memory::Region;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

/// How many names are tried that nothing is to have.
const TRIES: u32 = 1000;

/// The device and serial number of what is not there.
const NO_FILE: Identity = (0, 0);

/// The permissions of a directory's owner, so that the directory can be filled.
const OWNER: u32 = 0o700;

/// Permissions that a file keeps. Those to run as another user are not among them.
const MODE: u32 = 0o777;

/// Why changes were not written, or not all of them.
#[derive(Debug)]
pub struct CommitError {
    /// The errno of the step that failed.
    pub errno: Errno,
    /// Where.
    pub path: String,
    /// The changes that were written before. Mostly none, because the plan is checked first.
    pub done: Vec<Change>,
    /// Copies of what files with several names held that could neither be written nor put back, and
    /// what was to get another name and is nowhere else. Mostly none.
    pub kept: Vec<String>,
}

/// Something that is ready to be put in its place.
struct Staged {
    /// The directory that it is in, and its name there.
    dir: Arc<LowerDir>,
    temporary: Vec<u8>,
    /// The steps that are done with it: the first is its own, the others lie in it.
    steps: Vec<usize>,
    /// The files in it, by their paths from it, as far as they were made.
    made: Vec<(Vec<u8>, Filetype)>,
}

/// A file with several names below, which is written where it lies so that they stay its own.
struct InPlace {
    /// The step that it is written for.
    step: usize,
    /// The steps that are done with it: those about names that the file has below.
    own: Vec<usize>,
    /// Where the file lies below, which need not be where it is now.
    dir: Arc<LowerDir>,
    name: Box<[u8]>,
    file: Box<dyn File>,
    old: Filestat,
    /// The copy of what it holds, unless its bytes stay.
    copy: Option<Staged>,
    /// How many of its bytes were written, and whether others were cut off.
    written: u64,
    is_cut: bool,
}

/// The steps of a commit, by their numbers.
#[derive(Default)]
struct Plan {
    staged: Vec<Staged>,
    in_place: Vec<InPlace>,
}

/// What a commit that fails leaves below, beside the steps that are done.
#[derive(Default)]
struct Undone {
    /// The files that were written under names that they have no more.
    moved: Vec<Change>,
    /// Copies of files that could not be put back, or that have no other name.
    kept: Vec<String>,
}

type Failed = (Errno, usize);

/// What is known of the steps that were noted.
#[derive(Default)]
struct Settled<'a> {
    /// Whether all chosen steps were taken.
    is_whole: bool,
    /// Directories that were made, by their paths.
    made: BTreeMap<&'a [u8], Arc<LowerDir>>,
    /// Files of several names that had a name which is theirs no more.
    removed: BTreeSet<Identity>,
    /// Directories in which a step was taken.
    touched: Vec<Arc<LowerDir>>,
    /// Symbolic links that were written, by their places.
    links: BTreeSet<usize>,
    /// The nodes of directories that are not in their places, by their paths.
    nodes: BTreeMap<&'a [u8], Option<Id>>,
}

/// Steps being taken.
struct Commit<'a> {
    state: &'a mut State,
    steps: &'a [Step],
    /// Which of them are to be taken.
    chosen: &'a [bool],
    /// The files of bodies that have several names: staged ones, and those that are written where
    /// they lie.
    links: BTreeMap<usize, (Handle, Vec<u8>, Option<Identity>)>,
    names: u32,
}

impl Overlay {
    /// Writes what differs to the directory below: all of it, or what is at `within` or below. From
    /// then on it differs no more. The directories on the way to `within` are made.
    ///
    /// A file is replaced whole, so that another process sees the old one or the new one, unless it
    /// has several names there. It keeps its permissions. What was only renamed is linked to its
    /// new name, where the host can do that.
    ///
    /// # Errors
    /// With what was done so far, which is nothing unless the host's directory changes meanwhile or
    /// the host fails.
    /// - `busy`: a file or directory is to be removed or replaced that was renamed, or written in,
    ///   and the new name does not lie within.
    pub fn commit(
        &self,
        within: &str,
        room: &mut usize,
    ) -> std::result::Result<Vec<Change>, CommitError> {
        let layers = self.inner.layers();
        let mut state = layers.state();
        let refuse = |errno| CommitError {
            errno,
            path: within.to_owned(),
            done: Vec::new(),
            kept: Vec::new(),
        };
        let steps = state.steps(&self.inner.top, room).map_err(refuse)?;
        let chosen: Vec<bool> =
            (0..steps.len()).map(|at| is_chosen(&steps, at, within.as_bytes())).collect();
        for step in steps.iter().zip(&chosen).filter(|(_, chosen)| **chosen).map(|(step, _)| step) {
            // A directory that a descriptor has open is moved, not removed and made again.
            if let Some(New::Directory(Dir::Below(lower))) = &step.new
                && lower.opens() > 0
            {
                state.raise_directory(&Dir::Below(Arc::clone(lower))).map_err(refuse)?;
            }
        }
        // Before a byte of them is read: descriptors may write them meanwhile.
        let versions = state.versions(&steps, &chosen);
        let links = BTreeMap::new();
        let mut commit =
            Commit { state: &mut state, steps: &steps, chosen: &chosen, links, names: 0 };
        let mut done = BTreeSet::new();
        let mut undone = Undone::default();
        let result = commit.run(&mut done, &mut undone);
        let changes = || -> Vec<Change> {
            done.iter().filter_map(|at| steps.get(*at)).map(|step| step.change("")).collect()
        };
        let is_whole = result.is_ok();
        let settled =
            state.settle(&self.inner.top, (&steps, &chosen), (&done, &versions), is_whole);
        match result.and(settled) {
            Ok(()) => Ok(changes()),
            Err((errno, at)) => Err(CommitError {
                errno,
                path: steps.get(at).map(|step| step.change("").path).unwrap_or_default(),
                done: [changes(), undone.moved].concat(),
                kept: undone.kept,
            }),
        }
    }
}

/// Whether a path is another or lies below it.
fn is_below(path: &[u8], other: &[u8]) -> bool {
    path.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether a step is taken: it lies within, or makes a directory on the way there. What the guest
/// has removed on the way has more in it than what lies within.
fn is_chosen(steps: &[Step], at: usize, within: &[u8]) -> bool {
    let Some(step) = steps.get(at) else { return false };
    if within.is_empty() || is_below(&step.path, within) {
        return true;
    }
    let makes_directory = |step: &Step| matches!(step.new, Some(New::Directory(_)));
    // What was in a directory's place is removed right before it is made.
    let next = steps.get(at.saturating_add(1)).filter(|next| next.path == step.path);
    is_below(within, &step.path) && (makes_directory(step) || next.is_some_and(makes_directory))
}

/// Whether all steps are taken that lie in a directory. They are sorted, so they stand together.
fn is_complete(steps: &[Step], path: &[u8], is_taken: impl Fn(usize) -> bool) -> bool {
    let prefix = [path, b"/"].concat();
    let first = steps.partition_point(|step| *step.path < *prefix);
    steps
        .iter()
        .enumerate()
        .skip(first)
        .take_while(|(_, step)| step.path.starts_with(&prefix))
        .all(|(at, step)| step.is_replaced || is_taken(at))
}

impl<'a> Commit<'a> {
    fn step(&self, at: usize) -> Result<&'a Step> {
        self.steps.get(at).ok_or(Errno::Io)
    }

    /// The steps that are to be taken, with their numbers.
    fn chosen(&self) -> impl DoubleEndedIterator<Item = (usize, &'a Step)> + use<'a> {
        let steps = self.steps.iter().zip(self.chosen).enumerate();
        steps
            .filter(|(_, (step, chosen))| **chosen && !step.is_replaced)
            .map(|(at, (step, _))| (at, step))
    }

    fn run(
        &mut self,
        done: &mut BTreeSet<usize>,
        undone: &mut Undone,
    ) -> std::result::Result<(), Failed> {
        let mut plan = Plan::default();
        let planned = self.plan(&mut plan);
        let is_planned = planned.is_ok();
        let result = planned.and_then(|()| self.act(&mut plan, done, undone));
        // Staged files that were not put in their places are removed, and copies that nobody needs.
        for staged in &plan.staged {
            if is_planned && self.is_only_copy(staged) {
                undone.kept.push(staged.dir.path_of(&staged.temporary));
            } else {
                unstage(staged);
            }
        }
        plan.in_place.iter().filter_map(InPlace::copy).for_each(unstage);
        result
    }

    /// Whether something staged was below, and is not where it was: that was replaced or removed.
    fn is_only_copy(&self, staged: &Staged) -> bool {
        staged.steps.iter().filter_map(|at| self.steps.get(*at)).any(|step| match &step.new {
            Some(New::Below(lower, stat)) if stat.filetype == Filetype::RegularFile => {
                let is_it = |now: &Filestat| identity(now) == identity(stat);
                !lower.stat(step.name()).is_ok_and(|now| now.as_ref().is_some_and(is_it))
            }
            Some(New::Above(id)) => {
                matches!(
                    self.state.names.inode(*id),
                    Ok(Inode::File(body))
                        if body.is_below() && body.with_origin(Origin::is_there) == Some(false)
                )
            }
            _ => false,
        })
    }

    fn plan(&mut self, plan: &mut Plan) -> std::result::Result<(), Failed> {
        self.check_sources()?;
        // First, because other steps may be about further names of these files.
        let mut bodies = BTreeMap::new();
        for (at, step) in self.chosen() {
            self.plan_in_place(step, at, plan, &mut bodies).map_err(|errno| (errno, at))?;
        }
        let is_written: BTreeSet<usize> =
            plan.in_place.iter().flat_map(|file| &file.own).copied().collect();
        let mut tried = BTreeSet::new();
        for (at, step) in self.chosen().filter(|(at, _)| !is_written.contains(at)) {
            let failed = |errno| (errno, at);
            // Entries of a new directory are staged with the directory.
            let Some(dir) = &step.dir else { continue };
            if step.changed == Changed::Removed {
                if tried.insert(Arc::as_ptr(dir)) {
                    self.try_directory(dir).map_err(failed)?;
                }
                continue;
            }
            tried.insert(Arc::as_ptr(dir));
            plan.staged.push(Staged {
                dir: Arc::clone(dir),
                temporary: Vec::new(),
                steps: vec![at],
                made: Vec::new(),
            });
            if let Some(staged) = plan.staged.last_mut() {
                self.stage(staged, at)?;
            }
        }
        Ok(())
    }

    /// Refuses to remove or replace what is read from another path that is not written now:
    /// something was renamed, and only its old name is chosen.
    fn check_sources(&self) -> std::result::Result<(), Failed> {
        type Place = (*const LowerDir, Box<[u8]>);

        if self.chosen.iter().all(|chosen| *chosen) {
            return Ok(());
        }
        let place = |dir: &Arc<LowerDir>, name: &[u8]| -> Place { (Arc::as_ptr(dir), name.into()) };
        let mut sources = BTreeSet::new();
        for (step, chosen) in self.steps.iter().zip(self.chosen) {
            match &step.new {
                Some(New::Directory(Dir::Below(lower))) => {
                    let is_taken = |at: usize| self.chosen.get(at) == Some(&true);
                    if !(*chosen && is_complete(self.steps, &step.path, is_taken))
                        && let Some((dir, name)) = lower.parent()
                    {
                        sources.insert(place(dir, name));
                    }
                }
                Some(New::Below(dir, _)) if !chosen => {
                    sources.insert(place(dir, step.name()));
                }
                Some(New::Above(id)) if !chosen => {
                    // A copy that is above has its permissions there, and may not be changed.
                    if let Ok(Inode::File(body)) = self.state.names.inode(*id)
                        && let Some(Some(source)) = body.with_origin(|origin| {
                            let (dir, name) = origin.place().ok()?;
                            (body.is_below() || origin.is_last(&dir, name))
                                .then(|| place(&dir, name))
                        })
                    {
                        sources.insert(source);
                    }
                }
                _ => {}
            }
        }
        let chosen = self.steps.iter().zip(self.chosen).enumerate();
        for (at, (step, _)) in chosen.filter(|(_, (_, chosen))| **chosen) {
            let (Some(dir), Some(old)) = (&step.dir, &step.old) else { continue };
            let has_moved = || {
                let parents = std::iter::successors(dir.parent(), |(dir, _)| dir.parent());
                parents.into_iter().any(|(dir, name)| sources.contains(&place(dir, name)))
            };
            // What is written in the place of a directory would be found in that one, too, which
            // the guest has moved.
            if sources.contains(&place(dir, step.name()))
                || !step.is_replaced
                    && !self.is_own(step, old)
                    && self.state.is_seen(dir, step.name())
                    && has_moved()
            {
                return Err((Errno::Busy, at));
            }
        }
        Ok(())
    }

    /// Whether a step is about a name of a file of several names, which keeps it.
    fn is_own(&self, step: &Step, old: &Filestat) -> bool {
        let Some(New::Above(id)) = &step.new else { return false };
        let Ok(Inode::File(body)) = self.state.names.inode(*id) else { return false };
        self.state.alias_body(identity(old)).is_some_and(|other| Arc::ptr_eq(&other, body))
    }

    /// Plans to write the file of a step where it lies, if it has several names below.
    fn plan_in_place(
        &mut self,
        step: &Step,
        at: usize,
        plan: &mut Plan,
        bodies: &mut BTreeMap<usize, usize>,
    ) -> Result<()> {
        let Some(New::Above(id)) = &step.new else { return Ok(()) };
        let Inode::File(body) = self.state.names.inode(*id)? else { return Ok(()) };
        let body = Arc::clone(body);
        let Some(known) = body.with_origin(|origin| origin.identity) else { return Ok(()) };
        let is_own = step.changed == Changed::Modified
            && step.dir.as_ref().zip(step.old.as_ref()).is_some_and(|(dir, old)| {
                body.with_origin(|origin| origin.is_at(dir, step.name(), old)) == Some(true)
            });
        let key = Arc::as_ptr(&body).addr();
        if let Some(planned) = bodies.get(&key) {
            if is_own && let Some(file) = plan.in_place.get_mut(*planned) {
                file.own.push(at);
            }
            return Ok(());
        }
        let place = match &step.dir {
            Some(dir) if is_own => Some((Arc::clone(dir), step.name().into())),
            // The file has another name now, but those that it had below are to show the same.
            _ if body.is_changed() => body
                .with_origin(|origin| origin.place().ok().map(|(dir, name)| (dir, name.into())))
                .flatten(),
            _ => None,
        };
        let Some((dir, name)) = place else { return Ok(()) };
        let Some(mut file) = self.open_in_place(&body, known, (dir, name), at, is_own)? else {
            return Ok(());
        };
        if is_own {
            file.own.push(at);
        }
        self.links.insert(key, (file.dir.handle()?, file.name.to_vec(), Some(known)));
        bodies.insert(key, plan.in_place.len());
        plan.in_place.push(file);
        Ok(())
    }

    /// The file below, if it has several names there. `is_own`: it must be there.
    fn open_in_place(
        &mut self,
        body: &Body,
        known: Identity,
        (dir, name): (Arc<LowerDir>, Box<[u8]>),
        step: usize,
        is_own: bool,
    ) -> Result<Option<InPlace>> {
        let is_it = |stat: &Filestat| {
            body.with_origin(|origin| origin.is_at(&dir, &name, stat)) == Some(true)
        };
        match dir.stat(&name) {
            // Its one name is written anew, or is to be removed.
            Ok(Some(stat))
                if stat.nlink < 2
                    && (is_own || !self.is_another_name(&dir, &name))
                    && is_it(&stat) =>
            {
                return Ok(None);
            }
            Ok(Some(stat)) if is_it(&stat) => {}
            // What is above is all that there is of it.
            _ if !is_own => return Ok(None),
            Ok(None) => return Err(Errno::Noent),
            Ok(Some(_)) => return Err(Errno::Stale),
            Err(errno) => return Err(errno),
        }
        // A file that only got new times has its bytes below.
        let keeps_bytes = body.is_below();
        let handle = dir.handle()?;
        let options = OpenOptions { read: false, write: true, ..OpenOptions::READ };
        let file = match handle.open(one(&name), options) {
            Ok(Opened::File(file)) => file,
            // Another process has put a directory or a link there.
            Ok(Opened::Directory(_)) | Err(Errno::Loop) => return Err(Errno::Stale),
            Err(errno) => return Err(errno),
        };
        let old = file.filestat()?;
        if identity(&old) != known {
            return Err(Errno::Stale);
        }
        let copy = if keeps_bytes {
            None
        } else {
            let from = (&dir, &*name);
            let temporary =
                self.make(|_, name| copy_lower(&handle, name, from, &old, |_| Ok(())))?;
            let made = vec![(Vec::new(), Filetype::RegularFile)];
            Some(Staged { dir: Arc::clone(&dir), temporary, steps: Vec::new(), made })
        };
        let own = Vec::new();
        Ok(Some(InPlace { step, own, dir, name, file, old, copy, written: 0, is_cut: false }))
    }

    /// Whether a name below is one more of a file that has a place above. An earlier commit may
    /// have removed all others that it had there.
    fn is_another_name(&self, dir: &Arc<LowerDir>, name: &[u8]) -> bool {
        matches!(self.state.meet(&Dir::Below(Arc::clone(dir)), name), Ok(Met::Alias(_)))
    }

    /// A name that nothing is to have.
    fn temporary(&mut self) -> Vec<u8> {
        self.names = self.names.saturating_add(1);
        format!(".wasi-rs-{}-{}", std::process::id(), self.names).into_bytes()
    }

    /// Makes something under a name that nothing has, and says which.
    fn make(&mut self, mut make: impl FnMut(&mut Self, &[u8]) -> Result<()>) -> Result<Vec<u8>> {
        for _ in 0..TRIES {
            let name = self.temporary();
            match make(self, &name) {
                Err(Errno::Exist) => {}
                made => return made.map(|()| name),
            }
        }
        Err(Errno::Exist)
    }

    /// Whether names can be removed from a directory.
    fn try_directory(&mut self, dir: &Arc<LowerDir>) -> Result<()> {
        let handle = dir.handle()?;
        let name = self.make(|_, name| handle.create_directory(one(name)))?;
        handle.remove_directory(one(&name))
    }

    fn stage(&mut self, staged: &mut Staged, at: usize) -> std::result::Result<(), Failed> {
        let failed = |errno| (errno, at);
        let step = self.step(at).map_err(failed)?;
        let handle = staged.dir.handle().map_err(failed)?;
        let temporary =
            self.make(|commit, name| commit.write(&handle, name, step)).map_err(failed)?;
        staged.made.push((Vec::new(), step.filetype));
        staged.temporary = temporary;
        if step.filetype != Filetype::Directory {
            return Ok(());
        }
        let opened = handle.open(one(&staged.temporary), DIRECTORY).map_err(failed)?;
        let Opened::Directory(inside) = opened else { return Err(failed(Errno::Notdir)) };
        let inside: Handle = Arc::from(inside);
        let prefix = [&*step.path, b"/"].concat();
        // Sorted, all that lies in it stands together.
        let first = self.steps.partition_point(|step| *step.path < *prefix);
        for (at, step) in self.chosen().skip_while(|(at, _)| *at < first) {
            let Some(rest) = step.path.strip_prefix(&*prefix) else { break };
            if step.changed == Changed::Removed {
                continue;
            }
            self.write(&inside, rest, step).map_err(|errno| (errno, at))?;
            staged.made.push((rest.to_vec(), step.filetype));
            staged.steps.push(at);
        }
        Ok(())
    }

    /// Makes what a step is about at a path in a directory.
    fn write(&mut self, dir: &Handle, path: &[u8], step: &Step) -> Result<()> {
        match step.new.as_ref().ok_or(Errno::Io)? {
            New::Directory(now) => {
                dir.create_directory(one(path))?;
                let mode = match now {
                    Dir::Below(lower) => lower.handle_if_there()?.and_then(|lower| lower.mode()),
                    Dir::Node(_) => None,
                };
                let Some(mode) = mode else { return Ok(()) };
                match dir.open(one(path), DIRECTORY)? {
                    Opened::Directory(made) => made.set_mode(mode & MODE | OWNER),
                    Opened::File(_) => Err(Errno::Notdir),
                }
            }
            New::Below(lower, stat) => match stat.filetype {
                Filetype::SymbolicLink => dir.symlink(&lower.link_text(step.name())?, one(path)),
                Filetype::RegularFile => {
                    put_lower(dir, path, (lower, step.name()), stat, |_| Ok(()))
                }
                _ => Err(Errno::Notsup),
            },
            New::Above(id) => {
                let body = match self.state.names.inode(*id)? {
                    Inode::Directory(_) => return Err(Errno::Io),
                    Inode::Link(link) => return dir.symlink(&link.text, one(path)),
                    Inode::File(body) => Arc::clone(body),
                };
                let key = Arc::as_ptr(&body).addr();
                if let Some((first, name, known)) = self.links.get(&key)
                    && link_same(dir, path, (first, name), *known) == Ok(true)
                {
                    return Ok(());
                }
                write_body(dir, path, &body, step.old.is_some().then_some(step))?;
                if body.filestat().nlink > 1 {
                    self.links.insert(key, (Arc::clone(dir), path.to_vec(), None));
                }
                Ok(())
            }
        }
    }

    fn act(
        &mut self,
        plan: &mut Plan,
        done: &mut BTreeSet<usize>,
        undone: &mut Undone,
    ) -> std::result::Result<(), Failed> {
        self.write_all_in_place(plan, &mut undone.kept)?;
        // The directory that holds a copy may be removed now.
        plan.in_place.iter_mut().filter_map(|file| file.copy.take()).for_each(|copy| {
            unstage(&copy);
        });
        done.extend(plan.in_place.iter().flat_map(|file| &file.own));
        undone.moved = plan
            .in_place
            .iter()
            .filter(|file| file.own.is_empty())
            .map(|file| Change {
                changed: Changed::Modified,
                path: file.dir.path_of(&file.name),
                filetype: Filetype::RegularFile,
            })
            .collect();
        // A file in the place of one of another kind is removed first, with all that is in it.
        let replaced: BTreeSet<&[u8]> = self
            .chosen()
            .filter(|(_, step)| step.changed == Changed::Added && step.old.is_some())
            .map(|(_, step)| &*step.path)
            .collect();
        let is_first = |path: &[u8]| {
            let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            let mut above = ends.filter_map(|(end, _)| path.get(..end));
            replaced.contains(path) || above.any(|path| replaced.contains(path))
        };
        let remove = |first: bool, done: &mut BTreeSet<usize>| {
            for (at, step) in self.chosen().rev() {
                if step.changed == Changed::Removed && is_first(&step.path) == first {
                    remove_below(step).map_err(|errno| (errno, at))?;
                    done.insert(at);
                }
            }
            Ok(())
        };
        // What is new comes first: it may be what others replace, under another name.
        plan.staged.sort_by_key(|staged| self.is_new(staged));
        self.put_staged(plan, done, |staged| self.is_new(staged))?;
        remove(true, done)?;
        self.put_staged(plan, done, |_| true)?;
        remove(false, done)
    }

    /// Whether nothing has the name of something staged.
    fn is_new(&self, staged: &Staged) -> bool {
        staged.first().and_then(|at| self.steps.get(at)).is_some_and(|step| step.old.is_none())
    }

    /// Puts what is staged in its place, from the last one on, as long as they are `chosen`.
    fn put_staged(
        &self,
        plan: &mut Plan,
        done: &mut BTreeSet<usize>,
        chosen: impl Fn(&Staged) -> bool,
    ) -> std::result::Result<(), Failed> {
        while let Some(staged) = plan.staged.pop_if(|staged| chosen(staged)) {
            let at = staged.first().unwrap_or_default();
            let put = || {
                let handle = staged.dir.handle()?;
                handle.rename(one(&staged.temporary), &*handle, one(self.step(at)?.name()))
            };
            if let Err(errno) = put() {
                plan.staged.push(staged);
                return Err((errno, at));
            }
            done.extend(&staged.steps);
        }
        Ok(())
    }

    /// Writes the files with several names. If that fails for one, all of them are what they were.
    fn write_all_in_place(
        &self,
        plan: &mut Plan,
        kept: &mut Vec<String>,
    ) -> std::result::Result<(), Failed> {
        // None is cut before all are written: what is cut off leaves its room to others.
        let written = plan.in_place.iter_mut().try_for_each(|file| self.write_in_place(file));
        let finished = written
            .and_then(|()| plan.in_place.iter_mut().try_for_each(|file| self.cut_in_place(file)));
        if finished.is_ok() {
            return Ok(());
        }
        for file in plan.in_place.iter_mut().rev() {
            if file.restore().is_ok() {
                continue;
            }
            // The copy is all that there is of it.
            if let Some(copy) = file.copy.take() {
                kept.push(copy.dir.path_of(&copy.temporary));
            }
        }
        finished
    }

    fn body_of(&self, place: &InPlace) -> std::result::Result<&Arc<Body>, Failed> {
        let failed = |errno| (errno, place.step);
        let Some(New::Above(id)) = &self.step(place.step).map_err(failed)?.new else {
            return Err(failed(Errno::Io));
        };
        match self.state.names.inode(*id).map_err(failed)? {
            Inode::File(body) => Ok(body),
            _ => Err(failed(Errno::Io)),
        }
    }

    fn write_in_place(&self, place: &mut InPlace) -> std::result::Result<(), Failed> {
        let body = self.body_of(place)?;
        let InPlace { step, file, old, written, .. } = place;
        let mut write = || {
            let new = body.filestat();
            if !body.is_below() {
                // The room first: there is none to be found lacking when bytes have gone.
                if let Some(more) = new.size.checked_sub(old.size) {
                    file.allocate(old.size, more)?;
                }
                file.seek(0, Whence::Set)?;
                copy(&**file, written, |bufs, offset| {
                    body.read_above(bufs, offset).ok_or(Errno::Io)
                })?;
            }
            // Whoever may write it need not be allowed to do that.
            file.set_times(times(&new))
        };
        write().map_err(|errno| (errno, *step))
    }

    /// Gives a file that was written its size.
    fn cut_in_place(&self, place: &mut InPlace) -> std::result::Result<(), Failed> {
        let body = self.body_of(place)?;
        let InPlace { step, file, is_cut, .. } = place;
        let mut cut = || {
            let new = body.filestat();
            if body.is_below() || file.filestat()?.size == new.size {
                return Ok(());
            }
            *is_cut = true;
            file.set_size(new.size)?;
            file.set_times(times(&new))
        };
        cut().map_err(|errno| (errno, *step))
    }
}

impl Staged {
    /// The step that it is for.
    fn first(&self) -> Option<usize> {
        self.steps.first().copied()
    }
}

impl InPlace {
    fn copy(&self) -> Option<&Staged> {
        self.copy.as_ref()
    }

    /// Puts back what the file held. What was overwritten has its room there, so only that is
    /// written, unless more was cut off.
    fn restore(&mut self) -> Result<()> {
        if let Some(copied) = &self.copy {
            let lost = if self.is_cut { self.old.size } else { self.written.min(self.old.size) };
            if lost > 0 {
                let opened =
                    copied.dir.handle()?.open(one(&copied.temporary), OpenOptions::READ)?;
                let Opened::File(from) = opened else { return Err(Errno::Isdir) };
                self.file.seek(0, Whence::Set)?;
                let mut restored = 0;
                copy(&*self.file, &mut restored, |bufs, offset| {
                    let rest = usize::try_from(lost.saturating_sub(offset)).unwrap_or(usize::MAX);
                    let bufs: Vec<_> = bufs.iter().map(|buf| buf.start(rest)).collect();
                    from.pread(&bufs, offset)
                })?;
                if restored < lost {
                    return Err(Errno::Io);
                }
            }
            if self.file.filestat()?.size != self.old.size {
                self.file.set_size(self.old.size)?;
            }
        }
        // Who may write a file need not be allowed to set its times.
        let _ = self.file.set_times(times(&self.old));
        Ok(())
    }
}

fn remove_below(step: &Step) -> Result<()> {
    let handle = step.dir.as_ref().ok_or(Errno::Io)?.handle()?;
    let removed = if step.filetype == Filetype::Directory {
        handle.remove_directory(one(step.name()))
    } else {
        handle.unlink_file(one(step.name()))
    };
    match removed {
        // Somebody else was faster.
        Err(Errno::Noent) => Ok(()),
        removed => removed,
    }
}

/// Takes away what was staged. What cannot be taken away stays: there is nobody to tell.
fn unstage(staged: &Staged) {
    let Ok(handle) = staged.dir.handle() else { return };
    let Some((_, filetype)) = staged.made.first() else { return };
    if *filetype == Filetype::Directory
        && let Ok(Opened::Directory(inside)) = handle.open(one(&staged.temporary), DIRECTORY)
    {
        for (path, filetype) in staged.made.iter().skip(1).rev() {
            let _ = if *filetype == Filetype::Directory {
                inside.remove_directory(one(path))
            } else {
                inside.unlink_file(one(path))
            };
        }
    }
    let _ = if *filetype == Filetype::Directory {
        handle.remove_directory(one(&staged.temporary))
    } else {
        handle.unlink_file(one(&staged.temporary))
    };
}

/// A file with the bytes, the permissions and the times of a body.
fn write_body(dir: &Handle, path: &[u8], body: &Body, replaces: Option<&Step>) -> Result<()> {
    let from = body.with_origin(|origin| {
        let (dir, name) = origin.place().ok()?;
        Some((dir, Box::<[u8]>::from(name), origin.identity))
    });
    let from = from.flatten();
    let stat = body.filestat();
    if let Some((lower, name, known)) = &from {
        let was = Filestat { dev: known.0, ino: known.1, ..stat };
        if !body.is_changed() {
            // The file that it was before has the same bytes, so another name is enough. A copy
            // that is above needs nothing of what may have gone.
            match put_lower(dir, path, (lower, name), &was, |_| Ok(())) {
                Err(errno) if errno != Errno::Exist && !body.is_below() => {}
                put => return put,
            }
        } else if body.is_below() {
            // It was only given times: those are not for its other names.
            let finish = |file: &dyn File| file.set_times(times(&stat));
            return copy_lower(dir, path, (lower, name), &was, finish);
        }
    }
    // The permissions are those of what it was copied from, or of what it replaces.
    let mut mode = match &from {
        Some((lower, name, known)) => mode_of(lower, name, Some(*known))?,
        None => None,
    };
    if mode.is_none()
        && let Some(step) = replaces
        && let Some(lower) = &step.dir
    {
        mode = mode_of(lower, step.name(), None)?;
    }
    create(dir, path, mode, |file| {
        fill(file, body)?;
        file.set_times(times(&stat))
    })
}

/// The permissions of the regular file that has a name, if there is one, and if it is the `known`
/// one.
///
/// # Errors
/// Those of opening it: then they are not known. `acces`: neither to read nor to write.
fn mode_of(dir: &Arc<LowerDir>, name: &[u8], known: Option<Identity>) -> Result<Option<u32>> {
    let is_it = |stat: &Filestat| {
        stat.filetype == Filetype::RegularFile && known.is_none_or(|known| known == identity(stat))
    };
    // Opening anything else could do something to the host.
    if !dir.stat(name)?.as_ref().is_some_and(is_it) {
        return Ok(None);
    }
    let handle = dir.handle()?;
    let writing = OpenOptions { read: false, write: true, ..OpenOptions::READ };
    let opened = match handle.open(one(name), OpenOptions::READ) {
        Err(Errno::Acces) => handle.open(one(name), writing),
        opened => opened,
    };
    match opened {
        Ok(Opened::File(file)) if is_it(&file.filestat()?) => Ok(file.mode()),
        // Another process has put something else there.
        Ok(_) | Err(Errno::Noent | Errno::Loop) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn times(stat: &Filestat) -> SetTimes {
    SetTimes { atim: SetTime::At(stat.atim), mtim: SetTime::At(stat.mtim) }
}

/// Makes a file with the permissions, if they are given, and lets `fill` fill it. If that fails,
/// there is none.
fn create(
    dir: &Handle,
    path: &[u8],
    mode: Option<u32>,
    fill: impl FnOnce(&dyn File) -> Result<()>,
) -> Result<()> {
    let options = OpenOptions {
        create: true,
        exclusive: true,
        read: false,
        write: true,
        // Whoever opens it before it has its permissions would read what comes later.
        private: mode.is_some(),
        ..OpenOptions::READ
    };
    let Opened::File(file) = dir.open(one(path), options)? else { return Err(Errno::Isdir) };
    let filled = match mode {
        Some(mode) => file.set_mode(mode & MODE).and_then(|()| fill(&*file)),
        None => fill(&*file),
    };
    if filled.is_err() {
        let _ = dir.unlink_file(one(path));
    }
    filled
}

/// A second name for a file. `false`: the name that it had was another file's than the `known` one.
fn link_same(
    dir: &Handle,
    path: &[u8],
    (from, name): (&Handle, &[u8]),
    known: Option<Identity>,
) -> Result<bool> {
    from.link(one(name), false, &**dir, one(path))?;
    let Some(known) = known else { return Ok(true) };
    if dir.path_filestat(one(path), false).map(|stat| identity(&stat)) == Ok(known) {
        return Ok(true);
    }
    dir.unlink_file(one(path))?;
    Ok(false)
}

/// A second name for a file that lies below, or a copy of it where it can have none.
fn put_lower(
    dir: &Handle,
    path: &[u8],
    from: (&Arc<LowerDir>, &[u8]),
    known: &Filestat,
    finish: impl FnOnce(&dyn File) -> Result<()>,
) -> Result<()> {
    let (lower, name) = from;
    match link_same(dir, path, (&lower.handle()?, name), Some(identity(known))) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Errno::Stale),
        Err(Errno::Exist) => Err(Errno::Exist),
        Err(_) => copy_lower(dir, path, from, known, finish),
    }
}

fn copy_lower(
    dir: &Handle,
    path: &[u8],
    (lower, name): (&Arc<LowerDir>, &[u8]),
    known: &Filestat,
    finish: impl FnOnce(&dyn File) -> Result<()>,
) -> Result<()> {
    let (open, stat) = match open_regular(lower, name) {
        // Another process has put a directory or a link in the place of the file.
        Err(Errno::Isdir | Errno::Loop) => return Err(Errno::Stale),
        opened => opened?,
    };
    if identity(&stat) != identity(known) {
        return Err(Errno::Stale);
    }
    create(dir, path, open.0.mode(), |file| {
        copy(file, &mut 0, |bufs, offset| open.0.pread(bufs, offset))?;
        file.set_times(times(&stat))?;
        finish(file)
    })
}

/// Writes the bytes of a body, which are above or below.
fn fill(file: &dyn File, body: &Body) -> Result<()> {
    let lower = if body.is_below() {
        Some(body.with_origin(Origin::open).ok_or(Errno::Io)??)
    } else {
        None
    };
    copy(file, &mut 0, |bufs, offset| match (&lower, body.read_above(bufs, offset)) {
        (_, Some(done)) => Ok(done),
        (Some(lower), None) => lower.0.pread(bufs, offset),
        (None, None) => Err(Errno::Io),
    })
}

/// Writes all that `read` gives, and counts the bytes, also of what was written before a failure.
fn copy(
    file: &dyn File,
    written: &mut u64,
    read: impl FnMut(&[Region<'_>], u64) -> Result<usize>,
) -> Result<()> {
    each_piece(read, |mut rest| {
        while !rest.is_empty() {
            let done = file.write(&[rest], Fdflags::empty())?;
            if done == 0 {
                return Err(Errno::Io);
            }
            *written = written.saturating_add(done as u64);
            rest = rest.from(done);
        }
        Ok(())
    })
}

impl State {
    /// The versions that the files of steps have, by their places.
    fn versions(&self, steps: &[Step], chosen: &[bool]) -> BTreeMap<usize, u64> {
        let chosen = steps.iter().zip(chosen).filter(|(_, chosen)| **chosen);
        let version = |(step, _): (&Step, &bool)| {
            let Some(New::Above(id)) = &step.new else { return None };
            let Ok(Inode::File(body)) = self.names.inode(*id) else { return None };
            Some((id.0, body.version()))
        };
        chosen.filter_map(version).collect()
    }

    /// Notes that steps were taken: what they were about lies below now, in the versions that
    /// files had before. If another process has changed that meanwhile, all others are noted.
    /// `is_whole`: all chosen steps were taken.
    fn settle(
        &mut self,
        top: &Arc<LowerDir>,
        (steps, chosen): (&[Step], &[bool]),
        (done, versions): (&BTreeSet<usize>, &BTreeMap<usize, u64>),
        is_whole: bool,
    ) -> std::result::Result<(), Failed> {
        let mut settled = Settled { is_whole, ..Settled::default() };
        let mut failed = Ok(());
        for ((at, step), chosen) in steps.iter().enumerate().zip(chosen) {
            if done.contains(&at) || (step.is_replaced && *chosen) {
                let is_complete = || is_complete(steps, &step.path, |at| done.contains(&at));
                let noted = self.settle_step(step, &mut settled, versions, is_complete);
                failed = failed.and(noted.map_err(|errno| (errno, at)));
            }
        }
        let found = self.find_again(top, settled.removed);
        if is_whole && chosen.iter().all(|chosen| *chosen) {
            self.count_again();
        }
        self.lower_files(&settled.links);
        self.lower_directories(settled.touched);
        failed.and(found.map_err(|errno| (errno, 0)))
    }

    fn settle_step<'a>(
        &mut self,
        step: &'a Step,
        settled: &mut Settled<'a>,
        versions: &BTreeMap<usize, u64>,
        is_complete: impl FnOnce() -> bool,
    ) -> Result<()> {
        let parent = step.path.iter().rposition(|byte| *byte == b'/');
        let parent = parent.and_then(|end| step.path.get(..end)).unwrap_or_default();
        // What was in a directory's place may stand for another now, which is to stay as it is.
        let Some(dir) = settled.made.get(parent).or(step.dir.as_ref()).cloned() else {
            return Ok(());
        };
        settled.touched.push(Arc::clone(&dir));
        let other = step.dir.as_ref().filter(|other| !Arc::ptr_eq(other, &dir));
        let name = step.name();
        // An earlier commit may have left one of several names.
        let has_names = |old: &Filestat| old.nlink > 1 || self.alias_body(identity(old)).is_some();
        settled.removed.extend(step.old.filter(has_names).map(|old| identity(&old)));
        if step.changed == Changed::Removed {
            for dir in [Some(&dir), other].into_iter().flatten() {
                dir.forget_child(name);
                self.uncover(dir, name)?;
            }
            return Ok(());
        }
        if let Some(other) = other {
            self.cover_taken(other, name)?;
        }
        // The node that stands for the directory below may be another's, which has no such name.
        let is_own = settled.nodes.get(parent).is_none_or(|node| *node == dir.node());
        if !is_own {
            self.cover_taken(&dir, name)?;
        }
        match step.new.as_ref().ok_or(Errno::Io)? {
            New::Directory(now) => {
                let node = self.node(now);
                settled.nodes.insert(&step.path, node);
                let known = dir.enter(name)?;
                // The directory that was to be moved from here first is still here.
                let is_taken = !settled.is_whole && self.is_taken(&known, node);
                let below = if is_taken { known } else { Self::enter_anew(&dir, name, node)? };
                if let Some(id) = node {
                    self.cover_taken(&dir, name)?;
                    // Until all is done, there may be more below than there is above, and less.
                    if !is_taken && is_complete() {
                        self.relocate(id, &below)?;
                    }
                }
                settled.touched.push(Arc::clone(&below));
                settled.made.insert(&step.path, below);
            }
            New::Above(id) => {
                settled.links.insert(id.0);
                let written = versions.get(&id.0).copied().unwrap_or_default();
                self.settle_file(*id, (&dir, name), written)?;
                // It may have the name from below.
                if is_own && !self.has_from_below(&dir, name)? {
                    self.cover_taken(&dir, name)?;
                }
            }
            New::Below(_, stat) => self.settle_below(stat, &dir, name)?,
        }
        Ok(())
    }

    /// Notes that a file that lies below was moved with the directory that it lies in: who has it
    /// open finds it there. A copy is another file.
    fn settle_below(&self, stat: &Filestat, dir: &Arc<LowerDir>, name: &[u8]) -> Result<()> {
        if let Some(body) = self.known_body((dir, name), stat)
            && dir.stat(name)?.is_some_and(|now| identity(&now) == identity(stat))
            && let Some(origin) = body.with_origin(|origin| origin.at(dir, name))
        {
            body.move_origin(origin);
        }
        Ok(())
    }

    /// Looks for other names of the files that were found by names that are theirs no more.
    fn find_again(&mut self, top: &Arc<LowerDir>, removed: BTreeSet<Identity>) -> Result<()> {
        let mut lost: BTreeMap<Identity, Arc<Body>> = removed
            .into_iter()
            .filter_map(|identity| Some((identity, self.alias_body(identity)?)))
            .filter(|(_, body)| body.with_origin(Origin::is_there) == Some(false))
            .collect();
        // A directory is opened when it is listed: there may be more of them than descriptors.
        let mut pending = vec![(Arc::clone(top), None)];
        while let Some((parent, name)) = pending.pop().filter(|_| !lost.is_empty()) {
            let entered = name.map(|name: Vec<u8>| parent.enter(&name));
            // A directory that cannot be entered has nothing that the guest finds.
            let Ok(dir) = entered.unwrap_or(Ok(parent)) else { continue };
            let mut names = Vec::new();
            dir.list(|name, filetype| {
                names.push((name.to_vec(), filetype));
                true
            })?;
            for (name, filetype) in names {
                if filetype == Filetype::Directory {
                    pending.push((Arc::clone(&dir), Some(name)));
                } else if let Ok(Some(stat)) = dir.stat(&name)
                    && let Some(body) = lost.get(&identity(&stat))
                    && body.with_origin(|origin| origin.is_at(&dir, &name, &stat)) == Some(true)
                    && let Some(body) = lost.remove(&identity(&stat))
                    && let Some(origin) = body.with_origin(|origin| origin.at(&dir, &name))
                {
                    body.move_origin(origin);
                }
            }
        }
        // Another file may get their serial numbers.
        let lost: Vec<Id> = lost.keys().filter_map(|known| self.forget_lost(*known)).collect();
        if !lost.is_empty() {
            let named = self.named_files();
            for id in lost.into_iter().filter(|id| !named.contains(&id.0)) {
                self.lower_inode(id);
            }
        }
        Ok(())
    }

    /// The places of what has a name above.
    fn named_files(&self) -> BTreeSet<usize> {
        let entries = self.names.directories().flat_map(|(_, node)| node.entries.sorted());
        entries.map(|(_, id)| id.0).collect()
    }

    /// Counts the names of files anew that had several, as nothing differs now. Where the guest has
    /// moved a directory, the host had the names in it twice until now.
    fn count_again(&self) {
        let places = self.named_files().into_iter().chain(self.alias_places().map(|id| id.0));
        for id in places {
            let Ok(Inode::File(body)) = self.names.inode(Id(id)) else { continue };
            if body.filestat().nlink < 2 {
                continue;
            }
            let links = body.with_origin(|origin| {
                let (dir, name) = origin.place().ok()?;
                let stat = dir.stat(name).ok()??;
                origin.is_at(&dir, name, &stat).then_some(stat.nlink)
            });
            if let Some(links) = links.flatten() {
                body.set_links(links);
            }
        }
    }

    /// The directory below that `node` is to stand for. One that another node stands for, which was
    /// removed and is still open, stays that one's.
    pub(super) fn enter_anew(
        dir: &Arc<LowerDir>,
        name: &[u8],
        node: Option<Id>,
    ) -> Result<Arc<LowerDir>> {
        let known = dir.enter(name)?;
        if known.node().is_none() || known.node() == node {
            return Ok(known);
        }
        dir.forget_child(name);
        dir.enter(name)
    }

    /// Makes a node stand for a directory below that holds the same.
    fn relocate(&mut self, id: Id, below: &Arc<LowerDir>) -> Result<()> {
        let mut merged = Merged::new(below, &self.volume);
        let node = self.names.directory_mut(id)?;
        merged.replace(node.merged.take());
        for (name, _) in node.entries.sorted() {
            let charge = name_charge(name);
            self.volume.take(charge);
            merged.cover(name, charge);
        }
        node.merged = Some(Box::new(merged));
        below.set_node(Some(id));
        self.hold(below);
        Ok(())
    }

    fn settle_file(
        &mut self,
        id: Id,
        (dir, name): (&Arc<LowerDir>, &[u8]),
        written: u64,
    ) -> Result<()> {
        // Another process may have removed it already.
        let stat = dir.stat(name)?;
        if let Inode::File(body) = self.names.inode(id)? {
            let body = Arc::clone(body);
            let new = stat.as_ref().map_or(NO_FILE, identity);
            // One that has no name above is found by its serial number alone.
            let was_alias = body
                .with_origin(|origin| origin.identity)
                .is_some_and(|old| old != new && self.forget_alias(old, id))
                && self.has_from_below(dir, name)?;
            let (origin, born) = (Origin::new(new, dir, name, Weak::new()), dir.born(name));
            origin.note_birth(born);
            body.set_origin(origin, written);
            let Some(stat) = stat else { return Ok(()) };
            self.note(new, &body);
            // One that is forgotten has the number no more.
            if stat.nlink > 1 || was_alias || self.has_alias(new) {
                self.set_alias(new, id, born);
            }
        }
        Ok(())
    }

    /// The node that stands for a directory and for no other since.
    fn stands_for(&self, dir: &Arc<LowerDir>) -> Option<Id> {
        let id = dir.node()?;
        let merged = self.names.directory(id).ok()?.merged.as_ref()?;
        Arc::ptr_eq(&merged.lower, dir).then_some(id)
    }

    /// Whether a node other than `node` stands for a directory, and the guest finds that.
    fn is_taken(&self, dir: &Arc<LowerDir>, node: Option<Id>) -> bool {
        self.stands_for(dir)
            .filter(|id| Some(*id) != node)
            .is_some_and(|id| self.names.directory(id).is_ok_and(|node| !node.is_removed()))
    }

    /// Whether the guest finds what has a name below, wherever the directory is now.
    fn is_seen(&self, dir: &Arc<LowerDir>, name: &[u8]) -> bool {
        let (mut dir, mut name) = (dir, name);
        while dir.node().is_none() {
            let Some(parent) = dir.parent() else { return true };
            (dir, name) = parent;
        }
        self.stands_for(dir).and_then(|id| self.names.directory(id).ok()).is_some_and(|node| {
            !node.is_removed() && node.merged.as_ref().is_some_and(|merged| !merged.covers(name))
        })
    }

    /// Whether a name has no place above in the node that stands for a directory.
    fn has_from_below(&self, dir: &Arc<LowerDir>, name: &[u8]) -> Result<bool> {
        let Some(id) = self.stands_for(dir) else { return Ok(true) };
        Ok(self.names.directory(id)?.entries.get(name).is_none())
    }

    /// Takes a name over that has a place above. There is room for it whatever the guest has taken.
    fn cover_taken(&mut self, dir: &Arc<LowerDir>, name: &[u8]) -> Result<()> {
        if let Some(id) = self.stands_for(dir) {
            self.volume.take(name_charge(name));
            self.cover(id, name)?;
        }
        Ok(())
    }

    fn uncover(&mut self, dir: &Arc<LowerDir>, name: &[u8]) -> Result<()> {
        if let Some(id) = self.stands_for(dir) {
            let node = self.names.directory_mut(id)?;
            if node.entries.get(name).is_none()
                && let Some(merged) = &mut node.merged
            {
                merged.uncover(name, name_charge(name));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

//! The data that JavaScript and a guest exchange outside the guest's memory: streams that are
//! functions or collected, and trees in memory.

use super::addon_instance::{AddonInstance, Instance};
use super::function;
use super::options::JsStreams;
use super::overlay::MountedOverlay;
use napi::bindgen_prelude::{Either, FunctionCallContext, JsObjectValue, Object, Uint8Array};
use napi::{Env, Result};
use std::rc::Rc;
use std::sync::Arc;
use wasi_rs_core::abi::{Filetype, Rights};
use wasi_rs_core::host::stream::{Input, Output};
use wasi_rs_core::host::{Change, Changed, GuestPath, Opened, Result as HostResult, Tree, View};

/// Adds the functions to the addon's exports.
pub(super) fn export(
    env: &Env,
    exports: &mut Object<'_>,
    environment: &Rc<AddonInstance>,
) -> Result<()> {
    // (id, stream) => Uint8Array | null: what the guest wrote to a function since the last call.
    let here = Rc::clone(environment);
    let take = move |call: FunctionCallContext<'_>| {
        let (id, stream) = (call.get(0)?, call.get(1)?);
        Ok(here
            .output(id, stream, Output::take)
            .filter(|bytes| !bytes.is_empty())
            .map(Uint8Array::from))
    };
    exports.set_named_property("takeOutput", function(env, "takeOutput", take)?)?;

    // (id, stream) => Uint8Array | null: a copy of what was collected.
    let here = Rc::clone(environment);
    let collected = move |call: FunctionCallContext<'_>| {
        Ok(here.output(call.get(0)?, call.get(1)?, Output::copy).map(Uint8Array::from))
    };
    exports.set_named_property("collectedOutput", function(env, "collectedOutput", collected)?)?;

    // (id, stream) => boolean | null: whether the collector's cap has refused something.
    let here = Rc::clone(environment);
    let truncated = move |call: FunctionCallContext<'_>| {
        Ok(here.output(call.get(0)?, call.get(1)?, Output::is_truncated))
    };
    exports.set_named_property("outputTruncated", function(env, "outputTruncated", truncated)?)?;

    // (id, fd) => boolean: whether a read of the descriptor needs more from the function.
    let here = Rc::clone(environment);
    let wanted = move |call: FunctionCallContext<'_>| {
        let fd: u32 = call.get(1)?;
        Ok(here.input(call.get(0)?, fd).is_some_and(|input| input.is_wanted()))
    };
    exports.set_named_property("inputWanted", function(env, "inputWanted", wanted)?)?;

    // (id, fd, Uint8Array | null): what the function gave, or its end.
    let here = Rc::clone(environment);
    let feed = move |call: FunctionCallContext<'_>| {
        let fd: u32 = call.get(1)?;
        let bytes: Option<Uint8Array> = call.get(2)?;
        if let Some(input) = here.input(call.get(0)?, fd) {
            input.feed(bytes.as_deref());
        }
        Ok(())
    };
    exports.set_named_property("feedInput", function(env, "feedInput", feed)?)?;

    // (id, preopen, path, root) => Uint8Array | null: a file of a tree in memory or an overlay, by
    // the path that a guest would open.
    let here = Rc::clone(environment);
    let read = move |call: FunctionCallContext<'_>| {
        let (path, root): (String, bool) = (call.get(2)?, call.get(3)?);
        let (id, preopen) = (call.get(0)?, call.get(1)?);
        let read = |tree: &Tree| tree.read_at(GuestPath::new(path.as_bytes())?, root);
        let read_overlay =
            |overlay: &MountedOverlay| overlay.read_at(GuestPath::new(path.as_bytes())?);
        Ok(here
            .view(id, preopen, |view, preopen| {
                let path = GuestPath::new(path.as_bytes());
                path.map_or_else(|errno| Some(Err(errno)), |path| view.read(preopen, path, root))
            })
            .or_else(|| here.tree(id, preopen, read))
            .or_else(|| here.overlay(id, preopen, read_overlay))
            .and_then(HostResult::ok)
            .map(Uint8Array::from))
    };
    exports.set_named_property("readTreeFile", function(env, "readTreeFile", read)?)?;

    // (id, prefixes) => string[] | string: the paths of the files of all trees in memory, each
    // behind its preopen's prefix, or the name of the errno.
    let here = Rc::clone(environment);
    let list = move |call: FunctionCallContext<'_>| {
        let prefixes: Vec<String> = call.get(1)?;
        Ok(match here.list_files(call.get(0)?, &prefixes) {
            Ok(paths) => Either::A(paths),
            Err(errno) => Either::B(errno.name()),
        })
    };
    exports.set_named_property("listTreeFiles", function(env, "listTreeFiles", list)?)?;

    // (id, preopen, path) => boolean | null: whether a name in a tree is a symbolic link.
    let here = Rc::clone(environment);
    let is_link = move |call: FunctionCallContext<'_>| {
        let path: String = call.get(2)?;
        Ok(here
            .tree(call.get(0)?, call.get(1)?, |tree| tree.is_link(&path))
            .and_then(HostResult::ok))
    };
    exports.set_named_property("isTreeLink", function(env, "isTreeLink", is_link)?)?;

    // (id, prefixes) => string[] | string: of each thing in a tree or an overlay that differs, how
    // it differs, what it is and its path behind its preopen's prefix; or the name of the errno.
    let here = Rc::clone(environment);
    let changes = move |call: FunctionCallContext<'_>| {
        let prefixes: Vec<String> = call.get(1)?;
        Ok(match here.changes(call.get(0)?, &prefixes) {
            Ok(changes) => Either::A(words(changes).collect::<Vec<_>>()),
            Err(errno) => Either::B(errno.name()),
        })
    };
    exports.set_named_property("treeChanges", function(env, "treeChanges", changes)?)?;

    // (id, preopen, path, prefix) => string[]: writes what differs in an overlay at a path or below
    // it. The errno's name and the path where that stood in the way, both empty if all went well,
    // the paths of copies that were kept, each with a NUL behind it, and what was written, as above.
    let here = Rc::clone(environment);
    let commit = move |call: FunctionCallContext<'_>| {
        let (within, prefix): (String, String) = (call.get(2)?, call.get(3)?);
        let mut room = LIST_LIMIT;
        let commit = |overlay: &MountedOverlay| {
            overlay.get().map_or(Ok(Vec::new()), |overlay| overlay.commit(&within, &mut room))
        };
        let result = here.overlay(call.get(0)?, call.get(1)?, commit).unwrap_or(Ok(Vec::new()));
        let (errno, path, mut done, kept) = match result {
            Ok(done) => ("", String::new(), done, Vec::new()),
            Err(error) => (error.errno.name(), error.path, error.done, error.kept),
        };
        let kept: Vec<String> = kept.iter().map(|path| [&*prefix, path, "\0"].concat()).collect();
        for change in &mut done {
            change.path.insert_str(0, &prefix);
        }
        let mut outcome = vec![errno.to_owned(), path, kept.concat()];
        outcome.extend(words(done));
        Ok(outcome)
    };
    exports.set_named_property("commitOverlay", function(env, "commitOverlay", commit)?)
}

/// Of each change, how it differs, what it is and its path.
fn words(changes: Vec<Change>) -> impl Iterator<Item = String> {
    let word = |change| match change {
        Changed::Added => "added",
        Changed::Modified => "modified",
        Changed::Removed => "removed",
    };
    let kind = |filetype| match filetype {
        Filetype::Directory => "directory",
        Filetype::SymbolicLink => "symlink",
        _ => "file",
    };
    changes.into_iter().flat_map(move |Change { changed, path, filetype }| {
        [word(changed).to_owned(), kind(filetype).to_owned(), path]
    })
}

/// How long the paths of all trees of an instance may be together, in bytes.
const LIST_LIMIT: usize = 32 << 20;

impl AddonInstance {
    fn output<T>(&self, id: u32, stream: u32, act: impl FnOnce(&Output) -> T) -> Option<T> {
        let index = usize::try_from(stream.checked_sub(1)?).ok()?;
        self.with_instance(id, |instance| instance.streams.outputs.get(index)?.as_deref().map(act))
            .flatten()
    }

    /// The input that a descriptor reads from, if it is one that a function feeds and may be read.
    fn input(&self, id: u32, fd: u32) -> Option<Arc<Input>> {
        self.with_instance(id, |instance| {
            let descriptor = instance.ctx.table.get(fd).ok()?;
            descriptor.require(Rights::FD_READ).ok()?;
            match descriptor.object() {
                Opened::File(file) => file.input().map(Arc::clone),
                Opened::Directory(_) => None,
            }
        })
        .flatten()
    }

    fn list_files(&self, id: u32, prefixes: &[String]) -> HostResult<Vec<String>> {
        let mut room = LIST_LIMIT;
        let list = |instance: &Instance| {
            let trees = instance.streams.trees.iter().zip(prefixes).enumerate();
            let lists = trees.filter_map(|(index, (tree, prefix))| {
                let mut files = tree.as_ref()?.list_files(prefix, &mut room);
                if let (Some(view), Ok(files)) = (&instance.streams.view, &mut files) {
                    files.retain(|file| {
                        !file
                            .strip_prefix(&**prefix)
                            .is_some_and(|path| view.is_covered(index, path))
                    });
                }
                Some(files)
            });
            lists.collect::<HostResult<Vec<_>>>().map(|lists| lists.into_iter().flatten().collect())
        };
        self.with_instance(id, list).unwrap_or(Ok(Vec::new()))
    }

    fn changes(&self, id: u32, prefixes: &[String]) -> HostResult<Vec<Change>> {
        let mut room = LIST_LIMIT;
        let list = |instance: &Instance| {
            let mut changes = Vec::new();
            let JsStreams { trees, overlays, .. } = &instance.streams;
            for ((tree, overlay), prefix) in trees.iter().zip(overlays).zip(prefixes) {
                if let Some(tree) = tree {
                    changes.append(&mut tree.changes(prefix, &mut room)?);
                }
                if let Some(overlay) = overlay.as_ref().and_then(MountedOverlay::get) {
                    changes.append(&mut overlay.changes(prefix, &mut room)?);
                }
            }
            Ok(changes)
        };
        self.with_instance(id, list).unwrap_or(Ok(Vec::new()))
    }

    fn overlay<T>(
        &self,
        id: u32,
        preopen: u32,
        act: impl FnOnce(&MountedOverlay) -> T,
    ) -> Option<T> {
        let index = usize::try_from(preopen).ok()?;
        self.with_instance(id, |instance| instance.streams.overlays.get(index)?.as_ref().map(act))
            .flatten()
    }

    /// Asks what a preopen is to a guest that has others in it, if there are such preopens.
    fn view<T>(
        &self,
        id: u32,
        preopen: u32,
        act: impl FnOnce(&View, usize) -> Option<T>,
    ) -> Option<T> {
        let index = usize::try_from(preopen).ok()?;
        self.with_instance(id, |instance| act(instance.streams.view.as_ref()?, index)).flatten()
    }

    fn tree<T>(&self, id: u32, preopen: u32, act: impl FnOnce(&Tree) -> T) -> Option<T> {
        let index = usize::try_from(preopen).ok()?;
        self.with_instance(id, |instance| instance.streams.trees.get(index)?.as_ref().map(act))
            .flatten()
    }
}

//! Taking places away from what lies below as it is above: what was written there.
//!
//! From then on the host's changes of it are seen, are no changes of the guest, and it takes no
//! room.

use super::super::INODE_CHARGE;
use super::super::file::Body;
use super::super::names::{DirectoryNode, Id, Inode, TOP, name_charge};
use super::Dir;
use super::below::{LowerDir, Origin, identity};
use super::names::State;
use crate::abi::{Filestat, Filetype};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A name that has a place above.
struct Named {
    parent: Id,
    name: Box<[u8]>,
}

impl State {
    /// Takes the places of all files that nobody has open and that are not changed, and of the
    /// `links` that lie below as they are.
    ///
    /// A file that cannot be looked at below keeps its place.
    pub(super) fn lower_files(&mut self, links: &BTreeSet<usize>) {
        // Of one that was only given times there is nothing left if the host has put another there.
        let is_lost =
            |body: &Body| body.is_below() && body.with_origin(Origin::is_there) == Some(false);
        let may_go = |id: Id| match self.names.inode(id) {
            Ok(Inode::File(body)) => {
                Arc::strong_count(body) == 1 && (!body.is_changed() || is_lost(body))
            }
            Ok(Inode::Link(_)) => links.contains(&id.0),
            _ => false,
        };
        let mut names: BTreeMap<usize, Vec<Named>> = BTreeMap::new();
        for (parent, node) in self.names.directories() {
            for (name, id) in node.entries.sorted().filter(|(_, id)| may_go(*id)) {
                names.entry(id.0).or_default().push(Named { parent, name: name.into() });
            }
        }
        // A file of several names below may have lost the name that has a place.
        let is_nameless = |id: &Id| may_go(*id) && !names.contains_key(&id.0);
        let nameless: Vec<Id> = self.alias_places().filter(is_nameless).collect();
        for id in nameless {
            if self.is_found_as_it_is(id) {
                self.lower_inode(id);
            }
        }
        for (id, names) in names {
            self.lower_names(Id(id), &names);
        }
    }

    /// Takes the place of a file or link with all names that it has above, if it lies below under
    /// each of them as it is.
    fn lower_names(&mut self, id: Id, names: &[Named]) {
        if names.iter().all(|named| self.is_below_as_it_is(id, named)) {
            for Named { parent, name } in names {
                self.lower_name(*parent, name);
            }
            self.lower_inode(id);
        }
    }

    /// Takes the place of a file or link that was given one under a name a moment ago, if it still
    /// has that name and was not changed.
    pub(super) fn lower_one(&mut self, dir: &Dir, name: &[u8], id: Id) {
        let Some(parent) = self.node(dir) else { return };
        let has_name =
            self.names.directory(parent).is_ok_and(|node| node.entries.get(name) == Some(id));
        let may_go = has_name
            && match self.names.inode(id) {
                Ok(Inode::File(body)) => Arc::strong_count(body) == 1 && !body.is_changed(),
                Ok(Inode::Link(_)) => true,
                _ => false,
            };
        if !may_go {
            return;
        }
        // It may have had a place under another name, or have been given one under two.
        let mut names = Vec::new();
        for (parent, node) in self.names.directories() {
            let of_it = node.entries.sorted().filter(|(_, other)| *other == id);
            names.extend(of_it.map(|(name, _)| Named { parent, name: name.into() }));
        }
        self.lower_names(id, &names);
    }

    /// Whether the host has the same under a name, and the guest would find that there. Of a file
    /// with one name, which was not changed, whatever the host has made is as good.
    fn is_below_as_it_is(&self, id: Id, Named { parent, name }: &Named) -> bool {
        let (Ok(node), Ok(now)) = (self.names.directory(*parent), self.names.filestat(id)) else {
            return false;
        };
        let Some(merged) = node.merged.as_ref().filter(|merged| merged.covers(name)) else {
            return false;
        };
        let lower = &merged.lower;
        let (false, Ok(stat)) = (node.is_removed(), lower.stat(name)) else { return false };
        // A name that was removed or made above is not written yet.
        let is_same = |stat: &Filestat| now.filetype == stat.filetype && now.nlink == stat.nlink;
        match self.names.inode(id) {
            Ok(Inode::File(body)) => body
                .with_origin(|origin| {
                    let found = stat.filter(|stat| origin.is_at(lower, name, stat));
                    // The guest may have removed all others that it had.
                    let has_others = found.is_some() && self.has_alias(origin.identity);
                    found.is_some_and(|stat| is_same(&stat))
                        || now.nlink == 1 && !has_others && origin.is_named(lower, name)
                })
                .unwrap_or(false),
            Ok(Inode::Link(link)) => {
                stat.is_some_and(|stat| is_same(&stat))
                    && lower.link_text(name).is_ok_and(|text| text == link.text)
            }
            _ => false,
        }
    }

    /// Whether all names of a file that has none above are those that it has below.
    fn is_found_as_it_is(&self, id: Id) -> bool {
        let Ok(Inode::File(body)) = self.names.inode(id) else { return false };
        let links = body.filestat().nlink;
        let is_found = body.with_origin(|origin| {
            let (dir, name) = origin.place().ok()?;
            let stat = dir.stat(name).ok()??;
            Some(stat.nlink == links && origin.is_at(&dir, name, &stat))
        });
        is_found.flatten().unwrap_or(false)
    }

    /// Gives a name to what lies below.
    fn lower_name(&mut self, parent: Id, name: &[u8]) {
        let Ok(node) = self.names.directory_mut(parent) else { return };
        let charge = name_charge(name);
        if node.entries.lower(name) {
            self.volume.release(charge);
        }
        if let Some(merged) = &mut node.merged {
            merged.uncover(name, charge);
        }
    }

    pub(super) fn lower_inode(&mut self, id: Id) {
        let removed = self.names.release(id);
        match &removed {
            Some(Inode::Link(link)) => {
                self.volume.release(INODE_CHARGE.saturating_add(link.text.len() as u64));
            }
            Some(Inode::Directory(_)) => self.volume.release(INODE_CHARGE),
            // A file gives its own room back.
            Some(Inode::File(_)) | None => {}
        }
        drop(self.dispose(removed));
    }

    /// Takes the places of directories that the host has removed, if nothing in them has one.
    pub(super) fn lower_removed(&mut self) {
        let is_bare = |(_, node): &(Id, &DirectoryNode)| node.entries.is_empty();
        let merged = self.names.directories().filter(is_bare);
        let dirs = merged.filter_map(|(_, node)| {
            let lower = &node.merged.as_ref()?.lower;
            let (parent, name) = lower.parent()?;
            matches!(parent.stat(name), Ok(None)).then(|| Arc::clone(lower))
        });
        let dirs = dirs.collect();
        self.lower_directories(dirs);
    }

    /// Lets directories stand for those that the host has put in their places. What the guest has
    /// changed in the one counts in the other.
    pub(super) fn find_replaced(&mut self) {
        // What lies in a directory comes after it.
        let mut pending = vec![TOP];
        while let Some(id) = pending.pop() {
            let Ok(node) = self.names.directory(id) else { continue };
            let lower = node.merged.as_ref().map(|merged| Arc::clone(&merged.lower));
            let directories = node.entries.sorted().filter(|(_, id)| self.names.is_directory(*id));
            let children: Vec<(Box<[u8]>, Id)> =
                directories.map(|(name, child)| (name.into(), child)).collect();
            for (name, child) in children {
                pending.push(child);
                let replaced = lower.as_ref().and_then(|at| self.replaced((id, at), &name, child));
                if let Some(now) = replaced
                    && let Ok(node) = self.names.directory_mut(child)
                    && let Some(merged) = &mut node.merged
                {
                    merged.move_to(&now);
                    now.set_node(Some(child));
                    self.hold(&now);
                }
            }
        }
    }

    /// The directory that is in the place below of the one that `child` stands for, if it is
    /// another. `parent` stands for `at`, in which it has the `name`.
    fn replaced(
        &self,
        (parent, at): (Id, &Arc<LowerDir>),
        name: &[u8],
        child: Id,
    ) -> Option<Arc<LowerDir>> {
        let old = &self.names.directory(child).ok()?.merged.as_ref()?.lower;
        let (old_parent, old_name) = old.parent()?;
        // One that the guest has moved stays what it is.
        if old_parent.node() != Some(parent) || old_name != name {
            return None;
        }
        let stat = at.stat(name).ok()??;
        let is_same = Arc::ptr_eq(old_parent, at) && old.identity().ok()? == identity(&stat);
        if is_same || stat.filetype != Filetype::Directory {
            return None;
        }
        Self::enter_anew(at, name, Some(child)).ok()
    }

    /// Takes the places of directories, and of what they lie in, if nothing in them has one. One
    /// that is still open, or has something open in it, is tried again with the next.
    pub(super) fn lower_directories(&mut self, dirs: Vec<Arc<LowerDir>>) {
        self.settled.extend(dirs.into_iter().map(|dir| (Arc::as_ptr(&dir).addr(), dir)));
        let dirs: Vec<_> = self.settled.values().cloned().collect();
        for mut here in dirs {
            while self.lower_directory(&here) {
                let Some((parent, _)) = here.parent() else { break };
                here = Arc::clone(parent);
            }
        }
        self.settled.retain(|_, dir| dir.node().is_some());
    }

    /// Says whether the directory has no place now.
    fn lower_directory(&mut self, dir: &Arc<LowerDir>) -> bool {
        let Some(id) = dir.node() else { return true };
        let Some((parent, name)) = dir.parent() else { return false };
        let (Some(above), Ok(node)) = (parent.node(), self.names.directory(id)) else {
            return false;
        };
        let is_empty = id != TOP
            && node.is_unused()
            && node.entries.is_empty()
            && node.merged.as_ref().is_some_and(|merged| merged.is_idle(dir));
        let has_covered =
            node.merged.as_ref().is_some_and(|merged| merged.covered().next().is_some());
        let is_in_place = node.parent == above
            && self.names.directory(above).is_ok_and(|node| {
                node.entries.get(name) == Some(id)
                    && node.merged.as_ref().is_some_and(|merged| {
                        Arc::ptr_eq(&merged.lower, parent) && merged.covers(name)
                    })
            });
        let is_same = || {
            parent.stat(name).is_ok_and(|stat| {
                // A name that was removed is gone with its directory.
                stat.is_none_or(|stat| {
                    !has_covered
                        && stat.filetype == Filetype::Directory
                        && dir.identity().is_ok_and(|known| known == identity(&stat))
                })
            })
        };
        if !(is_empty && is_in_place && is_same()) {
            return false;
        }
        self.lower_name(above, name);
        self.lower_inode(id);
        true
    }
}

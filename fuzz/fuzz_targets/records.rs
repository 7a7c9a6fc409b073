//! What is decoded from a guest's memory: records, lists of buffers, strings.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasi_rs_core::abi::{
    Dirent, Event, Fdstat, Filestat, Filestat0, Prestat, Subscription, Subscription0,
};
use wasi_rs_core::ctx::StringArray;
use wasi_rs_core::memory::{
    GuestMemory, GuestPtr, IOVEC_LIMIT, IoVecRoom, IovecError, OutOfBounds, Record,
};
use wasi_rs_fuzz::input::Input;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input::new(bytes);
    match input.u8() % 3 {
        0 => records(&mut input),
        1 => buffers(&mut input),
        _ => strings(input.rest()),
    }
});

fn records(input: &mut Input<'_>) {
    let kind = input.u8();
    let at = input.u16().into();
    let memory = &mut input.rest().to_vec();
    match kind % 12 {
        0 => record::<u8>(memory, at),
        1 => record::<u16>(memory, at),
        2 => record::<u32>(memory, at),
        3 => record::<u64>(memory, at),
        4 => record::<Fdstat>(memory, at),
        5 => record::<Filestat>(memory, at),
        6 => record::<Prestat>(memory, at),
        7 => record::<Dirent>(memory, at),
        8 => record::<Subscription>(memory, at),
        9 => record::<Event>(memory, at),
        10 => record::<Filestat0>(memory, at),
        _ => record::<Subscription0>(memory, at),
    }
}

/// A record that is read, written and read again is the same, and a write changes its own bytes
/// alone.
fn record<T: Record + PartialEq + std::fmt::Debug>(memory: &mut [u8], at: u32) {
    let before = memory.to_vec();
    let guest = GuestMemory::from_slice(memory);
    let pointer = GuestPtr::<T>::new(at);
    let end = at as usize + T::SIZE as usize;
    if end > before.len() {
        assert_eq!(guest.read(pointer), Err(OutOfBounds));
        return;
    }
    let record = guest.read(pointer).unwrap();
    guest.write(pointer, &record).unwrap();
    assert_eq!(guest.read(pointer).unwrap(), record);
    let written = memory.to_vec();
    assert_eq!(written[..at as usize], before[..at as usize]);
    assert_eq!(written[end..], before[end..]);
    // What has been written is the record's one form.
    assert_eq!(record.to_bytes().as_ref(), &written[at as usize..end]);
    let mut bytes = T::ZERO;
    bytes.as_mut().copy_from_slice(&written[at as usize..end]);
    assert_eq!(T::from_bytes(&bytes), record);
}

/// The lists' own definition, without limits: those need longer lists than are tried here.
fn model(memory: &[u8], list: u64, len: u64) -> Result<Vec<(usize, usize)>, IovecError> {
    let size = memory.len() as u64;
    if list >= size || len * 8 > size - list {
        return Err(IovecError::OutOfBounds);
    }
    let mut buffers = Vec::new();
    for index in 0..len {
        let at = (list + 8 * index) as usize;
        let number = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().unwrap());
        let (start, len) = (number(at), number(at + 4));
        if len > 0 {
            if u64::from(start) + u64::from(len) > size {
                return Err(IovecError::OutOfBounds);
            }
            if buffers.len() == IOVEC_LIMIT {
                break;
            }
            buffers.push((start as usize, len as usize));
        }
    }
    Ok(buffers)
}

fn buffers(input: &mut Input<'_>) {
    let (list, len, skip) = (input.u32(), input.u32(), input.u32());
    // Short lists that start inside are the rule.
    let list = if list % 4 == 0 { list } else { list % 4096 };
    let len = if len % 4 == 0 { len } else { len % 2048 };
    let mut memory = vec![0; usize::from(input.u8()) * 64];
    let pattern = input.rest();
    if !pattern.is_empty() {
        for (index, byte) in memory.iter_mut().enumerate() {
            *byte = pattern[index % pattern.len()];
        }
    }
    let expected = model(&memory, list.into(), len.into());
    let base = memory.as_mut_ptr();
    let mut room = IoVecRoom::<IOVEC_LIMIT>::new();
    let mut found = match room.read(GuestMemory::from_slice(&mut memory), GuestPtr::new(list), len)
    {
        Ok(found) => found,
        Err(error) => return assert_eq!(Err(error), expected),
    };
    let mut expected = expected.unwrap();
    let pairs = |found: &wasi_rs_core::memory::IoVecs<'_, '_>| {
        found
            .regions()
            .iter()
            .map(|region| (region.as_ptr() as usize - base as usize, region.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(pairs(&found), expected);
    found.advance(skip.into());
    let mut skip = skip as usize;
    while let Some((start, len)) = expected.first_mut() {
        if skip < *len {
            (*start, *len) = (*start + skip, *len - skip);
            break;
        }
        skip -= *len;
        expected.remove(0);
    }
    assert_eq!(pairs(&found), expected);
}

fn strings(bytes: &[u8]) {
    let strings = StringArray::from_terminated(bytes.to_vec());
    let expected: Vec<&[u8]> =
        bytes.split_inclusive(|byte| *byte == 0).filter(|string| string.ends_with(&[0])).collect();
    assert_eq!(strings.bytes(), expected.concat());
    assert_eq!(strings.starts().len(), expected.len());
    let mut end = 0;
    for (start, string) in strings.starts().iter().zip(expected) {
        assert_eq!(*start as usize, end);
        end += string.len();
    }
}

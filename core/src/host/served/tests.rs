//! Tests of calls that ask: made again, in the middle of others, and with answers that are wrong.

use super::*;
use crate::abi::Fdflags;
use crate::host::{Directory, DirectoryEntry, File, GuestPath, OpenOptions, Opened};
use crate::memory::GuestMemory;

fn path(text: &str) -> GuestPath<'_> {
    GuestPath::new(text.as_bytes()).unwrap()
}

fn stat(filetype: Filetype) -> Answer {
    Answer::Stat(Filestat {
        dev: 0,
        ino: 7,
        filetype,
        nlink: 1,
        size: 5,
        atim: 1,
        mtim: 2,
        ctim: 3,
    })
}

/// Makes a call until it asks nothing more. `answer` is the embedder.
fn run<T>(
    exchange: &Exchange,
    mut call: impl FnMut() -> Result<T>,
    mut answer: impl FnMut(&Request) -> Answer,
) -> Result<T> {
    for _ in 0..100 {
        let result = call();
        if !matches!(result, Err(Errno::Ask)) {
            exchange.finish();
            return result;
        }
        let (ticket, request) = exchange.take().unwrap();
        let given = answer(&request);
        exchange.answer(ticket, request, given);
    }
    panic!("the call has no end");
}

fn top() -> (Arc<Exchange>, Box<dyn Directory>) {
    let exchange = Arc::new(Exchange::default());
    let directory = Served::new(&exchange, 3).root_directory(false);
    (exchange, directory)
}

fn is_directory(request: &Request) -> bool {
    ["/", "/dir", "/dir/sub"].contains(&&*request.path)
}

/// A file system with two directories, in which everything else is a file.
fn files(request: &Request) -> Answer {
    match request.op {
        Op::Stat if is_directory(request) => stat(Filetype::Directory),
        Op::Stat | Op::StatFile => stat(Filetype::RegularFile),
        Op::Open(_) => Answer::Number(9),
        Op::Read => Answer::Bytes(b"01234"[..request.length.min(5)].to_vec()),
        Op::Write => Answer::Number(request.length as u64),
        Op::List => Answer::Names(vec![]),
        _ => Answer::Done,
    }
}

fn open(exchange: &Exchange, directory: &dyn Directory, name: &str) -> Box<dyn File> {
    match run(exchange, || directory.open(path(name), OpenOptions::READ), files) {
        Ok(Opened::File(file)) => file,
        _ => panic!("{name} is no file"),
    }
}

#[test]
fn each_step_of_a_call_is_asked_once() {
    let (exchange, directory) = top();
    let mut asked = Vec::new();
    let found = run(
        &exchange,
        || directory.path_filestat(path("dir/sub/../file"), true),
        |request| {
            asked.push((request.op, request.path.clone(), request.served));
            files(request)
        },
    );
    assert_eq!(found.unwrap().size, 5);
    let expected = ["/dir", "/dir/sub", "/dir/file"].map(|path| (Op::Stat, path.to_owned(), 3));
    assert_eq!(asked, expected);
    assert!(exchange.take().is_none());
}

#[test]
fn a_failure_is_the_call_s_and_what_comes_later_is_not_asked() {
    let (exchange, directory) = top();
    let mut asked = 0;
    let result = run(
        &exchange,
        || directory.create_directory(path("dir/new")),
        |request| {
            asked += 1;
            if request.path == "/dir" { stat(Filetype::RegularFile) } else { files(request) }
        },
    );
    assert_eq!((result, asked), (Err(Errno::Notdir), 1));
    let result = run(
        &exchange,
        || directory.create_directory(path("new")),
        |request| match request.op {
            Op::Stat => Answer::Failed(Errno::Noent),
            _ => Answer::Failed(Errno::Nospc),
        },
    );
    assert_eq!(result, Err(Errno::Nospc));
}

#[test]
fn calls_in_the_middle_of_others_have_answers_of_their_own() {
    let (exchange, directory) = top();
    let call = || directory.path_filestat(path("dir/file"), true);
    let next = || exchange.take().map(|(_, request)| request.path);
    assert_eq!(call().err(), Some(Errno::Ask));
    let (outer, request) = exchange.take().unwrap();
    // The embedder makes others before it answers, and gives one of them up.
    assert_eq!(run(&exchange, || directory.remove_directory(path("dir")), files), Ok(()));
    assert_eq!(directory.unlink_file(path("file")), Err(Errno::Ask));
    let (inner, _) = exchange.take().unwrap();
    exchange.abandon(inner);
    exchange.answer(outer, request, stat(Filetype::Directory));
    assert_eq!(call().err(), Some(Errno::Ask));
    let (ticket, request) = exchange.take().unwrap();
    assert_eq!(request.path, "/dir/file");
    exchange.abandon(ticket);
    // Nothing of that is left for the next, and an answer to it is nobody's.
    exchange.answer(ticket, request, stat(Filetype::RegularFile));
    assert_eq!(call().err(), Some(Errno::Ask));
    assert_eq!(next(), Some("/dir".into()));
}

#[test]
fn calls_are_answered_in_any_order() {
    let (exchange, directory) = top();
    let one = || directory.path_filestat(path("dir/file"), true);
    let other = || directory.open(path("file"), OpenOptions::READ);
    assert_eq!(one().err(), Some(Errno::Ask));
    let (first, first_request) = exchange.take().unwrap();
    assert_eq!(other().err(), Some(Errno::Ask));
    let (second, second_request) = exchange.take().unwrap();
    // The outer one goes on while the inner one waits, and each has its own answers.
    exchange.answer(first, first_request, stat(Filetype::Directory));
    assert_eq!(run(&exchange, one, files).map(|stat| stat.size), Ok(5));
    exchange.answer(second, second_request, stat(Filetype::RegularFile));
    assert_eq!(other().err(), Some(Errno::Ask));
    let (third, request) = exchange.take().unwrap();
    assert_eq!(request.op, Op::Open(Flags::Read));
    exchange.answer(third, request, Answer::Number(9));
    assert!(matches!(other(), Ok(Opened::File(_))));
    exchange.finish();
    assert_eq!(exchange.take_closing(), [(3, 9)]);
}

#[test]
fn files_are_closed_by_the_embedder_once() {
    let (exchange, directory) = top();
    let file = open(&exchange, &*directory, "file");
    assert!(!exchange.has_closing());
    drop(file);
    assert_eq!(exchange.take_closing(), [(3, 9)]);
    // A file that was opened for a call that asks something else when it is made again.
    assert_eq!(directory.open(path("file"), OpenOptions::READ).err(), Some(Errno::Ask));
    let (ticket, request) = exchange.take().unwrap();
    exchange.answer(ticket, request, stat(Filetype::RegularFile));
    assert_eq!(directory.open(path("file"), OpenOptions::READ).err(), Some(Errno::Ask));
    let (ticket, request) = exchange.take().unwrap();
    exchange.answer(ticket, request, Answer::Number(11));
    assert_eq!(directory.open(path("other"), OpenOptions::READ).err(), Some(Errno::Ask));
    assert_eq!(exchange.take_closing(), [(3, 11)]);
    // And for one that is not made again.
    let (ticket, request) = exchange.take().unwrap();
    exchange.answer(ticket, request, stat(Filetype::RegularFile));
    assert_eq!(directory.open(path("other"), OpenOptions::READ).err(), Some(Errno::Ask));
    let (ticket, request) = exchange.take().unwrap();
    exchange.answer(ticket, request, Answer::Number(12));
    exchange.finish();
    assert_eq!(exchange.take_closing(), [(3, 12)]);
}

#[test]
fn bytes_go_where_they_belong() {
    let (exchange, directory) = top();
    let file = open(&exchange, &*directory, "file");
    let mut memory = [0xaa; 12];
    let read = |memory: &mut [u8], answer: &dyn Fn(&Request) -> Answer| {
        let memory = GuestMemory::from_slice(memory);
        let bufs = [memory.region(1, 2).unwrap(), memory.region(5, 4).unwrap()];
        run(&exchange, || file.pread(&bufs, 0), answer)
    };
    assert_eq!(read(&mut memory, &files), Ok(5));
    assert_eq!(memory, *b"\xaa01\xaa\xaa234\xaa\xaa\xaa\xaa");
    for (answer, result) in [
        (Answer::Bytes(vec![1; 100]), Ok(6)),
        (Answer::Number(6), Ok(6)),
        (Answer::Number(7), Err(Errno::Io)),
        (Answer::Number(u64::MAX), Err(Errno::Io)),
        (Answer::Done, Err(Errno::Io)),
        (Answer::Text("x".into()), Err(Errno::Io)),
    ] {
        let answer = std::cell::Cell::new(Some(answer));
        assert_eq!(read(&mut memory, &|_| answer.take().unwrap()), result);
        assert_eq!((memory[0], memory[3], memory[9]), (0xaa, 0xaa, 0xaa));
    }
}

#[test]
fn what_is_written_is_what_was_there_when_it_was_asked() {
    let (exchange, directory) = top();
    let write = OpenOptions { write: true, ..OpenOptions::READ };
    let Ok(Opened::File(file)) = run(&exchange, || directory.open(path("f"), write), files) else {
        panic!()
    };
    let mut memory = *b"_text_";
    let region = GuestMemory::from_slice(&mut memory).region(1, 4).unwrap();
    let mut asked = Vec::new();
    let written = run(
        &exchange,
        || file.write(&[region], Fdflags::APPEND),
        |request| {
            asked.push((request.op, request.position, request.bytes.clone()));
            files(request)
        },
    );
    assert_eq!(written, Ok(4));
    assert_eq!(asked, [(Op::StatFile, 0, vec![]), (Op::Write, 5, b"text".to_vec())]);
    for (answer, result) in [
        (Answer::Number(3), Ok(3)),
        (Answer::Number(5), Err(Errno::Io)),
        (Answer::Bytes(vec![]), Err(Errno::Io)),
        (Answer::Failed(Errno::Nospc), Err(Errno::Nospc)),
    ] {
        let mut answer = Some(answer);
        let written = run(&exchange, || file.pwrite(&[region], 0), |_| answer.take().unwrap());
        assert_eq!(written, result);
    }
    assert_eq!(file.pwrite(&[region], NUMBER_LIMIT), Err(Errno::Fbig));
}

#[test]
fn wrong_answers_are_errors() {
    let (exchange, directory) = top();
    for filetype in [Filetype::Unknown, Filetype::SocketStream, Filetype::CharacterDevice] {
        let opened =
            run(&exchange, || directory.open(path("x"), OpenOptions::READ), |_| stat(filetype));
        assert_eq!(opened.err(), Some(Errno::Nxio), "{filetype:?}");
    }
    let link = |text: &'static str| {
        run(
            &exchange,
            || directory.path_filestat(path("x/y"), true),
            |request| match request.op {
                Op::Stat => stat(Filetype::SymbolicLink),
                _ => Answer::Text(text.into()),
            },
        )
        .err()
    };
    assert_eq!(link(""), Some(Errno::Io));
    assert_eq!(link("a\0"), Some(Errno::Io));
    assert_eq!(link("../up"), Some(Errno::Notcapable));
    assert_eq!(link("/top"), Some(Errno::Notcapable));
    assert_eq!(link("again"), Some(Errno::Loop));
    for name in ["", ".", "..", "a/b", "a\0", "/"] {
        let listed = Listed { name: name.into(), ino: 1, filetype: Filetype::RegularFile };
        let result = run(
            &exchange,
            || directory.entries(0, 0, &mut |_: DirectoryEntry<'_>| true),
            |request| match request.op {
                Op::List => Answer::Names(vec![listed.clone()]),
                _ => files(request),
            },
        );
        assert_eq!(result, Err(Errno::Io), "{name:?}");
    }
    for answer in [Answer::Done, Answer::Number(NUMBER_LIMIT + 1), Answer::Bytes(vec![])] {
        let mut answer = Some(answer);
        let opened = run(
            &exchange,
            || directory.open(path("x"), OpenOptions::READ),
            |request| match request.op {
                Op::Open(_) => answer.take().unwrap(),
                _ => files(request),
            },
        );
        assert_eq!(opened.err(), Some(Errno::Io));
    }
}

#[test]
fn a_rename_is_what_posix_says_before_it_is_asked() {
    let (exchange, directory) = top();
    let rename = |old: &str, new: &str| {
        let mut asked = false;
        let result = run(
            &exchange,
            || directory.rename(path(old), &*directory, path(new)),
            |request| {
                asked |= request.op == Op::Rename;
                match (request.op, &*request.path) {
                    (Op::Stat, "/new" | "/dir/new") => Answer::Failed(Errno::Noent),
                    (Op::List, "/dir") => Answer::Names(vec![Listed {
                        name: "sub".into(),
                        ino: 1,
                        filetype: Filetype::Directory,
                    }]),
                    _ => files(request),
                }
            },
        );
        (result, asked)
    };
    for (old, new, expected) in [
        ("dir", "dir/new", (Err(Errno::Inval), false)),
        ("dir/sub", "dir", (Err(Errno::Notempty), false)),
        ("dir", "dir", (Ok(()), false)),
        ("file", "dir", (Err(Errno::Isdir), false)),
        ("dir", "file", (Err(Errno::Notdir), false)),
        ("file", "file2", (Ok(()), false)),
        ("file", "new", (Ok(()), true)),
        ("dir", "new", (Ok(()), true)),
        ("dir", "dir/sub", (Err(Errno::Inval), false)),
    ] {
        assert_eq!(rename(old, new), expected, "{old} to {new}");
    }
}

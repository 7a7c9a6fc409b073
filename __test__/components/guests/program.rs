// The same in Rust: what its standard library makes of a host.
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, Instant, SystemTime};
use std::{env, process, thread};

/// The adapter allocates its own state by this, if it is there. Otherwise it takes a page behind
/// the memory, which C libraries from before 2023 take for their heap.
///
/// # Safety
/// As the canonical ABI has it.
#[no_mangle]
pub unsafe extern "C" fn cabi_realloc(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    use std::alloc::{alloc, realloc, Layout};
    if size == 0 {
        return align as *mut u8;
    }
    if old_size == 0 {
        return alloc(Layout::from_size_align_unchecked(size, align));
    }
    realloc(old, Layout::from_size_align_unchecked(old_size, align), size)
}

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    if args.first().map(String::as_str) == Some("panic") {
        panic!("as asked");
    }
    println!("arguments {:?}", args);
    println!("variable {:?}", env::var("VARIABLE").ok());

    fs::write("/data/text", "hello from Rust")?;
    println!("text {:?}", fs::read_to_string("/data/text")?);
    fs::create_dir_all("/data/a/b/c")?;
    for part in ["one\n", "two\n"] {
        OpenOptions::new().append(true).create(true).open("/data/a/log")?.write_all(part.as_bytes())?;
    }
    println!("log {:?}", fs::read_to_string("/data/a/log")?);
    fs::rename("/data/a/log", "/data/a/b/moved")?;
    fs::copy("/data/a/b/moved", "/data/a/copy")?;
    let mut names: Vec<_> = fs::read_dir("/data/a")?
        .map(|entry| entry.map(|entry| (entry.file_name(), entry.file_type().unwrap().is_dir())))
        .collect::<io::Result<_>>()?;
    names.sort();
    println!("names {:?}", names);
    let metadata = fs::metadata("/data/a/b/moved")?;
    println!("metadata {} {}", metadata.len(), metadata.is_file());
    println!("modified {}", metadata.modified()?.elapsed().map_or(true, |age| age.as_secs() < 3600));

    let mut file = OpenOptions::new().read(true).write(true).create(true).open("/data/large")?;
    let bytes: Vec<u8> = (0..700_000_u32).map(|index| (index * 7 >> 4) as u8).collect();
    file.write_all(&bytes)?;
    file.seek(SeekFrom::Start(100))?;
    let mut read = Vec::new();
    file.read_to_end(&mut read)?;
    println!("large {}", read == bytes[100..]);
    file.set_len(10)?;
    println!("cut {}", file.metadata()?.len());

    for (path, allowed) in [("/data/../outside/secret", false), ("/data/out/secret", false), ("/etc/passwd", false), ("/data/text", true)] {
        println!("open {} {}", path, File::open(path).is_ok() == allowed);
    }
    println!("missing {:?}", fs::read("/data/none").map_err(|error| error.kind()));
    println!("twice {:?}", fs::create_dir("/data/a").map_err(|error| error.kind()));

    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    println!("input {:?}", input);
    eprintln!("to stderr");

    let start = Instant::now();
    thread::sleep(Duration::from_millis(20));
    println!("slept {}", start.elapsed() >= Duration::from_millis(20));
    println!("time {}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() > 1_500_000_000);
    let map: std::collections::HashMap<i32, i32> = (0..100).map(|number| (number, number * number)).collect();
    println!("map {}", map[&9]);

    fs::remove_file("/data/text")?;
    fs::remove_file("/data/large")?;
    fs::remove_dir_all("/data/a")?;
    println!("left {}", fs::read_dir("/data")?.filter(|entry| entry.as_ref().unwrap().file_name() != "out").count());
    process::exit(if args.is_empty() { 0 } else { 3 })
}

//! The order of the core's modules: each uses only itself and those before it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says what is wrong by failing")]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules, the lowest first. `ARCHITECTURE.md` and `core/src/lib.rs` list them in the same
/// order.
const LAYERS: [&str; 7] = ["memory", "abi", "host", "descriptor", "ctx", "preview1", "preview2"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .collect()
}

/// The modules that a text names by `crate::`.
fn used(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).map(|rest| {
        rest.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit())
            .next()
            .unwrap_or_default()
    })
}

#[test]
fn no_module_uses_one_above_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut checked, mut wrong) = (0, Vec::new());
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap();
        let module = first.trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let own = LAYERS
            .iter()
            .position(|layer| *layer == module)
            .unwrap_or_else(|| panic!("{module} is no layer"));
        for name in used(&fs::read_to_string(&path).unwrap()) {
            checked += 1;
            // A name that is no module is one of lib.rs, which has none.
            let layer = LAYERS.iter().position(|layer| *layer == name);
            if layer.is_none_or(|layer| layer > own) {
                wrong.push(format!("{} uses crate::{name}", inside.display()));
            }
        }
    }
    assert!(checked > 50, "only {checked} uses were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lib_lists_the_modules_in_their_order() {
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let modules: Vec<&str> =
        lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert_eq!(modules, LAYERS);
}

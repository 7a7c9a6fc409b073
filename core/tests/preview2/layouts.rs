//! The table against the canonical ABI: what JavaScript and components rely on.

use crate::component::function;
use wasi_rs_core::preview2::{FUNCTIONS, SLOTS};

/// The core signature: parameters with the pointer to a result area, and the result.
fn signature(native: &str) -> String {
    let function = function(native);
    let mut text = String::new();
    for parameter in function.parameters {
        text.push_str(match parameter.core_params {
            "h" => "i",
            "T" => "iIi",
            other => other,
        });
    }
    if function.result.area > 0 {
        text.push('i');
    }
    format!("{text}->{}", function.result.core)
}

#[test]
fn there_are_71_functions_with_different_names() {
    assert_eq!(FUNCTIONS.len(), 71);
    let mut natives: Vec<&str> = FUNCTIONS.iter().map(|function| function.native).collect();
    natives.sort_unstable();
    natives.dedup();
    assert_eq!(natives.len(), 71);
    let count = |interface: &str| {
        FUNCTIONS.iter().filter(|function| function.interface.starts_with(interface)).count()
    };
    assert_eq!(
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/"].map(count),
        [11, 6, 30, 19, 5]
    );
}

#[test]
fn signatures_are_those_that_components_import() {
    // Read off modules that wasm-tools has lowered.
    for (native, expected) in [
        ("get_environment", "i->"),
        ("get_arguments", "i->"),
        ("initial_cwd", "i->"),
        ("exit", "i->"),
        ("get_stdin", "->i"),
        ("get_terminal_stdin", "i->"),
        ("monotonic_now", "->I"),
        ("subscribe_duration", "I->i"),
        ("wall_now", "i->"),
        ("get_directories", "i->"),
        ("read_via_stream", "iIi->"),
        ("append_via_stream", "ii->"),
        ("advise", "iIIii->"),
        ("set_times", "iiIiiIii->"),
        ("descriptor_read", "iIIi->"),
        ("descriptor_write", "iiiIi->"),
        ("stat_at", "iiiii->"),
        ("set_times_at", "iiiiiIiiIii->"),
        ("link_at", "iiiiiiii->"),
        ("open_at", "iiiiiii->"),
        ("rename_at", "iiiiiii->"),
        ("symlink_at", "iiiiii->"),
        ("is_same_object", "ii->i"),
        ("read_directory_entry", "ii->"),
        ("filesystem_error_code", "ii->"),
        ("to_debug_string", "ii->"),
        ("ready", "i->i"),
        ("block", "i->"),
        ("poll_list", "iii->"),
        ("input_read", "iIi->"),
        ("skip", "iIi->"),
        ("input_subscribe", "i->i"),
        ("check_write", "ii->"),
        ("output_write", "iiii->"),
        ("splice", "iiIi->"),
        ("get_random_bytes", "Ii->"),
        ("get_random_u64", "->I"),
        ("insecure_seed", "i->"),
    ] {
        assert_eq!(signature(native), expected, "{native}");
    }
}

#[test]
fn the_slots_are_enough() {
    for function in FUNCTIONS {
        let slots: usize = function
            .parameters
            .iter()
            .map(|parameter| match parameter.core_params {
                "ii" | "T" => 2,
                _ => 1,
            })
            .sum();
        let pointer = usize::from(function.result.area > 0);
        assert!(slots + pointer <= SLOTS, "{} takes {slots}", function.native);
    }
}

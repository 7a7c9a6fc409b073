//! Sets the linker up for a Node-API addon; a core without the binding needs nothing.

fn main() {
    if std::env::var_os("CARGO_FEATURE_NAPI").is_some() {
        napi_build::setup();
    }
}

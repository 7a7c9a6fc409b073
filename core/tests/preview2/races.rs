//! A tree that changes while it is used.

use crate::component::{Component, READ};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn a_directory_that_is_swapped_for_a_link_leads_nowhere() {
    let (mut component, directory) = Component::new();
    component.temp.create_dir("box/place");
    component.temp.write("box/place/secret", "inside");
    component.temp.symlink("../outside", "box/link");
    let stop = AtomicBool::new(false);
    let paths = ["place", "link", "aside"].map(|name| component.temp.path(&format!("box/{name}")));
    thread::scope(|scope| {
        scope.spawn(|| {
            let [place, link, aside] = &paths;
            while !stop.load(Relaxed) {
                std::fs::rename(place, aside).unwrap();
                std::fs::rename(link, place).unwrap();
                std::fs::rename(place, link).unwrap();
                std::fs::rename(aside, place).unwrap();
            }
        });
        let (mut opened, mut refused) = (0, 0);
        let end = Instant::now() + Duration::from_secs(10);
        while (opened < 500 || refused < 500) && Instant::now() < end {
            match component.open(directory, "place/secret", 0, READ) {
                Ok(file) => {
                    assert_eq!(component.read(file, 10, 0), Ok((b"inside".to_vec(), false)));
                    assert!(component.drop(file));
                    opened += 1;
                }
                Err(error) => {
                    assert!(
                        ["not-permitted", "no-entry", "would-block"].contains(&error),
                        "{error}"
                    );
                    refused += 1;
                }
            }
        }
        stop.store(true, Relaxed);
        assert!(opened > 0, "{opened} opened, {refused} refused");
    });
}

//! Plays the inputs that are kept of fuzzing, each through the check of its target; see `fuzz/README.md`.

#[allow(unreachable_pub, reason = "it is a crate of its own in fuzz/")]
#[allow(clippy::unwrap_used, reason = "the definition of items is for tests alone")]
#[path = "../fuzz/src/lib.rs"]
mod checks;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

macro_rules! plays_the_corpora_of {
    ($($target:ident),*) => {$(
        #[test]
        fn $target() {
            play(stringify!($target), checks::$target::check);
        }
    )*};
}

plays_the_corpora_of!(batch, config, item, key, manifest, message, page, part, record, table);

fn play(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let inputs = fs::read_dir(&folder).expect("every target has a corpus").flatten();
    let mut count = 0;
    for path in inputs.map(|input| input.path()) {
        let input = fs::read(&path).expect("it was just listed");
        let played = catch_unwind(|| check(&input));
        assert!(played.is_ok(), "{} does not hold", path.display());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

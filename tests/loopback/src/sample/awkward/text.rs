//! Strings that break careless comparing, escaping, sorting, trimming and case folding. All are distinct.

/// The strings, each of them valid as a key.
pub(super) fn texts() -> Vec<String> {
    let listed = [LOOK_ALIKES, NORMALISATION, SCRIPTS, ESCAPES, SEPARATORS].concat();
    listed.into_iter().map(str::to_owned).chain(control_characters()).collect()
}

/// Equal to a careless eye: numbers, letter case, white space.
pub(super) const LOOK_ALIKES: &[&str] = &[
    "1",
    "01",
    "1.0",
    "1e0",
    "+1",
    "MQ==",
    "0",
    "-0",
    "true",
    "null",
    "undefined",
    "NaN",
    "case",
    "Case",
    "CASE",
    "ß",
    "ss",
    "ı",
    "i",
    "trailing",
    "trailing ",
    "trailing  ",
    "trailing\t",
    "trailing\u{a0}",
    " leading",
    "leading",
    " ",
    "  ",
];

/// Composed and decomposed spellings of the same text, and letters that normalise to one another.
const NORMALISATION: &[&str] = &[
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{c5}ngstr\u{f6}m",
    "A\u{30a}ngstro\u{308}m",
    "\u{212b}ngstr\u{f6}m",
    "\u{d55c}",
    "\u{1112}\u{1161}\u{11ab}",
    "\u{fb01}ne",
    "fine",
    "\u{ff11}",
    "\u{1e9b}\u{323}",
];

/// Emoji, joined sequences, right-to-left text, surrogate pairs in UTF-16, the ends of the code space.
const SCRIPTS: &[&str] = &[
    "😀",
    "👩‍👩‍👧‍👦",
    "👩👩👧👦",
    "👩🏽‍💻",
    "🏳️‍🌈",
    "🏳🌈",
    "🇪🇺",
    "1️⃣",
    "שלום עולם",
    "مرحبا بالعالم",
    "abc אבג 123",
    "\u{202e}desrever",
    "\u{200f}",
    "zero\u{200b}width",
    "zerowidth",
    "\u{feff}marked",
    "marked",
    "𝒳𝒴𝒵",
    "漢字",
    "𠮷野家",
    "ไทย",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10000}",
    "\u{10ffff}",
    "z̴̡̛͖a̷͚̐l̵̰̈́g̸̣̈o̷̼͝",
];

/// Text that already looks escaped, or that needs to be in JSON, a URL, a path, a shell, SQL or HTML.
const ESCAPES: &[&str] = &[
    "\"",
    "\"\"",
    "'",
    "`",
    "\\",
    "\\\\",
    "\\n",
    "\\u0041",
    "\\ud83d",
    "{\"S\":\"1\"}",
    "[]",
    "{}",
    "%2F",
    "%",
    "%%s",
    "a+b",
    "a b",
    "a/b",
    "/a/b",
    "a//b",
    "../..",
    ".",
    "..",
    "~",
    "?a=b&c",
    "#",
    ":value",
    "${HOME}",
    "$(id)",
    "*",
    "'; DROP TABLE items; --",
    "</script>",
    "&amp;",
    "a,b",
    "a;b",
    "a|b",
    "-rf",
];

/// Line breaks in keys, and the separators that JSON leaves bare and JavaScript does not.
const SEPARATORS: &[&str] = &[
    "line\nbreak",
    "line\r\nbreak",
    "line\rbreak",
    "\n",
    "\u{2028}",
    "a\u{2028}b",
    "\u{2029}",
    "\u{85}",
    "\u{7f}",
    "{\"a\":1}\n{\"a\":2}",
];

/// U+0001 to U+001F, each between letters, and then all at once.
fn control_characters() -> impl Iterator<Item = String> {
    let all: String = ('\u{1}'..='\u{1f}').collect();
    ('\u{1}'..='\u{1f}').map(|control| format!("a{control}b")).chain([all])
}

//! The sections that compare clients of our own: export and write.

use anyhow::Result;

use crate::bench::{Bench, Entry, Input};
use crate::codec::Codec;
use crate::items::Shape;
use crate::options::Options;
use crate::process::ServerProcess;
use crate::server::Pace;

/// The export, its floors, and the typed SDK.
pub(crate) fn export(bench: &mut Bench, options: &Options) -> Result<()> {
    let full = Input::Table(Shape::Usual, options.gigabytes);
    let slow = Input::Table(Shape::Usual, options.gigabytes.min(0.22));
    let large = Input::Table(Shape::Large, options.gigabytes);
    let (zstd, gzip, none) = (Codec::ZSTD, Codec::GZIP, Codec::NONE);
    #[rustfmt::skip] // a table
    let entries = [
        ("floor", "floor: bare socket, zstd 1", "floor-export", zstd, full),
        ("ours", "ours, zstd 1", "ours-export", zstd, full),
        ("ours-upload", "ours, zstd 1, put to S3", "ours-upload", zstd, full),
        ("floor-none", "floor: bare socket, received only", "floor-export", none, full),
        ("ours-none", "ours, lines to nothing", "ours-export", none, full),
        ("floor-large", "floor: 110 KB items, zstd 1", "floor-export", zstd, large),
        ("ours-large", "ours: 110 KB items, zstd 1", "ours-export", zstd, large),
        ("ours-gzip", "ours, gzip 6", "ours-export", gzip, slow),
        ("typed", "typed SDK, JSON by hand, zstd 1", "typed-export", zstd, slow),
        ("typed-gzip", "typed SDK, JSON by hand, gzip 6", "typed-export", gzip, slow),
        ("typed-value", "typed SDK, serde_json, zstd 1", "typed-value-export", zstd, slow),
        ("typed-value-gzip", "typed SDK, serde_json, gzip 6", "typed-value-export", gzip, slow),
    ];
    let entries = entries.map(|(id, label, client, codec, input)| Entry { id, label, client, codec, input });
    run(bench, "export", &entries, options.rounds)?;
    verify(bench)?;
    if options.quick { Ok(()) } else { growth(bench) }
}

/// The write, its floor, and the typed SDK.
pub(crate) fn write(bench: &mut Bench, options: &Options) -> Result<()> {
    let parts = Input::Parts(if options.quick { 2 } else { 4 });
    let (zstd, gzip) = (Codec::ZSTD, Codec::GZIP);
    #[rustfmt::skip] // a table
    let entries = [
        ("write-floor", "floor: hyper, aws-sigv4", "floor-write", zstd, parts),
        ("write-ours", "ours, from zstd 1", "ours-write", zstd, parts),
        ("write-ours-gzip", "ours, from gzip 6", "ours-write", gzip, Input::Parts(1)),
        ("write-typed", "typed SDK, from zstd 1", "typed-write", zstd, Input::Parts(1)),
    ];
    let entries = entries.map(|(id, label, client, codec, input)| Entry { id, label, client, codec, input });
    run(bench, "write", &entries, options.rounds)?;
    bounced(bench, options.rounds.min(3))
}

/// The write into a table of which one batch in twenty leaves half of its items unprocessed.
fn bounced(bench: &mut Bench, rounds: usize) -> Result<()> {
    let pace = Pace { bounce_every: 20, ..Pace::default() };
    let plain = std::mem::replace(&mut bench.server, ServerProcess::start(&pace)?);
    let (id, label) = ("write-ours-bounced", "ours, 1 batch in 20 half unprocessed");
    let entry = Entry { id, label, client: "ours-write", codec: Codec::ZSTD, input: Input::Parts(2) };
    run(bench, "write", &[entry], rounds)?;
    bench.server = plain;
    Ok(())
}

/// The first round only warms the server, which renders what it is asked for.
fn run(bench: &mut Bench, section: &'static str, entries: &[Entry], rounds: usize) -> Result<()> {
    for entry in entries {
        let input = match entry.input {
            Input::Table(shape, _) => Input::Table(shape, 0.01),
            Input::Parts(_) => Input::Parts(1),
        };
        bench.run(&Entry { input, ..*entry })?;
    }
    bench.declare(section, entries);
    for round in 1..=rounds {
        eprintln!("{section}: round {round} of {rounds}");
        bench.round(entries)?;
    }
    Ok(())
}

/// Compares every item exported with what was sent (G8).
fn verify(bench: &mut Bench) -> Result<()> {
    let mut items = 0;
    for (shape, codec) in
        [(Shape::Usual, Codec::ZSTD), (Shape::Usual, Codec::GZIP), (Shape::Large, Codec::ZSTD)]
    {
        let input = Input::Table(shape, 0.15);
        items += bench.run(&Entry { id: "verify", label: "", client: "ours-verify", codec, input })?.items;
    }
    bench.results.figures.insert("items_verified", items.into());
    Ok(())
}

/// How memory grows with the table (G6).
fn growth(bench: &mut Bench) -> Result<()> {
    let growth = |id, label, gigabytes| {
        let input = Input::Table(Shape::Usual, gigabytes);
        Entry { id, label, client: "ours-export", codec: Codec::ZSTD, input }
    };
    let entries = [growth("growth-1", "ours, 1 GB", 1.0), growth("growth-5", "ours, 5 GB", 5.0)];
    bench.declare("growth", &entries);
    for _ in 0..3 {
        bench.round(&entries)?;
    }
    Ok(())
}

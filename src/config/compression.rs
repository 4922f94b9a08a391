//! How the exported items are compressed.

use std::ops::RangeInclusive;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::reader::Reader;
use super::value::{choice, whole_number};

/// Levels above 19 want a window of 32 to 128 MiB from everyone who reads (zstd manual, `--ultra`).
const ZSTD_LEVELS: RangeInclusive<i32> = 1..=19;
const GZIP_LEVELS: RangeInclusive<u32> = 1..=9;

/// A codec with its level; as JSON `{"codec":"zstd","level":1}`, in which the level is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "codec", content = "level", rename_all = "lowercase")]
pub enum Compression {
    Zstd(#[serde(deserialize_with = "zstd_level")] i32),
    Gzip(#[serde(deserialize_with = "gzip_level")] u32),
}

fn zstd_level<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    level(from, &ZSTD_LEVELS)
}

fn gzip_level<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    level(from, &GZIP_LEVELS)
}

fn level<'de, L, D>(from: D, levels: &RangeInclusive<L>) -> Result<L, D::Error>
where
    L: Deserialize<'de> + PartialOrd,
    D: Deserializer<'de>,
{
    let level = L::deserialize(from)?;
    if levels.contains(&level) { Ok(level) } else { Err(D::Error::custom("no level of compression")) }
}

impl Compression {
    const ZSTD: Self = Self::Zstd(1);
    const GZIP: Self = Self::Gzip(6);

    /// A codec that is misspelled still has its level checked, as the default codec's.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let codec = reader.read("compression", choice(&[("zstd", Self::ZSTD), ("gzip", Self::GZIP)]));
        let name = "compression-level";
        match codec {
            Self::Zstd(level) => {
                Self::Zstd(reader.read_or(name, &level.to_string(), whole_number(ZSTD_LEVELS)))
            }
            Self::Gzip(level) => {
                Self::Gzip(reader.read_or(name, &level.to_string(), whole_number(GZIP_LEVELS)))
            }
        }
    }

    /// How the keys of data objects end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zstd(_) => "json.zst",
            Self::Gzip(_) => "json.gz",
        }
    }
}

impl Default for Compression {
    fn default() -> Self {
        Self::ZSTD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_json_names_codec_and_level() {
        for (compression, json) in [
            (Compression::Zstd(1), r#"{"codec":"zstd","level":1}"#),
            (Compression::Gzip(6), r#"{"codec":"gzip","level":6}"#),
        ] {
            assert_eq!(serde_json::to_string(&compression).unwrap(), json);
            assert_eq!(serde_json::from_str::<Compression>(json).unwrap(), compression);
        }
    }

    #[test]
    fn a_level_that_a_codec_does_not_have_is_not_read() {
        for json in [
            r#"{"codec":"zstd","level":20}"#,
            r#"{"codec":"zstd","level":-1}"#,
            r#"{"codec":"gzip","level":4294967295}"#,
        ] {
            let error = serde_json::from_str::<Compression>(json).unwrap_err();
            assert!(error.to_string().starts_with("no level of compression"), "{error}");
        }
    }

    #[test]
    fn the_ends_of_keys_are_those_that_readers_know() {
        let ends = [Compression::Zstd(3), Compression::Gzip(3)].map(Compression::extension);
        assert_eq!(ends, ["json.zst", "json.gz"]);
    }
}
